package store

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// A range without quorum, or whose replica hangs, must not collect waiting
// requests: each holds a connection, a worker, latches elsewhere. So a replica
// has a breaker. While it is open, requests are refused at once, in words, and
// those that wait behind a stuck write are sent away.
//
//	closed ──▶ open    a write has waited for a quorum for stuckTicks, or there
//	                   has been no leader for as long: longer than a fail-over
//	open ──▶ closed    there is a leader, and no write is stuck any more
//
// What closes it again needs no probe of its own: Raft holds elections as long
// as there is no leader, and a stuck write goes on being replicated. Both are
// looked at on every tick.
//
// A request that is refused had no effect. The stuck writes themselves are
// ambiguous, as before.
type breaker struct {
	// open is why, nil while closed. A request reads it once.
	open atomic.Pointer[tripped]
	// leaderless counts ticks without a leader; raftMu guards it.
	leaderless int
}

// tripped is an open breaker.
type tripped struct {
	err *kvapi.Error
}

// check refuses a request while the breaker is open.
func (b *breaker) check() *kvapi.Error {
	if t := b.open.Load(); t != nil {
		return t.err
	}
	return nil
}

// tickBreaker opens or closes the breaker. raftMu is held.
func (r *Replica) tickBreaker() {
	b := &r.breaker
	if r.raftMu.group.Status().Leader == 0 {
		b.leaderless++
	} else {
		b.leaderless = 0
	}
	why := ""
	switch desc := r.Desc(); {
	case !desc.IsInitialized():
		// It has nothing to refuse.
	case b.leaderless > stuckTicks:
		why = fmt.Sprintf("it has had no leader for %s; its replicas are on %s", r.ticksTime(b.leaderless), nodesOf(desc))
	default:
		if ticks := r.stuckFor(); ticks > 0 {
			why = fmt.Sprintf("no quorum has acknowledged a write for %s%s", r.ticksTime(ticks), r.silentReplicas(desc))
		}
	}
	was := b.open.Load()
	switch {
	case why == "" && was != nil:
		b.open.Store(nil)
		r.mgr.OnAvailable()
		r.store.cfg.Log.Info("range is available again", "range", r.rangeID)
	case why != "" && was == nil:
		r.store.metrics.BreakersOpened.Add(1)
		r.store.cfg.Log.Warn("range is unavailable", "range", r.rangeID, "why", why)
		fallthrough
	case why != "":
		err := kvapi.NewError(kvapi.ErrRangeUnavailable, "range %d (%s): %s", uint64(r.rangeID), r.Desc().Span(), why)
		b.open.Store(&tripped{err})
		if was == nil {
			r.mgr.OnUnavailable(err)
		}
	}
}

// ticksTime is how long so many ticks take, for people.
func (r *Replica) ticksTime(ticks int) time.Duration {
	return (time.Duration(ticks) * r.store.cfg.TickInterval).Round(time.Second)
}

// stuckFor is for how many ticks the oldest stuck proposal has waited, 0 if none
// is stuck.
func (r *Replica) stuckFor() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	oldest := uint64(0)
	for _, p := range r.mu.pending {
		if p.isStuck {
			oldest = max(oldest, r.raftMu.ticks-p.bornTick)
		}
	}
	return int(oldest)
}

func nodesOf(desc *kvapi.RangeDescriptor) string {
	var out []string
	for _, rep := range desc.Replicas {
		if rep.Type != kvapi.Learner {
			out = append(out, rep.NodeID.String())
		}
	}
	return strings.Join(out, ", ")
}

// silentReplicas names the voters that the leader does not hear of. raftMu is
// held.
func (r *Replica) silentReplicas(desc *kvapi.RangeDescriptor) string {
	var silent []string
	r.raftMu.group.VisitProgress(func(p raftgroup.Progress) {
		rep, ok := desc.ReplicaByID(p.ReplicaID)
		if ok && rep.Type != kvapi.Learner && p.ReplicaID != r.replicaID && (!r.isHeardOf(p, rep.NodeID) || p.State != raftgroup.Replicating) {
			silent = append(silent, rep.NodeID.String())
		}
	})
	if len(silent) == 0 {
		return ""
	}
	return "; " + strings.Join(silent, ", ") + " lag behind or do not answer"
}

// Unavailable returns, by range, why it is refused here.
func (s *Store) Unavailable() map[kvapi.RangeID]string {
	out := map[kvapi.RangeID]string{}
	for _, r := range s.replicas.all() {
		if t := r.breaker.open.Load(); t != nil {
			out[r.rangeID] = t.err.Message
		}
	}
	return out
}
