// Command pushback is grpc-go: it asks for COUNT calls at once, and prints what
// became of each. Usage: pushback TARGET COUNT
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // Without it healthCheckConfig does nothing.
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "example.com/videoconf-client/gen/rocketchat/videoconference/v1"
)

func main() {
	config, err := os.ReadFile(os.Getenv("SERVICE_CONFIG"))
	if err != nil {
		log.Fatal(err)
	}
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	conn, err := grpc.NewClient(os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(string(config)))
	if err != nil {
		log.Fatal(err)
	}
	client := pb.NewVideoConferenceServiceClient(conn)
	ended := make([]codes.Code, count)
	var callers sync.WaitGroup
	for n := range count {
		callers.Go(func() { ended[n] = ask(client, fmt.Sprintf("call-%d", n)) })
	}
	callers.Wait()
	times := map[codes.Code]int{}
	for _, code := range ended {
		times[code]++
	}
	for code, times := range times {
		fmt.Println(code, times)
	}
}

func ask(client pb.VideoConferenceServiceClient, callID string) codes.Code {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "x-user-id", "user", "x-auth-token", "token", "x-request-id", callID)
	_, err := client.GetInfo(ctx, &pb.GetInfoRequest{CallId: callID})
	return status.Code(err)
}
