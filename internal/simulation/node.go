package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cairndb/cairn/gossip"
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/node"
	"github.com/cairndb/cairn/internal/rpc"
	"github.com/cairndb/cairn/internal/rpc/memnet"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/kv/storage/storagetest"
	"github.com/cairndb/cairn/kv/store"
	"github.com/cairndb/cairn/txn"
)

// Node is a place where a process runs, crashes, and is started again on what
// the crash left of its disk.
type Node struct {
	c           *Cluster
	id          kvapi.NodeID
	fs          storagetest.CrashFS
	skew        *hlc.SkewedClock
	incarnation gossip.Incarnation

	// turn is held while the node starts or crashes; a channel, because time
	// stands still while somebody waits for a mutex.
	turn   chan struct{}
	core   *node.Core
	engine *storage.Engine

	mu struct {
		sync.Mutex
		life *life
		// pausedUntil is when a pause ends.
		pausedUntil time.Time
		stalled     time.Duration
		// aim is where the clock is being turned to, by the latest who wants it.
		aim time.Duration
	}
	diskMu sync.Mutex
	disk   *rand.Rand
}

// life is the time from a start to the next crash.
type life struct {
	core *node.Core
	// ctx ends with it; clients hang on to it.
	ctx     context.Context
	cancel  context.CancelFunc
	clients sync.WaitGroup
	ticker  sync.WaitGroup
}

var clusterID = kvapi.ClusterID{0xca, 0x17}

func (n *Node) address() string { return fmt.Sprintf("node%d:7433", n.id) }

// String prints the node's id.
func (n *Node) String() string { return n.id.String() }

// create makes the node's store: the first node's is the cluster's first.
func (n *Node) create() error {
	eng, err := n.openEngine()
	if err != nil {
		return err
	}
	ident := store.Ident{ClusterID: clusterID, NodeID: n.id}
	if n.id == 1 {
		err = store.Bootstrap(eng, hlc.NewClock(n.skew, maxOffset), ident)
	} else {
		err = store.WriteIdent(eng, ident)
	}
	if err != nil {
		return err
	}
	return eng.Close()
}

func (n *Node) openEngine() (*storage.Engine, error) {
	return storage.Open(storage.Options{
		FS: n.fs, Dir: "store",
		CacheBytes: 8 << 20, MemTableBytes: 256 << 10, MaxOpenFiles: 100, OnFatal: n.onFatal(nil),
	})
}

// syncTime draws how long the disk takes.
func (n *Node) syncTime() time.Duration {
	n.diskMu.Lock()
	defer n.diskMu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.stalled + 200*time.Microsecond + time.Duration(n.disk.Int64N(int64(time.Millisecond)))
}

// onFatal is what ends a node by itself; nothing here may.
func (n *Node) onFatal(l *life) func(error) {
	return func(err error) {
		if l == nil || l.ctx.Err() == nil {
			n.c.fail(fmt.Errorf("%s stopped itself: %w", n.id, err))
		}
	}
}

// Start starts the process.
func (n *Node) Start(ctx context.Context) error {
	n.turn <- struct{}{}
	defer func() { <-n.turn }()
	if n.Core() != nil {
		return nil
	}
	eng, err := n.openEngine()
	if err != nil {
		return fmt.Errorf("%s: %w", n.id, err)
	}
	l := &life{}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	n.engine, n.incarnation = eng, n.incarnation+1
	clock := hlc.NewClock(n.skew, maxOffset)
	knobs := n.c.knobs
	knobs.LogSyncTime = n.syncTime
	core, err := node.NewCore(ctx, node.CoreConfig{
		Engine: eng, Clock: clock, Wall: n.skew, Incarnation: n.incarnation,
		Transport: func(mux *rpc.Mux, _ *gossip.Gossip, _ *hlc.OffsetMonitor) rpc.Transport {
			return n.c.net.Attach(n.id, clock, mux)
		},
		Bootstrap: n.c.addresses(), Exchange: n.c.exchange(n),
		Describe:  func() gossip.NodeDescriptor { return gossip.NodeDescriptor{RPCAddress: n.address()} },
		DeadAfter: n.c.deadAfter, GCTTL: n.c.gcTTL, GCInterval: gcInterval, RangeBytesMax: n.c.rangeBytesMax,
		Leases: n.c.leases, CheckInterval: n.c.checkInterval, MergeAfter: n.c.mergeAfter, JoinRate: n.c.joinRate, Knobs: knobs, Log: n.c.log.With("node", n.id.String()), Fatal: n.onFatal(l),
	})
	if err != nil {
		l.cancel()
		return fmt.Errorf("%s: %w", n.id, err)
	}
	l.core, n.core = core, core
	l.ticker.Go(func() { n.tick(l) })
	n.mu.Lock()
	n.mu.life = l
	n.mu.Unlock()
	return nil
}

// tick drives Raft's clock, which stands still while the node is paused.
func (n *Node) tick(l *life) {
	t := time.NewTicker(store.DefaultTickInterval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if n.ticking() {
				l.core.Store.Tick()
			}
		case <-l.ctx.Done():
			return
		}
	}
}

// Crash ends the process as a power cut does: of what was not synced a share
// of 0, 50 or 100 percent is left.
func (n *Node) Crash() {
	n.turn <- struct{}{}
	defer func() { <-n.turn }()
	n.tearDown(n.cutPower())
}

// cutPower takes no time, real or virtual, so that several nodes may lose power
// at once. Order matters: what the node said before its network went is durable
// as far as it promised; what it says later nobody hears. turn is held.
func (n *Node) cutPower() (ended *life, disk storagetest.CrashFS) {
	n.mu.Lock()
	l := n.mu.life
	n.mu.life = nil
	n.mu.Unlock()
	if l == nil {
		return nil, n.fs
	}
	l.cancel()
	// Not by its links: another fault that ends meanwhile would mend them.
	n.c.net.PowerOff(n.id)
	keep := []int{0, 50, 100}[n.c.crashes.IntN(3)]
	return l, n.fs.Crash(keep, n.c.crashes)
}

// tearDown ends what is left of a process without power. turn is held.
func (n *Node) tearDown(l *life, disk storagetest.CrashFS) {
	if l == nil {
		return
	}
	n.StallDisk(0)
	l.core.Crash()
	l.clients.Wait()
	l.ticker.Wait()
	if err := n.engine.Close(); err != nil {
		n.c.fail(fmt.Errorf("%s: close after crash: %w", n.id, err))
	}
	n.fs, n.core, n.engine = disk, nil, nil
}

// setLinks sets the faults of all links of the node, both ways.
func (n *Node) setLinks(f memnet.Faults) {
	for _, o := range n.c.nodes {
		if o != n {
			n.c.net.SetLink(n.id, o.id, f)
			n.c.net.SetLink(o.id, n.id, f)
		}
	}
}

// Core returns the running process, nil if there is none.
func (n *Node) Core() *node.Core {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.life == nil {
		return nil
	}
	return n.mu.life.core
}

func (n *Node) pausedUntil() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.pausedUntil
}

func (n *Node) ticking() bool { return !time.Now().Before(n.pausedUntil()) }

// Pause stops the process for a while: no ticks, no new requests of clients,
// and its messages, both ways, are held back until the end.
func (n *Node) Pause(d time.Duration) {
	until := time.Now().Add(d)
	n.mu.Lock()
	n.mu.pausedUntil = until
	n.mu.Unlock()
	held := normalLink()
	held.HeldUntil = until
	n.setLinks(held)
}

// StallDisk makes every sync take so much longer.
func (n *Node) StallDisk(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.stalled = d
}

func (n *Node) setAim(offset time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.aim = offset
}

func (n *Node) aim() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.aim
}

// Session is a client's connection to a node; it implements workload.Gateway.
type Session struct {
	n *Node
	l *life
}

// Connect waits until the node runs and is not paused.
func (n *Node) Connect(ctx context.Context) (*Session, error) {
	for {
		n.mu.Lock()
		l, paused := n.mu.life, time.Until(n.mu.pausedUntil)
		if l != nil && paused <= 0 {
			l.clients.Add(1)
		}
		n.mu.Unlock()
		if l != nil && paused <= 0 {
			return &Session{n, l}, nil
		}
		select {
		case <-time.After(max(paused, 100*time.Millisecond)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close ends the connection.
func (s *Session) Close() { s.l.clients.Done() }

// Context ends with ctx or the node's process.
func (s *Session) Context(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.l.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// DB implements workload.Gateway.
func (s *Session) DB() *txn.DB { return s.l.core.DB }

// Where implements workload.Gateway.
func (s *Session) Where() string {
	return fmt.Sprintf("%s %8s", s.n.id, s.n.c.Elapsed().Round(time.Millisecond))
}

// Crashed implements workload.Gateway.
func (s *Session) Crashed() bool { return s.l.ctx.Err() != nil }
