// Command rim attacks videoconf-facade, takes things away from it, restarts it, cuts it off and wears it out, and
// judges by figures what its callers notice of that.
//
//	go run . -facade ../../target/release/videoconf-facade
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// What the suites are told.
type config struct {
	facade   string
	previous string
	breaking bool
	h2spec   string
	seconds  time.Duration
	soak     time.Duration
	attacks  string
}

// The suites, in the order in which they run.
var suites = []struct {
	name string
	run  func(context.Context, config) table
}{
	{"h2spec", h2specSuite},
	{"attacks", attacksSuite},
	{"files", filesSuite},
	{"certificates", certificatesSuite},
	{"restart", restartSuite},
	{"upgrade", upgradeSuite},
	{"outages", outagesSuite},
	{"replicas", replicasSuite},
	{"soak", soakSuite},
}

func main() {
	log.SetFlags(log.Ltime)
	// The same binary in another role: see neighbour.go and attacker.go.
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "neighbour":
			neighbourMain(os.Args[2:])
			return
		case "attacker":
			attackerMain(os.Args[2:])
			return
		}
	}
	os.Exit(suitesMain())
}

func suitesMain() int {
	facade := flag.String("facade", "", "the server's binary (required)")
	previous := flag.String("previous", "", "the binary of the last release; without it, there is no upgrade")
	breaking := flag.Bool("breaking", false, "differences from the last release are meant")
	h2spec := flag.String("h2spec", "h2spec", "the binary of h2spec")
	only := flag.String("only", "", "the suites to run, separated by commas; all without it")
	seconds := flag.Int("seconds", 10, "how long each attack lasts, in seconds")
	soak := flag.Duration("soak", 3*time.Minute, "how long the soak lasts")
	attacks := flag.String("attacks", "", "only the attacks, and the troubles of a store, whose name has this in it")
	out := flag.String("out", "", "the report's file; without it, stdout")
	flag.Parse()
	if *facade == "" || flag.NArg() > 0 {
		flag.Usage()
		return 2
	}
	chosen := map[string]bool{}
	for _, suite := range suites {
		chosen[suite.name] = *only == "" && (suite.name != "upgrade" || *previous != "")
	}
	for _, name := range strings.FieldsFunc(*only, func(r rune) bool { return r == ',' }) {
		if _, known := chosen[name]; !known {
			log.Printf("there is no suite %q", name)
			return 2
		}
		chosen[name] = true
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	config := config{*facade, *previous, *breaking, *h2spec, time.Duration(*seconds) * time.Second, *soak, *attacks}
	began := time.Now()
	var tables []table
	failed, lines := 0, 0
	for _, suite := range suites {
		if !chosen[suite.name] || ctx.Err() != nil {
			continue
		}
		log.Printf("== %s", suite.name)
		t := suite.run(ctx, config)
		tables = append(tables, t)
		failed += t.failed()
		lines += len(t.rows)
	}
	if ctx.Err() != nil {
		log.Print("interrupted")
		failed++
	}

	var to io.Writer = os.Stdout
	if *out != "" {
		file, err := os.Create(*out)
		if err != nil {
			log.Print(err)
			return 1
		}
		defer file.Close()
		to = file
	}
	fmt.Fprintf(to, "# Attacks and endurance\n\n%s, %d cores, %s: %d lines, %d failed.\n",
		began.UTC().Format(time.DateOnly), runtime.NumCPU(), time.Since(began).Round(time.Second),
		lines, failed)
	for _, t := range tables {
		t.write(to)
	}
	if failed > 0 {
		return 1
	}
	return 0
}

// pause waits, unless the run is interrupted.
func pause(ctx context.Context, duration time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(duration):
	}
}
