package store

import (
	"fmt"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/cairndb/cairn/kv/kvapi"
)

// replicaSet finds the store's replicas by range id, and the initialized ones
// by key. Its spans never overlap (I7).
type replicaSet struct {
	mu struct {
		sync.RWMutex
		byID map[kvapi.RangeID]*Replica
		// byKey is sorted by start key. Replicas change their own span only
		// under the lock of the set.
		byKey []keyedReplica
	}
	// sorted is what all returns, nil after a change.
	sorted atomic.Pointer[[]*Replica]
	// version grows with every change of the set, and of a replica's peers.
	version atomic.Uint64
}

// keyedReplica is an initialized replica with the span it is known by.
type keyedReplica struct {
	span kvapi.Span
	r    *Replica
}

func newReplicaSet() *replicaSet {
	s := &replicaSet{}
	s.mu.byID = map[kvapi.RangeID]*Replica{}
	return s
}

// get returns the replica of a range, or nil.
func (s *replicaSet) get(id kvapi.RangeID) *Replica {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mu.byID[id]
}

// lookup returns the initialized replica that holds a key, or nil.
func (s *replicaSet) lookup(k kvapi.Key) *Replica {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i := s.searchLocked(k); i >= 0 && s.mu.byKey[i].span.Contains(k) {
		return s.mu.byKey[i].r
	}
	return nil
}

// searchLocked returns the position of the last span that starts at or before k.
func (s *replicaSet) searchLocked(k kvapi.Key) int {
	return sort.Search(len(s.mu.byKey), func(i int) bool { return k.Less(s.mu.byKey[i].span.Key) }) - 1
}

// firstLocked returns the position of the first span that starts at k or behind it.
func (s *replicaSet) firstLocked(k kvapi.Key) int {
	return sort.Search(len(s.mu.byKey), func(i int) bool { return !s.mu.byKey[i].span.Key.Less(k) })
}

// all returns every replica, in order of range id. The slice is shared, and is not
// to be changed: with tens of thousands of replicas, of which every loop of the
// store looks at all, sorting them each time costs more than looking.
func (s *replicaSet) all() []*Replica {
	if out := s.sorted.Load(); out != nil {
		return *out
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*Replica, 0, len(s.mu.byID))
	for _, r := range s.mu.byID {
		out = append(out, r)
	}
	slices.SortFunc(out, byRangeID)
	// Under the lock, so that no change comes between.
	s.sorted.Store(&out)
	return out
}

// endingAt returns the initialized replica that ends at a key, or nil.
func (s *replicaSet) endingAt(k kvapi.Key) *Replica {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i := s.firstLocked(k) - 1; i >= 0 && s.mu.byKey[i].span.EndKey.Equal(k) {
		return s.mu.byKey[i].r
	}
	return nil
}

// overlapping returns the initialized replicas that share a key with sp.
func (s *replicaSet) overlapping(sp kvapi.Span) []*Replica {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*Replica
	for _, k := range s.mu.byKey[max(s.searchLocked(sp.Key), 0):] {
		if !k.span.Key.Less(sp.End()) {
			break
		}
		if k.span.Overlaps(sp) {
			out = append(out, k.r)
		}
	}
	return out
}

// add puts a replica in; initialized says that it has a span.
func (s *replicaSet) add(r *Replica, span kvapi.Span, initialized bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.version.Add(1)
	if old := s.mu.byID[r.rangeID]; old != nil && old != r {
		panic(fmt.Sprintf("store: a second replica of %s", r.rangeID))
	}
	s.mu.byID[r.rangeID] = r
	s.sorted.Store(nil)
	if initialized {
		s.insertLocked(r, span)
	}
}

// insertLocked adds a span and asserts that it is free. Spans do not overlap, so those
// on both sides are all that could.
func (s *replicaSet) insertLocked(r *Replica, span kvapi.Span) {
	s.dropSpanLocked(r)
	i := s.firstLocked(span.Key)
	for _, k := range s.mu.byKey[max(i-1, 0):min(i+1, len(s.mu.byKey))] {
		if k.span.Overlaps(span) {
			panic(fmt.Sprintf("store: %s at %s overlaps %s at %s", r.rangeID, span, k.r.rangeID, k.span))
		}
	}
	s.mu.byKey = slices.Insert(s.mu.byKey, i, keyedReplica{span: span, r: r})
	r.knownAt, r.known = span.Key, true
}

// dropSpanLocked forgets the span a replica is known by.
func (s *replicaSet) dropSpanLocked(r *Replica) {
	if !r.known {
		return
	}
	i := s.firstLocked(r.knownAt)
	if i == len(s.mu.byKey) || s.mu.byKey[i].r != r {
		panic(fmt.Sprintf("store: %s is not at %s", r.rangeID, r.knownAt))
	}
	s.mu.byKey = slices.Delete(s.mu.byKey, i, i+1)
	r.knownAt, r.known = nil, false
}

// remove takes a replica out.
func (s *replicaSet) remove(r *Replica) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.version.Add(1)
	if s.mu.byID[r.rangeID] == r {
		delete(s.mu.byID, r.rangeID)
		s.sorted.Store(nil)
	}
	s.dropSpanLocked(r)
}

// split gives the right part of left's span to right, in one step for every
// look-up. publish runs within it, to show the new descriptors.
func (s *replicaSet) split(left, right *Replica, leftSpan, rightSpan kvapi.Span, publish func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.version.Add(1)
	s.dropSpanLocked(left)
	s.insertLocked(left, leftSpan)
	if right != nil {
		s.mu.byID[right.rangeID] = right
		s.sorted.Store(nil)
		s.insertLocked(right, rightSpan)
	}
	publish()
}

// subsume gives the spans of replicas to their left neighbour, in one step for
// every look-up, and forgets them.
func (s *replicaSet) subsume(left *Replica, gone []*Replica, span kvapi.Span, publish func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.version.Add(1)
	for _, r := range gone {
		if s.mu.byID[r.rangeID] == r {
			delete(s.mu.byID, r.rangeID)
			s.sorted.Store(nil)
		}
		s.dropSpanLocked(r)
	}
	s.insertLocked(left, span)
	publish()
}
