package simulation

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/internal/workload"
	"github.com/cairndb/cairn/kv/store"
)

var (
	seedFlag     = flag.Uint64("seed", 0, "run one seed and print its schedule of faults")
	seedsFlag    = flag.Int("seeds", 10, "how many seeds to run")
	firstFlag    = flag.Uint64("first", 1, "the first of -seeds")
	workloadFlag = flag.String("workload", "", "one of register, bank, list-append, mutex, kv, list-append-committed, -snapshot, -strict; empty for the first four at once")
	nodesFlag    = flag.Int("nodes", 0, "how many nodes; 0 lets the seed choose 3 or, at times, 4 or 5")
	safetyFlag   = flag.Duration("safety", 30*time.Second, "how long faults go on, in virtual time")
	levelFlag    = flag.Int("level", 0, "with -log: -4 prints debugging too")
	leasesFlag   = flag.String("leases", "", "leader or expiration: the leases that stores take; empty lets the seed choose")
	aimFlag      = flag.String("aim", "", "lineage: faults go for what supported the last outcomes (lineage.go); empty is random")
	faultsFlag   = flag.String("faults", "", "kinds of faults, comma-separated, by the names that schedules show; empty is all")
	logFlag      = flag.Bool("log", false, "print what nodes log")
)

// options are those of a seed under the flags.
func options(seed Seed) Options {
	o := Options{Seed: seed, Nodes: *nodesFlag, Safety: *safetyFlag, Aim: Aim(*aimFlag)}
	if o.Nodes == 0 {
		o.Nodes = [...]int{5, 4, 3, 3, 3}[seed.source("nodes").IntN(5)]
	}
	switch *leasesFlag {
	case "expiration":
		o.Leases = store.ExpirationLeases
	case "":
		if seed.source("leases").IntN(4) == 0 {
			o.Leases = store.ExpirationLeases
		}
	}
	if *faultsFlag != "" {
		for kind := range strings.SplitSeq(*faultsFlag, ",") {
			o.Faults = append(o.Faults, FaultKind(kind))
		}
	}
	if *workloadFlag != "" {
		o.Workloads = []workload.Name{workload.Name(*workloadFlag)}
	}
	return o
}

// TestSimulation runs clusters under faults. A failure prints how to see it
// again.
func TestSimulation(t *testing.T) {
	if *seedFlag != 0 {
		runSeed(t, Seed(*seedFlag), true)
		return
	}
	for i := range *seedsFlag {
		seed := Seed(*firstFlag + uint64(i))
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			runSeed(t, seed, false)
		})
	}
}

func runSeed(t *testing.T, seed Seed, verbose bool) { runSeedOf(t, seed, verbose) }

// runSeedOf runs a seed with some workloads, those of the flags if none is named.
func runSeedOf(t *testing.T, seed Seed, verbose bool, workloads ...workload.Name) {
	pulse, over := &Pulse{}, make(chan struct{})
	defer close(over)
	go pulse.Watch(over, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("seed %d: virtual time stands still: a busy loop, or a sleeper with a mutex", seed))
	})
	again := fmt.Sprintf("make simulate SEED=%d", seed)
	if len(workloads) > 0 {
		again = fmt.Sprintf("go test -tags invariants ./internal/simulation -run TestSimulation -args -workload %s -seed %d", workloads[0], seed)
	}
	synctest.Test(t, func(t *testing.T) {
		o, err := broken(options(seed))
		if err != nil {
			t.Fatal(err)
		}
		o.Pulse = pulse
		if len(workloads) > 0 {
			o.Workloads = workloads
		}
		if *logFlag {
			o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.Level(*levelFlag)}))
		}
		result, err := Run(t.Context(), o)
		if verbose || err != nil {
			t.Logf("seed %d, %d nodes, faults:\n%s", seed, o.Nodes, describe(result.Schedule))
		}
		t.Logf("%s virtual, %v operations, %d ok, %d messages, %d lost, %d follower reads, %d merges by commits, %d told by feeds, %d versions collected", result.Virtual.Round(time.Millisecond),
			result.Operations, result.OK, result.Sent, result.Lost, result.FollowerReads, result.CommitMerges, result.FeedEvents, result.Collected)
		if err != nil {
			t.Errorf("seed %d: %v\n\nto see it again: %s", seed, err, again)
		}
	})
}

// TestStallIsSeen: a pulse that stops is reported, one that is slow is not.
func TestStallIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, over := &Pulse{}, make(chan struct{})
		var stalled atomic.Bool
		var watching sync.WaitGroup
		watching.Go(func() { p.Watch(over, func() { stalled.Store(true) }) })
		for range 5 {
			time.Sleep(stallMax - stallCheck)
			p.seconds.Add(1)
		}
		if stalled.Load() {
			t.Fatal("a slow pulse is taken for a stall")
		}
		watching.Wait() // nobody beats any more
		if !stalled.Load() {
			t.Error("the stall was not seen")
		}
		watching.Go(func() { p.Watch(over, func() { t.Error("stalled") }) })
		close(over)
		watching.Wait()
	})
}
