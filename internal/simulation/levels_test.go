package simulation

import (
	"fmt"
	"testing"

	"github.com/cairndb/cairn/internal/workload"
)

// levelSeeds are run by CI: some seconds.
const levelSeeds = 4

// TestIsolationLevels runs transactions of every level but the default side by
// side under all faults, and holds each to what its level promises: read
// committed, snapshot isolation, and the order of real time.
func TestIsolationLevels(t *testing.T) {
	if *seedFlag != 0 || *workloadFlag != "" {
		t.Skip("TestSimulation runs what the flags ask for")
	}
	for i := range levelSeeds {
		seed := Seed(i + 1)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			runSeedOf(t, seed, false, workload.Levels()...)
		})
	}
}
