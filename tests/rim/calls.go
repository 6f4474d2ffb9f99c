package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

const (
	getInfo     = "/rocketchat.videoconference.v1.VideoConferenceService/GetInfo"
	healthCheck = "/grpc.health.v1.Health/Check"
	healthWatch = "/grpc.health.v1.Health/Watch"
)

// What demo prints. serve's upstream here takes any.
const (
	userID    = "CkCPNctrgCDfmWLqC"
	authToken = "1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE"
	callID    = "697866d5c8b053302078137a"
)

// raw passes messages as they are, so that there is no generated code.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) ([]byte, error) {
	return message.([]byte), nil
}

func (raw) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = append([]byte{}, data...)
	return nil
}

// request is a GetInfoRequest: field 1 is the call's id, here shorter than 128 bytes.
func request(id string) []byte {
	return append([]byte{0x0a, byte(len(id))}, id...)
}

// framed is a message as gRPC sends it: a flag, its length, itself.
func framed(message []byte) []byte {
	size := len(message)
	prefix := []byte{0, byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}
	return append(prefix, message...)
}

// connect gives a client of all addresses, a connection to each, that knows nothing but grpc-go's
// defaults: no retry policy, transparent retries.
func connect(addresses ...string) (*grpc.ClientConn, error) {
	known := manual.NewBuilderWithScheme("rim")
	var state resolver.State
	for _, address := range addresses {
		endpoint := resolver.Endpoint{Addresses: []resolver.Address{{Addr: address}}}
		state.Endpoints = append(state.Endpoints, endpoint)
	}
	known.InitialState(state)
	return grpc.NewClient("rim:///facade",
		grpc.WithResolvers(known),
		grpc.WithAuthority("facade"),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
}

// withCredentials adds those of a user to a call.
func withCredentials(ctx context.Context, user, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "x-user-id", user, "x-auth-token", token)
}

// call asks for one call, for as long as deadline.
func call(ctx context.Context, on grpc.ClientConnInterface, id string, deadline time.Duration) error {
	ctx, cancel := context.WithTimeout(withCredentials(ctx, userID, authToken), deadline)
	defer cancel()
	var answer []byte
	return on.Invoke(ctx, getInfo, request(id), &answer)
}

// tally says how often each of some texts came.
type tally map[string]int

func (t tally) String() string {
	var parts []string
	for text, count := range t {
		parts = append(parts, fmt.Sprintf("%d %s", count, text))
	}
	if len(parts) == 0 {
		return "0"
	}
	return strings.Join(sorted(parts), ", ")
}
