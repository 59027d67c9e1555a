package memkv

import (
	"slices"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// eval is one evaluation of a batch.
type eval struct {
	c    *Cluster
	node kvapi.NodeID
	ba   *kvapi.BatchRequest
	txn  *kvapi.Transaction // a copy; nil outside transactions
	read hlc.Timestamp
	// write is where writes go; it rises with every push.
	write     hlc.Timestamp
	undo      []func()
	reads     []readSpan
	conflict  *conflict
	keysLeft  int64
	bytesLeft int64
	limited   bool
	stop      bool
	proved    map[string]kvapi.TxnSeq
}

// conflict is a lock in the way.
type conflict struct {
	lock kvapi.Lock
	wait kvapi.WaitPolicy
}

func newEval(c *Cluster, node kvapi.NodeID, ba *kvapi.BatchRequest) *eval {
	e := &eval{c: c, node: node, ba: ba, keysLeft: ba.MaxKeys, bytesLeft: ba.TargetBytes,
		limited: ba.MaxKeys > 0 || ba.TargetBytes > 0, proved: map[string]kvapi.TxnSeq{}}
	if ba.Txn != nil {
		e.txn = ba.Txn.Clone()
		e.read, e.write = e.txn.ReadTimestamp, e.txn.WriteTimestamp
		return e
	}
	e.read = ba.Timestamp
	if e.read.IsEmpty() {
		e.read = c.clock.Now().Timestamp()
	}
	e.write = e.read
	return e
}

// run evaluates all requests; on an error everything is undone.
func (e *eval) run(r *kvapi.RangeInfo) (*kvapi.BatchResponse, *kvapi.Error) {
	for attempt := 0; ; attempt++ {
		br, err := e.once(r)
		if err == nil {
			return br, nil
		}
		for _, u := range slices.Backward(e.undo) {
			u()
		}
		e.undo = nil
		if q := &e.ba.Requests[err.Index]; err.Kind == kvapi.ErrWriteTooOld && q.Kind.IsRead() {
			e.lock(e.c.cellAt(err.Key), q.Lock) // the transaction comes back for it
			e.undo = nil
		}
		if e.conflict == nil && e.canForward(err, attempt) {
			ts := err.Timestamp.Max(e.write)
			e.read, e.write = ts, ts
			continue
		}
		if err.Kind == kvapi.ErrConditionFailed {
			e.commitReads()
		}
		return nil, e.withTxn(err)
	}
}

func (e *eval) canForward(err *kvapi.Error, attempt int) bool {
	switch err.Kind {
	case kvapi.ErrWriteTooOld, kvapi.ErrUncertain, kvapi.ErrTxnRetry:
		return e.ba.CanForwardReadTimestamp && !e.ba.AmbiguousReplay && attempt < 3
	}
	return false
}

// withTxn puts the pushed transaction on an error.
func (e *eval) withTxn(err *kvapi.Error) *kvapi.Error {
	if e.txn != nil && err.Txn == nil {
		err.Txn = e.ba.Txn.Clone()
		err.Txn.WriteTimestamp.Forward(e.write)
	}
	return err
}

func (e *eval) once(r *kvapi.RangeInfo) (*kvapi.BatchResponse, *kvapi.Error) {
	br := &kvapi.BatchResponse{Responses: make([]kvapi.Response, len(e.ba.Requests))}
	e.reads, e.stop, e.keysLeft, e.bytesLeft = nil, false, e.ba.MaxKeys, e.ba.TargetBytes
	for i := range e.ba.Requests {
		q := &e.ba.Requests[i]
		resp := &br.Responses[i]
		resp.Kind = q.Kind
		if err := e.request(r, q, resp); err != nil {
			err.Index = int32(i)
			return nil, err
		}
	}
	e.commitReads()
	br.Timestamp = e.read
	if !e.ba.IsReadOnly() {
		br.Timestamp = e.write.Max(e.read)
	}
	if e.txn != nil {
		e.txn.ReadTimestamp, e.txn.WriteTimestamp = e.read, e.write.Max(e.txn.WriteTimestamp)
		br.Txn = e.txn
	}
	return br, nil
}

func (e *eval) commitReads() {
	for _, s := range e.reads {
		e.c.noteRead(s.span, s.read)
	}
}

func (e *eval) request(r *kvapi.RangeInfo, q *kvapi.Request, resp *kvapi.Response) *kvapi.Error {
	switch q.Kind {
	case kvapi.Get:
		return e.get(q, resp)
	case kvapi.Scan, kvapi.ReverseScan:
		return e.scan(q, resp)
	case kvapi.Put, kvapi.Delete, kvapi.ConditionalPut:
		resp.Replaced = e.replacedBy(q)
		return e.put(q)
	case kvapi.EndTxn:
		return e.endTxn(q, resp)
	case kvapi.HeartbeatTxn:
		return e.heartbeat(q, resp)
	case kvapi.PushTxn, kvapi.QueryTxn:
		return e.push(q, resp)
	case kvapi.RecoverTxn:
		return e.recover(q, resp)
	case kvapi.QueryCommit:
		e.queryCommit(q, resp)
	case kvapi.QueryIntent:
		e.queryIntent(q, resp)
	case kvapi.ResolveIntent, kvapi.ResolveIntentRange:
		e.c.resolve(q.Span(), *q.Resolve)
	case kvapi.Refresh, kvapi.RefreshRange:
		return e.refresh(q)
	case kvapi.LeaseInfo, kvapi.RangeStats:
		info := *r
		resp.Info = &info
	case kvapi.Barrier:
	case kvapi.ClearRange:
		for _, c := range e.c.cellsIn(q.Span()) {
			c.versions, c.intent = nil, nil
		}
	default:
		return kvapi.NewError(kvapi.ErrInternal, "memkv does not do %s", q.Kind)
	}
	return nil
}

func (e *eval) id() kvapi.TxnID {
	if e.txn == nil {
		return kvapi.TxnID{}
	}
	return e.txn.ID
}

func (e *eval) noteRead(sp kvapi.Span) {
	e.reads = append(e.reads, readSpan{sp, read{e.read, e.id()}})
}

// readCell reads one key: its value, whether it was skipped.
func (e *eval) readCell(c *cell, q *kvapi.Request) (val []byte, found, skip bool, err *kvapi.Error) {
	if in := c.intent; in != nil && !e.ba.Inconsistent {
		if in.txn.ID != e.id() {
			if in.txn.WriteTimestamp.LessEq(e.read) || q.Lock != kvapi.LockNone {
				if q.Wait == kvapi.WaitSkip {
					return nil, false, true, nil
				}
				return nil, false, false, e.conflictWith(kvapi.Lock{Key: c.key, Txn: in.txn, Strength: kvapi.LockIntent}, q.Wait)
			}
		} else if in.txn.Epoch == e.txn.Epoch && !isIgnored(e.txn.IgnoredSeqNums, in.txn.Seq) {
			return in.value, !in.tombstone, false, nil
		}
	}
	if q.Lock != kvapi.LockNone {
		for _, l := range c.locks {
			if l.Txn.ID != e.id() && l.Strength.ConflictsWith(q.Lock) {
				if q.Wait == kvapi.WaitSkip {
					return nil, false, true, nil
				}
				return nil, false, false, e.conflictWith(l, q.Wait)
			}
		}
		if q.Wait == kvapi.WaitSkip && !q.ReadAt.IsEmpty() && q.ReadAt.Less(c.newest()) {
			return nil, false, true, nil
		}
		if e.read.Less(c.newest()) {
			return nil, false, false, tooOld(c)
		}
	}
	if limit := e.uncertainty(); e.read.Less(limit) {
		if ts := c.newest(); e.read.Less(ts) && ts.LessEq(limit) {
			err := kvapi.NewError(kvapi.ErrUncertain, "key %s", c.key)
			err.Timestamp, err.Key = ts, c.key
			return nil, false, false, err
		}
	}
	v, ok := c.visible(e.read)
	return v.value, ok, false, nil
}

// uncertainty is the limit below which values may have been there before the
// transaction began. All nodes share one clock, so only a transaction that
// did not observe this node has an interval at all.
func (e *eval) uncertainty() hlc.Timestamp {
	if e.txn == nil {
		return hlc.Timestamp{}
	}
	limit := e.txn.GlobalUncertaintyLimit
	if o, ok := e.txn.Observed(e.node); ok {
		limit = limit.Min(o.Timestamp())
	}
	return limit
}

func tooOld(c *cell) *kvapi.Error {
	err := kvapi.NewError(kvapi.ErrWriteTooOld, "key %s", c.key)
	err.Timestamp, err.Key = c.newest().Next(), c.key
	return err
}

func (e *eval) conflictWith(l kvapi.Lock, w kvapi.WaitPolicy) *kvapi.Error {
	e.conflict = &conflict{lock: l, wait: w}
	err := kvapi.NewError(kvapi.ErrLockConflict, "key %s", l.Key)
	err.Locks, err.Key, err.Other = []kvapi.Lock{l}, l.Key, &l.Txn
	return err
}

func (e *eval) lock(c *cell, s kvapi.LockStrength) {
	if e.txn == nil || s == kvapi.LockNone {
		return
	}
	old := c.locks
	e.undo = append(e.undo, func() { c.locks = old })
	c.locks = append(slices.Clip(old), kvapi.Lock{Key: c.key, Txn: e.txn.TxnMeta, Strength: s})
}

func (e *eval) get(q *kvapi.Request, resp *kvapi.Response) *kvapi.Error {
	if e.stop {
		resp.Resume = &kvapi.Span{Key: q.Key}
		return nil
	}
	c := e.c.cellAt(q.Key)
	v, ok, skip, err := e.readCell(c, q)
	if err != nil || skip {
		return err
	}
	if ok {
		resp.Value, resp.Exists = append([]byte{}, v...), true
		e.charge(0, len(v))
	}
	e.lock(c, q.Lock)
	e.noteRead(kvapi.Span{Key: q.Key})
	return nil
}

// charge takes a row off the batch's limits.
func (e *eval) charge(key, value int) {
	if e.ba.MaxKeys > 0 {
		e.keysLeft--
		e.stop = e.stop || e.keysLeft <= 0
	}
	if e.ba.TargetBytes > 0 {
		e.bytesLeft -= int64(key + value)
		e.stop = e.stop || e.bytesLeft <= 0
	}
}

func (e *eval) scan(q *kvapi.Request, resp *kvapi.Response) *kvapi.Error {
	if e.ba.Inconsistent && !q.Key.Less(keys.Meta2Prefix) && q.Key.Less(keys.MetaMax) {
		resp.Rows = e.c.metaRows(q.Span())
		if n := int(e.ba.MaxKeys); n > 0 && len(resp.Rows) > n {
			resp.Rows = resp.Rows[:n]
		}
		return nil
	}
	cells := e.c.cellsIn(q.Span())
	if q.Kind == kvapi.ReverseScan {
		slices.Reverse(cells)
	}
	if e.stop {
		resp.Resume = &kvapi.Span{Key: q.Key, EndKey: q.EndKey}
		return nil
	}
	done := q.Span()
	var program kvapi.Program
	if len(q.Program) > 0 && e.c.Programs != nil {
		program, _ = e.c.Programs.Compile(q.Program)
	}
	for _, c := range cells {
		v, ok, skip, err := e.readCell(c, q)
		if err != nil {
			return err
		}
		if !ok || skip {
			continue
		}
		if e.stop {
			resp.Resume, done = resumeAt(q, c.key)
			break
		}
		if program != nil && program.Take(c.key, v) {
			resp.Keys++
			continue
		}
		resp.Rows = append(resp.Rows, kvapi.KeyValue{Key: c.key, Value: append([]byte{}, v...)})
		e.charge(len(c.key), len(v))
		e.lock(c, q.Lock)
	}
	if program != nil {
		b, ok := program.Partial()
		if !ok {
			return kvapi.NewError(kvapi.ErrInternal, "the program of a scan failed half way, which this cluster cannot take back")
		}
		if b != nil {
			resp.Partials = []kvapi.Partial{{Data: b}}
		}
	}
	e.noteRead(done)
	return nil
}

// resumeAt divides a scan before the key it did not return.
func resumeAt(q *kvapi.Request, next kvapi.Key) (*kvapi.Span, kvapi.Span) {
	if q.Kind == kvapi.ReverseScan {
		return &kvapi.Span{Key: q.Key, EndKey: next.Next()}, kvapi.Span{Key: next.Next(), EndKey: q.EndKey}
	}
	return &kvapi.Span{Key: next, EndKey: q.EndKey}, kvapi.Span{Key: q.Key, EndKey: next}
}

func (e *eval) put(q *kvapi.Request) *kvapi.Error {
	c := e.c.cellAt(q.Key)
	if in := c.intent; in != nil {
		if in.txn.ID != e.id() {
			return e.conflictWith(kvapi.Lock{Key: c.key, Txn: in.txn, Strength: kvapi.LockIntent}, q.Wait)
		}
		if in.txn.Epoch > e.txn.Epoch {
			return pastEpoch(e.txn, in.txn.Epoch)
		}
		if in.txn.Epoch == e.txn.Epoch && in.txn.Seq >= q.Seq {
			e.write.Forward(in.txn.WriteTimestamp)
			e.proved[string(q.Key)] = q.Seq
			return nil // a replay
		}
	}
	strength := kvapi.LockIntent
	if q.Kind == kvapi.Put && q.Lock == kvapi.LockNoKeyUpdate {
		strength = q.Lock
	}
	for _, l := range c.locks {
		if l.Txn.ID != e.id() && l.Strength.ConflictsWith(strength) {
			return e.conflictWith(l, q.Wait)
		}
	}
	if !q.ReadAt.IsEmpty() && q.ReadAt.Less(c.newest()) {
		err := kvapi.NewError(kvapi.ErrRefreshFailed, "key %s", c.key)
		err.Key = c.key
		return err
	}
	if e.read.Less(c.newest()) || e.write.LessEq(c.newest()) {
		return tooOld(c)
	}
	if q.Kind == kvapi.ConditionalPut {
		if err := e.checkCondition(c, q); err != nil {
			return err
		}
	}
	if ts := e.c.readTimestamp(q.Key, e.id()); e.write.LessEq(ts) {
		e.write = ts.Next()
	}
	e.set(c, q)
	return nil
}

// pastEpoch refuses a message of an earlier epoch that arrives late.
func pastEpoch(t *kvapi.Transaction, now kvapi.Epoch) *kvapi.Error {
	return kvapi.NewError(kvapi.ErrTxnRetry, "epoch %d of %s, which is in %d", t.Epoch, t.ID.Short(), now)
}

func (e *eval) checkCondition(c *cell, q *kvapi.Request) *kvapi.Error {
	v, ok, _, err := e.readCell(c, q)
	if err != nil {
		return err
	}
	if ok == q.MustExist && (!ok || string(v) == string(q.Expected)) {
		return nil
	}
	e.noteRead(kvapi.Span{Key: q.Key})
	f := kvapi.NewError(kvapi.ErrConditionFailed, "key %s", c.key)
	f.Key, f.Actual, f.ActualExists = c.key, v, ok
	return f
}

// replacedBy is the own intent that a write will take the place of.
func (e *eval) replacedBy(q *kvapi.Request) kvapi.TxnSeq {
	in := e.c.cellAt(q.Key).intent
	switch {
	case in == nil || in.txn.ID != e.id() || in.txn.Epoch != e.txn.Epoch || isIgnored(e.txn.IgnoredSeqNums, in.txn.Seq):
		return 0
	case in.txn.Seq >= q.Seq:
		return 1 // a replay: it may have replaced another
	}
	return in.txn.Seq
}

func (e *eval) set(c *cell, q *kvapi.Request) {
	oldIntent, oldVersions := c.intent, c.versions
	e.undo = append(e.undo, func() { c.intent, c.versions = oldIntent, oldVersions })
	value := append([]byte{}, q.Value...)
	if e.txn == nil {
		c.versions = append([]version{{ts: e.write, value: value, tombstone: q.Kind == kvapi.Delete}}, c.versions...)
		return
	}
	m := e.txn.TxnMeta
	m.WriteTimestamp, m.Seq = e.write, q.Seq
	c.intent = &intent{txn: m, value: value, tombstone: q.Kind == kvapi.Delete}
	if q.Sign {
		c.intent.signed = m.ID
	}
	e.proved[string(q.Key)] = q.Seq
}

func (e *eval) refresh(q *kvapi.Request) *kvapi.Error {
	for _, c := range e.c.cellsIn(q.Span()) {
		newer := false
		for _, v := range c.versions {
			newer = newer || (q.RefreshFrom.Less(v.ts) && v.ts.LessEq(e.read))
		}
		if in := c.intent; in != nil && in.txn.ID != e.id() && in.txn.WriteTimestamp.LessEq(e.read) {
			newer = true
		}
		if newer {
			err := kvapi.NewError(kvapi.ErrRefreshFailed, "key %s", c.key)
			err.Key = c.key
			return err
		}
	}
	e.noteRead(q.Span())
	return nil
}
