package store

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// outcome is the fate of a proposal.
type outcome uint8

const (
	// applied: the command had its effect on this replica.
	applied outcome = iota
	// neverApplied: it had none and never will, anywhere.
	neverApplied
	// unknown: this replica cannot tell (snapshot, removal, shut-down).
	unknown
)

// proposal is a command on its way through Raft. It ends exactly once, by
// finish, with the replica's mu not held.
//
//	buffer ──▶ in the log ──▶ applied             success
//	   │           │────────▶ rejected            neverApplied
//	   │           │────────▶ newer term applied   neverApplied
//	   │           │────────▶ newer lease applied  neverApplied
//	   │           └────────▶ snapshot, removal    unknown
//	   └─ not the leader of its term any more     neverApplied
type proposal struct {
	id      commandID
	header  commandHeader
	encoded []byte
	// change is set for a command that is a conf change.
	change *raftgroup.ConfChange
	// inLog says that it was given to Raft.
	inLog bool
	// done is closed after result is set.
	done   chan struct{}
	result outcome
	// stuck is closed by the tick that finds the proposal waiting for too long:
	// there may be no quorum. Its fate is still open then.
	stuck   chan struct{}
	isStuck bool
	// bornTick is when it entered the log, or the first tick that found it waiting
	// for that; 0 before.
	bornTick uint64
	// onDone, if set, runs before done is closed.
	onDone func(outcome)
	// onPlaced, if set, runs once, when the command has its place in the log or
	// has come to nothing (kv/closedts).
	onPlaced func()
	isPlaced atomic.Bool
}

func newProposal(id commandID, h commandHeader, batch []byte) *proposal {
	c := command{id: id, header: h, batch: batch}
	return &proposal{id: id, header: h, encoded: c.encode(), done: make(chan struct{}), stuck: make(chan struct{})}
}

// placed says that the command is in the log, or never will be.
func (p *proposal) placed() {
	if p.onPlaced != nil && !p.isPlaced.Swap(true) {
		p.onPlaced()
	}
}

func (p *proposal) finish(o outcome) {
	p.placed()
	p.result = o
	if p.onDone != nil {
		p.onDone(o)
	}
	close(p.done)
}

// bufferLocked queues a proposal for the next run of the scheduler. The caller
// enqueues the range after it unlocked.
func (r *Replica) bufferLocked(p *proposal) {
	r.closing.Leave()
	r.mu.buffer = append(r.mu.buffer, p)
	r.mu.pending[p.id] = p
}

// propose queues a command and wakes the range, unless the command gathers. It
// refuses when the replica is going or its queue is full; then nothing was done.
func (r *Replica) propose(p *proposal) *kvapi.Error {
	if n := len(p.encoded); n > commandBytesMax {
		return kvapi.NewError(kvapi.ErrInternal, "a command of %d bytes is larger than %d", n, commandBytesMax)
	}
	r.mu.Lock()
	err := r.proposeLocked(p)
	gathers := r.mu.leads && r.gathersLocked()
	r.mu.Unlock()
	if err == nil && !gathers {
		r.store.enqueue(r.rangeID)
	}
	return err
}

// proposeLocked queues a command; if it returns nil the caller enqueues the range
// after it unlocked.
func (r *Replica) proposeLocked(p *proposal) *kvapi.Error {
	switch {
	case r.mu.removed || r.store.isStopping():
		return kvapi.NewError(kvapi.ErrUnavailable, "%s is leaving this node", r.rangeID)
	case len(r.mu.pending) >= proposalsMax:
		return kvapi.NewError(kvapi.ErrOverloaded, "%s has %d commands in flight", r.rangeID, proposalsMax)
	}
	r.bufferLocked(p)
	return nil
}

// gathersLocked reports whether buffered commands are better off in one append
// with those that come in a moment: while an append of this replica is being synced
// the log writer would not begin another, nor could the leader apply what others
// have synced before it, and each follower would get, sync and answer one message
// more. The first of an idle range goes at once. What ends the wait is the sync
// (onAppended); many bytes do not wait, for they take their time on the way.
func (r *Replica) gathersLocked() bool {
	if r.appending.Load() == 0 {
		return false
	}
	n := 0
	for _, p := range r.mu.buffer {
		if n += len(p.encoded); n >= gatheredBytesMax {
			return false
		}
	}
	return true
}

// takeBuffer empties the buffer, unless it gathers. A replica that does not lead
// has to refuse what is in it.
func (r *Replica) takeBuffer(leads bool) []*proposal {
	r.mu.Lock()
	defer r.mu.Unlock()
	if leads && r.gathersLocked() {
		return nil
	}
	buffer := r.mu.buffer
	r.mu.buffer = nil
	return buffer
}

// flushProposals gives the buffered commands to Raft, as one message. A
// command whose term is over is refused here and nowhere later: this is what
// keeps it out of the log of any other leader (I3). raftMu is held.
func (r *Replica) flushProposals() {
	st := r.raftMu.group.Status()
	buffer := r.takeBuffer(st.IsLeader())
	if len(buffer) == 0 {
		return
	}
	// None of them has its place yet, so what they carry is below all of them.
	if closed := r.closeForCommands(); !closed.IsEmpty() {
		for _, p := range buffer {
			if p.header.Lease == nil {
				setClosed(p.encoded, closed)
			}
		}
	}
	var commands [][]byte
	var sent, refused []*proposal
	for _, p := range buffer {
		switch {
		case !st.IsLeader() || p.header.Term != st.Term || st.TransferTarget != 0:
			refused = append(refused, p)
		case p.change != nil:
			if err := r.raftMu.group.ProposeConfChange(*p.change, p.encoded); err != nil {
				refused = append(refused, p)
				continue
			}
			p.inLog, p.bornTick = true, r.raftMu.ticks
			p.placed()
			r.store.metrics.Proposals.Add(1)
		default:
			commands, sent = append(commands, p.encoded), append(sent, p)
		}
	}
	if len(commands) > 0 {
		if err := r.raftMu.group.Propose(commands); err != nil {
			refused = append(refused, sent...)
		} else {
			r.store.metrics.Proposals.Add(int64(len(sent)))
			for _, p := range sent {
				p.inLog, p.bornTick = true, r.raftMu.ticks
				p.placed()
			}
		}
	}
	r.resolve(refused, neverApplied)
}

// resolve ends proposals that are not in the log, or whose fate the caller
// knows.
func (r *Replica) resolve(ps []*proposal, o outcome) {
	if len(ps) == 0 {
		return
	}
	r.mu.Lock()
	for _, p := range ps {
		delete(r.mu.pending, p.id)
	}
	r.mu.Unlock()
	for _, p := range ps {
		p.finish(o)
	}
}

// takeLocked removes the pending proposals that match and returns them.
func (r *Replica) takeLocked(match func(*proposal) bool) []*proposal {
	var out []*proposal
	for id, p := range r.mu.pending {
		if match(p) {
			out = append(out, p)
			delete(r.mu.pending, id)
		}
	}
	if len(out) == 0 {
		return nil
	}
	kept := r.mu.buffer[:0]
	for _, p := range r.mu.buffer {
		if !match(p) {
			kept = append(kept, p)
		}
	}
	r.mu.buffer = kept
	return out
}

// noteStuck tells the callers of proposals that have waited for stuckTicks.
// raftMu is held.
func (r *Replica) noteStuck() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.mu.pending {
		if p.bornTick == 0 {
			p.bornTick = r.raftMu.ticks // it waits in the buffer
		}
		if !p.isStuck && r.raftMu.ticks-p.bornTick > stuckTicks {
			p.isStuck = true
			close(p.stuck)
		}
	}
}

// wait returns the proposal's fate, or why nobody waits for it any longer.
func (p *proposal) wait(ctx context.Context) (outcome, error) {
	select {
	case <-p.done:
		return p.result, nil
	default:
	}
	select {
	case <-p.done:
		return p.result, nil
	case <-p.stuck:
		return unknown, errStuck
	case <-ctx.Done():
		return unknown, ctx.Err()
	}
}

var errStuck = errors.New("no quorum has answered for long")
