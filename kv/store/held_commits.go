package store

import (
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// heldCommits are appends without entries that would only tell followers how
// far the log is committed. The next append with entries says so too, and
// under load one is never far; sending both would double the messages of a
// round, their answers included. What no append has replaced goes out with the
// next tick: a follower may be that late to apply, since nobody is answered
// from its state before it leads, and to lead it commits anew.
//
//	commit 7 ──▶ held ──▶ append 8, commit 7         replaced
//	               │────▶ tick                       sent
//	               └────▶ a command that changes     sent at once: a split's new
//	                      the range has applied      range waits for followers
//
// A message that Raft sends to find out where a follower stands is not held:
// only followers that take appends without being asked are told late.
type heldCommits []raftgroup.Message

// hold returns what of msgs is to be sent now. raftMu is held.
func (r *Replica) hold(msgs []raftgroup.Message) []raftgroup.Message {
	if !anyCommitOnly(msgs) {
		r.replaceHeld(msgs)
		return msgs
	}
	var steady []kvapi.ReplicaID
	if r.raftMu.group.Status().IsLeader() {
		r.raftMu.group.VisitProgress(func(p raftgroup.Progress) {
			if p.State == raftgroup.Replicating && !p.Paused {
				steady = append(steady, p.ReplicaID)
			}
		})
	}
	kept := msgs[:0]
	for _, m := range msgs {
		r.replaceHeld([]raftgroup.Message{m})
		if isCommitOnly(m) && contains(steady, m.To()) {
			r.raftMu.held = append(r.raftMu.held, m)
			continue
		}
		kept = append(kept, m)
	}
	return kept
}

func isCommitOnly(m raftgroup.Message) bool {
	return m.Type() == raftgroup.MsgAppend && m.EntryCount() == 0
}

func anyCommitOnly(msgs []raftgroup.Message) bool {
	for _, m := range msgs {
		if isCommitOnly(m) {
			return true
		}
	}
	return false
}

func contains(ids []kvapi.ReplicaID, id kvapi.ReplicaID) bool {
	for _, i := range ids {
		if i == id {
			return true
		}
	}
	return false
}

// replaceHeld forgets what is held for those who get an append now: it says
// the same or more.
func (r *Replica) replaceHeld(msgs []raftgroup.Message) {
	if len(r.raftMu.held) == 0 {
		return
	}
	for _, m := range msgs {
		if m.Type() != raftgroup.MsgAppend {
			continue
		}
		kept := r.raftMu.held[:0]
		for _, h := range r.raftMu.held {
			if h.To() != m.To() || h.Commit() > m.Commit() {
				kept = append(kept, h)
			}
		}
		r.raftMu.held = kept
	}
}

// releaseHeld sends what is held. Messages of a leader that is none any more
// are old news to everybody. raftMu is held.
func (r *Replica) releaseHeld() {
	if len(r.raftMu.held) == 0 {
		return
	}
	held := r.raftMu.held
	r.raftMu.held = nil
	if r.raftMu.group != nil && r.raftMu.group.Status().IsLeader() {
		r.sendToPeers(held)
	}
}
