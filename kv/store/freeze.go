package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/concurrency"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// freeze stops a range for a merge into its left neighbour: it is a command in
// the range's own log, and from there on only leases and a thaw have effect. So
// every replica knows, by itself and after any crash, that the range's data do
// not change any more, whoever leads it. Nothing is served either: reads of a
// new leaseholder would not be known to the merged range.
//
//	       command Freeze            command Thaw, if the merge came to nothing
//	served ────────────────▶ frozen ────────────────────▶ served
//	                           │
//	                           └─ the left neighbour applies the merge ─▶ gone
//
// The alternative, a freeze in the leaseholder's memory that the next
// leaseholder has to find out about by an intent, is one message less and a
// race more for every way a lease can move.
//
// Who thaws. The one who froze, if his merge fails. If he is gone, whoever holds
// the lease (settleFreeze): he first makes sure that the merge's transaction is
// over, by pushing it, and then reads the addressing record at the range's end,
// which the transaction would have changed. The push alone is no answer: the
// record of a transaction that committed long ago is gone, and looks aborted.
type freeze struct {
	// Txn is the merge's transaction.
	Txn kvapi.TxnMeta `wire:"1"`
	// ReadsUntil is a reading of the leaseholder's clock above all that was
	// read in the range.
	ReadsUntil hlc.Timestamp `wire:"2"`
	// At is the log index of the freeze; set when it applies.
	At kvapi.LogIndex `wire:"3"`
}

// errFrozen says that the batch has to wait for the end of a merge, without
// latches. It never leaves the package.
var errFrozen = kvapi.NewError(kvapi.ErrUnavailable, "the range is being merged")

// stops reports whether a batch has to wait. The merge's own transaction may
// read: it refreshes what it has read.
func (f *freeze) stops(ba *kvapi.BatchRequest) bool {
	return f != nil && (ba.Txn == nil || ba.Txn.ID != f.Txn.ID || !ba.IsReadOnly())
}

// passesFreeze reports whether a command that is no lease may have effect.
func (r *Replica) passesFreeze(h *commandHeader) bool {
	r.mu.RLock()
	f := r.mu.freeze
	r.mu.RUnlock()
	if f == nil {
		return h.Thaw == 0
	}
	return h.Thaw == f.At
}

func (a *applier) applyFreeze(f *freeze) error {
	frozen := *f
	frozen.At = a.state.Index
	if err := storage.PutUnversioned(a.batch, freezeKey(a.r.rangeID), frozen.AppendWire(nil)); err != nil {
		return err
	}
	return a.flush(func() {
		a.r.mu.freeze = &frozen
		a.r.store.frozen.add(a.r)
	})
}

func (a *applier) applyThaw() error {
	if err := storage.DeleteUnversioned(a.batch, freezeKey(a.r.rangeID)); err != nil {
		return err
	}
	a.r.store.metrics.Thaws.Add(1)
	return a.flush(func() {
		a.r.mu.freeze = nil
		a.r.leaseMovedLocked()
	})
}

// freezeFor freezes the range under the lease of this replica. The latches of
// the whole range are held until the freeze has applied, so that nothing is
// being evaluated when it does; also when the caller goes before that.
func (r *Replica) freezeFor(ctx context.Context, txn kvapi.TxnMeta, want *kvapi.RangeDescriptor) (*freeze, error) {
	guard, kerr := r.mgr.SequenceRequest(ctx, concurrency.Request{Spans: wholeRange(want)})
	if kerr != nil {
		return nil, kerr
	}
	p, err := r.proposeFreeze(txn, want)
	if err != nil {
		r.mgr.Finish(guard)
		return nil, err
	}
	fate, err := p.wait(ctx)
	if err != nil {
		r.store.background.Go(func() {
			<-p.done
			r.mgr.Finish(guard)
		})
		return nil, fmt.Errorf("%s: freeze: %w", r.rangeID, err)
	}
	r.mgr.Finish(guard)
	r.mu.RLock()
	f := r.mu.freeze
	r.mu.RUnlock()
	if fate != applied || f == nil || f.Txn.ID != txn.ID {
		return nil, fmt.Errorf("%s could not be frozen: %w", r.rangeID, errDescriptorChanged)
	}
	return f, nil
}

func (r *Replica) proposeFreeze(txn kvapi.TxnMeta, want *kvapi.RangeDescriptor) (*proposal, error) {
	// The reading and the proposal are one step for closeIdle: what it closed
	// before lies below ReadsUntil, and after it there is a proposal under way.
	r.mu.Lock()
	now := r.store.cfg.Clock.Now()
	st := r.leaseStatusLocked(now, noTimestamp)
	ok := st.IsValid() && !r.mu.removed && r.mu.freeze == nil && r.mu.transferUntil <= now.WallTime &&
		r.mu.desc.Generation == want.Generation
	h := commandHeader{LeaseSequence: r.mu.lease.Sequence, Term: r.mu.term, Proposer: r.replicaID,
		WriteTimestamp: now.Timestamp(), Freeze: &freeze{Txn: txn, ReadsUntil: now.Timestamp()}}
	if !ok {
		r.mu.Unlock()
		return nil, fmt.Errorf("%s cannot be frozen by this node: %w", r.rangeID, errDescriptorChanged)
	}
	p := newProposal(r.store.nextCommandID(), h, nil)
	err := r.proposeLocked(p)
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	r.store.enqueue(r.rangeID)
	return p, nil
}

// waitForThaw returns when the range is not frozen any more.
func (r *Replica) waitForThaw(ctx context.Context) *kvapi.Error {
	t := time.NewTimer(thawWaitMax)
	defer t.Stop()
	for {
		r.mu.RLock()
		f, removed, changed := r.mu.freeze, r.mu.removed, r.mu.leaseChanged
		r.mu.RUnlock()
		switch {
		case removed:
			return kvapi.NewError(kvapi.ErrRangeNotFound, "%s was merged into its left neighbour", r.rangeID)
		case f == nil:
			return nil
		}
		select {
		case <-changed:
		case <-t.C:
			return kvapi.NewError(kvapi.ErrUnavailable, "%s has been frozen for %s by a merge that does not end", r.rangeID, thawWaitMax)
		case <-r.store.stopping:
			return kvapi.NewError(kvapi.ErrUnavailable, "the node is stopping")
		case <-ctx.Done():
			return kvapi.NewError(kvapi.ErrCanceled, "%s: waiting for a merge: %v", r.rangeID, ctx.Err())
		}
	}
}

// waitApplied answers when this replica has applied its log up to an index, and
// that cannot be lost: what has applied is not synced by itself, and after a
// crash this replica might have nobody left to tell it what is committed.
func (r *Replica) waitApplied(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	q := &ba.Requests[0]
	t := time.NewTicker(appliedPoll)
	defer t.Stop()
	for {
		r.mu.RLock()
		at, removed := r.mu.applied.Index, r.mu.removed
		r.mu.RUnlock()
		if removed {
			return nil, kvapi.NewError(kvapi.ErrRangeNotFound, "%s was removed", r.rangeID)
		}
		if at >= q.AppliedTo {
			break
		}
		select {
		case <-t.C:
		case <-r.store.stopping:
			return nil, kvapi.NewError(kvapi.ErrUnavailable, "the node is stopping")
		case <-ctx.Done():
			return nil, kvapi.NewError(kvapi.ErrCanceled, "%s has applied %d, not %d: %v", r.rangeID, at, q.AppliedTo, ctx.Err())
		}
	}
	if err := r.store.cfg.Engine.Barrier(ctx); err != nil {
		return nil, kvapi.NewError(kvapi.ErrUnavailable, "%s: %v", r.rangeID, err)
	}
	return &kvapi.BatchResponse{Responses: []kvapi.Response{{Kind: q.Kind}}}, nil
}

// settleFreeze ends the freeze of a merge that came to nothing. It does nothing
// if the merge goes on, or has taken place: then the left neighbour will take
// this replica's span.
func (r *Replica) settleFreeze(ctx context.Context) error {
	r.mu.RLock()
	f, desc := r.mu.freeze, r.mu.desc
	r.mu.RUnlock()
	if f == nil || r.store.resolver == nil || r.store.cfg.Txns == nil || !r.leaseStatus(noTimestamp).IsValid() {
		return nil
	}
	after, kerr := r.store.resolver.PushTxn(ctx, kvapi.TxnMeta{}, "", f.Txn, kvapi.PushAbort, hlc.Timestamp{})
	if kerr != nil {
		return kerr
	}
	if after.Status != kvapi.Aborted {
		return nil
	}
	merged, err := r.store.wasMerged(ctx, desc)
	if err != nil || merged {
		return err
	}
	return r.thaw(ctx, f)
}

// maybeSettleFreeze settles in the background, once at a time: a push waits
// while the merge is alive.
func (r *Replica) maybeSettleFreeze() {
	r.mu.RLock()
	frozen := r.mu.freeze != nil && !r.mu.removed
	if !frozen {
		r.store.frozen.remove(r) // under the lock, so that no freeze comes between
	}
	r.mu.RUnlock()
	if !frozen || !r.leaseStatus(noTimestamp).IsValid() || r.settling.Swap(true) {
		return
	}
	r.store.background.Go(func() {
		defer r.settling.Store(false)
		ctx, cancel := context.WithTimeout(r.store.ctx, settleTimeout)
		defer cancel()
		if err := r.settleFreeze(ctx); err != nil {
			r.store.cfg.Log.Debug("a range stays frozen for now", "range", r.rangeID, "err", err)
		}
	})
}

// wasMerged reads the addressing record at the end of a frozen range, whose merge
// cannot commit any more: it names the range for as long as nobody has merged it.
//
// A change of the range's replicas that was under way may have left its intent there,
// and has its record in the frozen range: who waited for it would wait for the thaw,
// and the thaw for him. Such an intent names this range, as no merge's does; the merge
// has none there then, and what is committed decides. The intents are read before that,
// lest one is resolved in between, and as of what no commit can lie above by now.
func (s *Store) wasMerged(ctx context.Context, desc *kvapi.RangeDescriptor) (bool, error) {
	key := keys.RangeMetaKey(desc.EndKey)
	_, intents, err := s.readMetaInconsistently(ctx, key)
	if err != nil {
		return false, err
	}
	names := func(d kvapi.RangeDescriptor) bool { return d.RangeID == desc.RangeID }
	if len(intents) > 0 && slices.ContainsFunc(intents, names) {
		committed, _, err := s.readMetaInconsistently(ctx, key)
		return !slices.ContainsFunc(committed, names), err
	}
	var now kvapi.RangeDescriptor
	err = s.cfg.Txns.RunTxn(ctx, "thaw", func(ctx context.Context, txn Txn) error {
		now = kvapi.RangeDescriptor{}
		b, ok, err := txn.Get(ctx, key)
		if err != nil || !ok {
			return err
		}
		return now.UnmarshalWire(b)
	})
	return !names(now), err
}

// readMetaInconsistently reads an addressing record without waiting for intents: what
// is committed, and what the intents say.
func (s *Store) readMetaInconsistently(ctx context.Context, key kvapi.Key) (committed, intents []kvapi.RangeDescriptor, err error) {
	clock := s.cfg.Clock
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Inconsistent: true, Timestamp: clock.Now().Timestamp().AddNanos(int64(clock.MaxOffset()))}}
	br, kerr := s.cfg.Sender.Send(ctx, ba.Add(kvapi.Request{Kind: kvapi.Scan, Key: key, EndKey: key.Next()}))
	if kerr != nil {
		return nil, nil, kerr
	}
	decode := func(rows []kvapi.KeyValue) (out []kvapi.RangeDescriptor) {
		for _, row := range rows {
			var d kvapi.RangeDescriptor
			if e := d.UnmarshalWire(bytes.Clone(row.Value)); e != nil {
				err = fmt.Errorf("addressing record %s: %w", row.Key, e)
			}
			out = append(out, d)
		}
		return out
	}
	committed, intents = decode(br.Responses[0].Rows), decode(br.Responses[0].Provisional)
	return committed, intents, err
}

func (r *Replica) thaw(ctx context.Context, f *freeze) error {
	now := r.store.cfg.Clock.Now()
	r.mu.RLock()
	valid := r.leaseStatusLocked(now, noTimestamp).IsValid()
	h := commandHeader{LeaseSequence: r.mu.lease.Sequence, Term: r.mu.term, Proposer: r.replicaID, Thaw: f.At}
	r.mu.RUnlock()
	if !valid {
		return r.notLeaseholder("lost the lease while ending a merge")
	}
	p := newProposal(r.store.nextCommandID(), h, nil)
	if err := r.propose(p); err != nil {
		return err
	}
	if _, err := p.wait(ctx); err != nil {
		return fmt.Errorf("%s: thaw: %w", r.rangeID, err)
	}
	return nil
}
