package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/net/http2"
)

// dial opens a connection that ends with a reset, so that thousands of them don't use up the ports.
func (t *target) dial(ctx context.Context) (*net.TCPConn, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	opened, err := dialer.DialContext(ctx, "tcp", t.address)
	if err != nil {
		t.refused.Add(1)
		// Not to spend the whole time on failing.
		time.Sleep(10 * time.Millisecond)
		return nil, err
	}
	t.opened.Add(1)
	connection := opened.(*net.TCPConn)
	connection.SetLinger(0)
	return connection, nil
}

// A peer is a connection that speaks HTTP/2, and writes what it likes.
type peer struct {
	*net.TCPConn
	*http2.Framer
	// What is written collects here until send.
	out    bytes.Buffer
	stream uint32
}

// greet opens a connection and completes its handshake.
func (t *target) greet(ctx context.Context, settings ...http2.Setting) (*peer, error) {
	connection, err := t.dial(ctx)
	if err != nil {
		return nil, err
	}
	p := &peer{TCPConn: connection, stream: 1}
	p.Framer = http2.NewFramer(&p.out, bufio.NewReader(connection))
	p.AllowIllegalWrites = true
	p.out.WriteString(http2.ClientPreface)
	p.WriteSettings(settings...)
	err = p.send()
	connection.SetReadDeadline(time.Now().Add(5 * time.Second))
	for greeted := false; err == nil && !greeted; {
		var frame http2.Frame
		if frame, err = p.ReadFrame(); err == nil {
			_, greeted = frame.(*http2.SettingsFrame)
		}
	}
	connection.SetReadDeadline(time.Time{})
	if err == nil {
		p.WriteSettingsAck()
		err = p.send()
	}
	if err != nil {
		t.refused.Add(1)
		connection.Close()
		return nil, err
	}
	return p, nil
}

// send writes what was collected.
func (p *peer) send() error {
	_, err := p.out.WriteTo(p.TCPConn)
	return err
}

// next is the id of the next stream.
func (p *peer) next() uint32 {
	id := p.stream
	p.stream += 2
	return id
}

// listen reads what the server says until the connection ends, and counts it.
func (t *target) listen(p *peer) {
	for {
		frame, err := p.ReadFrame()
		if err != nil {
			var code http2.ConnectionError
			if !errors.As(err, &code) && !errors.Is(err, net.ErrClosed) {
				t.ended.Add(1)
			}
			return
		}
		switch frame := frame.(type) {
		case *http2.GoAwayFrame:
			t.hear("GOAWAY " + frame.ErrCode.String() + " " + string(frame.DebugData()))
		case *http2.RSTStreamFrame:
			t.hear("RST_STREAM " + frame.ErrCode.String())
		case *http2.HeadersFrame:
			t.hear("HEADERS")
		}
	}
}
