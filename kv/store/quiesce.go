package store

import (
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// A replica that is asleep is not ticked, and costs nothing. It sleeps
//
//	follower   while it has promised its vote to the leader it knows: until
//	           that ends there is no election to be called;
//	leader     while its lease stands on support (nothing to renew) and every
//	           replica has all of the log and knows that it is committed, or is
//	           on a node that supports this one no more.
//
// and wakes by whatever gives it a turn on a worker and finds that this is no
// longer so: a message, a proposal, support that ended or began, the question
// of a follower that has restarted. A request that meets a sleeping follower
// makes it ask its leader, so that nothing sleeps for ever under a leader that
// is none.

// wake makes the store tick the replica.
func (r *Replica) wake() {
	if r.awake.Load() {
		return
	}
	s := r.store
	s.awake.Lock()
	defer s.awake.Unlock()
	s.awake.ids[r.rangeID] = struct{}{}
	r.awake.Store(true)
}

// sleep ends it. raftMu is held: whatever comes meanwhile has its turn after.
func (r *Replica) sleep() {
	s := r.store
	s.awake.Lock()
	defer s.awake.Unlock()
	delete(s.awake.ids, r.rangeID)
	r.awake.Store(false)
}

// wakeUnlessSettled wakes a replica that has something to do. raftMu is held.
func (r *Replica) wakeUnlessSettled() {
	if !r.awake.Load() && !r.maySleep() {
		r.wake()
	}
}

// maySleep reports whether nothing is to be done for this replica until
// something happens. raftMu is held.
func (r *Replica) maySleep() bool {
	g := &r.raftMu
	if r.store.cfg.Leases != LeaderLeases || g.group == nil || g.standing > 0 || g.campaignAt > 0 || len(g.held) > 0 ||
		g.prepared != nil || g.staged != nil || r.supportChanged.Load() || r.wakeSoon.Load() ||
		r.breaker.open.Load() != nil {
		return false
	}
	st := g.group.Status()
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.mu.desc.IsInitialized() || len(r.mu.pending) > 0 || len(r.mu.buffer) > 0 || r.mu.leaseAsked || r.mu.truncating ||
		r.mu.applied.Index != st.Commit || r.mu.leads != st.IsLeader() {
		return false
	}
	if st.IsLeader() {
		return r.leaderMaySleepLocked(st)
	}
	p := r.promise.Load()
	if st.Role != raftgroup.Follower || !r.holds(p) || p.term != st.Term || p.leader.ReplicaID != st.Leader {
		return false
	}
	rep, ok := r.mu.desc.ReplicaByID(st.Leader)
	return ok && rep.IsVoter()
}

func (r *Replica) leaderMaySleepLocked(st raftgroup.Status) bool {
	now := r.store.cfg.Clock.Now()
	last := r.raftMu.log.LastIndex()
	entries := last - r.raftMu.log.Truncated().Index
	if st.TransferTarget != 0 || r.mu.transferUntil > now.WallTime || r.mu.lease.Kind != kvapi.LeaderLease ||
		!r.leaseStatusLocked(now, noTimestamp).IsValid() || st.Commit != last ||
		r.raftMu.log.SizeBytes() >= logBytesMin || entries >= logEntriesMin {
		return false
	}
	for i := range r.mu.desc.Replicas {
		if t := r.mu.desc.Replicas[i].Type; t != kvapi.Voter && t != kvapi.Learner {
			return false
		}
	}
	settled := true
	r.raftMu.group.VisitProgress(func(p raftgroup.Progress) {
		if p.ReplicaID == r.replicaID || !settled {
			return
		}
		rep, ok := r.mu.desc.ReplicaByID(p.ReplicaID)
		if !ok {
			settled = false
			return
		}
		epoch, until := r.store.live.GotFrom(rep.NodeID)
		if epoch != 0 && until.LessEq(now.Timestamp()) {
			// Its node is gone; when it comes back, so do we. A learner's may never
			// have been there: Raft, which takes it to be active at first, finds
			// out by ticks, and who waits for it asks Raft.
			settled = rep.Type != kvapi.Learner || !p.RecentActive
			return
		}
		settled = epoch != 0 && r.mu.acknowledged[p.ReplicaID] == epoch && p.Match == last &&
			p.State == raftgroup.Replicating && p.RecentActive && r.raftMu.committed[p.ReplicaID] == last
	})
	return settled
}
