package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/raftlog"
	"github.com/cairndb/cairn/kv/snapshot"
	"github.com/cairndb/cairn/kv/storage"
)

// A snapshot goes through five steps:
//
//	leader: prepare   Raft finds that a follower needs one; an engine snapshot
//	                  pins the state at the applied index (prepareSnapshot)
//	leader: stream    header (with Raft's message), chunks (startSnapshot)
//	follower: stage   checksummed, to memory or tables (HandleSnapshot)
//	follower: decide  Raft's message is stepped; Raft may refuse it as old
//	follower: apply   data, log and hard state in one durable step (applySnapshot)
//
// and ends with a report to Raft on the leader, success or not, or the follower
// would wait for ever.

// preparedSnapshot is what was promised to Raft and not yet streamed.
type preparedSnapshot struct {
	snap   *storage.Snapshot
	header snapshot.Header
	atTick uint64
}

// stagedSnapshot is a received snapshot that Raft has been told of.
type stagedSnapshot struct {
	receiver *snapshot.Receiver
	header   snapshot.Header
	applied  bool
	// subsumed are replicas that were merged into the range; their raftMu is
	// held.
	subsumed []*Replica
}

// holds reports whether a replica's raftMu is held for the snapshot. Raft may find
// that the log has all that is in it, and then the log's own merge takes the place
// of the replica.
func (st *stagedSnapshot) holds(r *Replica) bool {
	return st != nil && slices.Contains(st.subsumed, r)
}

// prepareSnapshot is Raft's question where a snapshot would stand. raftMu is
// held: Raft asks from within Step and Tick.
func (r *Replica) prepareSnapshot() (raftgroup.Snapshot, error) {
	if old := r.raftMu.prepared; old != nil && r.raftMu.ticks-old.atTick < snapshotPatienceTicks {
		return raftgroup.Snapshot{}, raftgroup.ErrSnapshotNotReady
	}
	r.dropPrepared()
	if r.store.snapshotsOut.Load() >= snapshotsOutMax {
		return raftgroup.Snapshot{}, raftgroup.ErrSnapshotNotReady
	}
	r.mu.RLock()
	desc, at := r.mu.desc, r.mu.applied
	r.mu.RUnlock()
	if !desc.IsInitialized() {
		return raftgroup.Snapshot{}, raftgroup.ErrSnapshotNotReady
	}
	r.raftMu.prepared = &preparedSnapshot{
		snap:   r.store.cfg.Engine.NewSnapshot(),
		header: snapshot.Header{Desc: *desc, Index: at.Index, Term: at.Term, From: r.own(desc)},
		atTick: r.raftMu.ticks,
	}
	return raftgroup.Snapshot{Index: at.Index, Term: at.Term, ConfState: raftgroup.ConfStateOf(desc)}, nil
}

// dropPrepared gives up a snapshot that nobody asked for in the end.
func (r *Replica) dropPrepared() {
	if p := r.raftMu.prepared; p != nil {
		r.raftMu.prepared = nil
		if err := p.snap.Close(); err != nil {
			r.store.cfg.Log.Warn("closing a snapshot", "range", r.rangeID, "err", err)
		}
	}
}

// startSnapshot streams the prepared snapshot to the follower that m is for.
func (r *Replica) startSnapshot(m raftgroup.Message) {
	p := r.raftMu.prepared
	r.raftMu.prepared = nil
	to, ok := r.peer(r.Desc(), m.To())
	if p == nil || !ok || p.header.Index != m.Snapshot().Index || r.store.isStopping() {
		if p != nil {
			_ = p.snap.Close()
		}
		r.inbox.addReport(snapshotReport{to: m.To(), ok: false})
		return
	}
	p.header.To = to
	env := raftgroup.Envelope{RangeID: r.rangeID, From: p.header.From, To: to, StartKey: p.header.Desc.StartKey, Message: m}
	p.header.Payload = raftgroup.AppendEnvelopes(nil, []raftgroup.Envelope{env})
	r.store.snapshotsOut.Add(1)
	r.store.background.Go(func() {
		err := r.streamSnapshot(p)
		r.store.snapshotsOut.Add(-1)
		if err != nil {
			r.store.cfg.Log.Warn("snapshot failed", "range", r.rangeID, "to", to, "err", err)
		} else {
			r.store.metrics.SnapshotsSent.Add(1)
		}
		r.inbox.addReport(snapshotReport{to: to.ReplicaID, ok: err == nil})
		r.store.enqueue(r.rangeID)
	})
}

func (r *Replica) streamSnapshot(p *preparedSnapshot) error {
	defer p.snap.Close()
	ctx, cancel := context.WithTimeout(r.store.ctx, snapshotTimeout)
	defer cancel()
	return r.store.cfg.Transport.SendSnapshot(ctx, p.header.To.NodeID, func(send func([]byte) error) error {
		_, err := snapshot.Send(ctx, p.snap, p.header, r.store.snapshotPace, send)
		return err
	})
}

// HandleSnapshot receives a snapshot from another store: next returns the
// chunks that SendSnapshot's fill sent, and io.EOF after the last. It returns
// when the snapshot is applied, durably, or with the reason why it is not.
func (s *Store) HandleSnapshot(ctx context.Context, next func() ([]byte, error)) error {
	if sp := s.cfg.Engine.Space(); sp != storage.SpacePlenty {
		return fmt.Errorf("the disk of %s is nearly full", s.ident.NodeID)
	}
	release, err := s.snapshotIn.Acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	rc := snapshot.NewReceiver(s.cfg.Engine, s.snapshotDir(), fmt.Sprintf("in-%d", s.snapshotSeq.Add(1)))
	defer rc.Close()
	for {
		chunk, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("receive snapshot: %w", err)
		}
		if err := rc.Add(ctx, chunk); err != nil {
			return fmt.Errorf("receive snapshot: %w", err)
		}
	}
	h, ok := rc.Header()
	if !ok || !rc.Complete() {
		return errors.New("receive snapshot: it ended early")
	}
	return s.installSnapshot(rc, h)
}

// installSnapshot lets Raft decide on a complete snapshot, and applies it.
func (s *Store) installSnapshot(rc *snapshot.Receiver, h snapshot.Header) error {
	envs, err := raftgroup.DecodeEnvelopes(h.Payload)
	if err != nil || len(envs) != 1 || envs[0].Message.Type() != raftgroup.MsgSnapshot {
		return fmt.Errorf("snapshot of %s carries no message (%v)", h.Desc.RangeID, err)
	}
	r := s.replicaFor(envs[0])
	if r == nil {
		return fmt.Errorf("no replica %s may be here", envs[0].To)
	}
	r.raftMu.Lock()
	defer r.raftMu.Unlock()
	if r.raftMu.group == nil {
		return fmt.Errorf("%s is leaving this node", r.rangeID)
	}
	if !r.acceptPeer(envs[0]) {
		return fmt.Errorf("%s does not accept %s", r.rangeID, envs[0])
	}
	gone, release, err := s.lockSubsumed(r, &h.Desc)
	defer release()
	if err != nil {
		return err
	}
	st := &stagedSnapshot{receiver: rc, header: h, subsumed: gone}
	r.raftMu.staged = st
	r.step(envs[0].Message)
	r.readyLocked()
	r.raftMu.staged = nil
	if !st.applied {
		return fmt.Errorf("%s needs no snapshot at %d", r.rangeID, h.Index)
	}
	return nil
}

// applySnapshot replaces this replica's state by the staged one. Reads that
// were admitted before start over, and proposals under way cannot know whether
// the snapshot contains them.
func (r *Replica) applySnapshot(a *raftgroup.StorageAppend) {
	st := r.raftMu.staged
	if st == nil || st.header.Index != a.Snapshot.Index {
		r.store.fatal(fmt.Errorf("%s: raft wants snapshot %d, which is not here", r.rangeID, a.Snapshot.Index))
		return
	}
	if err := r.installState(st, a); err != nil {
		r.store.fatal(fmt.Errorf("%s: apply snapshot: %w", r.rangeID, err))
		return
	}
	st.applied = true
	r.store.metrics.SnapshotsApplied.Add(1)
	r.onDurable(a.Responses)
}

func (r *Replica) installState(st *stagedSnapshot, a *raftgroup.StorageAppend) error {
	ctx := context.Background()
	r.loseFeeds(nil, "the replica got its data anew")
	r.mu.Lock()
	r.mu.dataEpoch++
	dead := r.takeLocked(func(*proposal) bool { return true })
	r.mu.Unlock()
	for _, p := range dead {
		p.finish(unknown)
	}
	for _, o := range st.subsumed {
		o.retire()
	}
	if err := r.store.logWriter.Barrier(ctx); err != nil {
		return err
	}
	hs := r.raftMu.log.HardState()
	if !a.HardState.IsEmpty() {
		hs = a.HardState
	}
	hs.Commit = max(hs.Commit, st.header.Index)
	// If this replica missed a split, the right half comes by a snapshot of its
	// own: what it holds there goes, in the same step.
	in := snapshot.Install{HardState: hs, ClearTo: r.Desc().EndKey, Subsumed: tombstones(st.subsumed)}
	if err := st.receiver.Apply(ctx, in); err != nil {
		return err
	}
	r.raftMu.log.Reset(raftlog.TruncatedState{Index: st.header.Index, Term: st.header.Term}, hs)
	return r.reload(st.header.Index, st.subsumed)
}

// reload takes the state in memory from the engine after a snapshot.
func (r *Replica) reload(index kvapi.LogIndex, gone []*Replica) error {
	state, err := loadRangeState(r.store.cfg.Engine, r.rangeID)
	if err != nil {
		return err
	}
	if state.applied.Index != index {
		return fmt.Errorf("snapshot at %d left applied index %d", index, state.applied.Index)
	}
	desc := state.desc
	r.store.tscache.SetRangeFloor(&desc, r.store.cfg.Clock.Now().Timestamp())
	r.mgr.OnLeaseChanged(false, state.lease.Sequence)
	r.store.replicas.subsume(r, gone, desc.Span(), func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.mu.desc, r.mu.lease, r.mu.applied, r.mu.gcThreshold, r.mu.freeze = &desc, state.lease, state.applied, state.gcThreshold, state.freeze
		if r.mu.freeze != nil {
			r.store.frozen.add(r)
		}
		r.mu.handed, r.mu.knowsUnder = nil, 0
		r.leaseMovedLocked()
	})
	return nil
}
