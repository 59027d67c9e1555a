package simulation

import (
	"fmt"
	"testing"

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
