// Command reflection does what grpcui does to draw its page: asks for all
// services and for every file that they need, then makes a call by them.
// Usage: reflection ADDRESS
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fullstorydev/grpcurl"
	"github.com/jhump/protoreflect/grpcreflect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const service = "rocketchat.videoconference.v1.VideoConferenceService"

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	client := grpcreflect.NewClientAuto(ctx, conn)
	defer client.Reset()
	source := grpcurl.DescriptorSourceFromServer(ctx, client)

	services, err := grpcurl.ListServices(source)
	check(err)
	for _, name := range services {
		methods, err := grpcurl.ListMethods(source, name)
		check(err)
		if len(methods) == 0 {
			log.Fatalf("%s has no methods", name)
		}
	}
	files, err := grpcurl.GetAllFiles(source)
	check(err)
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = file.GetName()
	}
	for _, wanted := range []string{"google/protobuf/struct.proto", "google/rpc/error_details.proto"} {
		if !slices.Contains(names, wanted) {
			log.Fatalf("no %s among %v", wanted, names)
		}
	}
	complete, err := grpcurl.DescriptorSourceFromFileDescriptors(files...)
	check(err)
	answer := call(ctx, complete, conn, "x-user-id: CkCPNctrgCDfmWLqC",
		"x-auth-token: 1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE")
	if !strings.Contains(answer, `"providerName": "googlemeet"`) {
		log.Fatalf("not the conference: %s", answer)
	}
	refusal := call(ctx, complete, conn)
	if !strings.Contains(refusal, `"reason": "CREDENTIALS_MISSING"`) {
		log.Fatalf("not the refusal: %s", refusal)
	}
	fmt.Printf("%d services, %d files, a call and a refusal\n", len(services), len(files))
}

// call gives the answer or the refusal as text.
func call(ctx context.Context, source grpcurl.DescriptorSource, conn *grpc.ClientConn, headers ...string) string {
	var out bytes.Buffer
	resolver := grpcurl.AnyResolverFromDescriptorSource(source)
	formatter := grpcurl.NewJSONFormatter(false, resolver)
	handler := &grpcurl.DefaultEventHandler{Out: &out, Formatter: formatter}
	request := strings.NewReader(`{"call_id":"697866d5c8b053302078137a"}`)
	parser := grpcurl.NewJSONRequestParser(request, resolver)
	check(grpcurl.InvokeRPC(ctx, source, conn, service+"/GetInfo", headers, handler, parser.Next))
	if handler.Status.Err() != nil {
		grpcurl.PrintStatus(&out, handler.Status, formatter)
	}
	return out.String()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
