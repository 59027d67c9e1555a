// Package schematest is a Store in memory for tests of what lies above package
// txn's interface: serializable, optimistic (reads are checked at commit), with
// no locks and no intents.
package schematest

import (
	"bytes"
	"context"
	"errors"
	"sort"
	"sync"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/txn"
)

// Store implements schema.Store over a map.
type Store struct {
	Clock *hlc.Clock
	mu    sync.Mutex
	data  map[string]cell
	rev   int64
	began int
	// Splits are the keys that were split at; Cleared the spans cleared.
	Splits  []kvapi.Key
	Cleared []kvapi.Span
}

type cell struct {
	value   []byte // nil: deleted
	rev     int64
	written hlc.Timestamp
}

// New returns a store that holds the initial catalog.
func New(clock *hlc.Clock) *Store {
	s := &Store{Clock: clock, data: map[string]cell{}}
	for _, kv := range schema.InitialKeyValues() {
		s.data[string(kv.Key)] = cell{value: kv.Value}
	}
	return s
}

// ErrConflict is a failed commit; it is retryable.
type ErrConflict struct{ Reason string }

// Error implements error.
func (e ErrConflict) Error() string { return "conflict: " + e.Reason }

// Retryable reports true.
func (ErrConflict) Retryable() bool { return true }

// Txn is a transaction of the store.
type Txn struct {
	s        *Store
	read     hlc.Timestamp
	deadline hlc.Timestamp
	rev      int64 // reads see the store as of now; they are checked at commit
	reads    map[string]int64
	spans    []kvapi.Span
	spanRevs []int64
	writes   map[string][]byte
	// Committed is when it committed, if it wrote something.
	Committed hlc.Timestamp
}

// Begin starts a transaction.
func (s *Store) Begin() *Txn {
	s.mu.Lock()
	s.began++
	s.mu.Unlock()
	return &Txn{s: s, read: s.Clock.Now().Timestamp(), reads: map[string]int64{}, writes: map[string][]byte{}}
}

// Begins counts the transactions begun.
func (s *Store) Begins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.began
}

// Run implements schema.Store.
func (s *Store) Run(ctx context.Context, name string, fn func(context.Context, schema.Txn) error) error {
	for {
		t := s.Begin()
		err := fn(ctx, t)
		if err == nil {
			err = t.Commit(ctx)
		}
		if !errors.As(err, new(ErrConflict)) || ctx.Err() != nil {
			return err
		}
	}
}

// Split implements schema.Store.
func (s *Store) Split(_ context.Context, key kvapi.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Splits = append(s.Splits, key)
	return nil
}

// Clear implements schema.Store.
func (s *Store) Clear(_ context.Context, span kvapi.Span) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Cleared = append(s.Cleared, span)
	for k := range s.data {
		if inSpan(k, span) {
			delete(s.data, k)
		}
	}
	return nil
}

func inSpan(k string, span kvapi.Span) bool { return k >= string(span.Key) && k < string(span.EndKey) }

// Get implements schema.Txn.
func (t *Txn) Get(_ context.Context, key kvapi.Key, _ txn.GetOptions) ([]byte, bool, error) {
	if v, ok := t.writes[string(key)]; ok {
		return v, v != nil, nil
	}
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	c := t.s.data[string(key)]
	if r, ok := t.reads[string(key)]; ok && r != c.rev {
		return nil, false, ErrConflict{"read twice"}
	}
	t.reads[string(key)] = c.rev
	t.read.Forward(c.written.Next())
	return bytes.Clone(c.value), c.value != nil, nil
}

// GetMany implements schema.Txn.
func (t *Txn) GetMany(ctx context.Context, keys []kvapi.Key, o txn.GetOptions) ([]txn.Value, error) {
	out := make([]txn.Value, len(keys))
	for i, k := range keys {
		v, ok, err := t.Get(ctx, k, o)
		if err != nil {
			return nil, err
		}
		out[i] = txn.Value{Data: v, Exists: ok}
	}
	return out, nil
}

// Scan implements schema.Txn.
func (t *Txn) Scan(_ context.Context, span kvapi.Span, o txn.ScanOptions) ([]kvapi.KeyValue, *kvapi.Span, error) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	merged := map[string][]byte{}
	for k, c := range t.s.data {
		if inSpan(k, span) {
			merged[k] = c.value
		}
	}
	t.spans = append(t.spans, span)
	t.spanRevs = append(t.spanRevs, t.s.rev)
	for k, v := range t.writes {
		if inSpan(k, span) {
			merged[k] = v
		}
	}
	var rows []kvapi.KeyValue
	for k, v := range merged {
		if v != nil {
			rows = append(rows, kvapi.KeyValue{Key: kvapi.Key(k), Value: bytes.Clone(v)})
		}
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].Key.Compare(rows[j].Key) < 0 })
	if o.MaxKeys > 0 && int64(len(rows)) > o.MaxKeys {
		return rows[:o.MaxKeys], &kvapi.Span{Key: rows[o.MaxKeys].Key, EndKey: span.EndKey}, nil
	}
	return rows, nil, nil
}

// Put implements schema.Txn.
func (t *Txn) Put(_ context.Context, key kvapi.Key, value []byte) error {
	t.writes[string(key)] = append([]byte{}, value...)
	return nil
}

// Delete implements schema.Txn.
func (t *Txn) Delete(_ context.Context, key kvapi.Key) error {
	t.writes[string(key)] = nil
	return nil
}

// AdvanceTo implements schema.Txn: reads show the present anyway.
func (t *Txn) AdvanceTo(_ context.Context, ts hlc.Timestamp) error {
	t.read.Forward(ts)
	return nil
}

// SetPrivate implements the part of *txn.Txn that new indexes use: nothing is
// written ahead of the commit here.
func (t *Txn) SetPrivate(kvapi.Span, func(context.Context) error) {}

// PutIfAbsent implements the part of *txn.Txn that index builds use.
func (t *Txn) PutIfAbsent(ctx context.Context, key kvapi.Key, value []byte) error {
	v, ok, err := t.Get(ctx, key, txn.GetOptions{})
	if err != nil {
		return err
	}
	if ok {
		return &txn.ConditionFailedError{Key: key, Actual: v, Exists: true}
	}
	return t.Put(ctx, key, value)
}

// SetDeadline implements schema.Txn.
func (t *Txn) SetDeadline(ts hlc.Timestamp) {
	if t.deadline.IsEmpty() || ts.Less(t.deadline) {
		t.deadline = ts
	}
}

// IsReadOnlySoFar implements schema.Txn.
func (t *Txn) IsReadOnlySoFar() bool { return len(t.writes) == 0 }

// ReadTimestamp implements schema.Txn.
func (t *Txn) ReadTimestamp() hlc.Timestamp { return t.read }

// Rollback forgets the writes.
func (t *Txn) Rollback(context.Context) error {
	t.writes = nil
	return nil
}

// Commit commits.
func (t *Txn) Commit(context.Context) error {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	ts := t.s.Clock.Now().Timestamp()
	if !t.deadline.IsEmpty() && !ts.Less(t.deadline) {
		return ErrConflict{"deadline"}
	}
	for k, rev := range t.reads {
		if t.s.data[k].rev != rev {
			return ErrConflict{k}
		}
	}
	for i, span := range t.spans {
		for k, c := range t.s.data {
			if inSpan(k, span) && c.rev > t.spanRevs[i] {
				return ErrConflict{k}
			}
		}
	}
	if len(t.writes) == 0 {
		return nil
	}
	t.s.rev++
	t.Committed = ts
	for k, v := range t.writes {
		t.s.data[k] = cell{value: v, rev: t.s.rev, written: ts}
	}
	return nil
}
