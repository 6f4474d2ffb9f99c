package videoconf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// Credentials are a Rocket.Chat user's own: the facade has none, so each call
// brings its caller's.
type Credentials struct {
	UserID    string
	AuthToken string
}

// Check tells what no call could carry. Whether Rocket.Chat takes the
// credentials is for the facade to say.
func (c Credentials) Check() error {
	if c.UserID == "" || c.AuthToken == "" {
		return errors.New("user id and auth token are both needed")
	}
	for name, value := range map[string]string{"user id": c.UserID, "auth token": c.AuthToken} {
		for _, b := range []byte(value) {
			// A newline, say, from a file: grpc-go would send it, and the
			// server resets the call without a reason.
			if b < ' ' || b > '~' {
				return fmt.Errorf("the %s has a byte outside printable ASCII", name)
			}
		}
	}
	return nil
}

// LogValue keeps the token out of logs.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// String keeps the token out of what is printed with %v.
func (c Credentials) String() string { return "user " + c.UserID }

// GoString does so for %#v.
func (c Credentials) GoString() string { return c.String() }

// perRPC gives the credentials to one call, not to the connection: then many
// users share one, and the health checks on it go without.
type perRPC Credentials

func (c perRPC) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"x-user-id": c.UserID, "x-auth-token": c.AuthToken}, nil
}

// RequireTransportSecurity says no, since a facade on the same machine or
// behind a mesh's sidecar speaks plain HTTP/2. Say yes where it never does, and
// grpc-go refuses to send a token in the clear.
func (c perRPC) RequireTransportSecurity() bool { return false }
