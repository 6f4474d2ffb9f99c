package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"
	"time"
)

const (
	// How much memory may stay behind after an attack, in bytes.
	leftBehind = 20_000_000
	// How long the server has to let go of what an attack held.
	settleWithin = 20 * time.Second
	// What a neighbour's p99 may always be.
	p99Floor = 25 * time.Millisecond
)

func attacksSuite(ctx context.Context, config config) table {
	t := table{
		title: "Attacks",
		columns: []string{"attack", "done", "connections (ended by the server)", "heard most",
			"CPU: server, its waits, attacker", "neighbour's p50, p99, max", "began late: p99, max", "failed",
			"MB: before, peak, after", "descriptors: before, peak, after", "settled after: descriptors, MB"},
	}
	upstream, err := startUpstream()
	if err != nil {
		return t.broken(err)
	}
	defer upstream.stop()
	// So short that whatever is silent goes within the run; else as by default.
	f, err := startFacade(config.facade, "serve", "--listen", "127.0.0.1:0", "--log-format", "json",
		"--upstream-url", upstream.url, "--upstream-limit", "none",
		"--handshake-timeout", "3s", "--connection-idle-timeout", "5s")
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
	pause(ctx, 10*time.Second)
	quiet, err := n.next()
	if err != nil {
		return t.broken(err)
	}
	bound := max(5*quiet.P99, p99Floor)
	t.about = fmt.Sprintf("A neighbour calls 200 times a second. Quiet: %d calls, %d failed, p50 %s, "+
		"p99 %s, max %s, began late by %s (p99); so its p99 must be below %s. Nothing of it may fail, until "+
		"the server has settled. Within 20 s the descriptors must be as before, and memory within 20 MB.",
		quiet.Calls, quiet.Failed, ms(quiet.P50), ms(quiet.P99), ms(quiet.Max), ms(quiet.LateP99), ms(bound))
	log.Print(t.about)
	for _, attack := range attacks {
		if ctx.Err() != nil || !strings.Contains(attack.name, config.attacks) {
			continue
		}
		r := row{cells: []string{attack.name}}
		r.attack(ctx, config, f, n, bound)
		t.take(r)
		if !f.alive() {
			break
		}
	}
	return t
}

// attack lets one go on, waits until it is over, and judges it.
func (r *row) attack(ctx context.Context, config config, f *facade, n *neighbour, bound time.Duration) {
	n.next()
	rss, descriptors, cpu, waited := f.rss(), f.descriptors(), f.cpu(), f.waited()
	peak := watchPeak(f)
	done, took, err := runAttacker(ctx, r.cells[0], f.address, config.seconds)
	r.need(err == nil, "the attacker: %v", err)
	cpu, waited = f.cpu()-cpu, f.waited()-waited
	during, err := n.next()
	r.need(err == nil, "the neighbour: %v", err)

	// From here on all connections of the attack are closed.
	began := time.Now()
	settle := func(isSettled func() bool) time.Duration {
		for f.alive() && ctx.Err() == nil && !isSettled() && time.Since(began) < settleWithin {
			time.Sleep(100 * time.Millisecond)
		}
		return time.Since(began)
	}
	closed := settle(func() bool { return f.descriptors() <= descriptors })
	freed := settle(func() bool { return f.rss() <= rss+leftBehind })
	after, descriptorsAfter := f.rss(), f.descriptors()
	later, err := n.next()
	r.need(err == nil, "the neighbour: %v", err)
	peakRSS, peakDescriptors := peak()

	r.add("%d", done.Done)
	r.add("%d (%d)", done.Opened, done.Ended)
	r.add("%s", mostHeard(done.Heard))
	r.add("%s, %s, %s", secs(cpu), secs(waited), secs(took))
	r.add("%s, %s, %s", ms(during.P50), ms(during.P99), ms(during.Max))
	r.add("%s, %s", ms(during.LateP99), ms(during.LateMax))
	r.add("%d of %d", during.Failed+later.Failed, during.Calls+later.Calls)
	r.add("%s, %s, %s", mb(rss), mb(peakRSS), mb(after))
	r.add("%d, %d, %d", descriptors, peakDescriptors, descriptorsAfter)
	r.add("%s, %s", secs(closed), secs(freed))

	r.need(f.alive(), "the server ended: %s", strings.Join(f.lastLines(), " "))
	alarms := f.takeAlarms()
	r.need(len(alarms) == 0, "%d alarms in the log: %q", len(alarms), first(alarms))
	r.need(during.Calls > 0, "the neighbour didn't call")
	r.need(during.P99 < bound, "p99 %s, not below %s", ms(during.P99), ms(bound))
	r.need(during.Failed+later.Failed == 0, "failed: %s %v, later %s %v",
		during.Codes, during.Examples, later.Codes, later.Examples)
	r.need(after <= rss+leftBehind, "%s MB stayed behind", mb(after-rss))
	r.need(descriptorsAfter <= descriptors, "%d descriptors stayed behind", descriptorsAfter-descriptors)
	r.need(done.Done > 0, "the attacker did nothing: %d connections refused", done.Refused)
}

// runAttacker does that in a process of its own, and says which processor time it took.
func runAttacker(ctx context.Context, name, address string, seconds time.Duration) (summary, time.Duration, error) {
	var done summary
	command, err := itself("attacker", "-name", name, "-address", address, "-time", seconds.String())
	if err != nil {
		return done, 0, err
	}
	command.Env = append(command.Environ(), "GOMAXPROCS=1")
	stdin, err := command.StdinPipe()
	if err != nil {
		return done, 0, err
	}
	defer context.AfterFunc(ctx, func() { stdin.Close() })()
	var printed bytes.Buffer
	command.Stdout, command.Stderr = &printed, os.Stderr
	if err := startWith(attackerNiceness, command); err != nil {
		return done, 0, err
	}
	if err := command.Wait(); err != nil {
		return done, 0, err
	}
	took := command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	return done, took, json.Unmarshal(printed.Bytes(), &done)
}

// watchPeak looks at the server ten times a second, and gives the highest figures when it is called.
func watchPeak(f *facade) func() (int64, int) {
	var rss int64
	var descriptors int
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			rss, descriptors = max(rss, f.rss()), max(descriptors, f.descriptors())
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() (int64, int) {
		close(stop)
		<-stopped
		return rss, descriptors
	}
}

func mostHeard(heard tally) string {
	most := "nothing"
	for what, count := range heard {
		if count > heard[most] || count == heard[most] && what < most {
			most = what
		}
	}
	if heard[most] == 0 {
		return most
	}
	return fmt.Sprintf("%d %s", heard[most], most)
}

func first(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	return texts[0]
}
