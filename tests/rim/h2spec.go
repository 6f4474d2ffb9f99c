package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strings"
)

// How many of h2spec's tests have to pass.
const h2specPasses = 136

var (
	h2specSummary = regexp.MustCompile(`(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed`)
	h2specFailure = regexp.MustCompile(`× \d+: (.+)`)
)

// h2specSuite runs the field's own conformance tests, a few times, as some of them are races.
func h2specSuite(ctx context.Context, config config) table {
	t := table{
		title: "h2spec",
		about: fmt.Sprintf("At least %d of its 145 tests must pass. Those that don't, which are others in "+
			"each run, send something wrong after a whole request, and take it for a failure that the answer "+
			"to that is on its way already.", h2specPasses),
		columns: []string{"run", "passed", "skipped", "failed"},
	}
	f, err := startFacade(config.facade, "demo", "--listen", "127.0.0.1:0", "--log-format", "json")
	if err != nil {
		return t.broken(err)
	}
	defer f.kill()
	host, port, err := net.SplitHostPort(f.address)
	if err != nil {
		return t.broken(err)
	}
	for number := range 3 {
		if ctx.Err() != nil {
			break
		}
		r := row{}
		r.add("%d", number+1)
		command := exec.CommandContext(ctx, config.h2spec, "-h", host, "-p", port,
			"-P", healthCheck, "-o", "2")
		// It ends with 1 if a test failed.
		said, err := command.CombinedOutput()
		r.need(err == nil || command.ProcessState != nil, "%v", err)
		r.h2spec(said)
		r.need(f.alive(), "the server ended")
		t.take(r)
	}
	return t
}

// h2spec reads what it printed.
func (r *row) h2spec(said []byte) {
	counts := h2specSummary.FindSubmatch(said)
	if counts == nil {
		r.need(false, "it said %q", string(said[max(0, len(said)-200):]))
		return
	}
	// Each failure stands there twice: where it happened, and at the end.
	var failed []string
	_, atTheEnd, _ := bytes.Cut(said, []byte("Failures:"))
	for _, failure := range h2specFailure.FindAllSubmatch(atTheEnd, -1) {
		failed = append(failed, strings.TrimSpace(string(failure[1])))
	}
	r.add("%s of %s", counts[2], counts[1])
	r.add("%s", counts[3])
	r.add("%s", strings.Join(append([]string{string(counts[4])}, failed...), "; "))
	var passed int
	fmt.Sscan(string(counts[2]), &passed)
	r.need(passed >= h2specPasses, "%d passed", passed)
}
