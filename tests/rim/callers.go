package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Callers ask for a different call each, 100 times a second. They aren't grpc-go, which ends a call at
// its deadline by itself: these tell the server of one and then wait for what it does.
type callers struct {
	end  context.CancelFunc
	done sync.WaitGroup

	mutex sync.Mutex
	calls []outcome
}

// An outcome is how a call went.
type outcome struct {
	began   time.Time
	took    time.Duration
	code    string
	message string
}

// The numbers of codes that are told by name; others are told by number.
var codeNames = map[int]string{
	0: "OK", 2: "UNKNOWN", 4: "DEADLINE_EXCEEDED", 8: "RESOURCE_EXHAUSTED", 13: "INTERNAL", 14: "UNAVAILABLE",
}

// Where the ids of calls are taken from: none is asked for twice.
var calledSoFar atomic.Int64

func startCallers(ctx context.Context, address string) *callers {
	ctx, end := context.WithCancel(ctx)
	c := &callers{end: end}
	client := http2Client()
	c.done.Go(func() {
		defer client.CloseIdleConnections()
		var under sync.WaitGroup
		for due := time.Now(); ctx.Err() == nil; due = due.Add(10 * time.Millisecond) {
			pause(ctx, time.Until(due))
			under.Go(func() {
				began := time.Now()
				code, message := ask(client, address, fmt.Sprint("call-", calledSoFar.Add(1)))
				c.mutex.Lock()
				defer c.mutex.Unlock()
				c.calls = append(c.calls, outcome{began, time.Since(began), code, message})
			})
		}
		under.Wait()
	})
	return c
}

// stop waits for what is under way and gives all outcomes.
func (c *callers) stop() []outcome {
	c.end()
	c.done.Wait()
	return c.calls
}

// ask calls once, and gives the code and the message of the answer.
func ask(client *http.Client, address, id string) (string, string) {
	// Far more than the deadline, since it is the server that has to keep it.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	address = "http://" + address + getInfo
	request, err := http.NewRequestWithContext(ctx, "POST", address, bytes.NewReader(framed(request(id))))
	if err != nil {
		return "no request", err.Error()
	}
	request.Header = http.Header{
		"Content-Type": {"application/grpc"},
		"Te":           {"trailers"},
		"Grpc-Timeout": {fmt.Sprintf("%dm", callDeadline.Milliseconds())},
		"X-User-Id":    {userID},
		"X-Auth-Token": {authToken},
	}
	answer, err := client.Do(request)
	if err != nil {
		return "no answer", err.Error()
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return "no end", err.Error()
	}
	status := answer.Trailer
	if answer.Header.Get("Grpc-Status") != "" {
		status = answer.Header
	}
	number, err := strconv.Atoi(status.Get("Grpc-Status"))
	if err != nil {
		return "no status", fmt.Sprint(answer.Status, answer.Header)
	}
	name, known := codeNames[number]
	if !known {
		name = fmt.Sprint("code ", number)
	}
	message, err := url.PathUnescape(status.Get("Grpc-Message"))
	if err != nil {
		return name, err.Error()
	}
	return name, message
}

// http2Client speaks HTTP/2 without TLS, on a connection of its own.
func http2Client() *http.Client {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{Protocols: &protocols}}
}
