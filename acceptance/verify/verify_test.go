package verify

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
	"github.com/cairndb/cairn/acceptance/nemesis"
)

var (
	binary    = flag.String("cairn", "", "test this binary, built with -tags trouble, instead of building one")
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
		if *binary, err = cluster.Build(dir, "-tags", "trouble"); err != nil {
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

// TestTwoBuildsServeWhileOneReplacesTheOther: here the same source under another
// name, as a build that knows only the first cluster version; make acceptance OLD=… takes another commit.
func TestTwoBuildsServeWhileOneReplacesTheOther(t *testing.T) {
	old, err := cluster.Build(t.TempDir(), "-tags", "trouble", "-ldflags", "-X github.com/cairndb/cairn/internal/version.build=before -X github.com/cairndb/cairn/internal/version.latest=1")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), Options{Binary: *binary, OldBinary: old, Workloads: []string{"bank", "register", "sets"}, Nemeses: "upgrade",
		Safety: 3 * time.Second, Say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict() != OK {
		t.Errorf("%s: %v %v", r.Verdict(), r.Failures, r.Untested)
	}
	if len(r.Bands) == 0 || !strings.Contains(r.Bands[0].Evidence, "; before it was before; the cluster's version was 1 of 1, held at 1 of 1-3, and is 3 of 1-3; then the old build was refused on ") {
		t.Errorf("%+v", r.Bands)
	}
}

// TestVerifyFindsAMistakePutBackIn: without the check of who read, a cluster that
// nobody hurts is not serializable, and workloads of three kinds see it, and say
// which transactions show it. That the page can be drawn is seen on the way.
func TestVerifyFindsAMistakePutBackIn(t *testing.T) {
	r, err := Run(t.Context(), Options{Binary: *binary, NodeEnv: []string{"CAIRN_BREAK=readers-ignored"}, Clients: 2,
		Workloads: []string{"list-append", "g2", "monotonic"}, Safety: 3 * time.Second, Say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict() != Failed {
		t.Fatalf("the verdict is %s", r.Verdict())
	}
	found := 0
	for _, w := range r.Workloads {
		if w.Violation != "" {
			found++
			t.Log(w.Violation)
		}
	}
	if found == 0 {
		t.Errorf("it failed because of %v", r.Failures)
	}
	var page strings.Builder
	if err := r.WriteReport(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"failed", "list-append", "cairn verify --workload", "<svg"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	os.RemoveAll(r.Dir)
}

// TestARunThatTestedNothingIsInvalid: a nemesis that is not felt, here one whose
// nodes are all in other hands, and a workload that got nothing done.
func TestARunThatTestedNothingIsInvalid(t *testing.T) {
	r := &Result{}
	if r.Verdict() != OK {
		t.Error(r.Verdict())
	}
	r.Untested = []string{"nemesis kill was never felt"}
	if r.Verdict() != Invalid {
		t.Error(r.Verdict())
	}
	r.Failures = []string{"bank: total changed"}
	if r.Verdict() != Failed {
		t.Error(r.Verdict())
	}
	s := &nemesis.Schedule{}
	kill, err := nemesis.Named("kill+pause")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Unfelt(kill); len(got) != 2 {
		t.Error(got)
	}
}

// TestTheMatrixCountsNothingThatWasNotTried: under a nemesis that nobody felt, no
// workload was tried; a violation counts nevertheless.
func TestTheMatrixCountsNothingThatWasNotTried(t *testing.T) {
	dir := t.TempDir()
	r := &Result{Options: Options{Nemeses: "kill", Nodes: 3}, Unfelt: []string{"kill"}, Untested: []string{"nemesis kill was never felt"},
		Workloads: []*WorkloadResult{{Name: "bank"}, {Name: "sets", Violation: "x", Anomaly: "lost write"}}}
	if _, err := r.Keep(dir); err != nil {
		t.Fatal(err)
	}
	records, err := readRecords(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := NewMatrix(records)
	for name, want := range map[string]string{"bank": "invalid", "sets": "failed", wholeRun: "invalid"} {
		if got := m.Cells[name]["kill"].Class(); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), `class="failed"`) || strings.Contains(string(page), `class="ok"`) {
		t.Errorf("%s", page)
	}
}

// TestOnlyUpgradesBeginWithTheOldBuild: everything else tries the build at hand.
func TestOnlyUpgradesBeginWithTheOldBuild(t *testing.T) {
	for nemeses, want := range map[string]string{"kill": "", "": "", "mix": "", "upgrade": "old", "kill+upgrade": "old"} {
		o := Options{OldBinary: "old", Nemeses: nemeses}
		if _, _, err := o.fill(); err != nil {
			t.Fatal(err)
		}
		if o.OldBinary != want {
			t.Errorf("%s: %q, want %q", nemeses, o.OldBinary, want)
		}
	}
}
