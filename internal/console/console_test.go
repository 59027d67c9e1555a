package console

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type fake struct {
	ready  bool
	remark string
}

func (f *fake) Status(context.Context) Status {
	return Status{ClusterID: "c1", NodeID: 2, Nodes: []Node{{ID: 2, Live: true}}, Statements: []Statement{{Text: "SELECT $1", Calls: 3}}}
}
func (f *fake) Ready() (bool, string) { return f.ready, f.remark }
func (f *fake) Counters() []Counter {
	return []Counter{{Name: "proposals_total", Help: "Commands given to Raft.", Value: func() float64 { return 42 }}}
}

func TestEndpoints(t *testing.T) {
	src := &fake{}
	srv := httptest.NewServer(New(src))
	defer srv.Close()
	get := func(path string) (int, string) {
		resp, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	for _, tc := range []struct {
		path, want string
		code       int
	}{
		{"/", "<title>Cairn</title>", 200},
		{"/api/status", `"cluster_id":"c1"`, 200},
		{"/api/status", `"proposals_total":42`, 200},
		{"/api/status", `"text":"SELECT $1","calls":3`, 200},
		{"/health", "ok", 200},
		{"/ready", "not ready", 503},
		{"/metrics", "cairn_proposals_total 42", 200},
		{"/debug/pprof/", "goroutine", 200},
		{"/nothing", "", 404},
	} {
		if code, body := get(tc.path); code != tc.code || !strings.Contains(body, tc.want) {
			t.Errorf("%s: %d %.80s", tc.path, code, body)
		}
	}
	src.ready, src.remark = true, "the disk is nearly full"
	if code, body := get("/ready"); code != 200 || body != "ready; the disk is nearly full\n" {
		t.Errorf("ready: %d %q", code, body)
	}
}
