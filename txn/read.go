package txn

import (
	"context"
	"slices"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

func exists(r *kvapi.Response) bool { return r.Exists || r.Value != nil }

// Get reads a key. The value must not be changed.
func (t *Txn) Get(ctx context.Context, key kvapi.Key, o GetOptions) ([]byte, bool, error) {
	if err := t.readable(o.Lock); err != nil {
		return nil, false, err
	}
	o.Lock = t.lockFor(kvapi.Span{Key: key}, o.Lock)
	e := t.buf.get(key)
	if e != nil && o.Lock == kvapi.LockNone {
		return e.last().value, !e.last().tombstone, nil
	}
	ba := &kvapi.BatchRequest{Requests: []kvapi.Request{{Kind: kvapi.Get, Key: key, Lock: o.Lock, Wait: o.Wait,
		Durable: o.Durable && o.Lock != kvapi.LockNone, ReadAt: o.since()}}}
	br, err := t.refresher.send(ctx, ba)
	if err != nil {
		return nil, false, t.fail(ctx, err)
	}
	if e != nil {
		return e.last().value, !e.last().tombstone, nil
	}
	return br.Responses[0].Value, exists(&br.Responses[0]), nil
}

// since is Since where it has a meaning.
func (o *GetOptions) since() hlc.Timestamp {
	if o.Lock == kvapi.LockNone || o.Wait != kvapi.WaitSkip {
		return hlc.Timestamp{}
	}
	return o.Since
}

// readable returns why the transaction cannot read with this lock.
func (t *Txn) readable(lock kvapi.LockStrength) error {
	if err := t.usable(); err != nil {
		return err
	}
	if lock != kvapi.LockNone && (t.opts.ReadOnly || t.fixed()) {
		return ReadOnlyError{}
	}
	return nil
}

// GetMany reads keys in one batch; the result is in the order of keys.
func (t *Txn) GetMany(ctx context.Context, keys []kvapi.Key, o GetOptions) ([]Value, error) {
	if err := t.readable(o.Lock); err != nil {
		return nil, err
	}
	out := make([]Value, len(keys))
	ba := &kvapi.BatchRequest{Header: kvapi.Header{MaxKeys: o.FoundMax}, Requests: make([]kvapi.Request, 0, len(keys))}
	at := make([]int, 0, len(keys))
	for i, k := range keys {
		lock := t.lockFor(kvapi.Span{Key: k}, o.Lock)
		if e := t.buf.get(k); e != nil {
			out[i] = Value{Data: e.last().value, Exists: !e.last().tombstone}
			if lock == kvapi.LockNone {
				continue
			}
		}
		ba.Add(kvapi.Request{Kind: kvapi.Get, Key: k, Lock: lock, Wait: o.Wait, Durable: o.Durable && lock != kvapi.LockNone, ReadAt: o.since()})
		at = append(at, i)
	}
	if len(at) == 0 {
		return out, nil
	}
	br, err := t.refresher.send(ctx, ba)
	if err != nil {
		return nil, t.fail(ctx, err)
	}
	for j, i := range at {
		if t.buf.get(keys[i]) == nil {
			out[i] = Value{Data: br.Responses[j].Value, Exists: exists(&br.Responses[j]), Left: br.Responses[j].Resume != nil}
		}
	}
	return out, nil
}

// Scan reads the rows of a span in key order (or against it), the
// transaction's own writes included. resume is what the bounds left unread;
// nil if all was read.
func (t *Txn) Scan(ctx context.Context, span kvapi.Span, o ScanOptions) (rows []kvapi.KeyValue, resume *kvapi.Span, err error) {
	if err := t.readable(o.Lock); err != nil {
		return nil, nil, err
	}
	if span.IsPoint() {
		span.EndKey = span.End()
	}
	if !span.Key.Less(span.EndKey) {
		return nil, nil, nil
	}
	o.Lock = t.lockFor(span, o.Lock)
	m := scanMerge{o: o}
	for rest := &span; rest != nil && !m.full(); {
		own := t.buf.inSpan(*rest)
		if len(own) > 0 {
			o.Program = nil
		}
		resp, err := t.scanServer(ctx, *rest, o, m.askFor(len(own)))
		if err != nil {
			return nil, nil, err
		}
		if resp.Keys > 0 {
			o.Taken(resp.Keys, resp.Partials)
		}
		done, left := splitAt(*rest, resp.Resume, o.Reverse)
		if !m.merge(resp.Rows, within(own, done), o.Reverse) {
			left = m.rest(*rest)
		}
		rest = left
		resume = rest
	}
	return m.rows, resume, nil
}

// ScanMany reads the rows of several spans, which ascend and do not overlap, in one batch: in the order
// of spans, each whole. targetBytes is about what one answer of the server may hold; spans that it
// left unread are read one by one.
func (t *Txn) ScanMany(ctx context.Context, spans []kvapi.Span, targetBytes int64) ([][]kvapi.KeyValue, error) {
	if err := t.readable(kvapi.LockNone); err != nil {
		return nil, err
	}
	if len(spans) == 0 {
		return nil, nil
	}
	ba := &kvapi.BatchRequest{Header: kvapi.Header{TargetBytes: targetBytes}, Requests: make([]kvapi.Request, len(spans))}
	for i, s := range spans {
		ba.Requests[i] = kvapi.Request{Kind: kvapi.Scan, Key: s.Key, EndKey: s.EndKey}
	}
	br, err := t.refresher.send(ctx, ba)
	if err != nil {
		return nil, t.fail(ctx, err)
	}
	out := make([][]kvapi.KeyValue, len(spans))
	for i, s := range spans {
		r := &br.Responses[i]
		done, left := splitAt(s, r.Resume, false)
		m := scanMerge{}
		m.merge(r.Rows, within(t.buf.inSpan(s), done), false)
		out[i] = m.rows
		for left != nil {
			rows, rest, err := t.Scan(ctx, *left, ScanOptions{TargetBytes: targetBytes})
			if err != nil {
				return nil, err
			}
			out[i], left = append(out[i], rows...), rest
		}
	}
	return out, nil
}

// scanServer scans with bounds of its own.
func (t *Txn) scanServer(ctx context.Context, sp kvapi.Span, o ScanOptions, b scanBounds) (*kvapi.Response, error) {
	kind := kvapi.Scan
	if o.Reverse {
		kind = kvapi.ReverseScan
	}
	ba := &kvapi.BatchRequest{Header: kvapi.Header{MaxKeys: b.maxKeys, TargetBytes: b.targetBytes},
		Requests: []kvapi.Request{{Kind: kind, Key: sp.Key, EndKey: sp.EndKey, Lock: o.Lock, Wait: o.Wait,
			Durable: o.Durable && o.Lock != kvapi.LockNone, Program: o.Program}}}
	br, err := t.refresher.send(ctx, ba)
	if err != nil {
		return nil, t.fail(ctx, err)
	}
	return &br.Responses[0], nil
}

type scanBounds struct{ maxKeys, targetBytes int64 }

// scanMerge merges rows of the server with the transaction's own writes
// under the user's bounds.
type scanMerge struct {
	o     ScanOptions
	rows  []kvapi.KeyValue
	bytes int64
}

func (m *scanMerge) full() bool {
	return (m.o.MaxKeys > 0 && int64(len(m.rows)) >= m.o.MaxKeys) ||
		(m.o.TargetBytes > 0 && m.bytes >= m.o.TargetBytes)
}

// askFor returns the bounds for the server: own writes may hide as many of
// its rows as there are of them, so as many more are asked for.
func (m *scanMerge) askFor(own int) scanBounds {
	var b scanBounds
	if m.o.MaxKeys > 0 {
		b.maxKeys = m.o.MaxKeys - int64(len(m.rows)) + int64(own)
	}
	if m.o.TargetBytes > 0 {
		b.targetBytes = m.o.TargetBytes - m.bytes
	}
	return b
}

// splitAt divides a span into what the server has read and what is left.
func splitAt(sp kvapi.Span, resume *kvapi.Span, reverse bool) (done kvapi.Span, left *kvapi.Span) {
	switch {
	case resume == nil:
		return sp, nil
	case reverse:
		return kvapi.Span{Key: resume.EndKey, EndKey: sp.EndKey}, &kvapi.Span{Key: sp.Key, EndKey: resume.EndKey}
	}
	return kvapi.Span{Key: sp.Key, EndKey: resume.Key}, &kvapi.Span{Key: resume.Key, EndKey: sp.EndKey}
}

// within returns the entries of sp.
func within(own []*buffered, sp kvapi.Span) []*buffered {
	return slices.DeleteFunc(own, func(e *buffered) bool { return !sp.Contains(e.key) })
}

// merge adds rows and own writes, which cover the same keys, and reports
// whether all fitted the bounds.
func (m *scanMerge) merge(rows []kvapi.KeyValue, own []*buffered, reverse bool) bool {
	if len(own) == 0 && len(m.rows) == 0 && m.fits(rows) {
		m.rows, m.bytes = slices.Clip(rows), sizeOf(rows)
		return true
	}
	if reverse {
		slices.Reverse(own)
	}
	for len(rows) > 0 || len(own) > 0 {
		kv, show := nextRow(&rows, &own, reverse)
		if !show {
			continue
		}
		if m.full() {
			return false
		}
		m.rows = append(m.rows, kv)
		m.bytes += int64(len(kv.Key) + len(kv.Value))
	}
	return true
}

// fits reports whether rows, read under the user's own bounds, need no check.
func (m *scanMerge) fits(rows []kvapi.KeyValue) bool {
	return m.o.MaxKeys == 0 || int64(len(rows)) <= m.o.MaxKeys
}

func sizeOf(rows []kvapi.KeyValue) (n int64) {
	for i := range rows {
		n += int64(len(rows[i].Key) + len(rows[i].Value))
	}
	return n
}

// nextRow takes the next key off both lists; show is false for a deletion.
func nextRow(rows *[]kvapi.KeyValue, own *[]*buffered, reverse bool) (kv kvapi.KeyValue, show bool) {
	order := -1
	switch {
	case len(*own) == 0:
	case len(*rows) == 0:
		order = 1
	default:
		order = (*rows)[0].Key.Compare((*own)[0].key)
		if reverse {
			order = -order
		}
	}
	if order < 0 {
		kv, *rows = (*rows)[0], (*rows)[1:]
		return kv, true
	}
	if order == 0 {
		*rows = (*rows)[1:]
	}
	e := (*own)[0]
	*own = (*own)[1:]
	return kvapi.KeyValue{Key: e.key, Value: e.last().value}, !e.last().tombstone
}

// rest is what is left of sp after the last row taken. At least one row was
// taken: bounds are never full without.
func (m *scanMerge) rest(sp kvapi.Span) *kvapi.Span {
	last := m.rows[len(m.rows)-1].Key
	if m.o.Reverse {
		sp.EndKey = last
	} else {
		sp.Key = last.Next()
	}
	if !sp.Key.Less(sp.EndKey) {
		return nil
	}
	return &sp
}
