package videoconf

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// reasonNotFound is ErrorInfo's string, the enum's name without its prefix.
const reasonNotFound = "CALL_NOT_FOUND_OR_NOT_VISIBLE"

// Error is a failed call. Retries are over by the time it is seen.
type Error struct {
	Code    codes.Code
	Message string

	// Reason is ErrorInfo's, and empty for what gRPC itself reports. If the
	// deadline passed before a retry, it is what the last attempt heard. New
	// reasons may come.
	Reason   string
	Metadata map[string]string

	// RetryDelay says when to try again; nil if the facade didn't.
	RetryDelay *time.Duration

	FieldViolations []FieldViolation

	// RequestID is what the facade's log knows the call by; empty if no answer
	// came.
	RequestID string

	status *status.Status
}

// FieldViolation says what is wrong about a field of the request.
type FieldViolation struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

func errorOf(err error, header, trailer metadata.MD) *Error {
	s := status.Convert(err)
	e := &Error{Code: s.Code(), Message: s.Message(), status: s}
	e.take(s.Details())
	if last := lastAttempt(trailer); last != nil && e.DeadlineExceeded() && e.Reason == "" {
		e.Message += ", waiting to retry after: " + last.Message()
		e.take(last.Details())
	}
	// An answer without a message has its headers and trailers in one; which
	// of them grpc-go makes of that is its affair.
	for _, md := range []metadata.MD{header, trailer} {
		if ids := md.Get("x-request-id"); len(ids) > 0 {
			e.RequestID = ids[0]
		}
	}
	return e
}

func (e *Error) take(details []any) {
	for _, detail := range details {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			e.Reason, e.Metadata = d.GetReason(), d.GetMetadata()
		case *errdetails.RetryInfo:
			e.RetryDelay = new(d.GetRetryDelay().AsDuration())
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.FieldViolations = append(e.FieldViolations, FieldViolation{v.GetField(), v.GetDescription()})
			}
		}
	}
}

// lastAttempt is what the facade answered last. When the wait that it asked
// for is longer than what is left, grpc-go waits all the same and then tells of
// the deadline alone, but the trailers are still there.
func lastAttempt(trailer metadata.MD) *status.Status {
	details := trailer.Get("grpc-status-details-bin")
	if len(details) != 1 {
		return nil
	}
	last := new(spb.Status)
	if proto.Unmarshal([]byte(details[0]), last) != nil {
		return nil
	}
	return status.FromProto(last)
}

// CallNotFound says that there is no such call, or that this user may not see
// it; Rocket.Chat doesn't say which.
func (e *Error) CallNotFound() bool {
	return e.Code == codes.NotFound || e.Code == codes.InvalidArgument && e.Reason == reasonNotFound
}

// BadRequest says that the request is wrong: to ask again is no use.
func (e *Error) BadRequest() bool {
	return e.Code == codes.InvalidArgument && !e.CallNotFound()
}

// BadCredentials says that the user must log in again, or may not.
func (e *Error) BadCredentials() bool {
	return e.Code == codes.Unauthenticated || e.Code == codes.PermissionDenied
}

// TryLater says that the same call may succeed later, after RetryDelay if
// there is one.
func (e *Error) TryLater() bool {
	return e.Code == codes.Unavailable || e.Code == codes.ResourceExhausted
}

// DeadlineExceeded says that no answer came in time.
func (e *Error) DeadlineExceeded() bool { return e.Code == codes.DeadlineExceeded }

// CodeName is the code as gRPC writes it, INVALID_ARGUMENT; Code.String gives
// Go's own InvalidArgument.
func (e *Error) CodeName() string {
	if name, known := code.Code_name[int32(e.Code)]; known {
		return name
	}
	return fmt.Sprint(uint32(e.Code))
}

func (e *Error) Error() string {
	about := []string{e.CodeName()}
	if e.Reason != "" && e.Reason != about[0] {
		about = append(about, e.Reason)
	}
	if e.RetryDelay != nil {
		about = append(about, fmt.Sprintf("try again in %v", e.RetryDelay.Round(time.Millisecond)))
	}
	if e.RequestID != "" {
		about = append(about, "request "+e.RequestID)
	}
	return fmt.Sprintf("%s (%s)", e.Message, strings.Join(about, ", "))
}

// GRPCStatus lets status.FromError and status.Code find the status.
func (e *Error) GRPCStatus() *status.Status { return e.status }
