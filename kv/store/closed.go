package store

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/batcheval"
	"github.com/cairndb/cairn/kv/closedts"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Closed timestamps (kv/closedts): what a leaseholder promises, by commands and,
// while there are none, by updates to the nodes that have replicas.

// bumpAboveClosed moves the batch's writes above what is closed, and keeps it
// from closing on them until the token ends.
func (r *Replica) bumpAboveClosed(ba *kvapi.BatchRequest, now hlc.ClockTimestamp) (*kvapi.BatchRequest, closedts.Token, *kvapi.Error) {
	if !writesVersions(ba) {
		return ba, 0, nil
	}
	r.mu.RLock()
	floor := r.mu.applied.Closed
	r.mu.RUnlock()
	at := batcheval.WriteTimestamp(ba)
	r.long.note(ba.Txn, now)
	to, tok := r.closing.Begin(at, floor)
	moved, err := r.moveWrites(ba, at, to)
	if err != nil {
		r.closing.End(tok)
		return nil, 0, err
	}
	return moved, tok, nil
}

func writesVersions(ba *kvapi.BatchRequest) bool {
	for i := range ba.Requests {
		if ba.Requests[i].Kind.IsIntentWrite() {
			return true
		}
	}
	return false
}

// closeTo is up to where this replica may close at a reading of its clock: it
// lags by ClosedLag, and more while a transaction writes much (longWrites), and by
// I2 of kv/closedts stays below the end of the lease.
// What other nodes' clocks may have moved ours up by does not count. ok is false
// if it may not close at all.
func (r *Replica) closeToLocked(now hlc.ClockTimestamp) (target hlc.Timestamp, ok bool) {
	if r.store.cfg.ClosedLag < 0 || r.mu.removed || r.mu.freeze != nil || r.mu.transferUntil > now.WallTime {
		return target, false
	}
	st := r.leaseStatusLocked(now, noTimestamp)
	if !st.IsValid() {
		return target, false
	}
	target = hlc.Timestamp{WallTime: min(now.WallTime, r.store.cfg.Clock.PhysicalNow())}.AddNanos(-int64(r.store.cfg.ClosedLag))
	return r.long.below(target.Min(st.End.Prev()), now), true
}

// closeForCommands returns what the commands that go into the log now carry; the
// empty timestamp for nothing. raftMu is held, so that they go there in order.
func (r *Replica) closeForCommands() hlc.Timestamp {
	now := r.store.cfg.Clock.Now()
	r.mu.RLock()
	target, ok := r.closeToLocked(now)
	r.mu.RUnlock()
	if !ok {
		return hlc.Timestamp{}
	}
	return r.closing.Close(target)
}

// checkClosed asserts I3 of kv/closedts.
func (a *applier) checkClosed(h *commandHeader) error {
	if low := h.LowestWrite; !low.IsEmpty() && low.LessEq(a.state.Closed) {
		return fmt.Errorf("a command writes at %s, and %s is closed", low, a.state.Closed)
	}
	return nil
}

// closedHere is up to where this replica may be read without a lease.
func (r *Replica) closedHere() hlc.Timestamp {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.closedHereLocked()
}

func (r *Replica) closedHereLocked() hlc.Timestamp {
	closed := r.mu.applied.Closed.Max(r.mu.closedIdle)
	if ts, index, ok := r.store.closedIn.Closed(r.mu.lease.Holder.NodeID, r.rangeID); ok && index <= r.mu.applied.Index {
		closed.Forward(ts)
	}
	return closed
}

// closedLoop closes the idle ranges that are led here.
func (s *Store) closedLoop() {
	t := time.NewTicker(s.cfg.ClosedInterval)
	defer t.Stop()
	out := map[kvapi.NodeID]*closedts.Outbound{}
	var told time.Time
	for n := 0; ; n++ {
		select {
		case <-t.C:
			if n%expireFeedsEvery == 0 {
				s.expireFeeds()
			}
			// A store that leads very many ranges tells of them less often, so that
			// they cost no more: followers then know later what is closed, and reads
			// of the recent past go to leaders.
			pause := min(time.Duration(s.counted.leases.Load())*closedEach, closedPauseMax)
			if n > 0 && time.Since(told)+s.cfg.ClosedInterval/2 < pause {
				continue
			}
			told = time.Now()
			s.tellClosed(out)
		case <-s.stopping:
			return
		}
	}
}

// tellClosed sends an update to every node that has replicas of the idle ranges
// that are led here.
func (s *Store) tellClosed(out map[kvapi.NodeID]*closedts.Outbound) {
	for _, n := range s.closedMissed.take() {
		delete(out, n)
	}
	// One target for all, taken first: each range is judged by a later reading.
	target := hlc.Timestamp{WallTime: min(s.cfg.Clock.Now().WallTime, s.cfg.Clock.PhysicalNow())}.AddNanos(-int64(s.cfg.ClosedLag))
	idle := map[kvapi.NodeID][]closedts.Range{}
	for n := range out {
		idle[n] = nil
	}
	leases := int64(0)
	for _, r := range s.replicas.all() {
		index, desc, ok := r.closeIdle(target)
		if !ok {
			continue
		}
		leases++
		for i := range desc.Replicas {
			if n := desc.Replicas[i].NodeID; n != s.ident.NodeID {
				idle[n] = append(idle[n], closedts.Range{ID: r.rangeID, Index: index})
			}
		}
	}
	s.counted.leases.Store(leases)
	for n, ranges := range idle {
		o := out[n]
		if o == nil {
			o = &closedts.Outbound{}
			out[n] = o
		}
		if u := o.Next(target, ranges, uint64(s.cfg.Clock.Now().WallTime)); u != nil {
			s.metrics.ClosedUpdates.Add(1)
			s.cfg.Transport.SendLiveness(n, &LivenessMessage{Closed: u})
		}
	}
}

// closeIdle closes up to target if no command is under way, and returns the
// index of the log from where on that holds (I5 of kv/closedts: all of it is
// found under one lock, which whoever proposes, or applies, takes, too).
func (r *Replica) closeIdle(target hlc.Timestamp) (index kvapi.LogIndex, desc *kvapi.RangeDescriptor, ok bool) {
	if !r.leading.Load() {
		return 0, nil, false
	}
	now := r.store.cfg.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.mu.leads || r.mu.applying || len(r.mu.pending) > 0 || len(r.mu.buffer) > 0 {
		return 0, nil, false
	}
	limit, ok := r.closeToLocked(now)
	if !ok || limit.Less(target) || r.closing.Close(target).Less(target) {
		return 0, nil, false
	}
	if f := r.store.cfg.Knobs.Closed; f != nil {
		f(r.rangeID, r.mu.applied.Index, target)
	}
	r.mu.closedIdle.Forward(target)
	return r.mu.applied.Index, r.mu.desc, true
}

// missed are nodes that have missed an update.
type missed struct {
	mu    sync.Mutex
	nodes []kvapi.NodeID
}

func (m *missed) add(n kvapi.NodeID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.nodes, n) {
		m.nodes = append(m.nodes, n)
	}
}

func (m *missed) take() []kvapi.NodeID {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.nodes
	m.nodes = nil
	return out
}

// onClosed takes another node's update.
func (s *Store) onClosed(from kvapi.NodeID, u *closedts.Update) {
	if !s.closedIn.Receive(from, u) {
		s.cfg.Transport.SendLiveness(from, &LivenessMessage{ClosedMissed: true})
	}
}
