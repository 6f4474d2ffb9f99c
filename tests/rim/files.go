package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// filesSuite leaves the server too few descriptors for the connections that are opened.
func filesSuite(ctx context.Context, config config) table {
	const (
		files       = 64
		connections = 200
		hold        = 5 * time.Second
		maxCPU      = time.Second
		againWithin = time.Second
	)
	t := table{
		title: "Out of descriptors",
		about: fmt.Sprintf("With %d of them, %d connections are opened and held for %s. A neighbour that "+
			"has one calls 200 times a second, and nothing of it may fail; the server may take %s of a "+
			"processor; and %s after they were closed a new connection must be served.",
			files, connections, hold, maxCPU, againWithin),
		columns: []string{"descriptors, connections", "neighbour's failed calls", "p50, p99, max",
			"CPU while they were held", "SYNs dropped", "a new connection's call after"},
	}
	upstream, err := startUpstream()
	if err != nil {
		return t.broken(err)
	}
	defer upstream.stop()
	f, err := startFacadeWithFiles(files, config.facade, "serve", "--listen", "127.0.0.1:0",
		"--log-format", "json", "--upstream-url", upstream.url, "--upstream-limit", "none")
	if err != nil {
		return t.broken(err)
	}
	defer f.kill()
	n, err := startNeighbour(200, 5*time.Second, f.address)
	if err != nil {
		return t.broken(err)
	}
	defer n.stop()

	n.next()
	cpu, dropped := f.cpu(), droppedSYNs()
	var opening sync.WaitGroup
	var came atomic.Int64
	holding, letGo := context.WithTimeout(ctx, hold)
	defer letGo()
	for range connections {
		opening.Go(func() {
			// The system completes some whether or not the server can accept them; what its queue
			// doesn't hold goes on asking.
			var dialer net.Dialer
			connection, err := dialer.DialContext(holding, "tcp", f.address)
			if err != nil {
				return
			}
			defer connection.Close()
			came.Add(1)
			fmt.Fprint(connection, http2.ClientPreface)
			http2.NewFramer(connection, nil).WriteSettings()
			<-holding.Done()
		})
	}
	pause(ctx, hold-100*time.Millisecond)
	descriptors := f.descriptors()
	opening.Wait()
	cpu = f.cpu() - cpu
	took, err := firstCall(ctx, f.address, 10*time.Second)
	dropped = droppedSYNs() - dropped
	during, broken := n.next()

	r := row{}
	r.add("%d, %d", descriptors, came.Load())
	r.add("%d of %d", during.Failed, during.Calls)
	r.add("%s, %s, %s", ms(during.P50), ms(during.P99), ms(during.Max))
	r.add("%s", secs(cpu))
	r.add("%d", dropped)
	r.add("%s", ms(took))
	r.need(broken == nil, "the neighbour: %v", broken)
	r.need(f.alive(), "the server ended")
	r.need(descriptors >= files, "only %d of %d descriptors were used", descriptors, files)
	r.need(during.Calls > 0 && during.Failed == 0, "failed: %s %v", during.Codes, during.Examples)
	r.need(cpu < maxCPU, "it took %s of a processor", secs(cpu))
	r.need(err == nil, "a new connection: %v", err)
	r.need(took < againWithin, "a new connection was served after %s", secs(took))
	alarms := f.takeAlarms()
	r.need(len(alarms) == 0, "%d alarms in the log: %q", len(alarms), first(alarms))
	t.take(r)
	return t
}

// firstCall is how long it takes from now on until a call on a new connection is answered.
func firstCall(ctx context.Context, address string, patience time.Duration) (time.Duration, error) {
	began := time.Now()
	on, err := connect(address)
	if err != nil {
		return 0, err
	}
	defer on.Close()
	for {
		// A connection that couldn't be opened is tried again after a second by default.
		on.ResetConnectBackoff()
		err = call(ctx, on, callID, time.Until(began.Add(patience)))
		if err == nil || time.Since(began) > patience || ctx.Err() != nil {
			return time.Since(began), err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// droppedSYNs is how many the system dropped since some queue of connections was full. Who sent one
// tries again after a second.
func droppedSYNs() int64 {
	text, _ := os.ReadFile("/proc/net/netstat")
	var names []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if at := slices.Index(names, "ListenOverflows"); at > 0 && at < len(fields) {
			count, _ := strconv.ParseInt(fields[at], 10, 64)
			return count
		}
		names = fields
	}
	return 0
}
