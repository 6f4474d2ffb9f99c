// Package videoconf asks a videoconf-facade for Rocket.Chat's video
// conferences.
package videoconf

import (
	"context"
	"crypto/tls"
	_ "embed"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // Without it healthCheckConfig does nothing.
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "example.com/videoconf-client/gen/rocketchat/videoconference/v1"
)

// serviceConfig has retries, round robin and health checks. It is a copy of
// proto/service_config.json, since go:embed doesn't reach above its package.
//
//go:embed service_config.json
var serviceConfig string

// DefaultTimeout is the deadline of calls whose context has none. It is
// as long as the facade itself takes for an attempt, at most. More leaves time to
// try again.
const DefaultTimeout = 10 * time.Second

// Options say where a facade is and who asks.
type Options struct {
	// Target as grpc-go knows it: "host:port" (all addresses of the name), or
	// "unix:/run/proxy.sock" of a proxy, since the facade listens on TCP only.
	Target string

	// Authority is the `:authority` to send, and the name that the certificate
	// must be for. Without it, grpc-go takes it from the target.
	Authority string

	// TLS is spoken if this is set; see TLSFromFiles. An empty one trusts the
	// system's authorities.
	TLS *tls.Config

	// Credentials of the calls; see Client.As.
	Credentials Credentials
}

// Client calls a facade. It is safe for concurrent use; one for a process is
// enough.
type Client struct {
	conn        *grpc.ClientConn
	credentials Credentials
}

// New makes a client. It connects with the first call, not here.
func New(o Options) (*Client, error) {
	transport := insecure.NewCredentials()
	if o.TLS != nil {
		transport = credentials.NewTLS(o.TLS)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(serviceConfig),
		// Finds out within 80 s that a peer has vanished without a word, which
		// TCP takes a quarter of an hour for. The facade answers any ping, but
		// what stands between may count them as abuse.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time:                time.Minute,
			Timeout:             20 * time.Second,
			PermitWithoutStream: false,
		}),
	}
	if o.Authority != "" {
		options = append(options, grpc.WithAuthority(o.Authority))
	}
	conn, err := grpc.NewClient(o.Target, options...)
	if err != nil {
		return nil, err
	}
	return &Client{conn: conn, credentials: o.Credentials}, nil
}

// As gives a client with another user's credentials on the same connection.
func (c *Client) As(other Credentials) *Client {
	return &Client{conn: c.conn, credentials: other}
}

// Close ends the connection, for all that As gave, too.
func (c *Client) Close() error { return c.conn.Close() }

// GetInfo asks for a conference. maxAge is the oldest answer to accept: zero is
// a read of its own, nil leaves it to the facade. An error is an *Error.
func (c *Client) GetInfo(ctx context.Context, callID string, maxAge *time.Duration) (*pb.GetInfoResponse, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	request := &pb.GetInfoRequest{CallId: callID}
	if maxAge != nil {
		request.MaxAge = durationpb.New(*maxAge)
	}
	var header, trailer metadata.MD
	response, err := pb.NewVideoConferenceServiceClient(c.conn).GetInfo(ctx, request,
		grpc.PerRPCCredentials(perRPC(c.credentials)), grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		return nil, c.failed(err, header, trailer)
	}
	return response, nil
}

// Health asks whether the facade serves. An error is an *Error.
func (c *Client) Health(ctx context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	var header, trailer metadata.MD
	response, err := grpc_health_v1.NewHealthClient(c.conn).Check(ctx,
		&grpc_health_v1.HealthCheckRequest{Service: pb.VideoConferenceService_ServiceDesc.ServiceName},
		grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		return nil, c.failed(err, header, trailer)
	}
	return response, nil
}

// failed adds what there was no connection to. grpc-go tells of the deadline
// alone when it passes between two retries, and of "no children to pick from"
// when a name doesn't resolve.
func (c *Client) failed(err error, header, trailer metadata.MD) *Error {
	e := errorOf(err, header, trailer)
	if (e.DeadlineExceeded() || e.TryLater()) && c.conn.GetState() != connectivity.Ready {
		e.Message += ", with no working connection to " + c.conn.Target()
	}
	return e
}

func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, set := ctx.Deadline(); set {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, DefaultTimeout)
}
