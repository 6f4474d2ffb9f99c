// Command info asks a videoconf-facade for a conference and tells what it heard.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"example.com/videoconf-client/videoconf"
)

func main() {
	a, err := parse(os.Args[1:])
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(a)
	}
	if err != nil {
		os.Exit(fail(err, a.json))
	}
}

func run(a arguments) error {
	options := videoconf.Options{Target: a.server, Authority: a.authority}
	if a.tlsCA != "" {
		config, err := videoconf.TLSFromFiles(a.tlsCA, a.tlsCert, a.tlsKey)
		if err != nil {
			return usageError{err}
		}
		options.TLS = config
	}
	if !a.health {
		options.Credentials = videoconf.Credentials{
			UserID:    os.Getenv("VIDEOCONF_USER_ID"),
			AuthToken: os.Getenv("VIDEOCONF_AUTH_TOKEN"),
		}
		if err := options.Credentials.Check(); err != nil {
			return usageError{fmt.Errorf("VIDEOCONF_USER_ID, VIDEOCONF_AUTH_TOKEN: %w", err)}
		}
	}
	client, err := videoconf.New(options)
	if err != nil {
		return usageError{fmt.Errorf("--server %s: %w", a.server, err)}
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), a.timeout)
	defer cancel()
	if a.health {
		return health(ctx, client, a.json)
	}
	response, err := client.GetInfo(ctx, a.callID, a.maxAge)
	if err != nil {
		return err
	}
	if a.json {
		return printJSON(response)
	}
	fmt.Print(describe(response, time.Now()))
	return nil
}

func health(ctx context.Context, client *videoconf.Client, asJSON bool) error {
	response, err := client.Health(ctx)
	if err != nil {
		return err
	}
	if status := response.GetStatus(); status != grpc_health_v1.HealthCheckResponse_SERVING {
		return &videoconf.Error{Code: codes.Unavailable, Message: "the service is " + status.String()}
	}
	if asJSON {
		return printJSON(response)
	}
	fmt.Println(response.GetStatus())
	return nil
}

func printJSON(m proto.Message) error {
	text, err := protojson.MarshalOptions{Multiline: true}.Marshal(m)
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	return nil
}
