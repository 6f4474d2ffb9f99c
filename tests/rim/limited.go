package main

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// What Rocket.Chat allows one client address.
const (
	allowed = 15
	span    = 3 * time.Second
)

// A limited upstream is a Rocket.Chat that knows every call, and counts requests as Rocket.Chat does: in windows that
// begin with a request.
type limited struct {
	url      string
	listener net.Listener

	mutex  sync.Mutex
	began  time.Time
	counts []counted
}

// A counted request is one that arrived.
type counted struct {
	at      time.Time
	call    string
	refused bool
	// When its window began, which stands for the window.
	window time.Time
}

func startLimited() (*limited, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &limited{url: "http://" + listener.Addr().String(), listener: listener}
	handler := http.NewServeMux()
	handler.HandleFunc("GET /api/v1/video-conference.info", u.answer)
	go http.Serve(listener, handler)
	return u, nil
}

func (u *limited) stop() { u.listener.Close() }

func (u *limited) answer(w http.ResponseWriter, r *http.Request) {
	call := r.URL.Query().Get("callId")
	count, began := u.count(call)
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("X-RateLimit-Limit", fmt.Sprint(allowed))
	header.Set("X-RateLimit-Remaining", fmt.Sprint(max(allowed-count, 0)))
	header.Set("X-RateLimit-Reset", fmt.Sprint(began.Add(span).UnixMilli()))
	if count > allowed {
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"success":false,"error":"Error, too many requests. Please slow down. [error-too-many-requests]"}`)
		return
	}
	fmt.Fprintf(w, `{"_id":%q,"success":true}`, call)
}

// count notes a request, and says which one of its window it is, and when that began.
func (u *limited) count(call string) (int, time.Time) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	now := time.Now()
	if now.Sub(u.began) > span {
		u.began = now
	}
	count := 1
	for i := len(u.counts) - 1; i >= 0 && u.counts[i].window.Equal(u.began); i-- {
		count++
	}
	u.counts = append(u.counts, counted{now, call, count > allowed, u.began})
	return count, u.began
}

// between is what arrived in that time.
func (u *limited) between(from, to time.Time) []counted {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	var found []counted
	for _, c := range u.counts {
		if !c.at.Before(from) && c.at.Before(to) {
			found = append(found, c)
		}
	}
	return found
}

// refusals says how many requests were refused, and in how many windows.
func refusals(counts []counted) (requests, windows int) {
	seen := map[time.Time]bool{}
	for _, c := range counts {
		if c.refused {
			requests++
			seen[c.window] = true
		}
	}
	return requests, len(seen)
}
