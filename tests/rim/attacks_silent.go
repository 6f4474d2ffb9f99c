package main

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"time"

	"golang.org/x/net/http2"
)

// slowPreface says what HTTP/2 begins with, a byte a second.
func slowPreface(ctx context.Context, t *target) {
	t.each(ctx, 500, func(int) error {
		connection, err := t.dial(ctx)
		if err != nil {
			return err
		}
		defer connection.Close()
		return t.trickle(ctx, connection, []byte(http2.ClientPreface))
	})
}

// slowHeaders begins as it should, and then sends a HEADERS frame, a byte a second.
func slowHeaders(ctx context.Context, t *target) {
	frame := make([]byte, 9, 9+len(getInfoHead))
	binary.BigEndian.PutUint32(frame, uint32(len(getInfoHead))<<8|uint32(http2.FrameHeaders))
	frame[4] = byte(http2.FlagHeadersEndHeaders)
	frame[8] = 1
	frame = append(frame, getInfoHead...)
	t.each(ctx, 500, func(int) error {
		p, err := t.greet(ctx)
		if err != nil {
			return err
		}
		defer p.Close()
		return t.trickle(ctx, p.TCPConn, frame)
	})
}

// trickle sends bytes, one a second, until the other side has had enough.
func (t *target) trickle(ctx context.Context, connection net.Conn, bytes []byte) error {
	defer context.AfterFunc(ctx, func() { connection.Close() })()
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, connection)
		close(ended)
	}()
	for _, one := range bytes {
		if _, err := connection.Write([]byte{one}); err != nil {
			return err
		}
		t.done.Add(1)
		select {
		case <-ended:
			if ctx.Err() == nil {
				t.ended.Add(1)
			}
			return io.EOF
		case <-time.After(time.Second):
		}
	}
	return nil
}

// keep holds so many connections that began as they should, have done what opening is, and then only listen. One that
// was closed is opened again.
func (t *target) keep(ctx context.Context, connections int, opening func(*peer)) {
	t.each(ctx, connections, func(int) error {
		p, err := t.greet(ctx)
		if err != nil {
			return err
		}
		defer p.Close()
		opening(p)
		if err := p.send(); err != nil {
			return err
		}
		defer context.AfterFunc(ctx, func() { p.Close() })()
		t.listen(p)
		return nil
	})
}

// idleConnections keeps 5,000 connections without a call.
func idleConnections(ctx context.Context, t *target) {
	t.keep(ctx, 5000, func(*peer) { t.done.Add(1) })
}

// silentConnections keeps 1,000 that say nothing.
func silentConnections(ctx context.Context, t *target) {
	t.each(ctx, 1000, func(int) error {
		connection, err := t.dial(ctx)
		if err != nil {
			return err
		}
		defer connection.Close()
		t.done.Add(1)
		defer context.AfterFunc(ctx, func() { connection.Close() })()
		io.Copy(io.Discard, connection)
		if ctx.Err() == nil {
			t.ended.Add(1)
		}
		return nil
	})
}
