package rangecache

import (
	"math"
	"slices"

	"github.com/cairndb/cairn/kv/kvapi"
)

// mayFollow reports whether a batch reads what is so old that any replica is
// likely to answer.
func (s *Sender) mayFollow(ba *kvapi.BatchRequest) bool {
	if s.cfg.FollowerReadLag <= 0 || s.cfg.Clock == nil {
		return false
	}
	upTo, ok := ba.LooksUpTo(s.cfg.Clock.MaxOffset())
	return ok && upTo.WallTime <= s.cfg.Clock.PhysicalNow()-int64(s.cfg.FollowerReadLag)
}

// nearestFirst puts the node with the nearest replica in front, learners too: this
// one, or else by Distance, and of those that are as near the one that comes first
// in the order, the leaseholder if it is among them. One detour is all that it
// costs if that one cannot answer.
func (s *Sender) nearestFirst(e *entry, order []kvapi.NodeID) []kvapi.NodeID {
	best, found := kvapi.NodeID(0), 0
	consider := func(n kvapi.NodeID) {
		d := 0
		switch {
		case s.suspects.has(n) || s.cfg.Alive != nil && !s.cfg.Alive(n):
			return
		case n == s.cfg.NodeID:
			d = math.MinInt
		case s.cfg.Distance != nil:
			d = s.cfg.Distance(n)
		}
		if best == 0 || d < found {
			best, found = n, d
		}
	}
	for _, n := range order {
		consider(n)
	}
	for _, r := range e.desc.Replicas {
		if r.Type == kvapi.Learner {
			consider(r.NodeID)
		}
	}
	if best == 0 || len(order) > 0 && best == order[0] {
		return order
	}
	return moveFirst(slices.Clone(order), best)
}
