package schema

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// DrainRequest asks a node's catalog to move to a version of the catalog and
// to wait until no transaction uses older versions of some descriptors.
type DrainRequest struct {
	Version CatalogVersion `wire:"1"`
	IDs     []DescID       `wire:"2"`
}

// Drain is the node's part in publishing: it answers when every transaction
// of this node that used one of the descriptors in a version older than the
// request's has ended. ctx bounds the wait.
func (c *Catalog) Drain(ctx context.Context, req DrainRequest) error {
	c.hear(req.Version)
	if s := c.snap.Load(); s == nil || s.Version < req.Version {
		if _, err := c.Refresh(ctx); err != nil {
			return err
		}
	}
	if s := c.snap.Load(); s.Version < req.Version {
		return errors.New("schema: a committed version of the catalog is not there")
	}
	for _, id := range req.IDs {
		for _, u := range c.retiredUses(id) {
			if err := u.wait(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Catalog) retiredUses(id DescID) []*use {
	c.mu.Lock()
	defer c.mu.Unlock()
	us := running(c.mu.retired[id])
	if len(us) == 0 {
		delete(c.mu.retired, id)
		return nil
	}
	c.mu.retired[id] = us
	return slices.Clone(us)
}

// settle waits until no transaction anywhere can commit any more with a
// version older than the marks, and records that.
//
//	mark v+1 ──► reach every node on record ──► drained ────────────► settled
//	                 │ no answer                   │ too slow           ▲
//	                 ▼                             ▼                    │
//	              suspect ────────► L + offset after the marks passes ──┘
func (c *Catalog) settle(ctx context.Context, settled kvapi.Key, ids []DescID, mk marked) error {
	wall := c.askNodes(ctx, ids, mk)
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := untilWall(ctx, c.clock, wall); err != nil {
		return err
	}
	return c.store.Run(ctx, "schema change: settled", func(ctx context.Context, t Txn) error {
		return t.Put(ctx, settled, encodeRecord(&nodeRecord{Suspect: c.clock.Now().Timestamp()}))
	})
}

// expiry is when what was read of the catalog at a time is good for nothing
// any more: the lease, and the offset for uses that go by a node's own clock.
func (c *Catalog) expiry(read hlc.Timestamp) int64 {
	return read.WallTime + int64(LeaseDuration) + int64(c.clock.MaxOffset())
}

// askNodes drains every node on record. It returns until when those have to
// be waited out that did not answer; 0 if all did. Nodes that have been
// suspects for so long that they cannot have a valid snapshot are not asked.
func (c *Catalog) askNodes(ctx context.Context, ids []DescID, mk marked) (wall int64) {
	limit := c.expiry(mk.at)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		if untilWall(ctx, c.clock, limit) == nil {
			cancel()
		}
	}()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for n, rec := range mk.nodes {
		until := limit
		if !rec.Suspect.IsEmpty() {
			// Silent since then: it has read nothing later (I4).
			if until = min(limit, c.expiry(rec.Suspect)); until < mk.at.WallTime {
				continue
			}
		}
		wg.Go(func() {
			if c.askNode(ctx, n, DrainRequest{Version: mk.version, IDs: ids}) != nil {
				mu.Lock()
				wall = max(wall, until)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return wall
}

// askNode first reaches a node, and then has it wait for its transactions.
// One that cannot be reached becomes a suspect at once, so that the next
// change need not wait as long for it.
func (c *Catalog) askNode(ctx context.Context, n kvapi.NodeID, req DrainRequest) error {
	rctx, cancel := context.WithTimeout(ctx, reachMax)
	defer cancel()
	if err := c.drainNode(rctx, n, DrainRequest{Version: req.Version}); err != nil {
		if n != c.cfg.NodeID && ctx.Err() == nil {
			c.suspect(ctx, n)
		}
		return err
	}
	return c.drainNode(ctx, n, req)
}

// suspect puts on record that a node does not answer. An earlier suspicion
// stays: the node has not read the catalog since.
func (c *Catalog) suspect(ctx context.Context, n kvapi.NodeID) {
	err := c.store.Run(ctx, "schema change: suspect", func(ctx context.Context, t Txn) error {
		v, ok, err := t.Get(ctx, nodeKey(n), txn.GetOptions{Lock: kvapi.LockExclusive})
		if err != nil || !ok {
			return err
		}
		var rec nodeRecord
		if err := decodeRecord(v, &rec); err != nil || !rec.Suspect.IsEmpty() {
			return err
		}
		// The deadline keeps the time on record above the write's own, so
		// that whoever does not see the write has read before that time.
		rec.Suspect = c.clock.Now().Timestamp().AddNanos(int64(time.Second))
		t.SetDeadline(rec.Suspect)
		return t.Put(ctx, nodeKey(n), encodeRecord(&rec))
	})
	if err != nil && ctx.Err() == nil {
		c.log.Warn("recording that a node does not answer", "node", n, "err", err)
	}
}

func (c *Catalog) drainNode(ctx context.Context, n kvapi.NodeID, req DrainRequest) error {
	if n == c.cfg.NodeID {
		return c.Drain(ctx, req)
	}
	if c.cfg.Peers == nil {
		return errors.New("schema: no way to other nodes")
	}
	return c.cfg.Peers.Drain(ctx, n, req)
}

// announce tells this node and the others of a new version, so that waiters
// look at once. It is a courtesy: who misses it finds out by himself.
func (c *Catalog) announce(ctx context.Context, v CatalogVersion) {
	c.hear(v)
	if _, err := c.Refresh(ctx); err != nil || c.cfg.Peers == nil {
		return
	}
	nodes, err := c.nodesOnRecord(ctx)
	if err != nil {
		return
	}
	var wg sync.WaitGroup
	for _, n := range nodes {
		if n != c.cfg.NodeID {
			wg.Go(func() { _ = c.cfg.Peers.Drain(ctx, n, DrainRequest{Version: v}) })
		}
	}
	wg.Wait()
}

// nodesOnRecord lists the nodes that may use the catalog and are not suspected
// to be dead.
func (c *Catalog) nodesOnRecord(ctx context.Context) (nodes []kvapi.NodeID, err error) {
	err = c.store.Run(ctx, "catalog nodes", func(ctx context.Context, t Txn) error {
		nodes = nil
		return scanAll(ctx, t, nodePrefix, func(kv kvapi.KeyValue) error {
			var rec nodeRecord
			n, err := decodeID(kv.Key, nodePrefix)
			if err != nil {
				return err
			}
			if err := decodeRecord(kv.Value, &rec); err != nil {
				return err
			}
			if rec.Suspect.IsEmpty() {
				nodes = append(nodes, kvapi.NodeID(n))
			}
			return nil
		})
	})
	return nodes, err
}
