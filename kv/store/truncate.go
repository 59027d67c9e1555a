package store

import (
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/raftlog"
	"github.com/cairndb/cairn/kv/storage"
)

// maybeTruncateLog proposes, on the leader, to forget the log that every
// follower has; beyond logBytesMax also what a laggard has not: a snapshot will
// serve it. raftMu is held.
func (r *Replica) maybeTruncateLog() {
	log, group := r.raftMu.log, r.raftMu.group
	entries := log.LastIndex() - log.Truncated().Index
	if r.store.cfg.Knobs.DisableRaftLogTruncation || !group.Status().IsLeader() ||
		(log.SizeBytes() < logBytesMin && entries < logEntriesMin) {
		return
	}
	to := r.truncateTarget(log.SizeBytes() > logBytesMax)
	if to <= log.Truncated().Index {
		return
	}
	term, err := log.Term(to)
	if err != nil {
		r.store.cfg.Log.Warn("no term to truncate to", "range", r.rangeID, "index", to, "err", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.truncating || !r.leaseStatusLocked(r.store.cfg.Clock.Now(), noTimestamp).IsValid() {
		return
	}
	r.mu.truncating = true
	p := newProposal(r.store.nextCommandID(), commandHeader{
		LeaseSequence: r.mu.lease.Sequence, Term: r.mu.term, Proposer: r.replicaID,
		TruncateTo: to, TruncateTerm: term,
	}, nil)
	p.onDone = func(outcome) {
		r.mu.Lock()
		r.mu.truncating = false
		r.mu.Unlock()
	}
	r.bufferLocked(p)
	r.store.metrics.LogTruncations.Add(1)
}

// truncateTarget returns the last index that nobody needs any more.
func (r *Replica) truncateTarget(leaveLaggards bool) kvapi.LogIndex {
	r.mu.RLock()
	to := r.mu.applied.Index
	r.mu.RUnlock()
	r.raftMu.group.VisitProgress(func(p raftgroup.Progress) {
		switch {
		case p.State == raftgroup.Snapshotting:
			// The log must go on where the snapshot ends.
			to = min(to, p.PendingSnapshot)
		case !leaveLaggards:
			to = min(to, p.Match)
		}
	})
	if s := r.raftMu.prepared; s != nil {
		to = min(to, s.header.Index)
	}
	return to
}

// truncate adds an applied truncation to the batch.
func (r *Replica) truncate(w storage.Writer, ts raftlog.TruncatedState) error {
	return r.raftMu.log.Truncate(w, ts)
}
