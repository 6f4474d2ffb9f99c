package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// That the neighbour wakes late isn't the server's fault.
const neighbourNiceness = -12

// A neighbour is a well-behaved caller, who measures what others' doings do to it. It is a process of
// its own, so that neither an attacker's goroutines nor its garbage delay the measure. It calls at fixed times
// whether or not earlier calls were answered (an open loop), so that a server that stalls isn't asked
// less often. How late it began itself is told beside.
type neighbour struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	stdout  *json.Decoder
}

// A window is what a neighbour measured from one question to the next.
type window struct {
	Calls  int
	Failed int
	// How often which code came, and an example of each.
	Codes    tally
	Examples map[string]string
	P50, P99 time.Duration
	Max      time.Duration
	// How late calls began: what the measure itself may be off by.
	LateP99, LateMax time.Duration
}

// startNeighbour lets one call addresses in turn, rate times a second.
func startNeighbour(rate int, deadline time.Duration, addresses ...string) (*neighbour, error) {
	command, err := itself("neighbour", "-rate", fmt.Sprint(rate), "-deadline", deadline.String(),
		"-addresses", strings.Join(addresses, ","))
	if err != nil {
		return nil, err
	}
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startWith(neighbourNiceness, command); err != nil {
		return nil, err
	}
	n := &neighbour{command, stdin, json.NewDecoder(stdout)}
	// The first window is empty, and says that it is connected.
	if _, err := n.next(); err != nil {
		n.stop()
		return nil, fmt.Errorf("the neighbour didn't start: %w", err)
	}
	return n, nil
}

// next ends a window and begins another.
func (n *neighbour) next() (window, error) {
	var measured window
	if _, err := fmt.Fprintln(n.stdin); err != nil {
		return measured, err
	}
	err := n.stdout.Decode(&measured)
	return measured, err
}

func (n *neighbour) stop() {
	n.stdin.Close()
	n.command.Wait()
}

// itself is this binary in another role.
func itself(arguments ...string) (*exec.Cmd, error) {
	path, err := os.Executable()
	return exec.Command(path, arguments...), err
}

// A measure is what the neighbour's process collects.
type measure struct {
	sync.Mutex
	window
	times, lates []time.Duration
}

func neighbourMain(arguments []string) {
	flags := flag.NewFlagSet("neighbour", flag.ExitOnError)
	rate := flags.Int("rate", 200, "calls a second")
	deadline := flags.Duration("deadline", 5*time.Second, "of each call")
	addresses := flags.String("addresses", "", "whom to call")
	flags.Parse(arguments)
	on, err := connect(strings.Split(*addresses, ",")...)
	if err != nil {
		log.Fatal(err)
	}
	// The one that waits until there are connections; also, from here on it is answered from memory.
	for try := 0; call(context.Background(), on, callID, *deadline) != nil; try++ {
		if try == 50 {
			log.Fatal("the facade doesn't answer")
		}
		time.Sleep(100 * time.Millisecond)
	}
	measure := &measure{}
	asked := bufio.NewScanner(os.Stdin)
	asked.Scan()
	answers := json.NewEncoder(os.Stdout)
	answers.Encode(window{})
	go measure.run(on, time.Second/time.Duration(*rate), *deadline)
	for asked.Scan() {
		answers.Encode(measure.take())
	}
	// Whoever started it is gone, or has had enough.
}

func (m *measure) run(on *grpc.ClientConn, every, deadline time.Duration) {
	due := time.Now()
	for {
		due = due.Add(every)
		time.Sleep(time.Until(due))
		began := time.Now()
		late := began.Sub(due)
		go func() {
			err := call(context.Background(), on, callID, deadline)
			m.note(late, time.Since(began), err)
		}()
	}
}

func (m *measure) note(late, took time.Duration, err error) {
	m.Lock()
	defer m.Unlock()
	m.Calls++
	m.times = append(m.times, took)
	m.lates = append(m.lates, late)
	if err == nil {
		return
	}
	m.Failed++
	if m.Codes == nil {
		m.Codes, m.Examples = tally{}, map[string]string{}
	}
	code := status.Code(err).String()
	m.Codes[code]++
	m.Examples[code] = time.Now().Format("15:04:05.000 ") + status.Convert(err).Message()
}

func (m *measure) take() window {
	m.Lock()
	taken, times, lates := m.window, m.times, m.lates
	m.window, m.times, m.lates = window{}, nil, nil
	m.Unlock()
	if len(times) > 0 {
		slices.Sort(times)
		slices.Sort(lates)
		last, p99 := len(times)-1, len(times)*99/100
		taken.P50, taken.P99, taken.Max = times[len(times)/2], times[p99], times[last]
		taken.LateP99, taken.LateMax = lates[p99], lates[last]
	}
	return taken
}

func sorted(texts []string) []string {
	slices.Sort(texts)
	return texts
}
