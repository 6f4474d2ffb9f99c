package main

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

// A company is who else is connected to a server that is to end: each of them could keep it.
type company struct {
	all sync.WaitGroup
	// How many watches, and other connections, the server ended.
	watches, connections atomic.Int64
}

// come lets them connect to address, and come back, until ctx is over.
func (c *company) come(ctx context.Context, address string) {
	for range 20 {
		c.again(ctx, func() { c.idle(ctx, address) })
		c.again(ctx, func() { c.silent(ctx, address) })
	}
	for range 5 {
		c.again(ctx, func() { c.watch(ctx, address) })
	}
}

func (c *company) again(ctx context.Context, act func()) {
	c.all.Go(func() {
		for ctx.Err() == nil {
			act()
			pause(ctx, 50*time.Millisecond)
		}
	})
}

// idle opens an HTTP/2 connection, and has no call.
func (c *company) idle(ctx context.Context, address string) {
	t := &target{address: address, heard: tally{}}
	p, err := t.greet(ctx)
	if err != nil {
		return
	}
	defer p.Close()
	defer context.AfterFunc(ctx, func() { p.Close() })()
	t.listen(p)
	c.count(ctx, &c.connections)
}

// silent connects and says nothing.
func (c *company) silent(ctx context.Context, address string) {
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer connection.Close()
	defer context.AfterFunc(ctx, func() { connection.Close() })()
	io.Copy(io.Discard, connection)
	c.count(ctx, &c.connections)
}

// watch watches the server's health, as a balancer does.
func (c *company) watch(ctx context.Context, address string) {
	on, err := connect(address)
	if err != nil {
		return
	}
	defer on.Close()
	description := &grpc.StreamDesc{ServerStreams: true}
	stream, err := on.NewStream(ctx, description, healthWatch)
	if err != nil || stream.SendMsg([]byte{}) != nil || stream.CloseSend() != nil {
		return
	}
	var status []byte
	for heard := 0; ; heard++ {
		if stream.RecvMsg(&status) != nil {
			if heard > 0 {
				c.count(ctx, &c.watches)
			}
			return
		}
	}
}

func (c *company) count(ctx context.Context, of *atomic.Int64) {
	if ctx.Err() == nil {
		of.Add(1)
	}
}
