package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What Rocket.Chat may say: the call's id is the status, and what stands behind it. The code is what callers hear.
var said = map[string]struct {
	body string
	code codes.Code
}{
	"200 ":       {`{"_id":"x","status":1,"title":"t","users":[{"_id":"u","username":"n"}],"new":{"a":[1]},"success":true}`, codes.OK},
	"200 broken": {`{"_id":"x"`, codes.Internal},
	"400 ":       {`{"success":false,"error":"invalid-params"}`, codes.InvalidArgument},
	"400 params": {`{"success":false,"error":"x","errorType":"invalid-params"}`, codes.InvalidArgument},
	"400 other":  {`{"success":false,"error":"x"}`, codes.InvalidArgument},
	"401 ":       {`{"status":"error","message":"You must be logged in to do this."}`, codes.Unauthenticated},
	"403 ":       {`{"success":false,"error":"no"}`, codes.PermissionDenied},
	"404 ":       {`{"success":false,"error":"no"}`, codes.NotFound},
	"404 html":   {`404 Not Found`, codes.Unimplemented},
	"429 ":       {`{"success":false,"error":"Error, too many requests."}`, codes.ResourceExhausted},
	"500 ":       {``, codes.Internal},
	"503 ":       {``, codes.Unavailable},
}

// upgradeSuite has the last release and what is here side by side.
func upgradeSuite(ctx context.Context, given config) table {
	t := table{
		title: "Upgrades",
		about: fmt.Sprintf("The last release and what is here, behind one grpc-go with round_robin, 500 calls a second, "+
			"no retry policy. Every %s one of two servers ends by SIGTERM, and another takes its place: old ones are "+
			"replaced by new ones, and those by old ones again. No call may fail. To the same answers of "+
			"Rocket.Chat both say the same, and the new one takes each flag and variable of the old one.", restartEvery),
		columns: []string{"what", "seen"},
	}
	for _, check := range []struct {
		what string
		run  func(*row, context.Context, config) error
	}{
		{"flags and variables", (*row).sameFlags},
		{"answers", (*row).sameAnswers},
		{"a rollout, and back", (*row).rollout},
	} {
		if ctx.Err() == nil {
			r := row{}
			r.add("%s", check.what)
			if err := check.run(&r, ctx, given); err != nil {
				r.need(false, "%v", err)
			}
			t.take(r)
		}
	}
	return t
}

var options = regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+)|\[env:\s+([A-Z_]+)`)

func (r *row) sameFlags(_ context.Context, given config) error {
	count := 0
	for _, command := range []string{"serve", "check-config", "demo", "get-info", "health", "descriptor"} {
		known := map[string]bool{}
		for _, binary := range []string{given.facade, given.previous} {
			help, err := exec.Command(binary, command, "--help").Output()
			if err != nil {
				return err
			}
			for _, found := range options.FindAllStringSubmatch(string(help), -1) {
				option := found[1] + found[2]
				if binary == given.facade {
					known[option] = true
					continue
				}
				count++
				r.need(known[option] || given.breaking, "%s has no %s any more", command, option)
			}
		}
	}
	r.need(count > 100, "only %d flags and variables", count)
	r.add("%d of the last release, of all commands, are known", count)
	return nil
}

func (r *row) sameAnswers(ctx context.Context, given config) error {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		id := request.URL.Query().Get("callId")
		var code int
		fmt.Sscan(id, &code)
		w.WriteHeader(code)
		fmt.Fprint(w, said[id].body)
	}))
	defer upstream.Close()
	var clients []*grpc.ClientConn
	for _, binary := range []string{given.previous, given.facade} {
		server, err := startFacade(binary, "serve", "--listen", "127.0.0.1:0", "--log-format", "json",
			"--upstream-limit", "none", "--upstream-url", upstream.URL)
		if err != nil {
			return err
		}
		defer server.kill()
		client, err := connect(server.address)
		if err != nil {
			return err
		}
		defer client.Close()
		clients = append(clients, client)
	}
	for _, id := range slices.Sorted(maps.Keys(said)) {
		// What Rocket.Chat's own limit makes of the next reads is no part of this.
		user := "user of " + strings.ReplaceAll(id, " ", "-")
		before, _ := told(ctx, clients[0], user, id)
		after, code := told(ctx, clients[1], user, id)
		r.need(before == after || given.breaking, "to %q the last release says %s, this one %s", id, before, after)
		r.need(code == said[id].code, "%q is %s", id, code)
	}
	r.add("%d, the same", len(said))
	return nil
}

// told is what a caller hears, without what changes with each call.
func told(ctx context.Context, client *grpc.ClientConn, user, id string) (string, codes.Code) {
	ctx, cancel := context.WithTimeout(withCredentials(ctx, user, authToken), 5*time.Second)
	defer cancel()
	var answer []byte
	err := client.Invoke(ctx, getInfo, request(id), &answer)
	if err == nil {
		// The conference comes first, as its tag and its length; then there is the time.
		length, size := binary.Uvarint(answer[1:])
		return fmt.Sprintf("%x", answer[:1+size+int(length)]), codes.OK
	}
	said := status.Convert(err)
	for _, detail := range said.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return fmt.Sprintf("%s %s %v", said.Code(), info.GetReason(), info.GetMetadata()), said.Code()
		}
	}
	return fmt.Sprintf("%s %q", said.Code(), said.Message()), said.Code()
}

func (r *row) rollout(ctx context.Context, config config) error {
	numbers := []string{config.previous, config.previous, config.facade, config.facade, config.previous, config.previous, config.facade}
	var seen row
	if err := seen.restarts(ctx, func(number int) string { return numbers[number] }, nil); err != nil {
		return err
	}
	r.failures = append(r.failures, seen.failures...)
	r.add("%s restarts, %s calls failed", seen.cells[0], seen.cells[1])
	return nil
}
