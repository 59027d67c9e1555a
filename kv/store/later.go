package store

import (
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/raftgroup"
)

// Some of what arrives for a replica changes nothing that anybody waits for:
//
//	here      what                                          until then
//	follower  its append is durable                         its entries are not applied
//	leader    its append is durable, and no follower has    nothing can commit
//	          acknowledged it
//	leader    an acknowledgement of what is committed       a match is too low
//
// It stays in the inbox until the replica has a turn for another reason, or for
// laterFor. So a leader has two turns for a round instead of four, and a
// follower, which nobody asks for its state, applies what it got in laterFor in
// one engine batch. What makes it urgent after all: a message that only moves
// the commit index, since leaders send those at once only when others wait for
// the follower to apply (heldCommits); a follower's acknowledgement, for what is
// durable at the leader; no leader being known.
//
// The simpler idea, a turn for each, wakes a worker for it.
type later struct {
	mu struct {
		sync.Mutex
		replicas []*Replica
	}
	// kick wakes the loop; a timer that calls fire would do without one, but
	// crashes the race detector in a bubble of testing/synctest (Go 1.26).
	kick chan struct{}
}

// add has a replica take its turn in laterFor at the latest.
func (l *later) add(r *Replica) {
	if !r.waitsLater.CompareAndSwap(false, true) {
		return
	}
	l.mu.Lock()
	l.mu.replicas = append(l.mu.replicas, r)
	first := len(l.mu.replicas) == 1
	l.mu.Unlock()
	if first {
		select {
		case l.kick <- struct{}{}:
		default:
		}
	}
}

// laterLoop gives turns to those that wait.
func (s *Store) laterLoop() {
	t := time.NewTimer(laterFor)
	t.Stop()
	for {
		select {
		case <-s.later.kick:
			t.Reset(laterFor)
		case <-t.C:
			s.later.fire()
		case <-s.stopping:
			t.Stop()
			return
		}
	}
}

// fire gives those that wait a turn, if they still have something to do.
func (l *later) fire() {
	l.mu.Lock()
	replicas := l.mu.replicas
	l.mu.replicas = nil
	l.mu.Unlock()
	for _, r := range replicas {
		r.waitsLater.Store(false)
		if r.inbox.makeDue() {
			r.store.enqueue(r.rangeID)
		}
	}
}

// ownMayWait reports whether a durable append of this replica changes nothing
// before a peer is heard. index is what the replica itself acknowledged, acked
// what peers have.
func (r *Replica) ownMayWait(index, acked uint64) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	switch {
	case r.mu.leader == 0:
		return false
	case r.mu.leads:
		return len(r.mu.desc.Replicas) > 1 && index > acked
	}
	return true
}

// isOldNews reports whether a message acknowledges what is committed. One from
// a follower that is far behind is news: the leader sends it more.
func (r *Replica) isOldNews(m *raftgroup.Message) bool {
	committed, index := r.committed.Load(), uint64(m.Index())
	return m.Type() == raftgroup.MsgAppendResponse && !m.Rejects() &&
		index <= committed && committed-index < newsLagMax
}
