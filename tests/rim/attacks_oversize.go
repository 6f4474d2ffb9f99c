package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/status"
)

// randomBytes sends those: a third of the connections at once, a third after the preface, a third as
// frames of a random kind.
func randomBytes(ctx context.Context, t *target) {
	t.each(ctx, 9, func(number int) error {
		source := rand.NewChaCha8([32]byte{byte(number), byte(t.opened.Load())})
		noise := make([]byte, 16*1024)
		source.Read(noise)
		connection, err := t.dial(ctx)
		if err != nil {
			return err
		}
		defer connection.Close()
		defer context.AfterFunc(ctx, func() { connection.Close() })()
		if number%3 > 0 {
			var hello bytes.Buffer
			hello.WriteString(http2.ClientPreface)
			framer := http2.NewFramer(&hello, nil)
			framer.WriteSettings()
			for at := 0; number%3 == 2 && at < 8000; at += 80 {
				kind := http2.FrameType(noise[at] % 10)
				framer.WriteRawFrame(kind, http2.Flags(noise[at+1]), uint32(noise[at+2]%8), noise[at+3:at+80])
			}
			if _, err := hello.WriteTo(connection); err != nil {
				return err
			}
		}
		if number%3 < 2 {
			if _, err := connection.Write(noise); err != nil {
				return err
			}
		}
		t.done.Add(1)
		// Whatever it says to that, until it ends; who waits for more to come has to wait as well.
		connection.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := io.Copy(io.Discard, connection); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.ended.Add(1)
		}
		return nil
	})
}

// oversizeMetadata sends heads of 1 MB that do end.
func oversizeMetadata(ctx context.Context, t *target) {
	// Fields of 1,000 bytes without a place in the table: 0x00, a name, the length in two bytes, a value.
	field := append([]byte{0x00, 1, 'a', 0x7f, 0xe9, 0x06}, bytes.Repeat([]byte{'x'}, 0x7f+0x69+6<<7)...)
	piece := bytes.Repeat(field, 16)
	t.flood(ctx, 4, nobody, func(_ int, p *peer) {
		id := p.next()
		p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: getInfoHead})
		for sent := 0; sent < 1_000_000; sent += len(piece) {
			p.WriteContinuation(id, false, piece)
		}
		p.WriteContinuation(id, true, nil)
	})
}

// claimedMessage begins messages that say that they have 2 GB.
func claimedMessage(ctx context.Context, t *target) {
	t.flood(ctx, 8, nobody, func(_ int, p *peer) {
		p.WriteData(p.open(getInfoHead), false, []byte{0, 0x7f, 0xff, 0xff, 0xff, 'x'})
	})
}

// sentMessage sends 10 MB: half of the connections as grpc-go does, half whether there is a window or not.
func sentMessage(ctx context.Context, t *target) {
	large := framed(make([]byte, 10_000_000))
	t.each(ctx, 8, func(number int) error {
		if number%2 == 0 {
			return t.sendAsClient(ctx)
		}
		p, err := t.greet(ctx)
		if err != nil {
			return err
		}
		defer p.Close()
		defer context.AfterFunc(ctx, func() { p.Close() })()
		go t.listen(p)
		id := p.open(getInfoHead)
		for rest := large; len(rest) > 0; rest = rest[min(len(rest), 16*1024):] {
			p.WriteData(id, false, rest[:min(len(rest), 16*1024)])
			if err := p.send(); err != nil {
				return err
			}
		}
		t.done.Add(1)
		return nil
	})
}

func (t *target) sendAsClient(ctx context.Context) error {
	on, err := connect(t.address)
	if err != nil {
		return err
	}
	defer on.Close()
	message := make([]byte, 10_000_000)
	for ctx.Err() == nil {
		within, cancel := context.WithTimeout(withCredentials(ctx, userID, authToken), 5*time.Second)
		var answer []byte
		err := on.Invoke(within, getInfo, message, &answer)
		cancel()
		if ctx.Err() == nil {
			t.done.Add(1)
			t.hear(status.Code(err).String())
		}
	}
	return nil
}
