package store

import (
	"slices"
	"time"

	"github.com/cairndb/cairn/kv/closedts"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/liveness"
	"github.com/cairndb/cairn/kv/storage"
)

// LivenessMessage is what stores tell each other apart from Raft: support, of
// nodes, and questions about a leader.
type LivenessMessage struct {
	Support *liveness.Message `wire:"1"`
	Ask     *LeadAsk          `wire:"2"`
	Answer  *LeadAnswer       `wire:"3"`
	// Closed tells what the sender has closed, ClosedMissed that it has missed
	// some of what the receiver has.
	Closed       *closedts.Update `wire:"4"`
	ClosedMissed bool             `wire:"5"`
}

// LeadAsk asks a node whether it leads a range, in Term or an earlier one. Who
// asks is bound by what it promised, or may have promised before it restarted.
type LeadAsk struct {
	RangeID kvapi.RangeID `wire:"1"`
	Term    kvapi.Term    `wire:"2"`
	// Nonce comes back with the answer; an answer to anything else is none.
	Nonce uint64 `wire:"3"`
}

// LeadAnswer says no, and thereby for ever: leadership of a term that was lost
// does not come back. There is no answer that says yes; the leader's next
// heartbeat says so.
type LeadAnswer struct {
	RangeID kvapi.RangeID `wire:"1"`
	Nonce   uint64        `wire:"2"`
}

// openLiveness makes the store's part in store liveness.
func (s *Store) openLiveness() error {
	var rec liveness.Record
	if _, err := loadRecord(s.cfg.Engine, keys.StoreLiveness, &rec); err != nil {
		return err
	}
	s.live = liveness.NewDriver(liveness.Config{
		Self: s.ident.NodeID, Clock: s.cfg.Clock, Support: s.cfg.Support,
		Record: rec, Write: s.writeLiveness, Peers: s.peers,
		Send: func(to kvapi.NodeID, m liveness.Message) {
			s.cfg.Transport.SendLiveness(to, &LivenessMessage{Support: &m})
		},
		OnGivenEnded: s.onSupportChanged, OnGotChanged: s.onSupportChanged,
		Fatal: s.fatal, Knobs: liveness.Knobs{WithdrawEarly: s.cfg.Knobs.WithdrawEarly},
	})
	return nil
}

// writeLiveness is synced, and takes as long as a sync of the log does.
func (s *Store) writeLiveness(rec liveness.Record) error {
	if f := s.cfg.Knobs.LogSyncTime; f != nil {
		time.Sleep(f())
	}
	b := s.cfg.Engine.NewBatch()
	defer b.Close()
	if err := storage.PutUnversioned(b, keys.StoreLiveness, rec.AppendWire(nil)); err != nil {
		return err
	}
	return s.cfg.Engine.Commit(b, true)
}

// peerList is what peers found in a version of the replica set.
type peerList struct {
	version uint64
	nodes   []kvapi.NodeID
}

// peers are the nodes that share a range with this one, looked for only when
// something has changed.
func (s *Store) peers() []kvapi.NodeID {
	version := s.replicas.version.Load()
	if last := s.lastPeers.Load(); last != nil && last.version == version {
		return slices.Clone(last.nodes)
	}
	out := s.findPeers()
	s.lastPeers.Store(&peerList{version, out})
	return slices.Clone(out)
}

func (s *Store) findPeers() []kvapi.NodeID {
	seen := map[kvapi.NodeID]bool{s.ident.NodeID: true}
	var out []kvapi.NodeID
	s.replicas.mu.RLock()
	defer s.replicas.mu.RUnlock()
	for _, r := range s.replicas.mu.byID {
		for _, rep := range r.Desc().Replicas {
			if !seen[rep.NodeID] {
				seen[rep.NodeID] = true
				out = append(out, rep.NodeID)
			}
		}
	}
	return out
}

// onSupportChanged wakes what hangs on a node: replicas that had promised it
// something, and those that it holds up.
func (s *Store) onSupportChanged(n kvapi.NodeID) {
	for _, r := range s.replicas.all() {
		if r.hangsOn(n) {
			r.supportChanged.Store(true)
			s.enqueue(r.rangeID)
		}
	}
}

// HandleLiveness takes a message of another store. It does not block.
func (s *Store) HandleLiveness(from kvapi.NodeID, m LivenessMessage) {
	if s.isStopping() {
		return
	}
	if m.Support != nil {
		s.live.Receive(from, *m.Support)
	}
	if m.Ask != nil {
		s.onLeadAsk(from, m.Ask)
	}
	if m.Closed != nil {
		s.onClosed(from, m.Closed)
	}
	if m.ClosedMissed {
		s.closedMissed.add(from)
	}
	if m.Answer != nil {
		if r := s.replicas.get(m.Answer.RangeID); r != nil {
			r.inbox.addAnswer(released{by: from, nonce: m.Answer.Nonce})
			s.enqueue(r.rangeID)
		}
	}
}

// onLeadAsk answers no, or wakes the leader. What is published of Raft's state
// is what the lease is judged by, and is published before any follower hears of
// it (readyLocked); so after a no, nothing is served under the terms asked for.
func (s *Store) onLeadAsk(from kvapi.NodeID, q *LeadAsk) {
	leads := false
	if r := s.replicas.get(q.RangeID); r != nil {
		r.mu.RLock()
		leads = r.mu.leads && r.mu.term <= q.Term
		anyTerm := r.mu.leads
		r.mu.RUnlock()
		if anyTerm {
			r.wakeSoon.Store(true)
			s.enqueue(r.rangeID)
		}
	}
	if !leads {
		s.cfg.Transport.SendLiveness(from, &LivenessMessage{Answer: &LeadAnswer{RangeID: q.RangeID, Nonce: q.Nonce}})
	}
}
