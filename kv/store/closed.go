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
	"github.com/cairndb/cairn/kv/liveness"
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
	closed := r.mu.applied.Closed.Max(r.closing.Idle())
	if ts, index, ok := r.store.closedIn.Closed(r.mu.lease.Holder.NodeID, r.rangeID); ok && index <= r.mu.applied.Index {
		closed.Forward(ts)
	}
	return closed
}

// closer closes the idle ranges that are led here, and tells of them. It is for one
// goroutine.
//
// A range whose lease stands on the support of some nodes is given to a crowd
// (closedts.Crowd), which closes for it while those nodes hold this one up: all that
// may otherwise end the range's right to close makes it leave. The rest, and what has
// left, is looked at each time.
type closer struct {
	s     *Store
	out   map[kvapi.NodeID]*closedts.Outbound
	crowd *closedts.Crowd
	// holders are the nodes that leases in the crowd stand on.
	holders map[kvapi.NodeID]liveness.Epoch
	// spoken are the ranges that nodes were told of.
	spoken map[kvapi.RangeID]spoken
}

// spoken is what was said of a range, to the nodes in desc.
type spoken struct {
	index kvapi.LogIndex
	desc  *kvapi.RangeDescriptor
	// inCrowd says that the crowd closes for it.
	inCrowd bool
}

// news is what changes for a node.
type news struct {
	left   []kvapi.RangeID
	joined []closedts.Range
}

func newCloser(s *Store) *closer {
	return &closer{s: s, out: map[kvapi.NodeID]*closedts.Outbound{}, crowd: &closedts.Crowd{},
		holders: map[kvapi.NodeID]liveness.Epoch{}, spoken: map[kvapi.RangeID]spoken{}}
}

// closedLoop closes the idle ranges that are led here.
func (s *Store) closedLoop() {
	t := time.NewTicker(s.cfg.ClosedInterval)
	defer t.Stop()
	c := newCloser(s)
	for n := 0; ; n++ {
		select {
		case <-t.C:
			if n%expireFeedsEvery == 0 {
				s.expireFeeds()
			}
			c.tell()
		case <-s.stopping:
			return
		}
	}
}

// tell sends an update to every node that has replicas of the idle ranges that are
// led here.
func (c *closer) tell() {
	s := c.s
	streamID := uint64(s.cfg.Clock.Now().WallTime)
	for _, n := range s.closedMissed.take() {
		if o := c.out[n]; o != nil {
			o.Reset(streamID)
		}
	}
	// One target for all, taken first: each range is judged by a later reading.
	target := hlc.Timestamp{WallTime: min(s.cfg.Clock.Now().WallTime, s.cfg.Clock.PhysicalNow())}.AddNanos(-int64(s.cfg.ClosedLag))
	all := map[kvapi.NodeID]*news{}
	for _, id := range c.advance(target) {
		c.takeBack(id, all)
	}
	for _, r := range s.leaders.all() {
		c.look(r, target, all)
	}
	for n := range c.out {
		if all[n] == nil {
			all[n] = &news{}
		}
	}
	for n, news := range all {
		o := c.out[n]
		if o == nil {
			o = &closedts.Outbound{}
			c.out[n] = o
		}
		if u := o.Next(target, news.left, news.joined, streamID); u != nil {
			s.metrics.ClosedUpdates.Add(1)
			s.cfg.Transport.SendLiveness(n, &LivenessMessage{Closed: u})
		}
	}
}

// advance closes for the crowd, and returns those that are not in it any more: all,
// if one of the nodes holds this one up no more.
func (c *closer) advance(target hlc.Timestamp) (left []kvapi.RangeID) {
	for n, epoch := range c.holders {
		if now, until := c.s.live.GotFrom(n); now != epoch || until.LessEq(target) {
			c.crowd = &closedts.Crowd{}
			clear(c.holders)
			for id, sp := range c.spoken {
				if sp.inCrowd {
					left = append(left, id)
				}
			}
			return left
		}
	}
	left = c.crowd.Advance(target)
	if f := c.s.cfg.Knobs.Closed; f != nil {
		for id, sp := range c.spoken {
			if sp.inCrowd && !slices.Contains(left, id) {
				f(id, sp.index, target)
			}
		}
	}
	return left
}

// takeBack has a range looked at again, for which the crowd does not close.
func (c *closer) takeBack(id kvapi.RangeID, all map[kvapi.NodeID]*news) {
	c.unsay(id, all)
	if r := c.s.replicas.get(id); r != nil && r.leading.Load() {
		c.s.leaders.add(r)
	}
}

// look closes for a range that is in no crowd, and says so.
func (c *closer) look(r *Replica, target hlc.Timestamp, all map[kvapi.NodeID]*news) {
	now, ok := r.closeIdle(target, c)
	if was := c.spoken[r.rangeID]; was.desc != nil && (was.desc != now.desc || was.index != now.index) {
		c.unsay(r.rangeID, all)
	}
	if now.inCrowd {
		c.s.leaders.remove(r)
	} else if !ok {
		c.s.forgetFormerLeader(r)
	}
	if !ok {
		return
	}
	if c.spoken[r.rangeID].desc == nil {
		c.each(now.desc, all, func(n *news) { n.joined = append(n.joined, closedts.Range{ID: r.rangeID, Index: now.index}) })
	}
	c.spoken[r.rangeID] = now
}

// forgetFormerLeader has a replica looked at no more that leads no more.
func (s *Store) forgetFormerLeader(r *Replica) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.mu.leads {
		s.leaders.remove(r)
	}
}

// unsay takes a range out of what is told.
func (c *closer) unsay(id kvapi.RangeID, all map[kvapi.NodeID]*news) {
	if was, ok := c.spoken[id]; ok {
		delete(c.spoken, id)
		c.each(was.desc, all, func(n *news) { n.left = append(n.left, id) })
	}
}

// each is for the news of every other node with a replica.
func (c *closer) each(desc *kvapi.RangeDescriptor, all map[kvapi.NodeID]*news, f func(*news)) {
	for i := range desc.Replicas {
		n := desc.Replicas[i].NodeID
		if n == c.s.ident.NodeID {
			continue
		}
		if all[n] == nil {
			all[n] = &news{}
		}
		f(all[n])
	}
}

// closeIdle closes up to target if no command is under way, and returns the
// index of the log from where on that holds (I5 of kv/closedts: all of it is
// found under one lock, which whoever proposes, or applies, takes, too). If c is not
// nil and the range is fit for it, c's crowd closes for it from then on.
func (r *Replica) closeIdle(target hlc.Timestamp, c *closer) (now spoken, ok bool) {
	if !r.leading.Load() {
		return spoken{}, false
	}
	clock := r.store.cfg.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.mu.leads || r.mu.applying || len(r.mu.pending) > 0 || len(r.mu.buffer) > 0 {
		return spoken{}, false
	}
	limit, ok := r.closeToLocked(clock)
	if !ok || limit.Less(target) {
		return spoken{}, false
	}
	var crowd *closedts.Crowd
	if c != nil {
		if on, ok := r.holdersLocked(target); ok && c.mayJoin(on) {
			crowd = c.crowd
		}
	}
	closed, joined := r.closing.CloseIdle(target, crowd, r.rangeID)
	if !closed {
		return spoken{}, false
	}
	if f := r.store.cfg.Knobs.Closed; f != nil {
		f(r.rangeID, r.mu.applied.Index, target)
	}
	return spoken{index: r.mu.applied.Index, desc: r.mu.desc, inCrowd: joined}, true
}

// holding is a node that holds up a leader, at an epoch.
type holding struct {
	node  kvapi.NodeID
	epoch liveness.Epoch
}

// holdersLocked returns followers that are a quorum with this leader and hold it up
// beyond a time; ok is false if the lease does not stand on that alone.
func (r *Replica) holdersLocked(beyond hlc.Timestamp) (on []holding, ok bool) {
	if own, ok := r.mu.desc.ReplicaByID(r.replicaID); !ok || own.Type != kvapi.Voter || r.mu.lease.Kind != kvapi.LeaderLease {
		return nil, false
	}
	voters := 0
	for i := range r.mu.desc.Replicas {
		switch rep := &r.mu.desc.Replicas[i]; {
		case rep.Type == kvapi.Learner:
			continue
		case rep.Type != kvapi.Voter:
			return nil, false // a joint configuration has two quorums, and is soon over
		case rep.ReplicaID != r.replicaID && beyond.Less(r.holdsUpLocked(rep)):
			on = append(on, holding{rep.NodeID, r.mu.acknowledged[rep.ReplicaID]})
		}
		voters++
	}
	return on, len(on)+1 > voters/2
}

// mayJoin reports whether a lease that stands on some nodes may stand in the crowd,
// which then stands on them, too.
func (c *closer) mayJoin(on []holding) bool {
	for _, h := range on {
		if e, ok := c.holders[h.node]; ok && e != h.epoch {
			return false // it has just changed: the crowd will break up
		}
	}
	for _, h := range on {
		c.holders[h.node] = h.epoch
	}
	return true
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
