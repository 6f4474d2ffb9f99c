package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"

	"example.com/videoconf-client/videoconf"
)

// usageError is what the user, not the facade, has to mend.
type usageError struct{ error }

// failureJSON is what --json prints of a failure.
type failureJSON struct {
	Code            string                     `json:"code,omitempty"`
	Message         string                     `json:"message"`
	Reason          string                     `json:"reason,omitempty"`
	Metadata        map[string]string          `json:"metadata,omitempty"`
	RetryDelayMs    *int64                     `json:"retryDelayMs,omitempty"`
	FieldViolations []videoconf.FieldViolation `json:"fieldViolations,omitempty"`
	RequestID       string                     `json:"requestId,omitempty"`
}

// fail tells what went wrong and returns the exit status.
func fail(err error, asJSON bool) int {
	fmt.Fprintln(os.Stderr, "info: "+oneLine(err.Error()))
	object := failureJSON{Message: err.Error()}
	e, ofCall := errors.AsType[*videoconf.Error](err)
	if ofCall {
		object = failureJSON{
			Code:            e.CodeName(),
			Message:         e.Message,
			Reason:          e.Reason,
			Metadata:        e.Metadata,
			FieldViolations: e.FieldViolations,
			RequestID:       e.RequestID,
		}
		if e.RetryDelay != nil {
			object.RetryDelayMs = new(e.RetryDelay.Milliseconds())
		}
	}
	if asJSON {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		encoder.Encode(object)
	}
	_, ofUser := errors.AsType[usageError](err)
	switch {
	case ofUser:
		return 2
	case !ofCall:
		return 1
	case e.CallNotFound():
		return 3
	case e.BadRequest():
		return 4
	case e.BadCredentials():
		return 5
	case e.TryLater():
		return 6
	case e.DeadlineExceeded():
		return 7
	}
	return 1
}

// oneLine keeps newlines and a terminal's control codes, which may be in a
// title or in a message of Rocket.Chat's, from the terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
