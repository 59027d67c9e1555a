package schema

import (
	"context"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// Txn is what this package asks of a transaction; *txn.Txn has it.
type Txn interface {
	Get(ctx context.Context, key kvapi.Key, o txn.GetOptions) ([]byte, bool, error)
	GetMany(ctx context.Context, keys []kvapi.Key, o txn.GetOptions) ([]txn.Value, error)
	Scan(ctx context.Context, span kvapi.Span, o txn.ScanOptions) ([]kvapi.KeyValue, *kvapi.Span, error)
	Put(ctx context.Context, key kvapi.Key, value []byte) error
	Delete(ctx context.Context, key kvapi.Key) error
	SetDeadline(ts hlc.Timestamp)
	ReadTimestamp() hlc.Timestamp
	// IsReadOnlySoFar reports whether nothing has been written.
	IsReadOnlySoFar() bool
	// AdvanceTo moves the reads up to ts, unless what was read has changed.
	AdvanceTo(ctx context.Context, ts hlc.Timestamp) error
}

// Store is what this package asks of the key-value store.
type Store interface {
	// Run runs fn in a transaction and commits it, again while it must be
	// retried.
	Run(ctx context.Context, name string, fn func(context.Context, Txn) error) error
	// Split makes key the start of a range.
	Split(ctx context.Context, key kvapi.Key) error
	// Clear removes a span that nothing refers to any more.
	Clear(ctx context.Context, span kvapi.Span) error
}

// NewStore is the Store over a DB.
func NewStore(db *txn.DB) Store { return dbStore{db} }

type dbStore struct{ db *txn.DB }

// Run implements Store.
func (s dbStore) Run(ctx context.Context, name string, fn func(context.Context, Txn) error) error {
	return s.db.Run(ctx, txn.Options{Name: name}, func(ctx context.Context, t *txn.Txn) error {
		return fn(ctx, t)
	})
}

// Split implements Store.
func (s dbStore) Split(ctx context.Context, key kvapi.Key) error {
	ba := new(kvapi.BatchRequest)
	ba.Add(kvapi.Request{Kind: kvapi.AdminSplit, Key: key, Why: "a table begins here"})
	_, err := s.db.Send(ctx, ba)
	return err
}

// Clear implements Store.
func (s dbStore) Clear(ctx context.Context, span kvapi.Span) error {
	ba := new(kvapi.BatchRequest)
	ba.Add(kvapi.Request{Kind: kvapi.ClearRange, Key: span.Key, EndKey: span.EndKey})
	_, err := s.db.Send(ctx, ba)
	return err
}

// scanAll reads a whole span, page by page.
func scanAll(ctx context.Context, t Txn, prefix kvapi.Key, fn func(kvapi.KeyValue) error) error {
	span := kvapi.Span{Key: prefix, EndKey: prefix.PrefixEnd()}
	for {
		rows, resume, err := t.Scan(ctx, span, txn.ScanOptions{TargetBytes: scanBytes})
		if err != nil {
			return err
		}
		for _, kv := range rows {
			if err := fn(kv); err != nil {
				return err
			}
		}
		if resume == nil {
			return nil
		}
		span = *resume
	}
}
