package store

import (
	"fmt"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/raftlog"
	"github.com/cairndb/cairn/kv/storage"
)

// applier applies a run of committed entries. Trivial commands share one
// engine batch; each other command has its own, because what it changes in
// memory (a lease, a split, a configuration) must show at the same moment as
// what it changes on disk. raftMu is held throughout.
type applier struct {
	r     *Replica
	state appliedState
	batch *storage.Batch
	// fed are the write batches in batch, for feeds.
	fed [][]byte
	// done are proposals of this replica whose fate the batch decides.
	done []decided
}

type decided struct {
	p *proposal
	o outcome
}

// applyEntries applies entries in order. A failure stops the node: going on
// would answer from a state that other replicas do not have.
func (r *Replica) applyEntries(entries []raftgroup.Entry) {
	r.mu.Lock()
	a := &applier{r: r, state: r.mu.applied}
	r.mu.applying = true
	r.closing.Leave()
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.mu.applying = false
		r.mu.Unlock()
	}()
	for i := range entries {
		if err := a.apply(&entries[i]); err != nil {
			r.store.fatal(fmt.Errorf("%s: apply index %d: %w", r.rangeID, entries[i].Index, err))
			return
		}
		if r.raftMu.group == nil {
			a.abandon()
			return
		}
	}
	if err := a.flush(nil); err != nil {
		r.store.fatal(fmt.Errorf("%s: apply: %w", r.rangeID, err))
	}
}

// abandon gives up what was not flushed: the replica is out of use.
func (a *applier) abandon() {
	if a.batch != nil {
		a.batch.Close()
		a.batch = nil
	}
	for _, d := range a.done {
		d.p.finish(unknown)
	}
	a.done = nil
}

// apply takes one entry into the batch.
func (a *applier) apply(e *raftgroup.Entry) error {
	if e.Index != a.state.Index+1 {
		return fmt.Errorf("entry after %d", a.state.Index)
	}
	var cmd command
	var change *raftgroup.ConfChange
	data := e.Data
	if e.Kind == raftgroup.EntryConfChange {
		c, payload, err := raftgroup.DecodeConfChange(*e)
		if err != nil {
			return err
		}
		change, data = &c, payload
	}
	if len(data) > 0 {
		var err error
		if cmd, err = decodeCommand(data); err != nil {
			return err
		}
	}
	effective := len(data) > 0 && a.r.takesEffect(&cmd.header, a.state) && a.mayRemove(&cmd)
	if len(data) > 0 {
		a.count(effective)
	}
	if !effective || cmd.header.isTrivial() {
		return a.applyTrivial(e, &cmd, effective)
	}
	if err := a.flush(nil); err != nil {
		return err
	}
	return a.applyAlone(e, &cmd, change)
}

func (a *applier) count(effective bool) {
	if effective {
		a.r.store.metrics.Applied.Add(1)
	} else {
		a.r.store.metrics.Rejected.Add(1)
	}
}

// takesEffect is the fence (I3, I4), the same on every replica: a lease command
// must name the applied lease, any other must have been evaluated under it.
func (r *Replica) takesEffect(h *commandHeader, st appliedState) bool {
	if h.Lease == nil {
		return h.LeaseSequence == st.LeaseSequence && r.passesFreeze(h)
	}
	var prev kvapi.Lease // the first lease replaces the empty one
	if h.PrevLease != nil {
		prev = *h.PrevLease
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return prev == r.mu.lease
}

// mayRemove reports whether a command removes nothing that it must not, the
// same on every replica (checkRemoval).
func (a *applier) mayRemove(cmd *command) bool {
	if cmd.header.Removes == nil {
		return true
	}
	err := checkRemoval(&cmd.header, cmd.batch, a.r.Desc(), a.r.gcThreshold())
	if err != nil {
		a.r.store.metrics.RemovalsRefused.Add(1)
		a.r.store.cfg.Log.Error("a command was refused", "range", a.r.rangeID, "err", err)
	}
	return err == nil
}

// advance moves the applied state over an entry.
func (a *applier) advance(e *raftgroup.Entry) {
	if e.Term > a.state.Term {
		a.endTerms(e.Term)
	}
	a.state.Index, a.state.Term = e.Index, e.Term
}

// endTerms ends what this replica proposed in terms before the one given. Terms
// do not fall along a log, so nothing of theirs can follow an entry of this one:
// what has not applied by now was replaced in the log.
//
// Waiting for a newer lease instead is not enough: if the lost command is our
// request for that lease, we do not ask again while it is pending, and if we
// lead, nobody else asks.
func (a *applier) endTerms(before kvapi.Term) {
	a.r.mu.Lock()
	dead := a.r.takeLocked(func(p *proposal) bool { return p.header.Term < before })
	a.r.mu.Unlock()
	for _, p := range dead {
		a.done = append(a.done, decided{p, neverApplied})
	}
}

func (a *applier) ensureBatch() {
	if a.batch == nil {
		a.batch = a.r.store.cfg.Engine.NewBatch()
	}
}

// applyTrivial adds a command without side effects in memory, or one without
// any effect, to the shared batch.
func (a *applier) applyTrivial(e *raftgroup.Entry, cmd *command, effective bool) error {
	a.ensureBatch()
	a.advance(e)
	fate := neverApplied
	if effective {
		fate = applied
		if err := a.stage(cmd); err != nil {
			return err
		}
	}
	a.decide(cmd.id, fate)
	return nil
}

// stage adds a command's bytes, statistics and truncation.
func (a *applier) stage(cmd *command) error {
	if len(cmd.batch) > 0 {
		if err := a.batch.ApplyRepr(cmd.batch); err != nil {
			return fmt.Errorf("write batch: %w", err)
		}
		if a.r.feeds.count.Load() > 0 {
			a.fed = append(a.fed, cmd.batch)
		}
	}
	if err := a.checkClosed(&cmd.header); err != nil {
		return err
	}
	if f := a.r.store.cfg.Knobs.Wrote; f != nil && !cmd.header.LowestWrite.IsEmpty() {
		f(a.r.rangeID, a.state.Index, cmd.header.LowestWrite)
	}
	a.state.Closed.Forward(cmd.closed)
	a.state.Stats.Add(cmd.header.StatsDelta)
	if to := cmd.header.TruncateTo; to > 0 {
		if to >= a.state.Index {
			return fmt.Errorf("truncation to %d is not below what is applied", to)
		}
		return a.r.truncate(a.batch, raftlog.TruncatedState{Index: to, Term: cmd.header.TruncateTerm})
	}
	return nil
}

// decide notes the fate of a command if this replica proposed it.
func (a *applier) decide(id commandID, o outcome) {
	if id == 0 {
		return
	}
	a.r.mu.Lock()
	p := a.r.mu.pending[id]
	delete(a.r.mu.pending, id)
	a.r.mu.Unlock()
	if p != nil {
		a.done = append(a.done, decided{p, o})
	}
}

// flush commits the batch with the applied state (I5) and then answers. It
// does not sync: the log has every command, and Raft applies it again after a
// crash. publish, if set, shows what changed in memory, under mu.
func (a *applier) flush(publish func()) error {
	if a.batch == nil {
		return nil
	}
	batch := a.batch
	a.batch = nil
	defer batch.Close()
	r := a.r
	if err := storage.PutUnversioned(batch, keys.AppliedState(r.rangeID), a.state.AppendWire(nil)); err != nil {
		return err
	}
	if err := r.store.cfg.Engine.Commit(batch, false); err != nil {
		return err
	}
	r.store.metrics.ApplyBatches.Add(1)
	if fed := a.fed; len(fed) > 0 {
		a.fed = nil
		if err := r.feedApplied(fed); err != nil {
			return err
		}
	}
	r.mu.Lock()
	if a.state.Index <= r.mu.applied.Index {
		r.mu.Unlock()
		panic(fmt.Sprintf("store: applied index of %s goes from %d to %d", r.rangeID, r.mu.applied.Index, a.state.Index))
	}
	r.mu.applied = a.state
	if publish != nil {
		publish()
	}
	r.mu.Unlock()
	r.noteSize()
	done := a.done
	a.done = nil
	for _, d := range done {
		d.p.finish(d.o)
	}
	return nil
}

// applyAlone applies a command that changes the range itself.
func (a *applier) applyAlone(e *raftgroup.Entry, cmd *command, change *raftgroup.ConfChange) error {
	defer a.r.releaseHeld()
	a.ensureBatch()
	a.advance(e)
	if err := a.stage(cmd); err != nil {
		return err
	}
	a.decide(cmd.id, applied)
	h := &cmd.header
	switch {
	case h.Lease != nil:
		return a.applyLease(*h.Lease, h.Reads)
	case h.Split != nil:
		return a.applySplit(h.Split)
	case h.Desc != nil:
		return a.applyChange(&h.Desc.Desc, change)
	case h.Freeze != nil:
		return a.applyFreeze(h.Freeze)
	case h.Thaw != 0:
		return a.applyThaw()
	case h.Merge != nil:
		return a.applyMerge(h.Merge)
	case h.Check != nil:
		return a.applyCheck(h.Check)
	case !h.GCThreshold.IsEmpty():
		return a.applyGCThreshold(h)
	}
	return fmt.Errorf("a command that is neither trivial nor known")
}

// applyLease installs a lease. Whoever becomes the holder of a new sequence
// first has its timestamp cache cover everything that former holders, or
// itself before a restart, may have answered; only then can the lease be seen
// (I2, handover.go; CockroachDB #34025 forgot the case of the same holder).
func (a *applier) applyLease(l kvapi.Lease, reads *handedOver) error {
	r := a.r
	if err := storage.PutUnversioned(a.batch, keys.Lease(r.rangeID), l.AppendWire(nil)); err != nil {
		return err
	}
	renewed := l.Sequence == a.state.LeaseSequence
	a.state.LeaseSequence = l.Sequence
	holder := l.Holder.ReplicaID == r.replicaID
	desc := r.Desc()
	if !renewed && holder && !r.store.cfg.Knobs.KeepFloor {
		r.learnReads(&l)
	}
	if !renewed {
		// Before the lease shows, so that no lock is taken under it and lost.
		r.mgr.OnLeaseChanged(holder, l.Sequence)
		r.load.quietFromNow() // what the range was asked for elsewhere is not known
	}
	var dead []*proposal
	err := a.flush(func() {
		r.mu.lease = l
		if !renewed {
			r.mu.handed = reads
			if holder {
				r.mu.knowsUnder = l.Sequence
			}
			// What was evaluated under an older sequence can never take effect.
			dead = r.takeLocked(func(p *proposal) bool { return p.header.LeaseSequence < l.Sequence })
		}
		r.leaseMovedLocked()
	})
	if err != nil {
		return err
	}
	for _, p := range dead {
		p.finish(neverApplied)
	}
	if !renewed && holder {
		r.store.maybeKickReplicate(desc)
	}
	if !renewed && r.store.cfg.OnLease != nil {
		r.store.cfg.OnLease(*desc, l)
	}
	return nil
}

// applyGCThreshold raises the timestamp below which versions may be gone.
func (a *applier) applyGCThreshold(h *commandHeader) error {
	ts := h.GCThreshold.Max(a.r.gcThreshold())
	if err := storage.PutUnversioned(a.batch, keys.GCThreshold(a.r.rangeID), ts.AppendWire(nil)); err != nil {
		return err
	}
	return a.flush(func() { a.r.mu.gcThreshold.Forward(ts) })
}
