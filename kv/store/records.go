package store

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// Who removes a transaction's record: the node that evaluated its end, once all
// locks are resolved (package intents). If that node dies in between, or its
// queue is full, the record stays, and with it the locks that nobody meets. A
// coordinator that dies earlier leaves a pending or a staging record, for
// whoever meets a lock. Nobody may ever: so each leaseholder looks through the
// records of its ranges for old ones, and ends what they are about.
//
//	record, recordAge after     what is done
//	its last sign of life
//	committed, aborted          its locks are resolved, then it is forgotten
//	staging, pending            it is pushed, as by one who met a lock: it is
//	                            recovered, or aborted; then as above
//
// Nothing is decided here: every step is one that others may take at any time,
// and at the same time. Records are found by reading the engine without a
// latch; what was just changed is looked at again the next time. A look costs a
// seek, and nothing where the count of the range's local keys has not changed
// since a look that found no record.
//
// The alternative, to queue what a new leaseholder inherits, would miss what a
// full queue dropped.

// recordLoop looks for old records every recordInterval.
func (s *Store) recordLoop() {
	t := time.NewTicker(recordInterval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-s.stopping:
			return
		}
		s.CollectRecords(s.ctx)
	}
}

// CollectRecords looks once at the records of every range whose lease is here.
func (s *Store) CollectRecords(ctx context.Context) {
	for _, r := range s.replicas.all() {
		if s.isStopping() {
			return
		}
		if r.leading.Load() {
			r.collectRecords(ctx)
		}
	}
}

func (r *Replica) collectRecords(ctx context.Context) {
	r.mu.RLock()
	desc, locals := r.mu.desc, r.mu.applied.Stats.SysCount
	r.mu.RUnlock()
	if r.noRecordsAt.Load() == locals+1 || !r.holdsLease() {
		return
	}
	old, any, err := r.oldRecords(desc)
	switch {
	case err != nil:
		r.store.cfg.Log.Warn("reading transaction records", "range", r.rangeID, "err", err)
		return
	case !any:
		r.noRecordsAt.Store(locals + 1)
		return
	}
	for i := range old {
		if err := r.endRecord(ctx, &old[i]); err != nil {
			r.store.cfg.Log.Debug("an old transaction record stays", "range", r.rangeID, "txn", old[i].ID.Short(), "err", err)
		}
	}
}

// oldRecords returns records of the range that nobody has touched for
// recordAge, recordsMax at most, and whether there are any, old or not.
func (r *Replica) oldRecords(desc *kvapi.RangeDescriptor) (old []kvapi.Transaction, any bool, err error) {
	start, end := keys.RangeLocalSpan(desc.StartKey, desc.EndKey)
	before := r.store.cfg.Clock.Now().Timestamp().AddNanos(-int64(recordAge))
	it, err := r.store.cfg.Engine.AcquireIter(storage.EncodeKey(nil, start), storage.EncodeKey(nil, end))
	if err != nil {
		return nil, false, err
	}
	defer r.store.cfg.Engine.ReleaseIter(it)
	for ok := it.First(); ok && len(old) < recordsMax; ok = it.Next() {
		key, ts, err := storage.DecodeMVCCKey(it.Key())
		if err != nil {
			return nil, true, err
		}
		if !ts.IsEmpty() || !keys.IsTxnRecord(key) {
			continue
		}
		any = true
		var t kvapi.Transaction
		if err := t.UnmarshalWire(bytes.Clone(it.Value())); err != nil {
			return nil, true, err
		}
		if lastSign(&t).Less(before) {
			old = append(old, t)
		}
	}
	return old, any, it.Error()
}

// lastSign is when a transaction was last heard of.
func lastSign(t *kvapi.Transaction) hlc.Timestamp {
	return t.LastHeartbeat.Max(t.WriteTimestamp).Max(t.MinTimestamp)
}

// endRecord finishes the transaction, if need be, and cleans up after it.
func (r *Replica) endRecord(ctx context.Context, t *kvapi.Transaction) error {
	if !t.Status.IsFinal() {
		ctx, cancel := context.WithTimeout(ctx, recordPushMax)
		defer cancel()
		after, err := r.store.resolver.PushTxn(ctx, kvapi.TxnMeta{}, "", t.TxnMeta, kvapi.PushAbort, hlc.Timestamp{})
		if err != nil {
			return err
		}
		if !after.Status.IsFinal() {
			return errors.New("it is alive")
		}
		t = after
	}
	if !r.store.resolver.ResolveTxnAsync(t, t.LockSpans) {
		return errors.New("too much is being cleaned up")
	}
	r.store.metrics.RecordsCollected.Add(1)
	return nil
}
