package verify

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
)

var (
	binary    = flag.String("cairn", "", "test this binary instead of building one")
	workloads = flag.String("workloads", "", "workloads of TestVerify, comma-separated; none is all")
	nemeses   = flag.String("nemeses", "mix", "nemeses of TestVerify, joined by +")
	safety    = flag.Duration("safety", 6*time.Second, "how long nemeses strike")
	seed      = flag.Uint64("seed", 0, "seed of the nemeses and clients; 0 is another each time")
	nodes     = flag.Int("nodes", 3, "nodes of the cluster")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		if *binary != "" {
			return m.Run()
		}
		dir, err := os.MkdirTemp("", "cairn-build-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		if *binary, err = cluster.Build(dir); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// TestVerify is a short run of everything.
func TestVerify(t *testing.T) {
	o := Options{Binary: *binary, Nodes: *nodes, Nemeses: *nemeses, Safety: *safety, Seed: *seed, Say: t.Logf}
	if *workloads != "" {
		o.Workloads = strings.Split(*workloads, ",")
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range r.Workloads {
		t.Logf("%s: %s; silence %v; %v", w.Name, w.Tested, w.Silence, w.errors)
	}
	t.Logf("seed %d, live again after %v", r.Options.Seed, r.Live)
	for _, f := range r.Failures {
		t.Error(f)
	}
	for _, u := range r.Untested {
		t.Error("invalid: " + u)
	}
}
