package node

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cairndb/cairn/internal/version"
	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/sql"
	"github.com/cairndb/cairn/txn"
)

// tend has every node look at the versions, as often as the claim needs; a node that
// does not lead the records only reads.
func (c *cluster) tendUntil(want version.Number) {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		all := true
		for _, n := range c.nodes {
			if err := n.Core().tendVersion(c.t.Context()); err != nil {
				c.t.Logf("node %s: %v", n.NodeID(), err)
			}
			all = all && n.Core().Active() == want
		}
		if all {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("not all nodes are in version %d", want)
		}
	}
}

// stays has every node look, and claims that nothing came of it.
func (c *cluster) stays(want version.Number) {
	c.t.Helper()
	for _, n := range c.nodes {
		if err := n.Core().tendVersion(c.t.Context()); err != nil {
			c.t.Error(err)
		}
		if got := n.Core().Active(); got != want {
			c.t.Errorf("node %s is in version %d, not %d", n.NodeID(), got, want)
		}
	}
}

func (c *cluster) restart(i int, works version.Range) error {
	c.t.Helper()
	c.nodes[i].Close()
	c.cfgs[i].Versions = works
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	n, err := Start(ctx, c.cfgs[i])
	if err == nil {
		c.nodes[i] = n
	}
	return err
}

func (c *cluster) hold(value string) {
	c.t.Helper()
	key := append(keys.SettingPrefix.Clone(), sql.HoldVersionSetting...)
	if err := c.nodes[0].Core().DB.Run(c.t.Context(), txn.Options{Name: "hold"}, func(ctx context.Context, t *txn.Txn) error {
		return t.Put(ctx, key, []byte(value))
	}); err != nil {
		c.t.Fatal(err)
	}
}

// TestRollingUpgradeIsFinalised moves three nodes from one build to the next, whose
// versions the numbers stand for.
func TestRollingUpgradeIsFinalised(t *testing.T) {
	older, newer := version.Range{Min: 1, Latest: 2}, version.Range{Min: 2, Latest: 3}
	c := startCluster(t, 3, func(cfg *Config) { cfg.Versions = older })
	c.awaitReplicas()
	c.tendUntil(2)
	c.hold("on")
	for i := range c.nodes {
		if err := c.restart(i, newer); err != nil {
			t.Fatalf("node %d with the newer build: %v", i+1, err)
		}
		if i == 0 { // the way back
			if err := c.restart(i, older); err != nil {
				t.Fatalf("back to the older build: %v", err)
			}
			if err := c.restart(i, newer); err != nil {
				t.Fatal(err)
			}
		}
		c.stays(2)
	}
	c.hold("off")
	c.tendUntil(3)

	// A build one version below is refused, by its own store.
	err := c.restart(2, older)
	if err == nil || !strings.Contains(err.Error(), "too old") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("the older build started: %v", err)
	}
	// And by the cluster, if it comes with an empty store; one that is too new as well.
	for works, want := range map[version.Range]string{older: "too old", {Min: 4, Latest: 4}: "too new"} {
		cfg := withJoin(c.cfgs[2], c.cfgs[0].RPCAddr)
		cfg.StoreDir, cfg.Versions = t.TempDir(), works
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		n, err := Start(ctx, cfg)
		cancel()
		if err == nil {
			n.Close()
			t.Fatalf("a build of %v joined", works)
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("a build of %v: %v", works, err)
		}
	}
}

// TestANodeThatIsDownHoldsTheVersion until it is decommissioned.
func TestANodeThatIsDownHoldsTheVersion(t *testing.T) {
	c := startCluster(t, 3, func(cfg *Config) { cfg.Versions = version.Range{Min: 1, Latest: 1} })
	c.awaitReplicas()
	id := c.nodes[2].NodeID()
	c.nodes[2].Close()
	c.nodes = c.nodes[:2]
	for i := range c.nodes {
		if err := c.restart(i, version.Range{Min: 1, Latest: 2}); err != nil {
			t.Fatal(err)
		}
	}
	c.stays(1)
	core := c.nodes[0].Core()
	for _, to := range []allocator.Membership{allocator.Decommissioning, allocator.Decommissioned} {
		if err := core.SetMembership(t.Context(), id, to); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range c.nodes {
		if err := n.Core().readMembers(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.tendUntil(2)
}
