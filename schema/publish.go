package schema

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
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
//	mark v+1 ──► ask every node on record ──► all answered ──────────► settled
//	                      └─► some did not ──► at + L + offset passes ─┘ (suspects)
func (c *Catalog) settle(ctx context.Context, settled kvapi.Key, ids []DescID, mk marked) error {
	// L after the marks were committed no older read of the catalog is good
	// for anything; the offset covers uses that go by a node's own clock.
	limit := mk.at.AddNanos(int64(LeaseDuration) + int64(c.clock.MaxOffset()))
	silent := c.askNodes(ctx, ids, mk, limit)
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(silent) > 0 {
		if err := untilWall(ctx, c.clock, limit.WallTime); err != nil {
			return err
		}
	}
	return c.store.Run(ctx, "schema change: settled", func(ctx context.Context, t Txn) error {
		now := c.clock.Now().Timestamp()
		for _, n := range silent {
			// Our own node did not drain because a transaction went on
			// too long; it is not dead.
			if n == c.cfg.NodeID {
				continue
			}
			if err := t.Put(ctx, nodeKey(n), encodeRecord(&nodeRecord{Suspect: now})); err != nil {
				return err
			}
		}
		return t.Put(ctx, settled, encodeRecord(&nodeRecord{Suspect: now}))
	})
}

// askNodes drains every node on record and returns those that did not answer
// before limit. Nodes that have been suspects for so long that they cannot
// have a valid snapshot are not asked.
func (c *Catalog) askNodes(ctx context.Context, ids []DescID, mk marked, limit hlc.Timestamp) []kvapi.NodeID {
	req := DrainRequest{Version: mk.version, IDs: ids}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		if untilWall(ctx, c.clock, limit.WallTime) == nil {
			cancel()
		}
	}()
	var mu sync.Mutex
	var silent []kvapi.NodeID
	var wg sync.WaitGroup
	for n, rec := range mk.nodes {
		if c.isLongGone(rec, mk.at) {
			continue
		}
		wg.Go(func() {
			if err := c.drainNode(ctx, n, req); err != nil {
				mu.Lock()
				silent = append(silent, n)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return silent
}

func (c *Catalog) isLongGone(rec nodeRecord, now hlc.Timestamp) bool {
	wait := int64(LeaseDuration) + int64(c.clock.MaxOffset())
	return !rec.Suspect.IsEmpty() && rec.Suspect.AddNanos(wait).Less(now)
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
