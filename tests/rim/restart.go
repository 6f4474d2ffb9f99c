package main

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"
)

const (
	restartFor   = 30 * time.Second
	restartEvery = 5 * time.Second
	// The default of --drain-timeout.
	drainTimeout = 20 * time.Second
)

// restartSuite ends one of two servers in turn, as a rollout does, under a client that has both.
func restartSuite(ctx context.Context, config config) table {
	t := table{
		title: "Restarts",
		about: fmt.Sprintf("Two servers, and grpc-go with round_robin, 500 calls a second, without a "+
			"retry policy and without waiting for ready, for %s. Every %s one of them hears SIGTERM, and is "+
			"started again at once when it is gone. Each also has 20 idle connections, 20 silent ones and 5 "+
			"watches of health, that come back. No call may fail, and each end must be one with 0 within the "+
			"default --drain-timeout.", restartFor, restartEvery),
		columns: []string{"flags", "restarts", "failed calls", "p50, p99, max",
			"exits", "watches ended, connections ended"},
	}
	for _, flags := range [][]string{{}, {"--shutdown-notice", "1s"}} {
		if ctx.Err() == nil {
			r := row{}
			r.add("`%s`", strings.Join(append([]string{"serve"}, flags...), " "))
			every := func(int) string { return config.facade }
			if err := r.restarts(ctx, every, flags); err != nil {
				r.need(false, "%v", err)
			}
			t.take(r)
		}
	}
	return t
}

// restarts starts servers one after the other, each the binary for its number, and ends the one that has served for
// longest before the third and each further one.
func (r *row) restarts(ctx context.Context, binary func(number int) string, flags []string) error {
	upstream, err := startUpstream()
	if err != nil {
		return err
	}
	defer upstream.stop()
	started := 0
	serve := func(listen string) (*facade, error) {
		started++
		return startFacade(binary(started-1), append([]string{"serve", "--listen", listen,
			"--log-format", "json", "--upstream-url", upstream.url}, flags...)...)
	}
	var servers [2]*facade
	for at := range servers {
		if servers[at], err = serve("127.0.0.1:0"); err != nil {
			return err
		}
		defer func() { servers[at].kill() }()
	}
	addresses := []string{servers[0].address, servers[1].address}
	n, err := startNeighbour(500, 5*time.Second, addresses...)
	if err != nil {
		return err
	}
	defer n.stop()
	guests, leave := context.WithCancel(ctx)
	company := &company{}
	for _, address := range addresses {
		company.come(guests, address)
	}
	defer company.all.Wait()
	defer leave()

	n.next()
	began := time.Now()
	var exits, alarms []string
	for number := range int(restartFor/restartEvery) - 1 {
		pause(ctx, time.Until(began.Add(restartEvery*time.Duration(number+1))))
		if ctx.Err() != nil {
			break
		}
		at := number % len(servers)
		took, code, err := servers[at].terminate(drainTimeout + 10*time.Second)
		exits = append(exits, secs(took))
		log.Printf("ended with %d after %s", code, secs(took))
		r.need(err == nil && code == 0, "it ended with %d: %v", code, err)
		r.need(took < drainTimeout, "its end took %s", secs(took))
		alarms = append(alarms, servers[at].takeAlarms()...)
		again, err := serve(addresses[at])
		if err != nil {
			return err
		}
		servers[at] = again
	}
	pause(ctx, time.Until(began.Add(restartFor)))
	during, err := n.next()
	if err != nil {
		return err
	}
	// What is under way still is to be counted, too.
	pause(ctx, time.Second)
	rest, err := n.next()
	if err != nil {
		return err
	}
	r.add("%d", len(exits))
	r.add("%d of %d", during.Failed+rest.Failed, during.Calls+rest.Calls)
	r.add("%s, %s, %s", ms(during.P50), ms(during.P99), ms(during.Max))
	r.add("%s", strings.Join(exits, ", "))
	r.add("%d, %d", company.watches.Load(), company.connections.Load())
	r.need(len(exits) == int(restartFor/restartEvery)-1, "only %d restarts", len(exits))
	r.need(during.Failed+rest.Failed == 0, "failed: %s %v, later %s %v",
		during.Codes, during.Examples, rest.Codes, rest.Examples)
	r.need(company.watches.Load() > 0 && company.connections.Load() > 0, "nobody else was there")
	r.need(len(alarms) == 0, "%d alarms in the log: %q", len(alarms), first(alarms))
	return nil
}
