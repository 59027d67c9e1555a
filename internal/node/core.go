package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/gossip"
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/rpc"
	"github.com/cairndb/cairn/internal/rpc/rpcpb"
	"github.com/cairndb/cairn/internal/version"
	"github.com/cairndb/cairn/internal/workers"
	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/kv/intents"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/kv/store"
	"github.com/cairndb/cairn/rangecache"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql"
	"github.com/cairndb/cairn/sql/pushdown"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/txn"
)

// CoreConfig is what a Core is made of.
type CoreConfig struct {
	Engine *storage.Engine
	Clock  *hlc.Clock
	// Wall is the clock's source; it is watched for jumps.
	Wall        hlc.WallClock
	Incarnation gossip.Incarnation
	// Transport makes the transport once the handlers are in place; it may
	// use gossip to resolve addresses.
	Transport func(mux *rpc.Mux, g *gossip.Gossip, offsets *hlc.OffsetMonitor) rpc.Transport
	// Bootstrap and Exchange are for gossip while no peer is known.
	Bootstrap []string
	Exchange  func(ctx context.Context, addr string, m *rpcpb.GossipMessage) (*rpcpb.GossipMessage, error)
	// Describe returns addresses and version; the Core adds the rest.
	Describe func() gossip.NodeDescriptor
	// OnCancel handles a cancel request for a session of this node.
	OnCancel func(payload []byte)
	// ReplicationFactor of every range; 0 means 3.
	ReplicationFactor int
	// RangeBytesMax is the size beyond which a range splits; 0 means
	// store.RangeBytesMaxDefault.
	RangeBytesMax int64
	// Leases and Support: see store.Config.
	Leases  store.LeaseMode
	Support time.Duration
	// DeadAfter is how long a node may be silent before its replicas are made
	// anew; 0 means allocator.DeadAfterDefault.
	DeadAfter time.Duration
	// Versions are those in which the node says that it works; none is this build's.
	Versions version.Range
	// OnDecommissioned is called, once, when this node has left the cluster.
	OnDecommissioned func()
	// GCTTL is how long old versions of tables that do not say so are kept, 0
	// for gc.DefaultTTL; GCInterval how often they are looked for.
	GCTTL, GCInterval time.Duration
	// CheckInterval is how often the replicas of a range are compared; 0 means
	// store.CheckIntervalDefault.
	CheckInterval time.Duration
	// JoinRate is how many commits across a boundary have two ranges merged: see
	// store.Config.JoinRate.
	JoinRate float64
	// MergeAfter is how long small neighbours must have been quiet to be merged: see
	// store.Config.
	MergeAfter time.Duration
	Knobs      store.TestingKnobs
	// TempDir and SQLMemoryBytes: see sql.Config.
	TempDir        string
	SQLMemoryBytes int64
	TxnKnobs       txn.TestingKnobs
	SenderKnobs    rangecache.TestingKnobs
	Log            *slog.Logger
	// Fatal ends the node before it can answer wrongly.
	Fatal func(error)
}

// Core is a node without sockets. Create it with NewCore, end it with Stop.
type Core struct {
	cfg       CoreConfig
	Ident     store.Ident
	Clock     *hlc.Clock
	Offsets   *hlc.OffsetMonitor
	Gossip    *gossip.Gossip
	Transport lateTransport
	Store     *store.Store
	Sender    *rangecache.Sender
	DB        *txn.DB
	Intents   *intents.Resolver
	Catalog   *schema.Catalog

	members   *members
	versions  *versions
	workers   *workers.Pool
	bound     *hlc.Bound
	snapshots *snapshotReceiver
	ctx       context.Context
	cancel    context.CancelFunc
	wg        sync.WaitGroup
	// stopBound ends the raising of the clock's bound, boundWG waits for that: it
	// outlives all else, for who wants a timestamp may wait for it.
	stopBound context.CancelFunc
	boundWG   sync.WaitGroup
	stopOnce  sync.Once
	draining  sync.Once
	drained   chan struct{}
	// sql is nil until SQL clients are served.
	sql atomic.Pointer[sql.Server]
}

// NewCore brings a node up on an engine that has an identity.
func NewCore(ctx context.Context, cfg CoreConfig) (*Core, error) {
	ident, err := store.ReadIdent(cfg.Engine)
	if err != nil {
		return nil, fmt.Errorf("read the store's identity: %w", err)
	}
	c := &Core{cfg: cfg, Ident: ident, Clock: cfg.Clock, Offsets: hlc.NewOffsetMonitor(cfg.Clock.MaxOffset()), drained: make(chan struct{}),
		workers: workers.New(idleWorkersMax), members: &members{}}
	if c.versions, err = newVersions(cfg.Engine, cfg.Versions); err != nil {
		return nil, err
	}
	c.cfg.DeadAfter = cmp.Or(c.cfg.DeadAfter, allocator.DeadAfterDefault)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if c.bound, err = hlc.StartBound(ctx, cfg.Clock, boundStore{cfg.Engine}); err != nil {
		return nil, err
	}
	c.raiseBound()
	mux := &rpc.Mux{}
	c.startGossip(mux)
	if err := c.startStore(ctx, mux); err != nil {
		c.cancel()
		c.Transport.Close()
		c.workers.Close()
		c.endBound()
		return nil, err
	}
	c.background()
	return c, nil
}

func (c *Core) startGossip(mux *rpc.Mux) {
	c.Gossip = gossip.New(gossip.Config{
		Self: c.Ident.NodeID, ClusterID: c.Ident.ClusterID, Incarnation: c.cfg.Incarnation,
		Method: methodGossip, Bootstrap: c.cfg.Bootstrap, Exchange: c.cfg.Exchange,
		Describe: c.describe, Log: c.cfg.Log,
	})
	if b, ok, err := storage.GetUnversioned(c.cfg.Engine, keys.StoreGossip); err == nil && ok {
		if err := c.Gossip.Remember(b); err != nil {
			c.cfg.Log.Warn("what was known of other nodes cannot be read", "err", err)
		}
	}
	mux.HandleCall(methodGossip, c.Gossip.Handle)
	c.Gossip.SetTransport(&c.Transport)
}

// startStore makes everything from the store to the catalog. They know each
// other in a circle (the store pushes transactions through the sender, the
// sender sends to the store), which the small adapters close.
func (c *Core) startStore(ctx context.Context, mux *rpc.Mux) error {
	local := &lateSender{}
	batches := &kvTransport{self: c.Ident.NodeID, local: local, net: &c.Transport}
	c.Sender = rangecache.NewSender(rangecache.Config{
		NodeID: c.Ident.NodeID, Clock: c.Clock, FirstRange: firstRange{c}, Transport: batches,
		Alive: c.Gossip.Live, Go: c.workers.Go, Knobs: c.cfg.SenderKnobs,
		FollowerReadLag: store.FollowerReadLag, Distance: (&distances{c: c}).to,
	})
	c.Intents = intents.New(intents.Config{Sender: c.Sender, Clock: c.Clock, NodeID: c.Ident.NodeID, Go: c.workers.Go})
	c.DB = txn.NewDB(txn.Config{Sender: c.Sender, Clock: c.Clock, NodeID: c.Ident.NodeID,
		Recoverer: c.Intents, Logger: c.cfg.Log, Go: c.workers.Go, Knobs: c.cfg.TxnKnobs})
	s, err := store.Open(ctx, store.Config{
		Engine: c.cfg.Engine, Clock: c.Clock, Transport: &raftTransport{net: &c.Transport},
		Txns: &txnRunner{c.DB}, Sender: c.Sender, Peers: batches, Nodes: c.liveNodes(), Log: c.cfg.Log,
		Fatal: c.cfg.Fatal, OnLease: c.onLease, OnSpace: func(storage.SpaceReport) { c.Gossip.Announce() }, ReplicationFactor: c.cfg.ReplicationFactor,
		RangeBytesMax: c.cfg.RangeBytesMax, RowStart: tablekv.RowStart, KeepBoundary: c.keepBoundary,
		Leases: c.cfg.Leases, Support: c.cfg.Support, Knobs: c.cfg.Knobs, Programs: &pushdown.Programs{},
		GCPolicy: &gcPolicy{c: c}, Placement: &placementPolicy{c: c}, GCInterval: c.cfg.GCInterval, CheckInterval: c.cfg.CheckInterval, MergeAfter: c.cfg.MergeAfter,
		JoinRate: c.cfg.JoinRate,
	})
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	c.Store = s
	local.set(s)
	c.snapshots = newSnapshotReceiver(s)
	c.Catalog = schema.NewCatalog(schema.Config{Store: schema.NewStore(c.DB), Clock: c.Clock,
		NodeID: c.Ident.NodeID, Peers: drainPeers{&c.Transport}, Logger: c.cfg.Log,
		MayStartRange: func() bool { return c.Store.RangeCount() < tableRangesMax }})
	c.handle(mux)
	c.handlePeers(mux)
	c.Transport.set(c.cfg.Transport(mux, c.Gossip, c.Offsets)) // I4
	s.Start()
	c.tellFirstRange()
	c.replicateToNewNodes()
	return nil
}

// keepBoundary reports whether a key is the start or the end of a table that asks
// for something that would count for whatever else is in its range
// (store.Config.KeepBoundary). When in doubt it is.
func (c *Core) keepBoundary(ctx context.Context, k kvapi.Key) bool {
	id, ok := tablekv.TableOf(k)
	if !ok || !k.Equal(keys.Table(uint32(id))) {
		return false
	}
	snap, err := c.Catalog.Snapshot(ctx)
	if err != nil {
		return true
	}
	before, t := snap.Table(id-1), snap.Table(id)
	return t != nil && snap.KeepsApart(t) || before != nil && snap.KeepsApart(before)
}

// replicateToNewNodes makes the store look for missing replicas as soon as a
// node is heard of for the first time.
func (c *Core) replicateToNewNodes() {
	var mu sync.Mutex
	known := map[kvapi.NodeID]bool{}
	c.Gossip.OnChange(gossip.KeyNode, func(i gossip.Info) {
		mu.Lock()
		defer mu.Unlock()
		if !known[i.Owner] {
			known[i.Owner] = true
			c.Store.KickReplicate()
		}
	})
}

// handle registers what other nodes may ask.
func (c *Core) handle(mux *rpc.Mux) {
	mux.HandleCall(methodBatch, handleBatch(c.Store))
	mux.HandleSend(methodRaft, func(from kvapi.NodeID, payload []byte) {
		batch, err := decodeEnvelopes(payload)
		if err != nil {
			c.cfg.Log.Warn("malformed Raft messages", "from", from, "err", err)
			return
		}
		c.Store.HandleRaft(batch)
	})
	mux.HandleSend(methodLiveness, func(from kvapi.NodeID, payload []byte) {
		var m store.LivenessMessage
		if err := m.UnmarshalWire(payload); err != nil {
			c.cfg.Log.Warn("malformed message of store liveness", "from", from, "err", err)
			return
		}
		c.Store.HandleLiveness(from, m)
	})
	mux.HandleCall(methodSnapshot, c.snapshots.handle)
	mux.HandleCall(methodDrain, func(ctx context.Context, _ kvapi.NodeID, payload []byte) (rpc.Appender, error) {
		var req schema.DrainRequest
		if err := req.UnmarshalWire(payload); err != nil {
			return nil, err
		}
		return nil, c.Catalog.Drain(ctx, req)
	})
	mux.HandleCall(methodAreYouThere, func(context.Context, kvapi.NodeID, []byte) (rpc.Appender, error) { return nil, nil })
	mux.HandleSend(methodCancel, func(_ kvapi.NodeID, payload []byte) {
		if c.cfg.OnCancel != nil {
			c.cfg.OnCancel(payload)
		}
	})
}

// tend intervals.
const (
	offsetCheckInterval = 5 * time.Second
	tendInterval        = gossip.HeartbeatInterval
	// idleWorkersMax keeps goroutines for the parts of batches and for
	// clean-up, some 20 KB of stack each.
	idleWorkersMax = 64
	// tableRangesMax is with how many ranges on the node that makes them new tables
	// do not start one any more: what idle ranges cost has been measured up to so
	// many (docs/benchmarks.md).
	tableRangesMax = 5000
)

// background starts what runs for as long as the node does.
func (c *Core) background() {
	c.wg.Go(func() { c.Gossip.Run(c.ctx) })
	c.wg.Go(func() { _ = c.Catalog.Run(c.ctx) })
	c.wg.Go(func() { _ = c.Catalog.RunRanges(c.ctx) })
	c.wg.Go(func() {
		c.fatalUnlessStopping(c.bound.WatchJumps(c.ctx), "clock")
	})
	c.wg.Go(c.tend)
	c.watchSystem()
	c.wg.Go(c.tendMembers)
	c.wg.Go(c.tendVersions)
}

// raiseBound raises the clock's bound until endBound. Where that fails nobody gets a
// timestamp any more, so the node ends, even if it was about to.
func (c *Core) raiseBound() {
	ctx, stop := context.WithCancel(context.Background())
	c.stopBound = stop
	c.boundWG.Go(func() {
		if err := c.bound.Run(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Fatal(fmt.Errorf("clock bound: %w", err))
		}
	})
}

func (c *Core) endBound() {
	c.stopBound()
	c.boundWG.Wait()
}

func (c *Core) fatalUnlessStopping(err error, what string) {
	if err != nil && c.ctx.Err() == nil {
		c.cfg.Fatal(fmt.Errorf("%s: %w", what, err))
	}
}

// tend does what is done now and then: judging the clock, telling where the
// first range is, remembering peers for the next start.
func (c *Core) tend() {
	offsets, tell := time.NewTicker(offsetCheckInterval), time.NewTicker(tendInterval)
	defer offsets.Stop()
	defer tell.Stop()
	remembered := ""
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-offsets.C:
			c.fatalUnlessStopping(c.Offsets.Check(), "clock")
		case <-tell.C:
			c.tellFirstRange()
			remembered = c.rememberPeers(remembered)
		}
	}
}

// rememberPeers writes what is known of other nodes, when addresses changed.
func (c *Core) rememberPeers(last string) string {
	sum := ""
	for _, n := range c.Gossip.Nodes() {
		sum += fmt.Sprint(n.NodeID, n.RPCAddress, ";")
	}
	if sum == last {
		return last
	}
	b, err := c.Gossip.Known()
	if err == nil {
		batch := c.cfg.Engine.NewBatch()
		defer batch.Close()
		if err = storage.PutUnversioned(batch, keys.StoreGossip, b); err == nil {
			err = c.cfg.Engine.Commit(batch, false)
		}
	}
	if err != nil {
		c.cfg.Log.Warn("cannot remember the other nodes", "err", err)
	}
	return sum
}

// onLease tells everybody where the first range's lease is.
func (c *Core) onLease(desc kvapi.RangeDescriptor, lease kvapi.Lease) {
	if desc.StartKey.Equal(keys.Min) && lease.Holder.NodeID == c.Ident.NodeID {
		c.gossipFirstRange(kvapi.RangeInfo{Desc: desc, Lease: lease})
	}
}

// tellFirstRange repeats what is known here of the first range, if that is
// newer than what gossip knows.
func (c *Core) tellFirstRange() {
	mine, ok := c.Store.FirstRange()
	if !ok {
		return
	}
	known, heard := c.Gossip.FirstRange()
	if !heard || mine.Desc.Generation > known.Desc.Generation ||
		(mine.Desc.Generation == known.Desc.Generation && mine.Lease.Sequence > known.Lease.Sequence) {
		c.gossipFirstRange(mine)
	}
}

func (c *Core) gossipFirstRange(info kvapi.RangeInfo) {
	c.Gossip.AddInfo(gossip.KeyFirstRange, info.AppendWire(nil), 0)
}

// describe is this node as gossip tells it.
func (c *Core) describe() gossip.NodeDescriptor {
	d := c.cfg.Describe()
	d.NodeID = c.Ident.NodeID
	if c.Store != nil {
		has := c.Store.Load()
		d.Capacity.Ranges, d.Capacity.Leases, d.Capacity.BatchesPerSecond = has.Ranges, has.Leases, int64(has.QPS)
	}
	if disk, err := c.cfg.Engine.Capacity(); err == nil {
		d.Capacity.DiskUsedBytes, d.Capacity.DiskAvailableBytes = disk.UsedBytes, disk.AvailBytes
	}
	d.Capacity.DiskFull = c.cfg.Engine.Space() != storage.SpacePlenty
	select {
	case <-c.drained:
		d.Draining = true
	default:
	}
	return d
}

// WaitReady returns when the catalog is there and can be read (I5).
func (c *Core) WaitReady(ctx context.Context) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := ensureCatalog(attempt, c.DB, c.versions.own.Latest)
		if err == nil {
			_, err = c.Catalog.Snapshot(attempt)
		}
		cancel()
		if err == nil {
			return nil
		}
		c.cfg.Log.Debug("not ready", "err", err)
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// Drain hands leases to other nodes and says so in gossip.
func (c *Core) Drain(ctx context.Context) error {
	c.draining.Do(func() {
		close(c.drained)
		c.Gossip.Announce()
	})
	return c.Store.Drain(ctx)
}

// Stop ends the node. The engine stays open; it belongs to the caller.
func (c *Core) Stop(ctx context.Context) {
	c.stopOnce.Do(func() {
		_ = c.DB.Close(ctx)
		c.Intents.Close()
		c.cancel()
		c.snapshots.close()
		c.Store.Stop()
		c.Transport.Close()
		c.workers.Close()
		c.wg.Wait()
		c.endBound()
		if err := c.bound.Release(); err != nil {
			c.cfg.Log.Warn("the clock's bound was not released", "err", err)
		}
		c.unbindClock()
	})
}

// unbindClock is for what still wants a timestamp when nobody raises the bound any
// more, such as a look-up of a range that nobody waits for: it gets one that nobody
// will see, rather than wait for ever.
func (c *Core) unbindClock() {
	c.fatalUnlessStopping(c.Clock.SetBound(math.MaxInt64), "clock bound")
}

// Crash ends the node as a power cut does: nothing is handed over, nothing is
// written any more that was not being written.
func (c *Core) Crash() {
	c.stopOnce.Do(func() {
		c.cancel()
		c.endBound()
		c.unbindClock()
		c.Transport.Close()
		c.snapshots.close()
		c.Store.Stop()
		c.Intents.Close()
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		_ = c.DB.Close(gone)
		c.workers.Close()
		c.wg.Wait()
	})
}
