// The facade as one would write it by hand in Go: grpc-go, net/http, encoding/json, otter.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/maypok86/otter/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "facade.bench/v1"
)

type member struct {
	ID       string     `json:"_id"`
	Username *string    `json:"username"`
	Name     *string    `json:"name"`
	Ts       *time.Time `json:"ts"`
}

type conference struct {
	Success  bool     `json:"success"`
	ID       string   `json:"_id"`
	Type     string   `json:"type"`
	Status   int32    `json:"status"`
	Rid      *string  `json:"rid"`
	Users    []member `json:"users"`
	Messages *struct {
		Started *string `json:"started"`
		Ended   *string `json:"ended"`
	} `json:"messages"`
	URL          *string    `json:"url"`
	CreatedBy    *member    `json:"createdBy"`
	CreatedAt    *time.Time `json:"createdAt"`
	UpdatedAt    *time.Time `json:"_updatedAt"`
	ProviderName *string    `json:"providerName"`
	Ringing      *bool      `json:"ringing"`
	Capabilities *struct {
		Mic   *bool `json:"mic"`
		Cam   *bool `json:"cam"`
		Title *bool `json:"title"`
	} `json:"capabilities"`
	Title          *string `json:"title"`
	AnonymousUsers *int32  `json:"anonymousUsers"`
}

type key struct{ id, user, token string }

type server struct {
	pb.UnimplementedVideoConferenceServiceServer
	client   *http.Client
	upstream string
	cache    *otter.Cache[key, *pb.GetInfoResponse]
}

func first(md metadata.MD, name string) string {
	if values := md.Get(name); len(values) == 1 {
		return values[0]
	}
	return ""
}

func (s *server) GetInfo(ctx context.Context, in *pb.GetInfoRequest) (*pb.GetInfoResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	asked := key{in.GetCallId(), first(md, "x-user-id"), first(md, "x-auth-token")}
	if asked.id == "" {
		return nil, status.Error(codes.InvalidArgument, "call_id is not valid")
	}
	if asked.user == "" || asked.token == "" {
		return nil, status.Error(codes.Unauthenticated, "x-user-id and x-auth-token are required metadata")
	}
	if s.cache != nil {
		if known, ok := s.cache.GetIfPresent(asked); ok {
			return known, nil
		}
	}
	answer, err := s.read(ctx, asked)
	if err == nil && s.cache != nil {
		s.cache.Set(asked, answer)
	}
	return answer, err
}

func (s *server) read(ctx context.Context, asked key) (*pb.GetInfoResponse, error) {
	target := s.upstream + "/api/v1/video-conference.info?callId=" + url.QueryEscape(asked.id)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	request.Header.Set("X-User-Id", asked.user)
	request.Header.Set("X-Auth-Token", asked.token)
	readAt := timestamppb.Now()
	response, err := s.client.Do(request)
	if err != nil {
		return nil, status.Error(codes.Unavailable, "Rocket.Chat is not available")
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, status.Error(codes.Unavailable, "Rocket.Chat is not available")
	}
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusBadRequest:
		return nil, status.Error(codes.InvalidArgument, "no such conference, or not visible to this user")
	case http.StatusUnauthorized:
		return nil, status.Error(codes.Unauthenticated, "Rocket.Chat does not accept the credentials")
	default:
		return nil, status.Error(codes.Unavailable, "Rocket.Chat is not available")
	}
	var it conference
	if err := json.Unmarshal(body, &it); err != nil || !it.Success {
		return nil, status.Error(codes.Internal, "Rocket.Chat's answer is not understood")
	}
	return &pb.GetInfoResponse{VideoConference: message(&it), ReadAt: readAt}, nil
}

func moment(it *time.Time) *timestamppb.Timestamp {
	if it == nil {
		return nil
	}
	return timestamppb.New(*it)
}

func user(it *member) *pb.User {
	if it == nil {
		return nil
	}
	return &pb.User{Id: it.ID, Username: it.Username, Name: it.Name}
}

func message(it *conference) *pb.VideoConference {
	out := &pb.VideoConference{
		Id:             it.ID,
		Type:           pb.VideoConferenceType_VIDEO_CONFERENCE_TYPE_VIDEOCONFERENCE,
		Status:         pb.VideoConferenceStatus(it.Status + 1),
		Rid:            it.Rid,
		Url:            it.URL,
		CreatedBy:      user(it.CreatedBy),
		CreatedAt:      moment(it.CreatedAt),
		UpdatedAt:      moment(it.UpdatedAt),
		ProviderName:   it.ProviderName,
		Ringing:        it.Ringing,
		Title:          it.Title,
		AnonymousUsers: it.AnonymousUsers,
	}
	for _, one := range it.Users {
		out.Users = append(out.Users, &pb.VideoConferenceUser{
			Id: one.ID, Username: one.Username, Name: one.Name, Ts: moment(one.Ts),
		})
	}
	if it.Messages != nil {
		out.Messages = &pb.VideoConferenceMessages{Started: it.Messages.Started, Ended: it.Messages.Ended}
	}
	if it.Capabilities != nil {
		out.Capabilities = &pb.VideoConferenceCapabilities{
			Mic: it.Capabilities.Mic, Cam: it.Capabilities.Cam, Title: it.Capabilities.Title,
		}
	}
	return out
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to listen")
	upstream := flag.String("upstream", "", "where Rocket.Chat is")
	keep := flag.Duration("keep", 0, "how long answers are kept")
	workers := flag.Uint("workers", 0, "how many goroutines serve streams; 0 for one each")
	flag.Parse()

	s := &server{
		client: &http.Client{Transport: &http.Transport{
			MaxIdleConns: 256, MaxIdleConnsPerHost: 256, IdleConnTimeout: 4 * time.Second,
		}},
		upstream: *upstream,
	}
	if *keep > 0 {
		s.cache = otter.Must(&otter.Options[key, *pb.GetInfoResponse]{
			MaximumSize:      10_000,
			ExpiryCalculator: otter.ExpiryWriting[key, *pb.GetInfoResponse](*keep),
		})
	}
	socket, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	log.Print("serving ", socket.Addr())
	options := []grpc.ServerOption{}
	if *workers > 0 {
		options = append(options, grpc.NumStreamWorkers(uint32(*workers)))
	}
	g := grpc.NewServer(options...)
	pb.RegisterVideoConferenceServiceServer(g, s)
	log.Fatal(g.Serve(socket))
}
