package txn_test

import (
	"context"
	"testing"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// instant answers every batch at once, as one range would.
func instant(_ context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	br := &kvapi.BatchResponse{Txn: ba.Txn, Responses: make([]kvapi.Response, len(ba.Requests))}
	return br, nil
}

func benchDB(b *testing.B) *txn.DB {
	db := txn.NewDB(txn.Config{Sender: kvapi.SenderFunc(instant), NodeID: 1,
		Clock: hlc.NewClock(hlc.SystemClock{}, 0)})
	b.Cleanup(func() { _ = db.Close(context.Background()) })
	return db
}

// The coordinator's own cost of the statements that matter most.
func BenchmarkPointRead(b *testing.B) {
	db, ctx, key := benchDB(b), context.Background(), k("a")
	b.ReportAllocs()
	for b.Loop() {
		tx := db.Begin(txn.Options{})
		if _, _, err := tx.Get(ctx, key, txn.GetOptions{}); err != nil {
			b.Fatal(err)
		}
		if err := tx.Commit(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOneRowInsert(b *testing.B) {
	db, ctx, key := benchDB(b), context.Background(), k("a")
	b.ReportAllocs()
	for b.Loop() {
		tx := db.Begin(txn.Options{})
		if err := tx.PutIfAbsent(ctx, key, key); err != nil {
			b.Fatal(err)
		}
		if err := tx.Commit(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFourRowUpdate(b *testing.B) {
	db, ctx := benchDB(b), context.Background()
	keys := []kvapi.Key{k("a"), k("b"), k("c"), k("d")}
	b.ReportAllocs()
	for b.Loop() {
		tx := db.Begin(txn.Options{})
		for _, key := range keys {
			if _, _, err := tx.Get(ctx, key, txn.GetOptions{Lock: kvapi.LockExclusive}); err != nil {
				b.Fatal(err)
			}
			if err := tx.Put(ctx, key, key); err != nil {
				b.Fatal(err)
			}
		}
		if err := tx.Commit(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
