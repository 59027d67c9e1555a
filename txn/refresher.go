package txn

import (
	"context"
	"slices"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// refresher lets a transaction go on at a higher timestamp where a simpler
// design begins anew. A transaction reads at one timestamp and writes at one;
// when a write is pushed, or a read meets a value from its uncertainty
// interval, it is enough that nothing it has read was written between the old
// timestamp and the new one. So the refresher remembers what was read, asks
// the ranges, and sends the batch again.
//
// Most transactions that change a row have read it under a lock before. Their
// write can tell as well as a refresh whether others were there in between
// (kvapi.Request.ReadAt); and while that is all a transaction has read, it moves
// up for free, on the server that finds it must.
//
//	read 7 @10, locked ─▶ buffered ─▶ moves to @20 ─▶ write 7 @20, read at 10
//	                                                  fails if there is a version
//	                                                  in (10, 20]
//
// It stands above the tracker, whose locks every attempt adds to, and below
// the write buffer, whose reads are its own writes and never go stale.
type refresher struct {
	t     *Txn
	next  *tracker
	reads spanList
	// locked are keys that were read under a lock, at most lockedReadsMax; they
	// are no part of reads.
	locked []lockedRead
}

// lockedRead is a key and where it was read, or refreshed, last.
type lockedRead struct {
	key kvapi.Key
	at  hlc.Timestamp
}

// isClean reports whether the write buffer will check all that was read.
func (r *refresher) isClean() bool {
	if len(r.reads.spans) > 0 {
		return false
	}
	for i := range r.locked {
		if r.t.buf.get(r.locked[i].key) == nil {
			return false
		}
	}
	return true
}

// isStale reports whether a key was read below the read timestamp that no
// write will check: it is not buffered any more.
func (r *refresher) isStale() bool {
	read := r.t.snapshot().ReadTimestamp
	for i := range r.locked {
		if l := &r.locked[i]; l.at.Less(read) && r.t.buf.get(l.key) == nil {
			return true
		}
	}
	return false
}

// readAt notes in the buffer's writes, which are in key order, where their keys
// were read.
func (r *refresher) readAt(writes []kvapi.Request) []kvapi.Request {
	for i := range r.locked {
		l := &r.locked[i]
		at, ok := slices.BinarySearchFunc(writes, l.key, func(q kvapi.Request, k kvapi.Key) int { return q.Key.Compare(k) })
		if ok {
			writes[at].ReadAt = l.at
		}
	}
	return writes
}

func (r *refresher) reset() {
	r.reads.reset()
	r.locked = nil
}

func (r *refresher) send(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	br, err := r.next.send(ctx, ba)
	return r.settle(ctx, ba, br, err)
}

// settle finishes a batch that was sent: it notes what was read, or refreshes
// and sends it again.
func (r *refresher) settle(ctx context.Context, ba *kvapi.BatchRequest, br *kvapi.BatchResponse, err *kvapi.Error) (*kvapi.BatchResponse, *kvapi.Error) {
	for attempt := 0; ; attempt++ {
		if err == nil {
			r.record(ba, br)
			r.t.hold(ba, br)
			return br, nil
		}
		to, ok := refreshTarget(err)
		if !ok || attempt == refreshAttemptsMax || r.t.fixed() {
			return nil, err
		}
		if ferr := r.refresh(ctx, to, err); ferr != nil {
			return nil, ferr
		}
		if err.MaybeApplied && ba.EndTxnRequest() != nil && !r.t.db.cfg.Knobs.ResendCommitWithWrites {
			return r.commitInSteps(ctx, ba)
		}
		br, err = r.next.send(ctx, ba)
	}
}

// refreshTarget returns the timestamp at which the batch may succeed, false
// if the error is not about timestamps.
func refreshTarget(err *kvapi.Error) (hlc.Timestamp, bool) {
	switch err.Kind {
	case kvapi.ErrWriteTooOld, kvapi.ErrUncertain, kvapi.ErrTxnRetry:
		ts := retryTimestamp(err)
		return ts, !ts.IsEmpty()
	}
	return hlc.Timestamp{}, false
}

// commitInSteps finishes a commit of which a first attempt had effects. Its
// writes are sent again at the new timestamp, without the commit, and the
// commit after them, alone. Together they would be wrong: the intents of the
// first attempt satisfy the new staging record at once, so that any reader
// may find the transaction committed while its writes still run.
func (r *refresher) commitInSteps(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	n := len(ba.Requests) - 1
	if n > 0 {
		writes := &kvapi.BatchRequest{Requests: ba.Requests[:n:n]}
		if _, err := r.send(ctx, writes); err != nil {
			return nil, err
		}
	}
	return r.commitAlone(ctx, ba.Requests[n])
}

// commitAlone commits a transaction all of whose writes are proved.
func (r *refresher) commitAlone(ctx context.Context, end kvapi.Request) (*kvapi.BatchResponse, *kvapi.Error) {
	args := *end.EndTxn
	args.InFlightWrites, args.CanCommitOnePhase = nil, false
	end.EndTxn = &args
	p := r.t.snapshot()
	if p.ReadTimestamp.Less(p.WriteTimestamp) {
		if err := r.refresh(ctx, p.WriteTimestamp, nil); err != nil {
			return nil, err
		}
	}
	return r.send(ctx, &kvapi.BatchRequest{Requests: []kvapi.Request{end}})
}

// refresh moves the transaction to a timestamp at or above to, if nothing it
// has read was written meanwhile. Cause, which may be nil, is for the error.
func (r *refresher) refresh(ctx context.Context, to hlc.Timestamp, cause *kvapi.Error) *kvapi.Error {
	p := *r.t.snapshot()
	to = to.Max(p.WriteTimestamp)
	if due := r.due(p.ReadTimestamp, to); len(due) > 0 {
		if err := r.check(ctx, &p, to, due); err != nil {
			r.t.db.metrics.RefreshFailures.Add(1)
			return explain(err, cause)
		}
		r.refreshed(to)
	}
	r.t.update(func(p *kvapi.Transaction) {
		p.ReadTimestamp.Forward(to)
		p.WriteTimestamp.Forward(to)
	})
	return nil
}

// due is what must be asked to move the reads from one timestamp to another:
// all but what the buffer's writes will check.
func (r *refresher) due(from, to hlc.Timestamp) (out []kvapi.Request) {
	if from.Less(to) {
		out = addRefreshes(out, r.reads.spans, from)
	}
	for i := range r.locked {
		if l := &r.locked[i]; l.at.Less(to) && r.t.buf.get(l.key) == nil {
			out = append(out, kvapi.Request{Kind: kvapi.Refresh, Key: l.key, RefreshFrom: l.at})
		}
	}
	return out
}

// refreshed notes that what was due to move to a timestamp has.
func (r *refresher) refreshed(to hlc.Timestamp) {
	for i := range r.locked {
		if l := &r.locked[i]; r.t.buf.get(l.key) == nil {
			l.at.Forward(to)
		}
	}
}

// addRefreshes adds the requests that ask whether spans hold since from.
func addRefreshes(out []kvapi.Request, spans []kvapi.Span, from hlc.Timestamp) []kvapi.Request {
	for _, sp := range merged(spans) {
		kind := kvapi.RefreshRange
		if sp.IsPoint() {
			kind = kvapi.Refresh
		}
		out = append(out, kvapi.Request{Kind: kind, Key: sp.Key, EndKey: sp.EndKey, RefreshFrom: from})
	}
	return out
}

// check asks the ranges whether the reads hold at to.
func (r *refresher) check(ctx context.Context, p *kvapi.Transaction, to hlc.Timestamp, due []kvapi.Request) *kvapi.Error {
	r.t.stats.Refreshes++
	r.t.db.metrics.Refreshes.Add(1)
	p.ReadTimestamp = to
	p.WriteTimestamp.Forward(to)
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: p, Gateway: r.t.db.cfg.NodeID}, Requests: due}
	_, err := r.next.next.call(ctx, ba)
	if err != nil && err.Kind == kvapi.ErrTxnAborted {
		r.next.next.learn(p, nil, err)
	}
	return err
}

// explain makes a failed refresh's error tell where the next attempt must
// read, and what made the refresh necessary.
func explain(err, cause *kvapi.Error) *kvapi.Error {
	if err.Kind != kvapi.ErrRefreshFailed || cause == nil {
		return err
	}
	e := *err
	e.Timestamp.Forward(retryTimestamp(cause))
	if e.Key == nil {
		e.Key, e.Version = cause.Key, cause.Version
	}
	if e.Other == nil {
		e.Other = cause.Other
	}
	return &e
}

// record remembers what a successful batch read. A read that skips locked
// keys promises nothing but of what it has locked: the keys before a job that
// a worker takes from a queue are being taken by others. Private spans change only
// by the transaction's own hand.
func (r *refresher) record(ba *kvapi.BatchRequest, br *kvapi.BatchResponse) {
	if r.t.fixed() {
		return
	}
	for i := range ba.Requests {
		q, resp := &ba.Requests[i], &br.Responses[i]
		if q.Kind.IsRead() && r.t.privateOf(q.Span()) != nil {
			continue
		}
		switch q.Kind {
		case kvapi.Get:
			if resp.Resume == nil {
				r.recordGet(q, resp)
			}
		case kvapi.Scan, kvapi.ReverseScan:
			r.recordScan(q, resp)
		}
	}
}

// recordGet remembers a key. Read again under its lock, it was also checked.
func (r *refresher) recordGet(q *kvapi.Request, resp *kvapi.Response) {
	if q.Wait == kvapi.WaitSkip && (q.Lock == kvapi.LockNone || !exists(resp)) {
		return
	}
	if q.Lock == kvapi.LockNone {
		r.reads.add(kvapi.Span{Key: q.Key})
		return
	}
	if r.t.isolation != Serializable {
		return // hold
	}
	for i := range r.locked {
		if r.locked[i].key.Equal(q.Key) {
			return
		}
	}
	if len(r.locked) == lockedReadsMax {
		r.reads.add(kvapi.Span{Key: q.Key})
		return
	}
	r.locked = append(r.locked, lockedRead{key: q.Key, at: r.t.snapshot().ReadTimestamp})
}

func (r *refresher) recordScan(q *kvapi.Request, resp *kvapi.Response) {
	if q.Wait == kvapi.WaitSkip {
		if q.Lock == kvapi.LockNone {
			return
		}
		for _, row := range resp.Rows {
			r.reads.add(kvapi.Span{Key: row.Key})
		}
		return
	}
	if sp := readPart(q, resp.Resume); sp.Key.Less(sp.EndKey) {
		r.reads.add(sp)
	}
}

// readPart is the span a scan has read: all but what it left.
func readPart(q *kvapi.Request, resume *kvapi.Span) kvapi.Span {
	sp := q.Span()
	switch {
	case resume == nil:
	case q.Kind == kvapi.ReverseScan:
		sp.Key = resume.EndKey
	default:
		sp.EndKey = resume.Key
	}
	return sp
}

// retryAt returns where a restart after cause must read at the earliest.
func retryAt(cause error) hlc.Timestamp {
	if r, ok := cause.(*RetryError); ok {
		return r.minTimestamp
	}
	return hlc.Timestamp{}
}
