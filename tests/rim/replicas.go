package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	clients = 200
	// How often each asks.
	askEvery = 200 * time.Millisecond
	pace     = span / allowed
	// Until each call has been read once, beside that.
	slack = 2 * time.Second
)

// replicasSuite has three facades share a store, lets things happen to them and to it, and judges by what callers hear
// and what the upstream counts.
func replicasSuite(ctx context.Context, told config) table {
	t := table{
		title: "Replicas",
		about: fmt.Sprintf("%d clients over three facades that share a redis-server, before an upstream that allows %d "+
			"requests in %s; deadline %s. What happens to the store lasts %s, with 10 calls that are known.",
			clients, allowed, span, callDeadline, faultFor),
		columns: []string{"what happens", "requests, of those allowed", "429s (in how many windows)", "calls", "failed",
			"oldest answer", "slowest answer"},
	}
	for _, run := range []func(context.Context, config) row{steadyRow, killedRow, greedyRow} {
		if ctx.Err() == nil && told.attacks == "" {
			t.take(run(ctx, told))
		}
	}
	for _, trouble := range troubles {
		if ctx.Err() == nil && strings.Contains(trouble.name, told.attacks) {
			t.take(trouble.row(ctx, told))
		}
	}
	return t
}

// Replicas are facades that share a store, and all around them.
type replicas struct {
	config   config
	folder   string
	upstream *limited
	store    *exec.Cmd
	port     string
	// Each facade's way to the store.
	proxies []*toxiproxy.Proxy
	facades []*facade
}

func startReplicas(config config, count int) (*replicas, error) {
	folder, err := os.MkdirTemp("", "replicas")
	if err != nil {
		return nil, err
	}
	c := &replicas{config: config, folder: folder}
	if err := c.start(count); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

func (c *replicas) start(count int) error {
	key := filepath.Join(c.folder, "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		return err
	}
	var err error
	if c.upstream, err = startLimited(); err != nil {
		return err
	}
	if err := c.startStore(); err != nil {
		return err
	}
	for range count {
		if err := c.add(); err != nil {
			return err
		}
	}
	return nil
}

func (c *replicas) startStore() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, c.port, _ = net.SplitHostPort(listener.Addr().String())
	listener.Close()
	c.store = exec.Command("redis-server", "--port", c.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", c.folder)
	if err := startWith(serverNiceness, c.store); err != nil {
		return err
	}
	for range 100 {
		if _, err = c.tell("PING"); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// tell has the store do something, beside the proxy.
func (c *replicas) tell(words ...string) (string, error) {
	connection, err := net.DialTimeout("tcp", "127.0.0.1:"+c.port, time.Second)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(connection, "%s\r\n", strings.Join(words, " ")); err != nil {
		return "", err
	}
	answer := make([]byte, 64)
	n, err := connection.Read(answer)
	if err == nil && answer[0] == '-' {
		err = fmt.Errorf("%s: %s", words[0], answer[:n])
	}
	return string(answer[:n]), err
}

// add starts one more.
func (c *replicas) add() error {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "store", "127.0.0.1:0", "127.0.0.1:"+c.port)
	if err := proxy.Start(); err != nil {
		return err
	}
	c.proxies = append(c.proxies, proxy)
	f, err := startFacade(c.config.facade, "serve", "--listen", "127.0.0.1:0", "--log-format", "json",
		"--upstream-url", c.upstream.url, "--shared-store", "redis://"+proxy.Listen,
		"--shared-store-key-file", filepath.Join(c.folder, "key"))
	if err == nil {
		c.facades = append(c.facades, f)
	}
	return err
}

func (c *replicas) stop() {
	for _, f := range c.facades {
		f.kill()
	}
	for _, proxy := range c.proxies {
		proxy.Stop()
	}
	if c.store != nil && c.store.Process != nil {
		c.store.Process.Kill()
		c.store.Wait()
	}
	if c.upstream != nil {
		c.upstream.stop()
	}
	os.RemoveAll(c.folder)
}

// An answer is what a caller heard.
type answer struct {
	began  time.Time
	took   time.Duration
	facade *facade
	// How old it was then, or what came in its place.
	age    time.Duration
	failed string
}

// A crowd asks.
type crowd struct {
	end  context.CancelFunc
	done sync.WaitGroup

	mutex   sync.Mutex
	answers []answer
}

// ask has count clients ask facade for any of calls, as user.
func (c *crowd) ask(ctx context.Context, facade *facade, user string, count, calls int, every time.Duration) error {
	connection, err := connect(facade.address)
	if err != nil {
		return err
	}
	var clients sync.WaitGroup
	for i := range count {
		clients.Go(func() {
			due := time.Now().Add(every * time.Duration(i) / time.Duration(count))
			for ; ctx.Err() == nil; due = due.Add(every) {
				pause(ctx, time.Until(due))
				if ctx.Err() == nil {
					clients.Go(func() { c.take(askOnce(connection, facade, user, rand.IntN(calls))) })
				}
			}
		})
	}
	c.done.Go(func() {
		clients.Wait()
		connection.Close()
	})
	return nil
}

func (c *crowd) take(a answer) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.answers = append(c.answers, a)
}

func (c *crowd) stop() []answer {
	c.end()
	c.done.Wait()
	return c.answers
}

func askOnce(on grpc.ClientConnInterface, facade *facade, user string, call int) answer {
	ctx, cancel := context.WithTimeout(context.Background(), callDeadline)
	defer cancel()
	ctx = withCredentials(ctx, user, "token-of-"+user)
	a := answer{began: time.Now(), facade: facade}
	var message []byte
	err := on.Invoke(ctx, getInfo, request(fmt.Sprintf("%s-%d", user, call)), &message)
	a.took = time.Since(a.began)
	if err != nil {
		a.failed = status.Code(err).String() + ": " + status.Convert(err).Message()
		return a
	}
	// What was read after the call was made has no age.
	a.age = max(a.began.Sub(readAt(message)), 0)
	return a
}

// readAt is field 2 of the answer, a timestamp.
func readAt(message []byte) time.Time {
	stamp := field(message, 2)
	return time.Unix(int64(number(stamp, 1)), int64(number(stamp, 2)))
}

func field(message []byte, wanted protowire.Number) []byte {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil
		}
		size := protowire.ConsumeFieldValue(number, kind, message[n:])
		if size < 0 {
			return nil
		}
		if number == wanted {
			value, _ := protowire.ConsumeBytes(message[n:])
			return value
		}
		message = message[n+size:]
	}
	return nil
}

func number(message []byte, wanted protowire.Number) uint64 {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return 0
		}
		size := protowire.ConsumeFieldValue(number, kind, message[n:])
		if size < 0 {
			return 0
		}
		if number == wanted {
			value, _ := protowire.ConsumeVarint(message[n:])
			return value
		}
		message = message[n+size:]
	}
	return 0
}

// crowdAt spreads the clients over all facades.
func (c *replicas) crowdAt(ctx context.Context, calls int) (*crowd, error) {
	ctx, end := context.WithCancel(ctx)
	crowd := &crowd{end: end}
	for i, f := range c.facades {
		count := clients/len(c.facades) + 1
		if i == 0 {
			count = clients - count*(len(c.facades)-1)
		}
		if err := crowd.ask(ctx, f, "mia", count, calls, askEvery); err != nil {
			crowd.stop()
			return nil, err
		}
	}
	return crowd, nil
}

// tell adds the figures of what was heard and counted between those moments, and gives the first.
func (r *row) tell(u *limited, answers []answer, from, to time.Time) (heard []answer, oldest, slowest time.Duration) {
	counts := u.between(from, to)
	requests, windows := refusals(counts)
	failed := tally{}
	for _, a := range answers {
		if a.began.Before(from) || !a.began.Before(to) {
			continue
		}
		heard = append(heard, a)
		slowest = max(slowest, a.took)
		if a.failed != "" {
			failed[a.failed]++
		}
		oldest = max(oldest, a.age)
	}
	r.add("%d (%.0f %%)", len(counts), used(counts, from, to))
	r.add("%d (%d)", requests, windows)
	r.add("%d", len(heard))
	r.add("%s", failed)
	r.add("%s", secs(oldest))
	r.add("%s", ms(slowest))
	return heard, oldest, slowest
}

// used is how much of what is allowed was sent, in per cent.
func used(counts []counted, from, to time.Time) float64 {
	return 100 * float64(len(counts)) * float64(pace) / float64(to.Sub(from))
}

func failures(answers []answer) int {
	count := 0
	for _, a := range answers {
		if a.failed != "" {
			count++
		}
	}
	return count
}

// replicasRow does something with three facades.
func replicasRow(config config, name string, do func(*row, *replicas) error) row {
	r := row{cells: []string{name}}
	c, err := startReplicas(config, 3)
	if err != nil {
		r.need(false, "%v", err)
		return r
	}
	defer c.stop()
	if err := do(&r, c); err != nil {
		r.need(false, "%v", err)
	}
	for _, f := range c.facades {
		alarms := f.takeAlarms()
		r.need(len(alarms) == 0, "%d alarms in the log: %q", len(alarms), first(alarms))
	}
	return r
}

// More is wanted than there is, everywhere.
func steadyRow(ctx context.Context, config config) row {
	const calls, lasts = 40, 18 * time.Second
	return replicasRow(config, fmt.Sprintf("nothing, %d calls", calls), func(r *row, c *replicas) error {
		crowd, err := c.crowdAt(ctx, calls)
		if err != nil {
			return err
		}
		began := time.Now()
		pause(ctx, calls*pace+slack+lasts)
		answers, end := crowd.stop(), time.Now()
		filled := began.Add(calls*pace + slack)
		heard, oldest, _ := r.tell(c.upstream, answers, filled, end)
		counts := c.upstream.between(began, end)
		refused, _ := refusals(counts)
		r.need(refused == 0, "%d requests were refused", refused)
		r.need(used(counts, filled, end) >= 95 || used(c.upstream.between(filled, end), filled, end) >= 95,
			"not all is used")
		r.need(failures(heard) == 0, "calls failed")
		r.need(oldest <= calls*pace*5/4, "an answer was %s old", secs(oldest))
		last := map[string]time.Time{}
		for _, count := range counts {
			since := count.at.Sub(last[count.call])
			r.need(since > calls*pace/2, "%s was read once more after %s", count.call, secs(since))
			last[count.call] = count.at
		}
		return nil
	})
}

// One is killed, and one is added.
func killedRow(ctx context.Context, config config) row {
	const calls = 40
	return replicasRow(config, "one killed, one added", func(r *row, c *replicas) error {
		crowd, err := c.crowdAt(ctx, calls)
		if err != nil {
			return err
		}
		began := time.Now()
		pause(ctx, calls*pace+slack)
		victim, killed := c.facades[0], time.Now()
		victim.kill()
		pause(ctx, 5*time.Second)
		adapted := time.Now()
		if err := c.add(); err != nil {
			return err
		}
		added := time.Now()
		pause(ctx, 11*time.Second)
		answers, end := crowd.stop(), time.Now()
		r.tell(c.upstream, answers, killed, end)
		refused, _ := refusals(c.upstream.between(began, end))
		r.need(refused == 0, "%d requests were refused", refused)
		for _, a := range answers {
			// Its own callers are on their own.
			if a.failed != "" && a.facade != victim && a.began.After(killed) {
				r.need(false, "%s after %s at another one", a.failed, secs(a.began.Sub(killed)))
				break
			}
		}
		for _, from := range []time.Time{adapted.Add(-span), added.Add(5 * time.Second)} {
			share := used(c.upstream.between(from, from.Add(2*span)), from, from.Add(2*span))
			r.need(share >= 90, "%.0f %% used from %s on", share, secs(from.Sub(killed)))
		}
		return nil
	})
}

// Somebody's thousand calls at one of them, and somebody else's three at another.
func greedyRow(ctx context.Context, config config) row {
	return replicasRow(config, "1,000 calls of one user at one, 3 of another's at another",
		func(r *row, c *replicas) error {
			both, end := context.WithCancel(ctx)
			greedy, modest := &crowd{end: end}, &crowd{end: end}
			if err := greedy.ask(both, c.facades[0], "greedy", 100, 1000, askEvery); err != nil {
				return err
			}
			if err := modest.ask(both, c.facades[1], "modest", 10, 3, askEvery); err != nil {
				return err
			}
			began := time.Now()
			pause(ctx, 20*time.Second)
			greedy.stop()
			answers, ended := modest.stop(), time.Now()
			heard, oldest, _ := r.tell(c.upstream, answers, began.Add(4*time.Second), ended)
			refused, _ := refusals(c.upstream.between(began, ended))
			r.need(refused == 0, "%d requests were refused", refused)
			r.need(failures(heard) == 0, "the other's calls failed")
			r.need(oldest < 3*time.Second, "the other's answer was %s old", secs(oldest))
			return nil
		})
}

// Trouble is what happens to a store.
type trouble struct {
	name string
	do   func(*replicas) error
	undo func(*replicas) error
	// How many windows may have 429s at each change beside the one.
	windows int
}

var troubles = []trouble{
	{"store stopped", stopProxies, mendProxies, 0},
	// It uses its part beside the others, who have all of the limit.
	{"store out of reach for one", func(c *replicas) error { c.proxies[0].Stop(); return nil }, mendProxies, 1},
	{"store hung", addToxic(`{"type":"timeout","attributes":{"timeout":0}}`), mendProxies, 0},
	// What it was asked for it does when it goes on, and nobody hears that.
	{"store frozen", signalling(syscall.SIGSTOP), signalling(syscall.SIGCONT), 0},
	{"store 60 ms slow each way", addToxics(60), mendProxies, 0},
	{"store 200 ms slow", addToxic(`{"type":"latency","attributes":{"latency":200}}`), mendProxies, 0},
	{"store flushed", telling("FLUSHALL"), telling("PING"), 0},
	{"store full", telling("CONFIG", "SET", "maxmemory", "1"), telling("CONFIG", "SET", "maxmemory", "0"), 0},
	{"store read-only", telling("REPLICAOF", "127.0.0.1", "1"), telling("REPLICAOF", "NO", "ONE"), 0},
}

func addToxic(descriptions ...string) func(*replicas) error {
	return func(c *replicas) error {
		for _, proxy := range c.proxies {
			for _, description := range descriptions {
				if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(description)); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func addToxics(millis int) func(*replicas) error {
	const description = `{"name":"%[1]s","stream":"%[1]s","type":"latency","attributes":{"latency":%[2]d}}`
	return addToxic(fmt.Sprintf(description, "upstream", millis), fmt.Sprintf(description, "downstream", millis))
}

func signalling(signal syscall.Signal) func(*replicas) error {
	return func(c *replicas) error { return c.store.Process.Signal(signal) }
}

func stopProxies(c *replicas) error {
	for _, proxy := range c.proxies {
		proxy.Stop()
	}
	return nil
}

func telling(words ...string) func(*replicas) error {
	return func(c *replicas) error {
		_, err := c.tell(words...)
		return err
	}
}

func mendProxies(c *replicas) error {
	for _, proxy := range c.proxies {
		if err := undo(proxy); err != nil {
			return err
		}
	}
	return nil
}

func (t trouble) row(ctx context.Context, config config) row {
	const calls = 10
	return replicasRow(config, t.name, func(r *row, c *replicas) error {
		crowd, err := c.crowdAt(ctx, calls)
		if err != nil {
			return err
		}
		pause(ctx, 2*span+slack)
		begun := time.Now()
		if err := t.do(c); err != nil {
			return err
		}
		pause(ctx, faultFor)
		if err := t.undo(c); err != nil {
			return err
		}
		mended := time.Now()
		pause(ctx, 2*time.Second+2*span)
		answers, end := crowd.stop(), time.Now()
		heard, _, slowest := r.tell(c.upstream, answers, begun, end)
		// With a refresh of what is shown, a call takes --refresh-wait at most.
		r.need(slowest <= 300*time.Millisecond, "an answer took %s", ms(slowest))
		r.need(failures(heard) == 0, "calls failed")
		for _, change := range []time.Time{begun, mended} {
			_, windows := refusals(c.upstream.between(change, change.Add(faultFor)))
			r.need(windows <= t.windows+1, "429s in %d windows after a change", windows)
		}
		recovered := mended.Add(2 * time.Second)
		counts := c.upstream.between(recovered, end)
		refused, _ := refusals(counts)
		r.need(refused == 0, "%d requests were refused after 2 s", refused)
		share := used(counts, recovered, end)
		r.need(share >= 80, "%.0f %% used after 2 s", share)
		return nil
	})
}
