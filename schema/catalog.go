package schema

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Config is what a Catalog is made of.
type Config struct {
	Store  Store
	Clock  *hlc.Clock
	NodeID kvapi.NodeID
	// Peers reaches the catalogs of other nodes; nil if there are none.
	Peers Peers
	// Logger gets rare warnings; nil discards them.
	Logger *slog.Logger
	// MayStartRange reports whether a new table may start a range of its own; nil
	// lets all.
	MayStartRange func() bool
}

// Peers reaches the other nodes' catalogs; internal/node fills it in.
type Peers interface {
	// Drain runs Catalog.Drain on a node and returns its error, or why the
	// node could not be reached.
	Drain(ctx context.Context, node kvapi.NodeID, req DrainRequest) error
}

// Catalog is a node's view of the catalog: a cached snapshot, its renewal, and
// the node's part in publishing changes (doc.go). All methods are safe for
// concurrent use.
type Catalog struct {
	cfg   Config
	store Store
	clock *hlc.Clock
	log   *slog.Logger

	snap atomic.Pointer[Snapshot]
	// wantVersion is the newest version this node has heard of: an older
	// snapshot is not handed to new statements.
	wantVersion atomic.Uint64
	// touched says that the snapshot was used since the last renewal.
	touched atomic.Bool
	// newTables are to get ranges of their own (ranges.go).
	newTables chan DescID
	// refreshing is held by the one refresh that runs; started counts them.
	refreshing chan struct{}
	started    atomic.Uint64

	// mu guards retired; nothing is locked under it.
	mu struct {
		sync.Mutex
		// retired are the users of versions that are no longer current.
		retired map[DescID][]*use
	}
	ids       idAllocator
	sequences sequenceCache
}

// NewCatalog returns a node's catalog. It reads nothing before it is asked.
func NewCatalog(cfg Config) *Catalog {
	c := &Catalog{cfg: cfg, store: cfg.Store, clock: cfg.Clock, log: cfg.Logger,
		refreshing: make(chan struct{}, 1), newTables: make(chan DescID, newTablesMax)}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.mu.retired = map[DescID][]*use{}
	c.ids.turn = newTurn()
	c.sequences.blocks = map[DescID]*sequenceBlock{}
	return c
}

// Run renews the snapshot while it is in use and clears dropped data, until
// ctx ends. It returns ctx's error.
func (c *Catalog) Run(ctx context.Context) error {
	renew := time.NewTicker(LeaseDuration / 4)
	defer renew.Stop()
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-renew.C:
			c.maybeRenew(ctx)
		case <-sweep.C:
			if err := c.SweepDropped(ctx); err != nil && ctx.Err() == nil {
				c.log.Warn("clearing dropped data", "err", err)
			}
		}
	}
}

// maybeRenew refreshes a snapshot that was used since the last renewal.
func (c *Catalog) maybeRenew(ctx context.Context) {
	if !c.touched.Swap(false) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, LeaseDuration)
	defer cancel()
	if _, err := c.Refresh(ctx); err != nil && ctx.Err() == nil {
		c.log.Warn("renewing the catalog", "err", err)
	}
}

// Snapshot returns a snapshot with some time to live, from memory if it can.
func (c *Catalog) Snapshot(ctx context.Context) (*Snapshot, error) {
	if !c.touched.Load() {
		c.touched.Store(true)
	}
	if s := c.snap.Load(); s != nil && c.isFresh(s) {
		return s, nil
	}
	return c.Refresh(ctx)
}

func (c *Catalog) isFresh(s *Snapshot) bool {
	return uint64(s.Version) >= c.wantVersion.Load() &&
		s.Expires.WallTime-c.clock.PhysicalNow() > int64(leaseReserve)
}

// Refresh reads the catalog anew. Concurrent calls share one reading, but
// never one that had begun before the call.
func (c *Catalog) Refresh(ctx context.Context) (*Snapshot, error) {
	begun := c.started.Load()
	select {
	case c.refreshing <- struct{}{}:
		defer func() { <-c.refreshing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s := c.snap.Load(); s != nil && s.reading > begun {
		return s, nil
	}
	return c.refreshLocked(ctx)
}

// refreshLocked runs while refreshing is held.
func (c *Catalog) refreshLocked(ctx context.Context) (*Snapshot, error) {
	n := c.started.Add(1)
	old := c.snap.Load()
	var r reading
	var at hlc.Timestamp
	err := c.store.Run(ctx, "catalog read", func(ctx context.Context, t Txn) (err error) {
		r, err = readCatalog(ctx, t, c.cfg.NodeID, old)
		at = t.ReadTimestamp()
		return err
	})
	if err != nil {
		return nil, err
	}
	if r.contents != nil {
		r.contents.setSince(at)
	}
	s := &Snapshot{Version: r.version, ReadAt: at, Expires: at.AddNanos(int64(LeaseDuration)),
		Contents: r.contents, reading: n}
	if s.Contents == nil {
		s.Contents = old.Contents
	}
	c.install(old, s)
	return s, nil
}

// setSince dates the versions that are new.
func (c *Contents) setSince(at hlc.Timestamp) {
	for _, e := range c.objects {
		if e.since.IsEmpty() {
			e.since = at
		}
	}
}

// install makes s current and retires the versions that are not in it.
func (c *Catalog) install(old, s *Snapshot) {
	c.snap.Store(s)
	if old == nil || old.Contents == s.Contents {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, e := range old.objects {
		if s.objects[id] != e {
			e.use.retire()
			c.mu.retired[id] = append(running(c.mu.retired[id]), e.use)
		}
	}
	close(old.replaced)
}

// running leaves out the uses that have ended.
func running(us []*use) []*use {
	out := us[:0]
	for _, u := range us {
		if u.n.Load() > 0 {
			out = append(out, u)
		}
	}
	return out
}

// VersionSpan is where the catalog's version is: whoever watches it learns of each
// change when it commits, and passes it to OnVersion.
func VersionSpan() kvapi.Span { return kvapi.Span{Key: versionKey, EndKey: versionKey.Next()} }

// OnVersion takes a value of the catalog's version: the catalog is read anew
// before the next statement uses it.
func (c *Catalog) OnVersion(value []byte) error {
	v, err := decodeVersion(value)
	if err == nil {
		c.hear(v)
	}
	return err
}

// Heard returns the newest version this node has heard of.
func (c *Catalog) Heard() CatalogVersion { return CatalogVersion(c.wantVersion.Load()) }

// hear raises the version that new statements must see.
func (c *Catalog) hear(v CatalogVersion) {
	for {
		w := c.wantVersion.Load()
		if uint64(v) <= w || c.wantVersion.CompareAndSwap(w, uint64(v)) {
			return
		}
	}
}
