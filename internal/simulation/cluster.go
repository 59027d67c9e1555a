package simulation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/rpc/memnet"
	"github.com/cairndb/cairn/internal/rpc/rpcpb"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage/storagetest"
	"github.com/cairndb/cairn/kv/store"
)

// Cluster is several nodes in one process, in one synctest bubble.
type Cluster struct {
	net   *memnet.Network
	nodes []*Node
	knobs store.TestingKnobs
	// leases are those that stores take.
	leases store.LeaseMode
	log    *slog.Logger
	began  time.Time
	// splits are keys of ranges, for storms of moves.
	splits []kvapi.Key
	// deadAfter is how long a node may be silent.
	deadAfter time.Duration
	// rangeBytesMax is the size at which ranges split; 0 is the default.
	rangeBytesMax int64
	// crashes decides what a crash keeps; used by one goroutine at a time.
	crashes *rand.Rand
	// gcTTL is how long old versions are kept; removed are those that were not.
	gcTTL    time.Duration
	removed  removedVersions
	promises promises
	// mergeAfter is how long neighbours are quiet before they are merged; 0 is the
	// default, which few runs are long enough for. settled ends such merges.
	mergeAfter time.Duration
	settled    atomic.Bool
	// joinRate is how many commits a second across a boundary have it merged; 0 is the
	// default, more than workloads do.
	joinRate float64
	// checkInterval is how often nodes compare the replicas of their ranges.
	checkInterval time.Duration

	mu struct {
		sync.Mutex
		// broken is the first thing that went wrong by itself.
		broken error
		// leaving are nodes that somebody has begun to take out.
		leaving map[*Node]bool
	}
	background sync.WaitGroup
	done       chan struct{}
}

// maxOffset is the clocks' bound; each node's clock is off by less than half.
const maxOffset = 250 * time.Millisecond

const skewMax = maxOffset/2 - 10*time.Millisecond

// normalLink is a network on a good day.
func normalLink() memnet.Faults {
	return memnet.Faults{DelayMin: 300 * time.Microsecond, DelayMax: 2 * time.Millisecond}
}

// NewCluster starts n nodes. Every range has a replica on three of them when
// it returns.
func NewCluster(ctx context.Context, seed Seed, n int, leases store.LeaseMode, gcTTL time.Duration, knobs store.TestingKnobs, log *slog.Logger) (*Cluster, error) {
	knobs.DisableTicks = true // a paused node does not tick; see Node.tick
	c := &Cluster{net: memnet.New(uint64(seed)), leases: leases, knobs: knobs, log: log, began: time.Now(), crashes: seed.source("crashes"), deadAfter: deadAfter(seed), gcTTL: gcTTL, done: make(chan struct{})}
	c.knobs.Removed = c.removed.add
	c.knobs.Checked = c.onChecked
	c.knobs.MayMerge = func() bool { return !c.settled.Load() }
	c.knobs.Closed, c.knobs.Wrote = c.onClosed, c.onWrote
	if seed.source("checks").IntN(2) == 0 {
		c.checkInterval = checkInterval
	}
	if seed.source("merges").IntN(4) > 0 {
		c.mergeAfter = mergeAfter
	}
	if seed.source("joins").IntN(4) > 0 {
		c.joinRate = joinRate
	}
	if seed.source("range size").IntN(2) == 0 {
		c.rangeBytesMax = smallRanges
	}
	c.net.SetDefault(normalLink())
	disks := seed.source("disks")
	for i := range n {
		c.nodes = append(c.nodes, &Node{c: c, id: kvapi.NodeID(i + 1), fs: storagetest.NewCrashFS(), turn: make(chan struct{}, 1),
			skew: &hlc.SkewedClock{Base: hlc.SystemClock{}}, disk: rand.New(rand.NewPCG(disks.Uint64(), 1))})
	}
	for _, nd := range c.nodes {
		if err := nd.create(); err != nil {
			return c, err
		}
		if err := nd.Start(ctx); err != nil {
			return c, err
		}
	}
	if err := c.nodes[0].core.WaitReady(ctx); err != nil {
		return c, err
	}
	c.background.Go(c.watchLeases)
	return c, c.waitReplicated(ctx)
}

// Stop takes everything down.
func (c *Cluster) Stop() {
	close(c.done)
	c.background.Wait()
	for _, n := range c.nodes {
		n.Crash()
	}
	// What crashed processes were still waiting for ends by its own time
	// limits. A goroutine that is left then is a leak, and fails the bubble.
	time.Sleep(lingerMax)
}

// lingerMax is longer than every time limit of the product.
const lingerMax = 2 * time.Minute

// Elapsed is the virtual time since the cluster began.
func (c *Cluster) Elapsed() time.Duration { return time.Since(c.began) }

// fail records what went wrong by itself.
func (c *Cluster) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.broken == nil {
		c.mu.broken = fmt.Errorf("at %s: %w", c.Elapsed().Round(time.Millisecond), err)
		c.log.Error("broken", "err", c.mu.broken)
	}
}

// Broken returns the first failed assertion of nodes and oracles.
func (c *Cluster) Broken() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.broken
}

// waitReplicated waits until every range has min(3, nodes) voters.
func (c *Cluster) waitReplicated(ctx context.Context) error {
	return c.eventually(ctx, "every range has its replicas", func() error {
		ranges, err := c.ranges(ctx)
		if err != nil {
			return err
		}
		for _, r := range ranges {
			voters := 0
			for _, rep := range r.Desc.Replicas {
				if rep.Type != kvapi.Voter {
					return fmt.Errorf("changing: %s", &r.Desc)
				}
				voters++
			}
			if voters < min(3, len(c.nodes)) {
				return errors.New(r.Desc.String())
			}
		}
		return nil
	})
}

// eventually tries f until it succeeds or ctx ends.
func (c *Cluster) eventually(ctx context.Context, what string, f func() error) error {
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s: not in time: %w", what, err)
		}
		if b := c.Broken(); b != nil {
			return b
		}
	}
}

// ranges returns the newest report of each range, of any node that is up.
func (c *Cluster) ranges(context.Context) (map[kvapi.RangeID]store.RangeReport, error) {
	out := map[kvapi.RangeID]store.RangeReport{}
	for _, n := range c.nodes {
		core := n.Core()
		if core == nil {
			continue
		}
		for _, r := range core.Store.RangeInfos() {
			if old, ok := out[r.Desc.RangeID]; r.Desc.IsInitialized() && (!ok || old.Desc.Generation < r.Desc.Generation) {
				out[r.Desc.RangeID] = r
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no node is up")
	}
	return out, nil
}

// exchange is gossip by address, while a node knows nobody.
func (c *Cluster) exchange(from *Node) func(context.Context, string, *rpcpb.GossipMessage) (*rpcpb.GossipMessage, error) {
	return func(_ context.Context, addr string, m *rpcpb.GossipMessage) (*rpcpb.GossipMessage, error) {
		for _, n := range c.nodes {
			if core := n.Core(); n != from && n.address() == addr && core != nil && from.ticking() && n.ticking() {
				return core.Gossip.Answer(m)
			}
		}
		return nil, fmt.Errorf("%s does not answer", addr)
	}
}

func (c *Cluster) addresses() []string {
	var out []string
	for _, n := range c.nodes {
		out = append(out, n.address())
	}
	return out
}
