package simulation

import (
	"flag"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cairndb/cairn/internal/workload"
	"github.com/cairndb/cairn/kv/store"
)

var (
	brokenFlag  = flag.String("broken", "", "break every node on purpose: see brokenBuilds")
	brokenSeeds = flag.Int("broken-seeds", 40, "within how many seeds a broken build must be caught")
)

// brokenBuild is a fault put into the product, to see that it is found.
type brokenBuild struct {
	name     string
	knobs    store.TestingKnobs
	workload workload.Name
	// seed is tried first: it is known to catch the fault. Others follow, for a
	// change elsewhere may move the moment that a seed hits.
	seed Seed
}

func brokenBuilds() []brokenBuild {
	return []brokenBuild{
		{"timestamp-cache-off", store.TestingKnobs{DisableTimestampCache: true}, workload.ListAppend, 1},
		{"lease-unchecked", store.TestingKnobs{DisableLeaseCheck: true}, workload.Register, 1},
		{"ack-before-sync", store.TestingKnobs{AckBeforeSync: true}, "", 1},
	}
}

// TestBrokenBuildsAreCaught: each fault fails some seed. A harness that never
// fails proves nothing.
func TestBrokenBuildsAreCaught(t *testing.T) {
	for _, b := range brokenBuilds() {
		if *brokenFlag != "" && *brokenFlag != b.name {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			for i := range *brokenSeeds {
				seed := b.seed + Seed(i)
				if err := runBroken(t, b, seed); err != nil {
					t.Logf("caught by seed %d: %s", seed, firstLines(err))
					return
				}
			}
			t.Errorf("not caught by %d seeds from %d", *brokenSeeds, b.seed)
		})
	}
}

func runBroken(t *testing.T, b brokenBuild, seed Seed) (err error) {
	synctest.Test(t, func(t *testing.T) {
		o := options(seed)
		o.Knobs = b.knobs
		if b.workload != "" {
			o.Workloads = []workload.Name{b.workload}
		}
		_, err = Run(t.Context(), o)
	})
	return err
}

func firstLines(err error) string {
	const linesMax = 12
	lines := strings.Split(err.Error(), "\n")
	return strings.Join(lines[:min(len(lines), linesMax)], "\n")
}
