package store

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/kv/kvapi"
)

// NodeState is a node as gossip tells of it.
type NodeState struct {
	allocator.Node
	// Heard is when its state was last told.
	Heard time.Time
}

// view is the cluster as the allocator wants it: as gossip tells it, corrected
// by what was done here so lately that gossip cannot tell it yet.
func (s *Store) view() *allocator.View {
	states := s.cfg.Nodes.Nodes()
	nodes := make([]allocator.Node, len(states))
	heard := make(map[kvapi.NodeID]time.Time, len(states))
	for i, n := range states {
		nodes[i] = n.Node
		nodes[i].DiskFull = n.DiskFull || s.isFull(n.ID)
		nodes[i].Refused = s.recent.hasRefused(n.ID)
		heard[n.ID] = n.Heard
	}
	v := allocator.NewView(s.cfg.ReplicationFactor, nodes)
	v.Turn = uint64(s.scans.Load())
	s.recent.apply(v, heard)
	return v
}

// recentActions is what the replicate queue did lately.
type recentActions struct {
	mu struct {
		sync.Mutex
		actions []recentAction
		until   map[kvapi.NodeID]time.Time
	}
}

type recentAction struct {
	allocator.Action
	at  time.Time
	qps float64
}

func (a *recentActions) add(action allocator.Action, qps float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.mu.actions = slices.DeleteFunc(a.mu.actions, func(r recentAction) bool { return now.Sub(r.at) > recentFor })
	a.mu.actions = append(a.mu.actions, recentAction{action, now, qps})
}

// apply adds to a view what its nodes had not told when they were last heard.
func (a *recentActions) apply(v *allocator.View, heard map[kvapi.NodeID]time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := func(n kvapi.NodeID, at time.Time) bool { return heard[n].After(at.Add(toldAfter)) }
	for _, r := range a.mu.actions {
		one := r.Action
		if time.Since(r.at) > recentFor {
			continue
		}
		if known(one.Add, r.at) {
			one.Add = 0
		}
		if known(one.Remove, r.at) {
			one.Remove = 0
		}
		if one.Kind == allocator.TransferLease && known(one.To, r.at) {
			continue
		}
		v.Applied(one, r.qps)
	}
}

// refused notes that a node did not take a replica.
func (a *recentActions) refused(n kvapi.NodeID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mu.until == nil {
		a.mu.until = map[kvapi.NodeID]time.Time{}
	}
	a.mu.until[n] = time.Now().Add(refusedFor)
}

func (a *recentActions) hasRefused(n kvapi.NodeID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Now().Before(a.mu.until[n])
}

// blocked is what the queue wants to do and cannot.
type blocked struct {
	sync.Mutex
	why map[kvapi.RangeID]string
	// any says that there is something, for the many ranges of which nothing is said.
	any atomic.Bool
}

// setBlocked notes why nothing can be done about a range, "" for nothing.
func (s *Store) setBlocked(id kvapi.RangeID, why string) {
	if why == "" && !s.blocked.any.Load() {
		return
	}
	s.blocked.Lock()
	defer s.blocked.Unlock()
	if s.blocked.why[id] == why {
		return
	}
	if why == "" {
		delete(s.blocked.why, id)
		s.blocked.any.Store(len(s.blocked.why) > 0)
		return
	}
	s.blocked.any.Store(true)
	if s.blocked.why == nil {
		s.blocked.why = map[kvapi.RangeID]string{}
	}
	s.blocked.why[id] = why
	s.cfg.Log.Info("a range needs what cannot be done", "range", id, "why", why)
}

// Blocked returns, by range led here, what should be done and cannot.
func (s *Store) Blocked() map[kvapi.RangeID]string {
	s.blocked.Lock()
	defer s.blocked.Unlock()
	return maps.Clone(s.blocked.why)
}

// ReplicationFactor is how many voters every range should have.
func (s *Store) ReplicationFactor() int { return s.cfg.ReplicationFactor }

// Serves reports whether the lease of a key's range is here.
func (s *Store) Serves(key kvapi.Key) bool {
	r := s.replicas.lookup(key)
	return r != nil && r.leaseStatus(noTimestamp).IsValid()
}
