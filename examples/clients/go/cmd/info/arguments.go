package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

type arguments struct {
	callID, server, authority string
	tlsCA, tlsCert, tlsKey    string
	timeout                   time.Duration
	maxAge                    *time.Duration
	health, json              bool
}

// parse is pflag's, not flag's, since flag stops at CALL_ID.
func parse(args []string) (arguments, error) {
	var a arguments
	var timeout, maxAge float64
	flags := pflag.NewFlagSet("info", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.Usage = func() {
		fmt.Println("Usage: info [flags] CALL_ID\n\n" + flags.FlagUsages() +
			"\nCredentials come from VIDEOCONF_USER_ID and VIDEOCONF_AUTH_TOKEN.")
	}
	flags.StringVar(&a.server, "server", "localhost:50051", "where the facade listens, as a `TARGET` of grpc-go")
	flags.StringVar(&a.authority, "authority", "", "the :authority to send, and the `NAME` that the certificate must be for")
	flags.Float64Var(&timeout, "timeout", 10, "the deadline of the call, in `SECONDS`")
	flags.Float64Var(&maxAge, "max-age", 0, "the oldest answer to accept, in `SECONDS`; 0 is a read of its own (default the facade's choice)")
	flags.StringVar(&a.tlsCA, "tls-ca", "", "speak TLS, and trust the authorities in this PEM `FILE`")
	flags.StringVar(&a.tlsCert, "tls-cert", "", "the client's own certificate, a PEM `FILE`")
	flags.StringVar(&a.tlsKey, "tls-key", "", "its key, a PEM `FILE`")
	flags.BoolVar(&a.health, "health", false, "ask for the service's health in place of a call")
	flags.BoolVar(&a.json, "json", false, "print protobuf's JSON, and failures as JSON, too")

	if err := flags.Parse(args); err != nil {
		// It may stand behind what couldn't be parsed.
		a.json = slices.Contains(args, "--json")
		if errors.Is(err, pflag.ErrHelp) {
			return a, err
		}
		return a, usageError{err}
	}
	if a.server == "" {
		return a, usageError{errors.New("--server: no target")}
	}
	var err error
	if a.timeout, err = seconds(timeout); err != nil || a.timeout <= 0 {
		return a, usageError{fmt.Errorf("--timeout %v: not a time to wait", timeout)}
	}
	if flags.Changed("max-age") {
		// A negative one is the facade's to refuse.
		age, err := seconds(maxAge)
		if err != nil {
			return a, usageError{fmt.Errorf("--max-age %v: %w", maxAge, err)}
		}
		a.maxAge = &age
	}
	if a.tlsCA == "" && (a.tlsCert != "" || a.tlsKey != "") {
		return a, usageError{errors.New("--tls-cert and --tls-key need --tls-ca")}
	}
	if (a.tlsCert == "") != (a.tlsKey == "") {
		return a, usageError{errors.New("--tls-cert and --tls-key need each other")}
	}
	switch {
	case flags.NArg() > 1:
		return a, usageError{fmt.Errorf("one CALL_ID, not %d", flags.NArg())}
	case flags.NArg() == 1:
		a.callID = flags.Arg(0)
	case !a.health:
		return a, usageError{errors.New("CALL_ID is missing; --help tells more")}
	}
	if !utf8.ValidString(a.callID) {
		return a, usageError{errors.New("CALL_ID isn't UTF-8, which protobuf's strings are")}
	}
	return a, nil
}

func seconds(s float64) (time.Duration, error) {
	// Written so that NaN is refused, too.
	if !(math.Abs(s) < math.MaxInt64/1e9) {
		return 0, errors.New("not a number of seconds that fits")
	}
	return time.Duration(s * 1e9), nil
}
