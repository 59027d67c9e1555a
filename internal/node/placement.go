package node

import (
	"context"
	"sync/atomic"

	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
)

// placementPolicy tells the store what tables ask for their replicas
// (store.PlacementPolicy).
type placementPolicy struct {
	c *Core
	// last is the catalog as it was last seen: while it cannot be read, its own
	// ranges perhaps among those to be repaired, that will do.
	last atomic.Pointer[schema.Snapshot]
}

// Placements implements store.PlacementPolicy.
func (p *placementPolicy) Placements(ctx context.Context) (func(kvapi.Span) allocator.Placement, error) {
	ctx, cancel := context.WithTimeout(ctx, gcPolicyTimeout)
	defer cancel()
	s, err := p.c.Catalog.Snapshot(ctx)
	if err == nil {
		p.last.Store(s)
	} else if s = p.last.Load(); s == nil {
		return nil, err
	}
	return func(sp kvapi.Span) allocator.Placement { return placementOf(s, sp) }, nil
}

// placementOf is what the tables of a span, or their databases, ask for: the most replicas; and a place, if
// they are one table, as they are when it has got the range of its own that it is to have.
func placementOf(s *schema.Snapshot, sp kvapi.Span) (p allocator.Placement) {
	if t := tableAround(s, sp); t != nil {
		asks := s.PlacementOf(t)
		p.Voters = asks.Replicas
		p.Where, _ = allocator.ParseLocality(asks.Locality) // it was parsed when it was set
		return p
	}
	for _, o := range s.Objects() {
		t, ok := o.(*schema.Table)
		if !ok {
			continue
		}
		asks := s.PlacementOf(t)
		if asks.Replicas <= p.Voters {
			continue
		}
		if start := keys.Table(uint32(t.ID)); sp.Overlaps(kvapi.Span{Key: start, EndKey: start.PrefixEnd()}) {
			p.Voters = asks.Replicas
		}
	}
	return p
}
