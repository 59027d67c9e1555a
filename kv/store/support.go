package store

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/liveness"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// acknowledge notes a follower's promise, after its message was stepped. raftMu
// is held.
func (r *Replica) acknowledge(e *raftgroup.Envelope) {
	if e.Promise == 0 && e.Committed == 0 {
		return
	}
	st := r.raftMu.group.Status()
	if !st.IsLeader() || st.Term != e.Message.Term() {
		return
	}
	if r.raftMu.committed == nil {
		r.raftMu.committed = map[kvapi.ReplicaID]kvapi.LogIndex{}
	}
	r.raftMu.committed[e.From.ReplicaID] = max(r.raftMu.committed[e.From.ReplicaID], e.Committed)
	if e.Promise == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.mu.leads || r.mu.term != st.Term || r.mu.acknowledged[e.From.ReplicaID] == e.Promise {
		return
	}
	if r.mu.acknowledged == nil {
		r.mu.acknowledged = map[kvapi.ReplicaID]liveness.Epoch{}
	}
	r.mu.acknowledged[e.From.ReplicaID] = e.Promise
	r.leaseMovedLocked()
}

// holdsUpLocked is one follower's part in the leader's lease: until when it is
// supported by the follower's node, at the epoch at which the follower
// promised.
func (r *Replica) holdsUpLocked(rep *kvapi.ReplicaDescriptor) hlc.Timestamp {
	if rep.ReplicaID == r.replicaID {
		// A leader need not promise its own vote: it gives its lease up before
		// it votes, and its vote carries its clock.
		return hlc.MaxTimestamp
	}
	epoch, until := r.store.live.GotFrom(rep.NodeID)
	if epoch == 0 || r.mu.acknowledged[rep.ReplicaID] != epoch {
		return hlc.Timestamp{}
	}
	return until
}

// isHeardOf reports whether a follower answers. Raft's view of that ends by
// ticks, which a leader that sleeps does not have; its node's support ends by
// itself.
func (r *Replica) isHeardOf(p raftgroup.Progress, node kvapi.NodeID) bool {
	_, until := r.store.live.GotFrom(node)
	return p.RecentActive && (until.IsEmpty() || r.store.cfg.Clock.Now().Timestamp().Less(until))
}

// leadSupportUntilLocked is until when the best quorum holds this leader up; of
// a joint configuration, the best of each half.
func (r *Replica) leadSupportUntilLocked() hlc.Timestamp {
	return leadSupportUntil(r.mu.desc, r.holdsUpLocked)
}

func leadSupportUntil(desc *kvapi.RangeDescriptor, holdsUp func(*kvapi.ReplicaDescriptor) hlc.Timestamp) hlc.Timestamp {
	var room [2][8]hlc.Timestamp
	incoming, outgoing := supports(room[0][:0]), supports(room[1][:0])
	joint := false
	for i := range desc.Replicas {
		rep := &desc.Replicas[i]
		if rep.Type == kvapi.Learner {
			continue
		}
		until := holdsUp(rep)
		if rep.Type == kvapi.Voter || rep.Type == kvapi.VoterIncoming {
			incoming = incoming.with(until)
		}
		if rep.Type != kvapi.VoterIncoming {
			outgoing = outgoing.with(until)
		}
		joint = joint || rep.Type != kvapi.Voter
	}
	until := incoming.ofQuorum()
	if joint {
		until = until.Min(outgoing.ofQuorum())
	}
	return until
}

// supports are times of voters, latest first.
type supports []hlc.Timestamp

// with is append, in order; returning the slice keeps room off the heap.
func (s supports) with(t hlc.Timestamp) supports {
	s = append(s, t)
	for i := len(s) - 1; i > 0 && s[i-1].Less(s[i]); i-- {
		s[i-1], s[i] = s[i], s[i-1]
	}
	return s
}

// ofQuorum is the time that a majority reaches.
func (s supports) ofQuorum() hlc.Timestamp {
	if len(s) == 0 {
		return hlc.Timestamp{}
	}
	return s[len(s)/2]
}

// hangsOn reports whether what this replica does may change with a node's
// support, given or got.
func (r *Replica) hangsOn(n kvapi.NodeID) bool {
	if p := r.promise.Load(); p != nil && p.leader.NodeID == n {
		return true
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.mu.leads {
		return false
	}
	_, ok := r.mu.desc.Replica(n)
	return ok
}
