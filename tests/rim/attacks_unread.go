package main

import (
	"context"

	"golang.org/x/net/http2"
)

const (
	unreadConnections = 8
	unreadStreams     = 125
)

// windowZero asks for 1,000 large answers and has no window for them.
func windowZero(ctx context.Context, t *target) {
	hold(ctx, t, true, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
}

// windowOfOne has room for a byte of each.
func windowOfOne(ctx context.Context, t *target) {
	hold(ctx, t, true, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
}

// socketNotRead asks for them with the largest windows, and doesn't read what comes.
func socketNotRead(ctx context.Context, t *target) {
	hold(ctx, t, false, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
}

func hold(ctx context.Context, t *target, reads bool, settings http2.Setting) {
	large := framed(request(largeCall))
	t.each(ctx, unreadConnections, func(int) error {
		p, err := t.greet(ctx, settings)
		if err != nil {
			return err
		}
		defer p.Close()
		if !reads {
			p.SetReadBuffer(4096)
			p.WriteWindowUpdate(0, 1<<31-1-65535)
		}
		for range unreadStreams {
			p.ask(large)
			t.done.Add(1)
		}
		if err := p.send(); err != nil {
			return err
		}
		if reads {
			// Another one as soon as the server has had enough of it.
			defer context.AfterFunc(ctx, func() { p.Close() })()
			t.listen(p)
		} else {
			<-ctx.Done()
		}
		return nil
	})
}
