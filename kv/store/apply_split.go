package store

import (
	"context"
	"fmt"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/raftlog"
	"github.com/cairndb/cairn/kv/storage"
)

// applySplit makes two ranges of one, on every replica, in one engine batch:
//
//	before   r1 [a ─────────────────── z)   applied i-1
//	batch    bytes of the command: both descriptors and addressing records,
//	         committed; r1's state with the left span; r7's first state:
//	         applied 10/5, empty log, hard state, lease, statistics, identity
//	after    r1 [a ──────── m)  r7 [m ───── z)
//
// Cases on a store, by what it already knows of r7:
//
//	nothing           r7 starts with term 5 and no vote.
//	a replica made by a message, of the same id: it may have voted. Its hard
//	                  state is read here, at apply, after its last append is
//	                  durable, and goes on; a vote taken back would elect two
//	                  leaders of one term (CockroachDB #7600, #16749).
//	a later replica id, or a tombstone that forbids this one: r7 was moved
//	                  away from here, and maybe back, before this store heard
//	                  of the split. The right half's data is cleared.
//	an initialized r7 cannot be: its span overlaps r1's (I7).
//
// The rejected alternative, to compute the right side's hard state when the
// split is evaluated, knows nothing of votes cast since.
func (a *applier) applySplit(s *splitResult) error {
	r, st := a.r, a.r.store
	left, right := s.Trigger.Left, s.Trigger.Right
	if err := checkSplit(r.Desc(), &left, &right); err != nil {
		return err
	}
	a.state.Stats.Subtract(s.RightStats)
	if err := storage.PutUnversioned(a.batch, descriptorKey(left.RangeID), left.AppendWire(nil)); err != nil {
		return err
	}
	st.createMu.Lock()
	defer st.createMu.Unlock()
	rhs, release, err := a.stageRight(s)
	if err != nil {
		return err
	}
	defer release()
	r.loseFeeds(nil, "the range was split")
	st.replicas.split(r, rhs, left.Span(), right.Span(), func() {
		err = a.flush(func() { r.mu.desc = &left })
	})
	if err != nil {
		return err
	}
	st.metrics.Splits.Add(1)
	if rhs == nil {
		return nil
	}
	if err := rhs.startGroup(); err != nil {
		return err
	}
	// The other halves of the right range follow in a moment; this one, where
	// the left leads, stands for election at once, or each split would cost an
	// election time-out, and an end of the left's lease where another wins.
	if r.raftMu.group.Status().IsLeader() {
		rhs.campaignSoon.Store(true)
	}
	st.enqueue(rhs.rangeID)
	rhs.noteSize()
	return nil
}

// checkSplit asserts that the trigger fits the range (I7).
func checkSplit(old, left, right *kvapi.RangeDescriptor) error {
	if left.RangeID != old.RangeID || !left.StartKey.Equal(old.StartKey) || !right.EndKey.Equal(old.EndKey) ||
		!left.EndKey.Equal(right.StartKey) || left.Generation <= old.Generation {
		return fmt.Errorf("split of %s into %s and %s", old, left, right)
	}
	return nil
}

// stageRight adds the right range's first state to the batch and returns its
// replica, whose raftMu is held until release; or nil if this store must not
// have one.
func (a *applier) stageRight(s *splitResult) (rhs *Replica, release func(), err error) {
	st, right := a.r.store, s.Trigger.Right
	release = func() {}
	own, ok := right.Replica(st.ident.NodeID)
	if !ok {
		return nil, release, fmt.Errorf("split into %s, which has no replica here", &right)
	}
	hs, replaced, unwanted, err := a.votesOf(right.RangeID, own)
	if err != nil {
		return nil, release, err
	}
	if unwanted {
		return nil, release, clearUserData(a.batch, &right)
	}
	if err := a.writeRight(s, own, hs); err != nil {
		return nil, release, err
	}
	state := a.rightState(s)
	rhs = newReplica(st, state, own.ReplicaID)
	// What was promised for the whole holds for both parts.
	rhs.closing.Raise(a.r.closing.Closed())
	if f := st.cfg.Knobs.Closed; f != nil {
		f(right.RangeID, initialIndex, a.r.closing.Closed())
	}
	rhs.raftMu.Lock()
	a.r.mu.RLock()
	holder := a.r.mu.lease.Holder.ReplicaID == a.r.replicaID
	if a.r.knowsReadsLocked() {
		rhs.mu.knowsUnder = state.lease.Sequence
	}
	rhs.mu.foreignUntil = a.r.mu.foreignUntil
	a.r.mu.RUnlock()
	rhs.mgr.OnLeaseChanged(holder, state.lease.Sequence)
	a.r.mgr.OnSplit(right.StartKey, rhs.mgr)
	if replaced != nil {
		rhs.keepPromises(replaced)
		replaced.inbox.handOver(&rhs.inbox)
	}
	return rhs, rhs.raftMu.Unlock, nil
}

// votesOf returns the hard state with which the right replica starts. unwanted
// says that it must not start at all. A replica that a message made is taken
// out of the way; the new one takes its place in the same instant, and what
// peers have asked of it: they ask for votes, and do not ask again for long.
func (a *applier) votesOf(rangeID kvapi.RangeID, own kvapi.ReplicaDescriptor) (
	hs raftgroup.HardState, replaced *Replica, unwanted bool, err error) {
	st := a.r.store
	hs = raftgroup.HardState{Term: initialTerm, Commit: initialIndex}
	var tomb tombstone
	if _, err := loadRecord(st.cfg.Engine, keys.Tombstone(rangeID), &tomb); err != nil {
		return hs, nil, false, err
	}
	old := st.replicas.get(rangeID)
	if tomb.NextReplicaID > own.ReplicaID || (old != nil && old.replicaID > own.ReplicaID) {
		return hs, nil, true, nil
	}
	if old == nil {
		return hs, nil, false, nil
	}
	if old.Desc().IsInitialized() {
		panic(fmt.Sprintf("store: split makes %s, which exists", rangeID))
	}
	old.raftMu.Lock()
	defer old.raftMu.Unlock()
	if err := st.logWriter.Barrier(context.Background()); err != nil {
		return hs, nil, false, err
	}
	if old.replicaID == own.ReplicaID {
		if voted := old.raftMu.log.HardState(); voted.Term >= hs.Term {
			hs.Term, hs.Vote = voted.Term, voted.Vote
		}
	}
	old.retire()
	return hs, old, false, nil
}

// rightState is the replicated state of the right range at its beginning. It
// begins under the left's lease: the holder has served the right's keys up to
// now, and knows from its timestamp cache and its locks what it has answered.
// The lease is good in the first term to which a leader is elected, if that is
// the holder, as it mostly is (applySplit). With the term of the left range,
// which has nothing to do with the right's, the holder would have to take a new
// lease, whose floor aborts transactions that have no record yet, and which
// forgets unreplicated locks; with each split.
func (a *applier) rightState(s *splitResult) rangeState {
	a.r.mu.RLock()
	l, threshold := a.r.mu.lease, a.r.mu.gcThreshold
	a.r.mu.RUnlock()
	if rep, ok := s.Trigger.Right.Replica(l.Holder.NodeID); ok {
		l.Holder = rep
	}
	l.Term = initialTerm + 1
	return rangeState{
		desc:  s.Trigger.Right,
		lease: l,
		applied: appliedState{Index: initialIndex, Term: initialTerm, LeaseSequence: l.Sequence,
			Stats: s.RightStats, Closed: a.state.Closed},
		gcThreshold: threshold,
	}
}

// writeRight writes all records of the right replica.
func (a *applier) writeRight(s *splitResult, own kvapi.ReplicaDescriptor, hs raftgroup.HardState) error {
	return writeReplica(a.batch, a.rightState(s), own.ReplicaID, hs)
}

// writeReplica writes all records of a replica that begins with a range's first
// state: for a split and for bootstrap.
func writeReplica(w storage.Writer, state rangeState, id kvapi.ReplicaID, hs raftgroup.HardState) error {
	rangeID := state.desc.RangeID
	if err := writeRangeState(w, state); err != nil {
		return err
	}
	ident := replicaIdentity{ReplicaID: id}
	if err := storage.PutUnversioned(w, keys.ReplicaID(rangeID), ident.AppendWire(nil)); err != nil {
		return err
	}
	if err := raftlog.PutHardState(w, rangeID, hs); err != nil {
		return err
	}
	ts := raftlog.TruncatedState{Index: state.applied.Index, Term: state.applied.Term}
	return raftlog.PutTruncatedState(w, rangeID, ts)
}
