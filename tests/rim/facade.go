package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A facade is a server that was started here.
type facade struct {
	address string
	command *exec.Cmd
	exited  chan struct{}

	mutex sync.Mutex
	// Lines that no run should have: panics, and whatever is logged as an error.
	alarms []string
	// The last of stderr, for when something goes wrong.
	tail []string
}

// Whatever else runs on this machine isn't to be taken for the server's slowness.
const serverNiceness = -8

// startFacade starts binary with arguments, and waits until it serves.
func startFacade(binary string, arguments ...string) (*facade, error) {
	return start(exec.Command(binary, arguments...))
}

// startFacadeWithFiles does so with a limit on open files. It is the hard one, so that the server can't
// raise it.
func startFacadeWithFiles(files int, binary string, arguments ...string) (*facade, error) {
	script := fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, files)
	return start(exec.Command("sh", append([]string{"-c", script, binary}, arguments...)...))
}

func start(command *exec.Cmd) (*facade, error) {
	for _, variable := range os.Environ() {
		// A flag's variable would change what is measured.
		if !strings.HasPrefix(variable, "VIDEOCONF_") && !strings.HasPrefix(variable, "RUST_LOG=") {
			command.Env = append(command.Env, variable)
		}
	}
	stderr, err := command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := startWith(serverNiceness, command); err != nil {
		return nil, err
	}
	f := &facade{command: command, exited: make(chan struct{})}
	listen := make(chan string, 1)
	go func() {
		f.read(stderr, listen)
		command.Wait()
		close(f.exited)
	}()
	select {
	case f.address = <-listen:
		return f, nil
	case <-f.exited:
		return nil, fmt.Errorf("the server ended: %s", strings.Join(f.lastLines(), " "))
	case <-time.After(10 * time.Second):
		f.kill()
		return nil, errors.New("the server didn't say that it serves")
	}
}

// read reads what the server logs to the end, so that it never meets a full pipe.
func (f *facade) read(stderr io.Reader, listen chan<- string) {
	reader := bufio.NewReaderSize(stderr, 64*1024)
	for {
		line, err := reader.ReadString('\n')
		var said struct{ Level, Message, Listen, Target string }
		if json.Unmarshal([]byte(line), &said) == nil {
			if said.Message == "serving" && said.Listen != "" {
				listen <- said.Listen
			}
			f.mutex.Lock()
			if said.Level == "ERROR" || said.Target == "panic" {
				f.alarms = append(f.alarms, strings.TrimSpace(line))
			}
			f.mutex.Unlock()
		}
		f.mutex.Lock()
		f.tail = append(f.tail, line)
		if len(f.tail) > 20 {
			f.tail = f.tail[1:]
		}
		f.mutex.Unlock()
		if err != nil {
			return
		}
	}
}

func (f *facade) lastLines() []string {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return append([]string{}, f.tail...)
}

// takeAlarms gives the alarms since it was last asked.
func (f *facade) takeAlarms() []string {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	taken := f.alarms
	f.alarms = nil
	return taken
}

func (f *facade) alive() bool {
	select {
	case <-f.exited:
		return false
	default:
		return true
	}
}

// terminate sends SIGTERM and says how long the end took, and with which code.
func (f *facade) terminate(patience time.Duration) (time.Duration, int, error) {
	began := time.Now()
	if err := f.command.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, 0, err
	}
	select {
	case <-f.exited:
		return time.Since(began), f.command.ProcessState.ExitCode(), nil
	case <-time.After(patience):
		f.kill()
		return time.Since(began), -1, errors.New("it had to be killed")
	}
}

// kill ends it, if it hasn't ended.
func (f *facade) kill() {
	f.command.Process.Kill()
	<-f.exited
}

func (f *facade) proc(file string) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", f.command.Process.Pid, file))
	return string(text), err
}

// rss is its resident memory in bytes, 0 if it is gone. statm's figure is off by some pages for each
// thread; this one is counted.
func (f *facade) rss() int64 {
	text, _ := f.proc("smaps_rollup")
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Rss:" {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes * 1024
		}
	}
	return 0
}

// descriptors is how many it has open.
func (f *facade) descriptors() int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", f.command.Process.Pid))
	return len(entries)
}

// cpu is the processor time that it took so far.
func (f *facade) cpu() time.Duration {
	text, _ := f.proc("stat")
	// The name, in parentheses, may have spaces.
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	// The kernel tells it in hundredths, whatever its own tick is.
	return time.Duration(user+system) * 10 * time.Millisecond
}

// waited is how long its threads could have run and had no processor: what others on this machine, or
// each other, cost it.
func (f *facade) waited() time.Duration {
	var sum time.Duration
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", f.command.Process.Pid))
	for _, thread := range threads {
		text, _ := os.ReadFile(thread)
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			waited, _ := strconv.ParseInt(fields[1], 10, 64)
			sum += time.Duration(waited)
		}
	}
	return sum
}
