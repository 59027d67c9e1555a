package store

import (
	"context"
	"fmt"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/raftlog"
)

// startGroup loads the log and makes the Raft group of a replica.
func (r *Replica) startGroup() error {
	log, err := raftlog.Load(r.store.cfg.Engine, r.store.logCache, r.rangeID)
	if err != nil {
		return err
	}
	group, err := raftgroup.New(raftgroup.Config{
		ID: r.replicaID, Log: log, HardState: log.HardState(),
		ConfState: raftgroup.ConfStateOf(r.mu.desc), Applied: r.mu.applied.Index,
		Snapshot: r.prepareSnapshot, ElectionTicks: electionTicks, HeartbeatTicks: heartbeatTicks,
		Logger: r.store.cfg.Log,
	})
	if err != nil {
		return fmt.Errorf("%s: %w", r.rangeID, err)
	}
	r.raftMu.group, r.raftMu.log = group, log
	r.durableTerm.Store(uint64(group.Status().Term))
	r.wake()
	r.mu.Lock()
	r.mu.term = group.Status().Term
	r.mu.Unlock()
	return nil
}

// processMessages steps what has arrived. It reports whether work is due.
func (r *Replica) processMessages() bool {
	r.raftMu.Lock()
	defer r.raftMu.Unlock()
	if r.raftMu.group == nil && r.quarantined.Load() == nil {
		return false
	}
	if next := r.removeSoon.Load(); next > uint64(r.replicaID) {
		if err := r.removeLocked(kvapi.ReplicaID(next)); err != nil {
			r.store.fatal(err)
		}
		return false
	}
	if r.raftMu.group == nil {
		return false
	}
	st := r.raftMu.group.Status()
	in := r.inbox.take(st.Role == raftgroup.Follower && st.Leader != 0)
	for _, m := range in.own {
		r.step(m)
	}
	for _, e := range in.peers {
		if e.Message.Type() != raftgroup.MsgSnapshot && r.acceptPeer(e) {
			r.step(e.Message)
			r.makePromise(&e)
			r.acknowledge(&e)
		}
	}
	for _, a := range in.answers {
		r.onReleased(a)
	}
	if r.supportChanged.Swap(false) {
		r.onSupportChanged()
	}
	if r.askSoon.Swap(false) {
		r.askLeaders()
	}
	if r.wakeSoon.Swap(false) {
		r.wake()
	}
	for _, rep := range in.reports {
		r.raftMu.group.ReportSnapshot(rep.to, rep.ok)
	}
	for _, id := range in.lost {
		r.raftMu.group.ReportUnreachable(id)
	}
	if r.campaignSoon.Swap(false) {
		r.raftMu.standing = electionTicks
		r.campaign()
	}
	r.wakeUnlessSettled()
	return true
}

// acceptPeer decides whether a peer's message reaches Raft.
func (r *Replica) acceptPeer(e raftgroup.Envelope) bool {
	if e.To.ReplicaID != r.replicaID || e.Message.From() != e.From.ReplicaID {
		return false
	}
	r.doubt.note(e.StartKey)
	desc := r.Desc()
	if _, known := desc.ReplicaByID(e.From.ReplicaID); !known {
		r.heard.Lock()
		if r.heard.peers == nil {
			r.heard.peers = map[kvapi.ReplicaID]kvapi.ReplicaDescriptor{}
		}
		r.heard.peers[e.From.ReplicaID] = e.From
		r.heard.Unlock()
	}
	// A sender that is in no descriptor here may be newer than our descriptor,
	// and may need our vote; one that was removed is kept in check by pre-vote.
	if t := e.Message.Type(); (t == raftgroup.MsgVote || t == raftgroup.MsgPreVote) && !r.acceptVote(&e) {
		return false
	}
	if desc.IsInitialized() {
		return !r.store.hasNoSpaceFor(desc, &e.Message)
	}
	return !r.waitsForSplit(e)
}

// waitsForSplit holds back appends to a replica without data while a local
// range still covers its keys: that range's split is about to make it, and a
// snapshot in answer to a refused append would be wasted. It gives up after
// splitGraceTicks, for the split may never come here.
func (r *Replica) waitsForSplit(e raftgroup.Envelope) bool {
	if e.Message.Type() != raftgroup.MsgAppend || len(e.StartKey) == 0 {
		return false
	}
	if r.raftMu.graceUntil == 0 {
		r.raftMu.graceUntil = r.raftMu.ticks + splitGraceTicks
	}
	return r.raftMu.ticks < r.raftMu.graceUntil && r.store.replicas.lookup(e.StartKey) != nil
}

func (r *Replica) step(m raftgroup.Message) {
	if err := r.raftMu.group.Step(m); err != nil {
		r.store.cfg.Log.Warn("raft message refused", "range", r.rangeID, "err", err)
	}
}

func (r *Replica) campaign() {
	if r.isBound(r.store.ident.NodeID) {
		r.askLeaders()
		return
	}
	if err := r.raftMu.group.Campaign(); err != nil {
		r.store.cfg.Log.Debug("campaign refused", "range", r.rangeID, "err", err)
	}
}

// maybeCampaignAgain repeats a campaign whose messages were lost, as often as
// a leader would be heard: Raft itself would wait for an election time-out, and
// then another replica may win, one that cannot use the lease. raftMu is held.
func (r *Replica) maybeCampaignAgain() {
	if r.raftMu.standing == 0 {
		return
	}
	r.raftMu.standing--
	switch st := r.raftMu.group.Status(); {
	case st.Leader != 0:
		r.raftMu.standing = 0
	case st.Role == raftgroup.PreCandidate:
		// Others support the leader for a moment longer, or it is lost.
		r.campaign()
	case r.raftMu.standing%heartbeatTicks == electionTicks%heartbeatTicks:
		r.campaign()
	}
}

// hasVotedSince reports whether this replica has given its vote to another since it
// lost its leader. Then it leaves it to that one: on a busy machine an election takes
// longer than a turn (campaignInTurn), and two that stand keep each other waiting for an
// election time-out. raftMu is held.
func (r *Replica) hasVotedSince() bool {
	p, st := r.promise.Load(), r.raftMu.group.Status()
	return p != nil && st.Term > p.term && st.Vote != 0 && st.Vote != r.replicaID
}

// processTick advances Raft's clock and what hangs on it.
func (r *Replica) processTick() bool {
	r.raftMu.Lock()
	defer r.raftMu.Unlock()
	if r.raftMu.group == nil {
		return false
	}
	r.raftMu.ticks++
	r.releaseHeld()
	if !r.raftMu.group.Status().IsLeader() && r.isBound(r.store.ident.NodeID) {
		// There is no election to be called; unless the leader is none any more.
		if !r.maySleep() {
			r.askLeaders()
		}
	} else {
		r.raftMu.group.Tick()
	}
	if at := r.raftMu.campaignAt; at != 0 {
		switch {
		case r.raftMu.group.Status().Leader != 0:
			r.raftMu.campaignAt = 0 // the turn was another's, and over
		case r.raftMu.ticks >= at:
			r.raftMu.campaignAt = 0
			if !r.hasVotedSince() {
				r.campaignSoon.Store(true)
				r.store.enqueue(r.rangeID)
			}
		}
	}
	r.maybeCampaignAgain()
	r.tickLease()
	r.noteStuck()
	r.tickBreaker()
	r.maybeTruncateLog()
	if r.maySleep() {
		r.sleep()
	}
	return true
}

// processReady gives proposals to Raft and does what Raft wants done.
func (r *Replica) processReady() {
	r.raftMu.Lock()
	defer r.raftMu.Unlock()
	r.readyLocked()
}

func (r *Replica) readyLocked() {
	if r.raftMu.group == nil {
		return
	}
	r.store.metrics.Turns.Add(1)
	r.flushProposals()
	for r.raftMu.group != nil && r.raftMu.group.HasReady() {
		rd := r.raftMu.group.Ready()
		r.store.metrics.Readies.Add(1)
		// Before any follower hears of it: see onLeadAsk.
		r.publishStatus()
		r.sendMessages(r.hold(rd.Messages))
		if rd.Append != nil {
			r.handleAppend(rd.Append)
		}
		if rd.Apply != nil {
			r.applyEntries(rd.Apply.Entries)
			if r.raftMu.group == nil {
				return // it applied its own removal
			}
			for _, m := range rd.Apply.Responses {
				r.step(m)
			}
		}
		r.publishStatus()
	}
}

// handleAppend hands an append to the log writer; the answers come back, once
// all is durable, on the writer's goroutine.
func (r *Replica) handleAppend(a *raftgroup.StorageAppend) {
	if a.Snapshot != nil {
		r.applySnapshot(a)
		return
	}
	if a.MustSync() {
		r.appending.Add(1)
	}
	if err := r.store.logWriter.Append(context.Background(), r.raftMu.log, a, r.onAppended); err != nil {
		r.store.fatal(fmt.Errorf("%s: append: %w", r.rangeID, err))
	}
}

// onAppended is what the log writer calls when an append is durable. Proposals
// may have waited for that (gathersLocked).
func (r *Replica) onAppended(responses []raftgroup.Message) {
	last := r.appending.Add(-1) == 0
	r.onDurable(responses)
	if !last {
		return
	}
	r.mu.RLock()
	waits := len(r.mu.buffer) > 0
	r.mu.RUnlock()
	if waits {
		r.store.enqueue(r.rangeID)
	}
}

// onDurable sorts the responses of a durable append. It must not block.
func (r *Replica) onDurable(responses []raftgroup.Message) {
	var out, own []raftgroup.Message
	var index uint64
	for _, m := range responses {
		if t := m.Type(); t == raftgroup.MsgAppendResponse || t == raftgroup.MsgVoteResponse {
			r.noteDurable(m.Term())
		}
		switch {
		case m.To() != r.replicaID:
			out = append(out, m)
			continue
		case m.Type() == raftgroup.MsgAppendResponse:
			index = max(index, uint64(m.Index()))
		}
		own = append(own, m)
	}
	r.sendToPeers(out)
	if acked := r.inbox.addOwn(own); r.ownMayWait(index, acked) {
		r.store.later.add(r)
		return
	}
	r.store.enqueue(r.rangeID)
}

// noteDurable takes note of a term that is on disk.
func (r *Replica) noteDurable(term kvapi.Term) {
	for {
		old := r.durableTerm.Load()
		if uint64(term) <= old || r.durableTerm.CompareAndSwap(old, uint64(term)) {
			return
		}
	}
}

// sendMessages sends what may go before anything is durable.
func (r *Replica) sendMessages(msgs []raftgroup.Message) {
	kept := msgs[:0]
	for _, m := range msgs {
		if m.Type() == raftgroup.MsgSnapshot {
			r.startSnapshot(m)
			continue
		}
		kept = append(kept, m)
	}
	r.sendToPeers(kept)
}

// sendToPeers addresses messages and hands them to the transport. It may run on
// any goroutine.
func (r *Replica) sendToPeers(msgs []raftgroup.Message) {
	if len(msgs) == 0 {
		return
	}
	desc := r.Desc()
	from := r.own(desc)
	for i := range msgs {
		to, ok := r.peer(desc, msgs[i].To())
		if !ok {
			continue
		}
		env := raftgroup.Envelope{RangeID: r.rangeID, From: from, To: to, StartKey: desc.StartKey, Message: msgs[i]}
		if env.Promise = r.maybePromised(msgs[i], to); env.Promise != 0 {
			env.Committed = kvapi.LogIndex(r.committed.Load())
		}
		r.store.live.Want(to.NodeID)
		if !r.store.cfg.Transport.SendRaft(to.NodeID, []raftgroup.Envelope{env}) {
			r.store.metrics.MessagesDropped.Add(1)
			if msgs[i].Type() == raftgroup.MsgAppend {
				r.inbox.addLost(to.ReplicaID)
			}
		}
	}
}

// peer finds where a replica is: in the descriptor, or, for a replica that has
// none, by what it has heard.
func (r *Replica) peer(desc *kvapi.RangeDescriptor, id kvapi.ReplicaID) (kvapi.ReplicaDescriptor, bool) {
	if rep, ok := desc.ReplicaByID(id); ok {
		return rep, true
	}
	r.heard.Lock()
	defer r.heard.Unlock()
	rep, ok := r.heard.peers[id]
	return rep, ok
}

// publishStatus shows Raft's state to those who do not hold raftMu.
func (r *Replica) publishStatus() {
	if r.raftMu.group == nil {
		return
	}
	st := r.raftMu.group.Status()
	r.committed.Store(uint64(st.Commit))
	if st.IsLeader() {
		r.onLeading()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.term == st.Term && r.mu.leader == st.Leader && r.mu.leads == st.IsLeader() {
		return
	}
	became := st.IsLeader() && !r.mu.leads
	if became || r.mu.term != st.Term {
		r.mu.acknowledged, r.raftMu.committed = nil, nil
	}
	r.mu.term, r.mu.leader = st.Term, st.Leader
	r.setLeadsLocked(st.IsLeader())
	r.leaseMovedLocked()
	if became {
		now := r.store.cfg.Clock.Now()
		r.mu.transferUntil = 0
		r.store.maybeKickReplicate(r.mu.desc) // its lease may be good already
		if r.maybeAskForLeaseLocked(r.leaseStatusLocked(now, noTimestamp), now) {
			r.store.enqueue(r.rangeID)
		}
	}
}

// setLeadsLocked shows whether the replica leads, in a term that may be another.
func (r *Replica) setLeadsLocked(leads bool) {
	switch {
	case leads && !r.mu.leads:
		r.store.leads.Add(1)
	case !leads && r.mu.leads:
		r.store.leads.Add(-1)
	}
	r.mu.leads = leads
	r.leading.Store(leads)
	// Nothing is closed any more for a leader of an earlier term.
	r.closing.Leave()
	if leads {
		r.store.leaders.add(r)
	}
}
