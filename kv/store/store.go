package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/closedts"
	"github.com/cairndb/cairn/kv/concurrency/tscache"
	"github.com/cairndb/cairn/kv/concurrency/txncache"
	"github.com/cairndb/cairn/kv/gc"
	"github.com/cairndb/cairn/kv/intents"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/liveness"
	"github.com/cairndb/cairn/kv/raftlog"
	"github.com/cairndb/cairn/kv/scheduler"
	"github.com/cairndb/cairn/kv/snapshot"
	"github.com/cairndb/cairn/kv/storage"
)

// Store is all of a node's replicas. Open loads it, Start lets it run.
type Store struct {
	cfg   Config
	ident Ident
	// startedAt proscribes leases of earlier processes (package lease).
	startedAt hlc.ClockTimestamp

	replicas  *replicaSet
	sched     *scheduler.Scheduler
	logCache  *raftlog.Cache
	logWriter *raftlog.Writer
	later     later
	tscache   *tscache.Cache
	txns      *txncache.Cache
	lastPeers atomic.Pointer[peerList]
	resolver  *intents.Resolver
	splits    *splitQueue
	metrics   Metrics
	live      *liveness.Driver
	// awake are the ranges that are ticked.
	awake struct {
		sync.Mutex
		ids map[kvapi.RangeID]struct{}
	}
	// recent is what the replicate queue did lately, blocked what it could not
	// do (cluster_view.go).
	recent  recentActions
	blocked blocked
	// full holds the nodes whose disks take no new data; nil for none.
	full atomic.Pointer[fullNodes]
	// handingOver says that ranges are being handed over for want of space.
	handingOver atomic.Bool
	// protected is protectedAsOf; nil for none.
	protected atomic.Pointer[hlc.Timestamp]

	// scans counts the looks of the replicate queue; condition is how the nodes were
	// at its last.
	scans     atomic.Int64
	condition atomic.Pointer[string]

	// asked are the replicas that were sent batches lately, leaders those that lead
	// and that no crowd closes timestamps for (closed.go), frozen those that are
	// frozen for a merge, fed those with feeds.
	asked, leaders, frozen, fed few
	// leads is how many lead.
	leads atomic.Int64

	checks checks
	// closedIn is what other nodes have closed, closedMissed who has missed what
	// this one has (closed.go).
	closedIn     closedts.Inbound
	closedMissed missed

	// createMu is held by whoever makes a replica or a split's right side, so
	// that the two do not make one range's replica at a time. It is taken after
	// the raftMu of the range that splits.
	createMu sync.Mutex

	snapshotsOut atomic.Int32
	snapshotSeq  atomic.Int64
	snapshotIn   *snapshot.Limiter
	snapshotPace *snapshot.Limiter

	// commandSeq is where the next command id comes from: random at the start,
	// so that ids of two processes do not meet.
	commandSeq atomic.Uint64

	ctx        context.Context
	cancel     context.CancelFunc
	stopping   chan struct{}
	stopOnce   sync.Once
	fatalOnce  sync.Once
	kick       chan struct{}
	background sync.WaitGroup
	sends      gate
}

// ErrNotBootstrapped says that the engine holds no store yet.
var ErrNotBootstrapped = errors.New("store: the engine has no identity yet")

// ReadIdent returns whose store an engine holds, or ErrNotBootstrapped.
func ReadIdent(eng *storage.Engine) (Ident, error) {
	var id Ident
	ok, err := loadRecord(eng, keys.StoreIdent, &id)
	if err == nil && !ok {
		err = ErrNotBootstrapped
	}
	return id, err
}

// WriteIdent gives a new engine its identity, durably. It is given once.
func WriteIdent(eng *storage.Engine, id Ident) error {
	switch old, err := ReadIdent(eng); {
	case err == nil:
		return fmt.Errorf("store: the engine belongs to %s of cluster %s already", old.NodeID, old.ClusterID)
	case !errors.Is(err, ErrNotBootstrapped):
		return err
	}
	b := eng.NewBatch()
	defer b.Close()
	if err := storage.PutUnversioned(b, keys.StoreIdent, id.AppendWire(nil)); err != nil {
		return err
	}
	return eng.Commit(b, true)
}

// Open loads the store of an engine that has an identity. Nothing runs until
// Start.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	ident, err := ReadIdent(cfg.Engine)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, ident: ident, replicas: newReplicaSet(), splits: newSplitQueue(), stopping: make(chan struct{}),
		later: later{kick: make(chan struct{}, 1)},
		kick:  make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.setDefaults()
	s.startedAt = s.cfg.Clock.Now()
	s.commandSeq.Store(rand.Uint64())
	s.logCache = raftlog.NewCache(0)
	s.tscache = tscache.New(s.cfg.Clock, s.startedAt.Timestamp())
	s.txns = txncache.New()
	if cfg.Sender != nil {
		s.resolver = intents.New(intents.Config{Sender: untilStop{s}, Clock: cfg.Clock, NodeID: ident.NodeID})
	}
	s.snapshotIn = snapshot.NewLimiter(snapshot.RateDefault, snapshot.ReceivingMax)
	s.snapshotPace = snapshot.NewLimiter(snapshot.RateDefault, snapshot.SendingMax)
	s.checks.init()
	s.sched = scheduler.New(processor{s}, scheduler.Options{})
	s.logWriter = raftlog.NewWriter(cfg.Engine, raftlog.Options{Fatal: s.fatal,
		Knobs: raftlog.Knobs{UnsafeAckBeforeSync: cfg.Knobs.AckBeforeSync, SyncTime: cfg.Knobs.LogSyncTime}})
	s.awake.ids = map[kvapi.RangeID]struct{}{}
	err = s.openLiveness()
	if err == nil {
		err = s.load()
	}
	if err != nil {
		s.logWriter.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Store) setDefaults() {
	c := &s.cfg
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.TickInterval == 0 {
		c.TickInterval = DefaultTickInterval
	}
	if c.ReplicationFactor == 0 {
		c.ReplicationFactor = 3
	}
	if c.LoadSplitRate == 0 {
		c.LoadSplitRate = LoadSplitRateDefault
	}
	if c.RangeBytesMax == 0 {
		c.RangeBytesMax = RangeBytesMaxDefault
	}
	if c.MergeAfter == 0 {
		c.MergeAfter = MergeAfterDefault
	}
	if c.JoinRate == 0 {
		c.JoinRate = JoinRateDefault
	}
	if c.GCTTL == 0 {
		c.GCTTL = gc.DefaultTTL
	}
	if c.GCInterval == 0 {
		c.GCInterval = gcInterval
	}
	if c.CheckInterval == 0 {
		c.CheckInterval = CheckIntervalDefault
	}
	if c.ClosedLag == 0 {
		c.ClosedLag = ClosedLagDefault
	}
	if c.ClosedInterval == 0 {
		c.ClosedInterval = ClosedIntervalDefault
	}
	if c.Fatal == nil {
		c.Fatal = func(err error) { panic(err) }
	}
}

// snapshotDir is where incoming snapshots are spilled.
func (s *Store) snapshotDir() string { return path.Join(s.cfg.Engine.Dir(), "incoming") }

// load makes the replicas that the engine knows of.
func (s *Store) load() error {
	if err := snapshot.CleanDir(s.cfg.Engine, s.snapshotDir()); err != nil {
		return err
	}
	ids, err := listReplicas(s.cfg.Engine)
	if err != nil {
		return err
	}
	for _, it := range ids {
		state, err := loadRangeState(s.cfg.Engine, it.rangeID)
		if err != nil {
			return err
		}
		r := newReplica(s, state, it.replicaID)
		var q quarantine
		if bad, err := loadRecord(s.cfg.Engine, keys.Quarantine(it.rangeID), &q); err != nil {
			return err
		} else if bad && q.ReplicaID == it.replicaID {
			r.mu.removed = true
			r.quarantined.Store(&q)
			s.cfg.Log.Error("a replica stays out of use", "range", r.rangeID, "replica", r.replicaID, "why", q.Why)
		} else if err := r.startGroup(); err != nil {
			return err
		}
		r.raftMu.promises.forgotten = true
		if state.freeze != nil {
			s.frozen.add(r)
		}
		s.replicas.add(r, state.desc.Span(), state.desc.IsInitialized())
	}
	return nil
}

// Start lets the store run: it takes part in Raft, ticks, and repairs.
func (s *Store) Start() {
	s.sched.Start()
	s.live.Start()
	for _, r := range s.replicas.all() {
		d := r.Desc()
		if _, ok := d.ReplicaByID(r.replicaID); d.IsInitialized() && !ok {
			// It had applied that it is removed, and the store stopped before it was.
			r.removeSoon.Store(uint64(d.NextReplicaID))
		}
		// Alone there is nobody to wait for.
		if len(d.Replicas) == 1 && d.Replicas[0].ReplicaID == r.replicaID {
			r.campaignSoon.Store(true)
		}
		s.enqueue(r.rangeID)
	}
	if !s.cfg.Knobs.DisableTicks {
		s.background.Go(s.tickLoop)
	}
	s.background.Go(s.spaceLoop)
	s.background.Go(s.laterLoop)
	if s.cfg.ClosedLag > 0 {
		s.background.Go(s.closedLoop)
	}
	if s.cfg.Txns != nil {
		s.background.Go(s.splitLoop)
		if s.cfg.MergeAfter > 0 && !s.cfg.Knobs.DisableMergeLoop {
			s.background.Go(s.mergeLoop)
		}
		if s.cfg.JoinRate > 0 && s.cfg.Sender != nil && s.cfg.Peers != nil {
			s.background.Go(s.joinLoop)
		}
	}
	if s.resolver != nil {
		s.background.Go(s.recordLoop)
	}
	if !s.cfg.Knobs.DisableGCLoop {
		s.background.Go(s.gcLoop)
	}
	if !s.cfg.Knobs.DisableCheckLoop && s.cfg.Txns != nil {
		s.background.Go(s.checkLoop)
	}
	if !s.cfg.Knobs.DisableReplicateLoop {
		s.background.Go(s.replicateLoop)
		s.background.Go(s.collectLoop)
		s.background.Go(s.followLoop)
	}
}

func (s *Store) tickLoop() {
	t := time.NewTicker(s.cfg.TickInterval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.Tick()
		case <-s.stopping:
			return
		}
	}
}

// Tick advances the Raft clock of every replica that is awake by one tick, and
// lets store liveness look at its clock.
func (s *Store) Tick() {
	s.live.Tick()
	s.awake.Lock()
	ids := make([]kvapi.RangeID, 0, len(s.awake.ids))
	for id := range s.awake.ids {
		ids = append(ids, id)
	}
	s.awake.Unlock()
	s.sched.EnqueueTicks(ids)
}

// Drain hands the leadership of every range to another replica, where there is
// one that is up to date, so that a stop costs nobody a wait. It returns when
// all are handed over, or ctx ends.
func (s *Store) Drain(ctx context.Context) error {
	for _, r := range s.replicas.all() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.transferAway(ctx, 0); err != nil && !errors.Is(err, errNobodyToTransferTo) {
			s.cfg.Log.Info("drain", "range", r.rangeID, "err", err)
		}
	}
	return nil
}

// Stop ends the store. What is in flight gets an ambiguous answer. The engine
// may be closed when it returns.
func (s *Store) Stop() {
	s.stopOnce.Do(func() {
		close(s.stopping)
		s.cancel()
		out := s.sends.close()
		s.sched.Stop()
		s.live.Stop()
		s.logWriter.Stop()
		for _, r := range s.replicas.all() {
			r.raftMu.Lock()
			r.retire()
			r.raftMu.Unlock()
		}
		<-out
		if s.resolver != nil {
			s.resolver.Close()
		}
		s.background.Wait()
	})
}

func (s *Store) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// fatal stops the node: state that may be wrong must answer nobody.
func (s *Store) fatal(err error) {
	s.fatalOnce.Do(func() {
		s.cfg.Log.Error("the store cannot go on", "err", err)
		s.cfg.Fatal(err)
	})
}

// enqueue asks for a turn of a range on a worker.
func (s *Store) enqueue(id kvapi.RangeID) { s.sched.EnqueueMessages(id) }

func (s *Store) nextCommandID() commandID {
	for {
		if id := s.commandSeq.Add(1); id != 0 {
			return commandID(id)
		}
	}
}

// Ident returns whose store this is.
func (s *Store) Ident() Ident { return s.ident }

// Metrics returns the store's counters.
func (s *Store) Metrics() *Metrics { return &s.metrics }

// LogStats returns the log writer's counters.
func (s *Store) LogStats() *raftlog.Stats { return &s.logWriter.Stats }

// Engine returns the store's engine.
func (s *Store) Engine() *storage.Engine { return s.cfg.Engine }

// untilStop sends for this store's own waiters (pushes, resolution) and gives up
// when the store stops: a stop would otherwise wait for other nodes.
type untilStop struct{ s *Store }

// Send implements kvapi.Sender.
func (u untilStop) Send(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(u.s.ctx, cancel)()
	return u.s.cfg.Sender.Send(ctx, ba)
}

// processor is the scheduler's view of the store.
type processor struct{ s *Store }

func (p processor) ProcessMessages(id kvapi.RangeID) bool {
	r := p.s.replicas.get(id)
	return r != nil && r.processMessages()
}

func (p processor) ProcessTick(id kvapi.RangeID) bool {
	r := p.s.replicas.get(id)
	return r != nil && r.processTick()
}

func (p processor) ProcessReady(id kvapi.RangeID) {
	if r := p.s.replicas.get(id); r != nil {
		r.processReady()
	}
}
