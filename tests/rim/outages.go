package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

const (
	faultFor = 5 * time.Second
	// What is to be over then, and how long that is watched.
	recoverWithin = time.Second
	watchRecovery = 4 * time.Second
	callDeadline  = 2 * time.Second
	lateness      = 100 * time.Millisecond
)

// A fault is something that happens on the way to Rocket.Chat until it is undone.
type fault struct {
	name string
	do   func(context.Context, *toxiproxy.Proxy) error
}

// outagesSuite puts faults between the server and its upstream.
func outagesSuite(ctx context.Context, config config) table {
	t := table{
		title: "Outages",
		about: fmt.Sprintf("100 calls a second, each of which needs a read; the server is told a deadline "+
			"of %s, and watched for longer. Each fault lasts %s. What fails may be UNAVAILABLE or "+
			"DEADLINE_EXCEEDED, none may take more than %s beyond the deadline, and after a fault the first "+
			"must succeed within %s, and all that begin after that.",
			callDeadline, faultFor, lateness, recoverWithin),
		columns: []string{"fault", "calls during it", "longest", "first success after it",
			"failed between", "failed from 1 s after it on"},
	}
	upstream, err := startUpstream()
	if err != nil {
		return t.broken(err)
	}
	defer upstream.stop()
	size, err := answerSize(upstream)
	if err != nil {
		return t.broken(err)
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "upstream", "127.0.0.1:0", upstream.listener.Addr().String())
	if err := proxy.Start(); err != nil {
		return t.broken(err)
	}
	defer proxy.Stop()
	f, err := startFacade(config.facade, "serve", "--listen", "127.0.0.1:0", "--log-format", "json",
		"--upstream-url", "http://"+proxy.Listen, "--upstream-limit", "none",
		"--stale-for", "0s", "--fresh-for", "0s")
	if err != nil {
		return t.broken(err)
	}
	defer f.kill()

	for _, fault := range []fault{
		{"none, to compare", func(context.Context, *toxiproxy.Proxy) error { return nil }},
		{"refused", func(_ context.Context, p *toxiproxy.Proxy) error { p.Stop(); return nil }},
		{"reset", toxic(`{"type":"reset_peer","attributes":{"timeout":0}}`)},
		{"cut in the middle", toxic(fmt.Sprintf(`{"type":"limit_data","attributes":{"bytes":%d}}`, size-5))},
		{"hung", toxic(`{"type":"timeout","attributes":{"timeout":0}}`)},
		// An answer takes longer than anybody waits.
		{"trickled", toxic(`{"type":"slicer","attributes":{"average_size":1,"size_variation":0,"delay":50000}}`)},
		{"slow", toxic(`{"type":"latency","attributes":{"latency":500}}`)},
		{"flapping", flap},
	} {
		if ctx.Err() != nil {
			break
		}
		r := row{cells: []string{fault.name}}
		if err := r.outage(ctx, f, proxy, fault); err != nil {
			r.need(false, "%v", err)
		}
		r.need(f.alive(), "the server ended")
		alarms := f.takeAlarms()
		r.need(len(alarms) == 0, "%d alarms in the log: %q", len(alarms), first(alarms))
		t.take(r)
	}
	return t
}

// answerSize is how many bytes the upstream answers with.
func answerSize(u *upstream) (int, error) {
	connection, err := net.Dial("tcp", u.listener.Addr().String())
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	fmt.Fprint(connection, "GET /api/v1/video-conference.info?callId=x HTTP/1.1\r\n"+
		"Host: x\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(connection)
	// The server's own requests keep the connection, of which the answer then says nothing.
	return len(answer) - len("Connection: close\r\n"), err
}

func toxic(description string) func(context.Context, *toxiproxy.Proxy) error {
	return func(_ context.Context, p *toxiproxy.Proxy) error {
		_, err := p.Toxics.AddToxicJson(strings.NewReader(description))
		return err
	}
}

// flap takes the proxy down and up again until ctx is over.
func flap(ctx context.Context, p *toxiproxy.Proxy) error {
	go func() {
		for ctx.Err() == nil {
			p.Stop()
			pause(ctx, 300*time.Millisecond)
			if ctx.Err() == nil {
				p.Start()
				pause(ctx, 300*time.Millisecond)
			}
		}
	}()
	return nil
}

// undo ends whatever fault there is.
func undo(p *toxiproxy.Proxy) error {
	p.Toxics.ResetToxics(context.Background())
	if err := p.Start(); err != nil && err != toxiproxy.ErrProxyAlreadyStarted {
		return err
	}
	return nil
}

// outage lets one happen, and judges what callers heard.
func (r *row) outage(ctx context.Context, f *facade, p *toxiproxy.Proxy, fault fault) error {
	callers := startCallers(ctx, f.address)
	pause(ctx, time.Second)
	faulty, mend := context.WithCancel(ctx)
	begun := time.Now()
	if err := fault.do(faulty, p); err != nil {
		mend()
		callers.stop()
		return err
	}
	pause(ctx, faultFor)
	mend()
	if err := undo(p); err != nil {
		callers.stop()
		return err
	}
	mended := time.Now()
	pause(ctx, watchRecovery)
	calls := callers.stop()

	during, between, later, wrong := tally{}, tally{}, tally{}, tally{}
	var longest time.Duration
	firstSuccess := time.Hour
	for _, c := range calls {
		longest = max(longest, c.took)
		ended := c.began.Add(c.took)
		if c.code == "OK" && ended.After(mended) {
			firstSuccess = min(firstSuccess, ended.Sub(mended))
		}
		switch {
		case c.began.Before(begun):
		case c.began.Before(mended):
			during[c.code]++
		case c.began.Before(mended.Add(recoverWithin)):
			if c.code != "OK" {
				between[c.code]++
			}
		case c.code != "OK":
			later[c.code]++
		}
		if c.code != "OK" && c.code != "UNAVAILABLE" && c.code != "DEADLINE_EXCEEDED" {
			wrong[c.code+" ("+c.message+")"]++
		}
	}
	r.add("%s", during)
	r.add("%s", secs(longest))
	r.add("%s", secs(firstSuccess))
	r.add("%s", between)
	r.add("%s", later)
	r.need(len(calls) > 900, "only %d calls", len(calls))
	r.need(len(wrong) == 0, "%s", wrong)
	r.need(longest <= callDeadline+lateness, "a call took %s", secs(longest))
	r.need(firstSuccess <= recoverWithin, "the first success came after %s", secs(firstSuccess))
	r.need(len(later) == 0, "failed from %s after it on: %s", recoverWithin, later)
	return nil
}
