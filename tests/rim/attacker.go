package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const attackerNiceness = 10

// An attack is what a process of its own does to the server for a while. That process has one
// processor and yields to all others: on a machine of its own it would take none of the server's time,
// and here it takes what the server and the neighbour leave. That is never less than a tenth of a
// core, and a server that leaves no more is shown by the neighbour's times. How much the attacker and
// the server took stands in the report, so that an attack that didn't bite can be told.
type attack struct {
	name string
	run  func(context.Context, *target)
}

var attacks = []attack{
	{"rapid reset", rapidReset},
	{"rapid reset of reads", resetReads},
	{"MadeYouReset: window overflow", windowOverflow},
	{"MadeYouReset: increment zero", incrementZero},
	{"MadeYouReset: DATA after the end", dataAfterEnd},
	{"CONTINUATION flood", continuationFlood},
	{"SETTINGS flood", settingsFlood},
	{"PING flood", pingFlood},
	{"empty DATA flood", emptyDataFlood},
	{"HPACK bomb", hpackBomb},
	{"1,000 answers, window zero", windowZero},
	{"1,000 answers, window of one", windowOfOne},
	{"1,000 answers, socket not read", socketNotRead},
	{"slow preface", slowPreface},
	{"slow headers", slowHeaders},
	{"5,000 idle connections", idleConnections},
	{"12,000 watches of health", watches},
	{"1,000 silent connections", silentConnections},
	{"random bytes", randomBytes},
	{"metadata of 1 MB", oversizeMetadata},
	{"message that claims 2 GB", claimedMessage},
	{"message of 10 MB", sentMessage},
}

// A target is the server under attack, and what was done to it.
type target struct {
	address string
	// Connections that came about, and that didn't.
	opened, refused atomic.Int64
	// Connections that the server ended.
	ended atomic.Int64
	// Things done, which differ by attack: streams, frames, bytes.
	done atomic.Int64

	mutex sync.Mutex
	heard tally
}

// A summary is what an attacker's process prints.
type summary struct {
	Opened, Refused, Ended, Done int64
	// How often the server said what: GOAWAY and RST_STREAM with their codes, statuses.
	Heard tally
}

func attackerMain(arguments []string) {
	flags := flag.NewFlagSet("attacker", flag.ExitOnError)
	name := flags.String("name", "", "the attack")
	address := flags.String("address", "", "the server's")
	seconds := flags.Duration("time", 10*time.Second, "how long")
	flags.Parse(arguments)
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
	ctx, cancel := context.WithTimeout(context.Background(), *seconds)
	defer cancel()
	go func() {
		// Until whoever started it is gone.
		io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	t := &target{address: *address, heard: tally{}}
	for _, attack := range attacks {
		if attack.name == *name {
			attack.run(ctx, t)
		}
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	json.NewEncoder(os.Stdout).Encode(summary{
		t.opened.Load(), t.refused.Load(), t.ended.Load(), t.done.Load(), t.heard,
	})
}

func (t *target) hear(what string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.heard[what]++
}

// each keeps count connections, numbered from 0, doing something until the time is over: act is called
// again and again, with a new connection after an error.
func (t *target) each(ctx context.Context, count int, act func(number int) error) {
	var all sync.WaitGroup
	for number := range count {
		all.Go(func() {
			for ctx.Err() == nil {
				act(number)
			}
		})
	}
	all.Wait()
}

// flood lets count connections send what collect adds, as fast as it is taken. Of those that are
// thrown out others are opened. Where deaf is, what the server says isn't read.
func (t *target) flood(ctx context.Context, count int, deaf func(int) bool,
	collect func(number int, p *peer)) {
	t.each(ctx, count, func(number int) error {
		p, err := t.greet(ctx)
		if err != nil {
			return err
		}
		defer p.Close()
		// A write to a server that doesn't read ends with the time, too.
		defer context.AfterFunc(ctx, func() { p.Close() })()
		heard := make(chan struct{})
		if deaf(number) {
			close(heard)
		} else {
			go func() { t.listen(p); close(heard) }()
		}
		// Ids have 31 bits.
		for ctx.Err() == nil && p.stream < 1<<31-1000 {
			made := int64(0)
			for ; p.out.Len() < 16*1024; made++ {
				collect(number, p)
			}
			if err := p.send(); err != nil {
				// It was thrown out: what the server said to that is still to be read.
				select {
				case <-heard:
				case <-time.After(100 * time.Millisecond):
				}
				return err
			}
			t.done.Add(made)
		}
		return nil
	})
}

func nobody(int) bool { return false }

// odd ones don't read: the server has to hold its answers, or to stop reading.
func odd(number int) bool { return number%2 == 1 }
