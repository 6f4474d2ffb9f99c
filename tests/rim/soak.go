package main

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	soakRate        = 500
	soakConnections = 10
	sampleEvery     = 5 * time.Second
	// How much memory may grow from the second quarter to the last, in bytes.
	growth = 10_000_000
	// By how much the number of descriptors may vary between them.
	descriptorsVary = 20
)

// Those that demo knows.
var knownCalls = []string{
	callID, "6980a1f2c4d7e80b6f3c5d19", "6980b3374be75f13c6a8e2b0", "69a40cb213de5b28f90b4c5a",
	"67c3e19d0ab4f2867d15e930", "69a5500de7c1b94f3382a6d4",
}

// A soak is a mix of calls that goes on for long.
type soak struct {
	address string
	// Each is used by a tenth of the calls.
	connections []*grpc.ClientConn

	mutex sync.Mutex
	codes tally
	// An example of each code.
	examples map[string]string
}

// soakSuite lets the server have all kinds of calls for long, and looks at what it keeps.
func soakSuite(ctx context.Context, config config) table {
	t := table{
		title: "Soak",
		about: fmt.Sprintf("`demo` for %s: %d calls a second over %d connections, of which some are for "+
			"unknown calls, with bad credentials, cancelled, with deadlines that can't be kept, checks of "+
			"health, or on a connection of their own. Memory in the last quarter may be 10 MB above that of "+
			"the second (medians), descriptors within %d; nothing may be INTERNAL or UNKNOWN.",
			config.soak, soakRate, soakConnections, descriptorsVary),
		columns: []string{"calls by code", "MB: start, second quarter, last, most",
			"descriptors: start, second quarter, last, most"},
	}
	f, err := startFacade(config.facade, "demo", "--listen", "127.0.0.1:0", "--log-format", "json")
	if err != nil {
		return t.broken(err)
	}
	defer f.kill()
	s := &soak{address: f.address, codes: tally{}, examples: map[string]string{}}
	for range soakConnections {
		on, err := connect(f.address)
		if err != nil {
			return t.broken(err)
		}
		defer on.Close()
		s.connections = append(s.connections, on)
	}

	within, end := context.WithTimeout(ctx, config.soak)
	defer end()
	var calling sync.WaitGroup
	calling.Go(func() { s.run(within) })
	var rss []int64
	var descriptors []int64
	for within.Err() == nil {
		rss = append(rss, f.rss())
		descriptors = append(descriptors, int64(f.descriptors()))
		last := len(rss) - 1
		log.Printf("%s MB, %d descriptors", mb(rss[last]), descriptors[last])
		pause(within, sampleEvery)
	}
	calling.Wait()

	r := row{}
	before, after := quarters(rss)
	descriptorsBefore, descriptorsAfter := quarters(descriptors)
	r.add("%s", s.codes)
	r.add("%s, %s, %s, %s", mb(rss[0]), mb(before), mb(after), mb(slices.Max(rss)))
	r.add("%d, %d, %d, %d", descriptors[0], descriptorsBefore, descriptorsAfter, slices.Max(descriptors))
	r.need(f.alive(), "the server ended")
	r.need(len(rss) >= 8, "only %d samples", len(rss))
	r.need(after-before <= growth, "it grew by %s MB", mb(after-before))
	vary := descriptorsAfter - descriptorsBefore
	r.need(max(vary, -vary) <= descriptorsVary, "descriptors changed by %d", vary)
	for _, code := range []codes.Code{codes.Internal, codes.Unknown} {
		name := code.String()
		r.need(s.codes[name] == 0, "%d %s: %s", s.codes[name], name, s.examples[name])
	}
	r.need(s.codes[codes.OK.String()] > 0, "nothing was OK")
	alarms := f.takeAlarms()
	r.need(len(alarms) == 0, "%d alarms in the log: %q", len(alarms), first(alarms))
	t.take(r)
	return t
}

// quarters gives the medians of the second one and of the last.
func quarters(samples []int64) (int64, int64) {
	median := func(of []int64) int64 {
		if len(of) == 0 {
			return 0
		}
		of = slices.Sorted(slices.Values(of))
		return of[len(of)/2]
	}
	count := len(samples)
	return median(samples[count/4 : count/2]), median(samples[count*3/4:])
}

// run calls until ctx is over, whether or not it is answered.
func (s *soak) run(ctx context.Context) {
	var under sync.WaitGroup
	due := time.Now()
	for number := 0; ctx.Err() == nil; number++ {
		due = due.Add(time.Second / soakRate)
		pause(ctx, time.Until(due))
		under.Go(func() {
			err := s.call(s.connections[number%soakConnections], number)
			s.mutex.Lock()
			defer s.mutex.Unlock()
			code := status.Code(err).String()
			s.codes[code]++
			s.examples[code] = status.Convert(err).Message()
		})
	}
	under.Wait()
}

// call does one of the things that callers do.
func (s *soak) call(on *grpc.ClientConn, number int) error {
	ctx := context.Background()
	switch kind := rand.IntN(100); {
	case kind < 60:
		return call(ctx, on, knownCalls[rand.IntN(len(knownCalls))], 5*time.Second)
	case kind < 70:
		return call(ctx, on, fmt.Sprint("unknown-", number), 5*time.Second)
	case kind < 78:
		// One that is refused here, one that the stand-in refuses.
		tokens := []string{"", fmt.Sprint("wrong-", number)}
		var answer []byte
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		ctx = withCredentials(ctx, userID, tokens[number%2])
		return on.Invoke(ctx, getInfo, request(callID), &answer)
	case kind < 86:
		// Sometimes before it is sent, sometimes while it runs, sometimes too late.
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Duration(rand.IntN(1000))*time.Microsecond, cancel)
		return call(ctx, on, fmt.Sprint("cancelled-", number), 5*time.Second)
	case kind < 92:
		return call(ctx, on, fmt.Sprint("hurried-", number), time.Duration(rand.IntN(2000))*time.Microsecond)
	case kind < 98:
		var answer []byte
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return on.Invoke(ctx, healthCheck, []byte{}, &answer)
	default:
		own, err := connect(s.address)
		if err != nil {
			return err
		}
		defer own.Close()
		return call(ctx, own, callID, 5*time.Second)
	}
}
