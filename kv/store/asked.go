package store

import (
	"cmp"
	"slices"
	"sync"

	"github.com/cairndb/cairn/kv/kvapi"
)

// What is done again and again for the replicas of a store must cost what happens
// there, not how many there are: with tens of thousands of them, of which hardly one
// is used, a look at each costs a microsecond for what is not in the processor's
// caches, on every node. So loops look at
//
//	asked       those that were sent batches lately: what is counted of these
//	            (load, gateways, affinity) is nought for all others
//	few         those that something is the matter with, for one reason or another
//	turns       some of all at a time, for what may as well be found out later
//	            where there are very many

// few are replicas that something is to be done for. The zero few is empty.
type few struct {
	mu       sync.Mutex
	replicas map[kvapi.RangeID]*Replica
}

func (f *few) add(r *Replica) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.replicas == nil {
		f.replicas = map[kvapi.RangeID]*Replica{}
	}
	f.replicas[r.rangeID] = r
}

// remove takes a replica out, until it is added again.
func (f *few) remove(r *Replica) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.replicas[r.rangeID] == r {
		delete(f.replicas, r.rangeID)
	}
}

// all returns them, in order of range id.
func (f *few) all() []*Replica {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]*Replica, 0, len(f.replicas))
	for _, r := range f.replicas {
		out = append(out, r)
	}
	slices.SortFunc(out, byRangeID)
	return out
}

// noteAsked notes, after a batch was counted, that it came.
func (r *Replica) noteAsked() {
	if r.isAsked.Load() || r.isAsked.Swap(true) {
		return
	}
	r.load.beginNow()
	r.store.asked.add(r)
}

// maybeForgetAsked forgets a replica that was asked for nothing for so long that its
// rate is nought. By then the loops that count by the second or by five have found that,
// too. One that is asked just now stays: it is counted first, and noted then.
func (r *Replica) maybeForgetAsked() {
	if r.load.isBusy() {
		return
	}
	r.store.asked.remove(r)
	r.isAsked.Store(false)
	if r.load.isBusy() {
		r.noteAsked()
	}
}

func byRangeID(a, b *Replica) int { return cmp.Compare(a.rangeID, b.rangeID) }

// turns says where a loop goes on that looks at all replicas, some at a time.
type turns struct{ last kvapi.RangeID }

// next returns at most n replicas, those behind the last ones in order of range id,
// and after the end the first ones.
func (t *turns) next(s *replicaSet, n int) []*Replica {
	all := s.all()
	i, found := slices.BinarySearchFunc(all, t.last, func(r *Replica, id kvapi.RangeID) int { return cmp.Compare(r.rangeID, id) })
	if found {
		i++
	}
	if len(all) <= n || i == len(all) {
		i = 0
	}
	out := all[i:min(i+n, len(all))]
	if len(out) > 0 {
		t.last = out[len(out)-1].rangeID
	}
	return out
}
