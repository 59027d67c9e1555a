package acceptance

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/acceptance/cluster"
	"github.com/cairndb/cairn/acceptance/load"
	"github.com/cairndb/cairn/internal/testkit/check"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestHistoriesHoldOnAHealthyCluster(t *testing.T) {
	histories(t, 4*time.Second, func(*testing.T, *cluster.Cluster, *rand.Rand) {})
}

func TestHistoriesHoldWhileNodesAreKilled(t *testing.T) {
	histories(t, faultsFor(), func(t *testing.T, c *cluster.Cluster, rng *rand.Rand) {
		n := c.Nodes[rng.IntN(len(c.Nodes))]
		n.Kill9()
		time.Sleep(time.Duration(500+rng.IntN(4000)) * time.Millisecond)
		t.Logf("%s killed; ready %v after its restart", n.Name, n.Restart().Round(time.Millisecond))
		time.Sleep(time.Second)
	})
}

func TestHistoriesHoldWhileNodesArePaused(t *testing.T) {
	histories(t, faultsFor(), func(t *testing.T, c *cluster.Cluster, rng *rand.Rand) {
		n := c.Nodes[rng.IntN(len(c.Nodes))]
		d := time.Duration(200+rng.IntN(6000)) * time.Millisecond
		n.Pause()
		time.Sleep(d)
		n.Resume()
		t.Logf("%s paused for %v", n.Name, d)
		time.Sleep(time.Second)
	})
}

func faultsFor() time.Duration {
	if *long {
		return 2 * time.Minute
	}
	return 12 * time.Second
}

// histories runs registers and a bank on all nodes, with one fault after the
// other until the time is over, then waits until everybody is served again,
// and lets the checkers judge.
func histories(t *testing.T, faults time.Duration, fault func(*testing.T, *cluster.Cluster, *rand.Rand)) {
	c := start(t, 3)
	seed := uint64(time.Now().UnixNano())
	t.Logf("faults of seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	regs := &load.Registers{Keys: 40}
	bank := &load.Bank{Opening: check.Opening{Accounts: 12, Balance: 50}}
	conn := connect(t, c.Nodes[0].URL())
	if err := regs.Create(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if err := bank.Create(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	splitTables(t, c)
	replicated(t, c)

	all := targets(c.Nodes...)
	regPulse, bankPulse := load.NewPulse(all), load.NewPulse(all)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { regs.Run(ctx, all, 2, regPulse) })
	wg.Go(func() { bank.Run(ctx, all, 2, bankPulse) })
	for end := time.Now().Add(faults); time.Now().Before(end); {
		fault(t, c, rng)
		time.Sleep(100 * time.Millisecond)
	}
	defer func() {
		t.Logf("registers:\n%s", regPulse)
		t.Logf("bank:\n%s", bankPulse)
	}()
	served(t, regPulse, bankPulse, c)
	cancel()
	wg.Wait()

	if err := bank.FinalRead(t.Context(), connect(t, c.Nodes[1].URL())); err != nil {
		t.Fatal(err)
	}
	if v := check.Registers(regs.Log.All()); v != nil {
		t.Error(v)
	}
	if err := bank.Check(); err != nil {
		t.Error(err)
	}
}

// served waits until, faults over, every node serves both workloads again.
func served(t *testing.T, regs, bank *load.Pulse, c *cluster.Cluster) {
	t.Helper()
	for _, n := range c.Nodes {
		before := []int{regs.Count(n.Name), bank.Count(n.Name)}
		eventually(t, 3*silenceMax, n.Name+" serves", func() error {
			if regs.Count(n.Name) < before[0]+10 || bank.Count(n.Name) < before[1]+10 {
				return context.DeadlineExceeded
			}
			return nil
		})
	}
}

// splitTables cuts each table in two, so that transactions span ranges.
func splitTables(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	rows, err := connect(t, c.Nodes[0].URL()).Query(t.Context(), `SELECT '/table/' || indrelid || '/' || indexrelid || '/=6'
		FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE indisprimary AND relnamespace = 'public'::regnamespace`)
	if err != nil {
		t.Fatal(err)
	}
	at, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(at) == 0 {
		t.Fatalf("no primary keys: %v", err)
	}
	for _, key := range at {
		if r := c.Cairn("range", "split", key, "--host", c.Nodes[1].RPC); r.Code != 0 {
			t.Fatalf("range split: %s", r.Stderr)
		}
	}
	ranges, err := c.Ranges(c.Nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	withRows := 0
	for _, r := range ranges {
		if strings.HasPrefix(r.Start, "/table/") && r.Rows > 0 {
			withRows++
		}
	}
	// The bank has its accounts already, the other tables are empty.
	if withRows < 2 {
		t.Fatalf("the accounts are in %d ranges: %v", withRows, ranges)
	}
}
