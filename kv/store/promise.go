package store

import (
	"slices"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/liveness"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// promise is what a follower owes the leader of a term: while it supports the
// leader's node at that epoch, it neither votes for another node nor campaigns,
// whatever terms come to pass. The names are those of
// acceptance/model/leader_lease.pml, which has the proof:
//
//	leader                                 follower
//	  append, heartbeat of term 7 ───────▶   stepped; it supports the leader's
//	                                         node at epoch 3: promised
//	  ◀────── answer, "promise at 3" ─────   sent once term 7 is durable
//	  acknowledged: the lease reaches as
//	  far as the node's support (LSU)
//
// A promise ends when
//
//	support of the node at that epoch ends     the follower's clock has passed
//	                                           what the leader counts on
//	a leader of a later term is heard of       the old lease is over, and the
//	                                           promise is made to that one
//	the node says that it does not lead any    there is nothing left to protect
//	term up to that one (LeadAsk)
//
// and does not stand against the node's own campaign (it gave its lease up) nor
// against a campaign that the leader itself has asked for (it gave its lease up
// before, for good; admin_transfer.go).
//
// Promises are not written. A replica that was loaded from disk may have
// promised its vote to any node that its store has supported since before, and
// counts as having done so to all of them, until each of the above
// (isForgotten). So an answer may carry a promise only if the term is durable:
// what was forgotten is then never of a later term than what is known.
type promise struct {
	term   kvapi.Term
	leader kvapi.ReplicaDescriptor
	epoch  liveness.Epoch
}

// released is an answer to a LeadAsk.
type released struct {
	by    kvapi.NodeID
	nonce uint64
}

// promises is what a replica has promised and asked; raftMu guards it, and made
// is read without.
type promises struct {
	// forgotten says that promises may have been made before the restart, to all
	// but those in released.
	forgotten bool
	released  []kvapi.NodeID
	// nonce is of the questions about what is promised now, 0 if there are none
	// yet; askedAt is when the last was asked.
	nonce   uint64
	askedAt time.Time
}

// makePromise notes, after a message of a leader was stepped, that it has this
// replica's vote. raftMu is held.
func (r *Replica) makePromise(e *raftgroup.Envelope) {
	if t := e.Message.Type(); t != raftgroup.MsgAppend && t != raftgroup.MsgHeartbeat {
		return
	}
	st := r.raftMu.group.Status()
	if st.Leader != e.From.ReplicaID || st.Term != e.Message.Term() || st.IsLeader() {
		return
	}
	epoch := r.store.live.GivenTo(e.From.NodeID)
	if r.store.cfg.Leases != LeaderLeases {
		epoch = 0
	}
	r.raftMu.promises.forgotten = false
	old := r.promise.Load()
	switch {
	case epoch == 0:
		if old != nil && old.term < st.Term {
			r.promise.Store(nil)
			r.raftMu.promises.nonce = 0
		}
	case old == nil || old.term != st.Term || old.epoch != epoch || old.leader != e.From:
		r.promise.Store(&promise{term: st.Term, leader: e.From, epoch: epoch})
		r.raftMu.promises.nonce = 0
	}
}

// holds reports whether a promise binds.
func (r *Replica) holds(p *promise) bool {
	return p != nil && r.store.live.GivenTo(p.leader.NodeID) == p.epoch
}

// boundTo returns the nodes to which this replica's vote is promised, or may
// be. raftMu is held.
func (r *Replica) boundTo() []kvapi.NodeID {
	if r.store.cfg.Knobs.IgnorePromises {
		return nil
	}
	if p := r.promise.Load(); p != nil {
		if r.holds(p) {
			return []kvapi.NodeID{p.leader.NodeID}
		}
		return nil
	}
	if !r.raftMu.promises.forgotten {
		return nil
	}
	var out []kvapi.NodeID
	for _, n := range r.store.live.GivenAtStart() {
		if !slices.Contains(r.raftMu.promises.released, n) {
			out = append(out, n)
		}
	}
	r.raftMu.promises.forgotten = len(out) > 0
	return out
}

// isBound reports whether a campaign of a node must not have this replica's
// vote. raftMu is held.
func (r *Replica) isBound(candidate kvapi.NodeID) bool {
	for _, n := range r.boundTo() {
		if n != candidate {
			return true
		}
	}
	return false
}

// acceptVote decides whether a request for a vote, or a pre-vote, reaches Raft.
// One that does not is lost, as on a bad network; the candidate repeats it.
func (r *Replica) acceptVote(e *raftgroup.Envelope) bool {
	if e.Message.IsTransferCampaign() {
		return true
	}
	if r.isBound(e.From.NodeID) {
		r.askLeaders()
		return false
	}
	p, st := r.promise.Load(), r.raftMu.group.Status()
	if st.Leader != 0 && st.Leader != r.replicaID && e.Message.Term() > st.Term && p != nil &&
		(p.leader.NodeID == e.From.NodeID || !r.holds(p) || r.store.cfg.Knobs.IgnorePromises) {
		// The leader is gone, or says so itself; Raft would wait for ticks.
		r.forgetLeader()
	}
	return true
}

func (r *Replica) forgetLeader() {
	if err := r.raftMu.group.ForgetLeader(); err != nil {
		r.store.cfg.Log.Debug("leader not forgotten", "range", r.rangeID, "err", err)
	}
}

// askLeaders asks those to whom this replica is bound whether they lead. raftMu
// is held.
func (r *Replica) askLeaders() {
	p := &r.raftMu.promises
	now := time.Now()
	if now.Sub(p.askedAt) < 2*r.store.cfg.TickInterval {
		return
	}
	p.askedAt = now
	if p.nonce == 0 {
		p.nonce = uint64(r.store.nextCommandID())
	}
	term := r.raftMu.group.Status().Term
	for _, n := range r.boundTo() {
		r.store.cfg.Transport.SendLiveness(n, &LivenessMessage{Ask: &LeadAsk{RangeID: r.rangeID, Term: term, Nonce: p.nonce}})
	}
}

// onReleased takes a no, to a question about what is still promised. raftMu is
// held.
func (r *Replica) onReleased(a released) {
	ps := &r.raftMu.promises
	if a.nonce != ps.nonce || a.nonce == 0 {
		return
	}
	elects := r.hasVotedSince()
	switch p := r.promise.Load(); {
	case p != nil && p.leader.NodeID == a.by:
		r.promise.Store(nil)
		ps.nonce = 0
	case p == nil && ps.forgotten:
		ps.released = append(ps.released, a.by)
		if r.isBound(r.store.ident.NodeID) {
			return
		}
	default:
		return
	}
	if st := r.raftMu.group.Status(); st.Leader != 0 && !st.IsLeader() {
		r.forgetLeader()
	}
	if elects {
		// Whoever has the vote may have been named by the leader, and be about to win.
		r.wake()
		r.raftMu.campaignAt = r.raftMu.ticks + uint64(len(r.Desc().Replicas)*campaignTurnTicks)
		return
	}
	r.campaignInTurn()
}

// onLeading forgets what was promised to leaders before this one, and that this
// replica stood for election: it would stand against whom it hands over to at once.
func (r *Replica) onLeading() {
	r.raftMu.standing, r.raftMu.campaignAt = 0, 0
	r.promise.Store(nil)
	r.raftMu.promises = promises{}
}

// keepPromises takes over what a replica without data has promised, whose place
// this one takes.
func (r *Replica) keepPromises(of *Replica) {
	of.raftMu.Lock()
	defer of.raftMu.Unlock()
	r.promise.Store(of.promise.Load())
	r.raftMu.promises = of.raftMu.promises
}

// onSupportChanged looks at what hangs on the support of nodes: a follower
// whose leader's node is supported no more stands for election. raftMu is held.
func (r *Replica) onSupportChanged() {
	st := r.raftMu.group.Status()
	r.mu.Lock()
	r.leaseMovedLocked()
	r.mu.Unlock()
	p := r.promise.Load()
	if st.IsLeader() || p == nil || r.holds(p) || st.Leader != p.leader.ReplicaID || st.Term != p.term {
		return
	}
	r.forgetLeader()
	r.campaignInTurn()
}

// campaignInTurn makes this replica stand for election, voters one after the
// other, so that they do not take each other's votes. raftMu is held.
func (r *Replica) campaignInTurn() {
	var voters []kvapi.ReplicaID
	var gone kvapi.ReplicaID
	if p := r.promise.Load(); p != nil {
		gone = p.leader.ReplicaID
	}
	for _, rep := range r.Desc().Replicas {
		if rep.IsVoter() && rep.ReplicaID != gone {
			voters = append(voters, rep.ReplicaID)
		}
	}
	at := slices.Index(voters, r.replicaID)
	if at < 0 {
		return
	}
	turn := (at + int(r.rangeID)) % len(voters)
	r.wake()
	if turn == 0 {
		r.campaignSoon.Store(true)
		r.store.enqueue(r.rangeID)
		return
	}
	r.raftMu.campaignAt = r.raftMu.ticks + uint64(turn*campaignTurnTicks)
}

// maybePromised returns what an answer to a leader carries. It may run on any
// goroutine.
func (r *Replica) maybePromised(m raftgroup.Message, to kvapi.ReplicaDescriptor) liveness.Epoch {
	if t := m.Type(); t != raftgroup.MsgAppendResponse && t != raftgroup.MsgHeartbeatResponse {
		return 0
	}
	p := r.promise.Load()
	if p == nil || p.term != m.Term() || p.leader != to || uint64(p.term) > r.durableTerm.Load() {
		return 0
	}
	return p.epoch
}
