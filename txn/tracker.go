package txn

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// tracker remembers every lock the transaction may hold, of all epochs, so
// that the end of the transaction names them all (a superset; naming too
// many costs a look, forgetting one costs others five seconds). It stands
// below the refresher because every attempt may leave locks, also one that
// failed.
type tracker struct {
	t     *Txn
	next  *gate
	locks spanList
}

func (k *tracker) send(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	saved, wrote := k.locks, k.t.wrote
	ba.Holds = k.holds()
	k.before(ba)
	br, err := k.sendRecorded(ctx, ba)
	switch {
	case err == nil:
		k.after(ba, br)
	case !err.MaybeApplied && !leavesLocks(ba, err.Kind):
		k.locks, k.t.wrote = saved, wrote
	default:
		k.cover(ba)
	}
	return br, err
}

// sendAll sends batches of writes side by side, flushParallelMax of them at a
// time, and returns what became of each. Locks are noted whatever that is.
func (k *tracker) sendAll(ctx context.Context, batches []*kvapi.BatchRequest) []sent {
	for _, ba := range batches {
		k.before(ba)
		ba.Holds = true // others of them go beside it
	}
	outs := make([]sent, len(batches))
	var g errgroup.Group
	g.SetLimit(flushParallelMax)
	for i, ba := range batches {
		g.Go(func() error {
			outs[i].br, outs[i].err = k.next.send(ctx, ba)
			return nil
		})
	}
	_ = g.Wait() // there are only outcomes
	return outs
}

// sent is what became of a batch.
type sent struct {
	br  *kvapi.BatchResponse
	err *kvapi.Error
}

// sendRecorded sends a batch, with or after the record of the transaction if it
// takes the first durable lock. Without a record a transaction is taken for
// aborted when the lease of its anchor moves (store's CanCreateTxnRecord), and
// the lock would be as good as lost, just when it matters.
func (k *tracker) sendRecorded(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	out, records := ba, !k.t.recorded && onlyLocks(ba) && durable(ba)
	if records {
		beat := kvapi.Request{Kind: kvapi.HeartbeatTxn, Key: k.t.snapshot().AnchorKey, Now: k.t.db.cfg.Clock.Now().Timestamp()}
		if ba.MaxKeys > 0 || ba.TargetBytes > 0 || ba.Requests[0].Kind.IsRange() {
			if _, err := k.next.send(ctx, (&kvapi.BatchRequest{}).Add(beat)); err != nil {
				return nil, lockUnknown(ctx, err)
			}
			k.t.recorded = true
		} else {
			out = &kvapi.BatchRequest{Header: ba.Header, Requests: append(slices.Clip(ba.Requests), beat)}
		}
	}
	br, err := k.next.send(ctx, out)
	switch {
	case err == nil:
		k.t.recorded = k.t.recorded || records
	case onlyLocks(ba):
		err = lockUnknown(ctx, err)
	}
	return br, err
}

func durable(ba *kvapi.BatchRequest) bool {
	return slices.ContainsFunc(ba.Requests, func(r kvapi.Request) bool { return r.Durable })
}

// onlyLocks reports whether durable locks are all that the batch may leave.
func onlyLocks(ba *kvapi.BatchRequest) bool {
	for i := range ba.Requests {
		if ba.Requests[i].Kind.IsWrite() {
			return false
		}
	}
	return true
}

// lockUnknown replaces the error that it is not known whether a locking read
// left its locks. That is no ambiguous commit: the end of the transaction
// releases them either way.
func lockUnknown(ctx context.Context, err *kvapi.Error) *kvapi.Error {
	if err.Kind != kvapi.ErrAmbiguous {
		return err
	}
	e := *err
	e.Kind, e.MaybeApplied = kvapi.ErrUnavailable, true
	if ctx.Err() != nil {
		e.Kind = kvapi.ErrCanceled
	}
	return &e
}

// before notes the keys that are known before the batch runs, and registers
// the transaction with the heartbeats: a lock that nobody keeps alive must
// not exist for a moment.
func (k *tracker) before(ba *kvapi.BatchRequest) {
	for i := range ba.Requests {
		r := &ba.Requests[i]
		write := r.Kind.IsIntentWrite()
		if !write && r.Lock == kvapi.LockNone {
			continue
		}
		k.t.becomeLocking(r.Key)
		k.t.wrote = k.t.wrote || write || r.Durable
		k.t.durable = k.t.durable || r.Durable
		if !r.Kind.IsRange() {
			k.locks.add(kvapi.Span{Key: r.Key})
		}
	}
}

// after notes the rows that locking scans returned.
func (k *tracker) after(ba *kvapi.BatchRequest, br *kvapi.BatchResponse) {
	for i := range ba.Requests {
		if r := &ba.Requests[i]; r.Lock != kvapi.LockNone && r.Kind.IsRange() {
			for _, row := range br.Responses[i].Rows {
				k.locks.add(kvapi.Span{Key: row.Key})
			}
		}
	}
}

// cover notes whole spans: rows of a failed scan may be locked.
func (k *tracker) cover(ba *kvapi.BatchRequest) {
	for i := range ba.Requests {
		if r := &ba.Requests[i]; r.Lock != kvapi.LockNone && r.Kind.IsRange() {
			k.locks.add(r.Span())
		}
	}
}

// leavesLocks reports whether an error says nothing about locks taken on the
// way: another part of the batch may have succeeded. A locking read that came
// too late for its timestamp has its lock.
func leavesLocks(ba *kvapi.BatchRequest, k kvapi.ErrorKind) bool {
	switch k {
	case kvapi.ErrConditionFailed, kvapi.ErrTxnRetry:
		return false
	case kvapi.ErrWriteTooOld:
		return slices.ContainsFunc(ba.Requests, func(r kvapi.Request) bool { return r.Lock != kvapi.LockNone })
	}
	return true
}

// spans returns what the end of the transaction must name.
func (k *tracker) spans() []kvapi.Span {
	if len(k.locks.spans) > inFlightMax {
		return condense(k.locks.spans, condensedSpansMax)
	}
	return merged(k.locks.spans)
}

// becomeLocking anchors the transaction: where its trigger must run, else at
// the first key it locks. Local keys anchor at the user key they belong to,
// for a record must be addressed like its anchor.
func (t *Txn) becomeLocking(key kvapi.Key) {
	if at := t.triggerKey(); at != nil {
		key = at
	} else if at, err := keys.Addr(key); err == nil {
		key = at
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.mu.proto.IsLocking() {
		p := *t.mu.proto
		p.AnchorKey = key
		t.mu.proto = &p
	}
	if !t.mu.registered {
		t.mu.registered = true
		t.db.beats.add(t)
	}
}

func (t *Txn) unregister() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.registered {
		t.mu.registered = false
		t.db.beats.remove(t)
	}
}
