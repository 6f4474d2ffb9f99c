package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
)

// The id of a call whose answer is large, for those who don't read it.
const largeCall = "large"

// As much as fits --max-body-bytes with room for the rest.
const largeTitle = 500_000

// An upstream is a Rocket.Chat that knows every call, and limits nobody.
type upstream struct {
	url      string
	listener net.Listener
}

func startUpstream() (*upstream, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	large := fmt.Sprintf(`{"_id":"x","title":%q,"success":true}`, strings.Repeat("x", largeTitle))
	handler := http.NewServeMux()
	handler.HandleFunc("GET /api/v1/video-conference.info", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("callId") == largeCall {
			fmt.Fprint(w, large)
		} else {
			fmt.Fprint(w, `{"_id":"x","success":true}`)
		}
	})
	go http.Serve(listener, handler)
	return &upstream{"http://" + listener.Addr().String(), listener}, nil
}

func (u *upstream) stop() { u.listener.Close() }
