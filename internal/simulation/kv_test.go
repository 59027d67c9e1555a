package simulation

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/internal/workload"
)

// kvSeeds are run by CI: some seconds.
const kvSeeds = 8

// TestRandomTransactions runs transactions of everything that package txn can do
// under all faults, and judges them by the versions that the disks hold.
func TestRandomTransactions(t *testing.T) {
	if *seedFlag != 0 || *workloadFlag != "" {
		t.Skip("TestSimulation runs what the flags ask for")
	}
	for i := range kvSeeds {
		seed := Seed(i + 1)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			runSeedOf(t, seed, false, workload.KV)
		})
	}
}

// feedSeeds are run by CI.
const feedSeeds = 3

// TestFeedsTellWhatTheDisksHold has a feed follow random transactions under all
// faults, from node to node, and compares it with the versions on the disks, none
// of which is collected.
func TestFeedsTellWhatTheDisksHold(t *testing.T) {
	if *seedFlag != 0 || *workloadFlag != "" {
		t.Skip("TestSimulation runs what the flags ask for")
	}
	for i := range feedSeeds {
		seed := Seed(i + 1)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := options(seed)
				o.Workloads, o.GCTTL = []workload.Name{workload.KV}, time.Hour
				result, err := Run(t.Context(), o)
				t.Logf("%d ok, %d told by feeds", result.OK, result.FeedEvents)
				if err != nil || result.FeedEvents == 0 {
					t.Errorf("seed %d, faults:\n%s\n%v", seed, describe(result.Schedule), err)
				}
			})
		})
	}
}
