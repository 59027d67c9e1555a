package mvcc

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// TestResolvingASpanAgainstResolvingItsKeys: one range at a time or key by key,
// the engine holds the same afterwards, the statistics are right, and a feed hears
// the same.
func TestResolvingASpanAgainstResolvingItsKeys(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "s", CacheBytes: 1 << 20, MemTableBytes: 256 << 10})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = e.Close() }()
		wall := func(n int64) hlc.Timestamp { return hlc.Timestamp{WallTime: n} }
		key := func(i int) kvapi.Key { return kvapi.Key(fmt.Sprintf("k%03d", i)) }
		span := kvapi.Span{Key: key(0), EndKey: key(999)}
		txns := []*kvapi.Transaction{
			{TxnMeta: kvapi.TxnMeta{ID: kvapi.TxnID{1}, WriteTimestamp: wall(20)}, ReadTimestamp: wall(20)},
			{TxnMeta: kvapi.TxnMeta{ID: kvapi.TxnID{2}, WriteTimestamp: wall(20)}, ReadTimestamp: wall(20)},
		}
		// Mostly one transaction's intents: others, older ones of its own, and keys
		// that are hot are rare enough for runs.
		rare := rapid.IntRange(5, 200).Draw(rt, "rare")
		seldom := func(label string) bool { return rapid.IntRange(0, rare).Draw(rt, label) == 0 }
		var stats kvapi.RangeStatistics
		// Each key in a batch of its own: a locked one is read before it is written.
		in := func(f func(b *storage.Batch) error) {
			b := e.NewBatch()
			defer func() { _ = b.Close() }()
			if err := errors.Join(f(b), e.Commit(b, false)); err != nil {
				rt.Fatal(err)
			}
		}
		for i := range 200 {
			txn, at, before := txns[0], wall(20), false
			switch {
			case seldom("absent"):
				continue
			case seldom("other"):
				txn = txns[1]
			case seldom("lower"):
				at = wall(15)
			case seldom("hot"):
				before = true
			case seldom("locked"):
				locker := txns[rapid.IntRange(0, 1).Draw(rt, "locker")]
				in(func(b *storage.Batch) error {
					return AcquireLock(b, key(i), kvapi.LockShared, WriteOptions{Txn: locker, Stats: &stats})
				})
				continue
			}
			if before {
				in(func(b *storage.Batch) error {
					_, err := Put(b, key(i), wall(10), []byte("before"), WriteOptions{Stats: &stats})
					return err
				})
			}
			in(func(b *storage.Batch) error {
				_, err := Put(b, key(i), at, []byte(fmt.Sprint(i)), WriteOptions{Txn: txn, Seq: kvapi.TxnSeq(1 + i), Stats: &stats})
				return err
			})
		}
		u := kvapi.LockUpdate{Span: span, Txn: txns[0].TxnMeta, Status: kvapi.Committed}
		switch rapid.IntRange(0, 3).Draw(rt, "fate") {
		case 0:
			u.Status = kvapi.Aborted
		case 1:
			u.IgnoredSeqNums = []kvapi.SeqRange{{Start: 100, End: 120}}
		}
		var told [2][]string
		var dumps [2][]string
		var counts [2]kvapi.RangeStatistics
		sizes := [...]int64{rapid.Int64Range(50, 300).Draw(rt, "first"), rapid.Int64Range(50, 300).Draw(rt, "then")}
		for way := range told {
			changes, err := NewChanges(e, span)
			if err != nil {
				rt.Fatal(err)
			}
			told[way], dumps[way], counts[way] = resolveOneWay(rt, e, changes, u, stats, way == 0, sizes, key)
		}
		if !slices.Equal(told[0], told[1]) {
			rt.Fatalf("a feed hears\n%v\nof the span, and of the keys\n%v", told[0], told[1])
		}
		if !slices.Equal(dumps[0], dumps[1]) || counts[0] != counts[1] {
			rt.Fatalf("%v\n%v", dumps[0], dumps[1])
		}
	})
}

// resolveOneWay resolves 200 keys without effect on the engine, and returns what a
// feed hears of it, what the engine would hold, and its statistics.
func resolveOneWay(rt *rapid.T, e *storage.Engine, changes *Changes, u kvapi.LockUpdate, stats kvapi.RangeStatistics,
	spans bool, sizes [2]int64, key func(int) kvapi.Key) (told, dump []string, _ kvapi.RangeStatistics) {
	must := func(err error) {
		if err != nil {
			rt.Fatal(err)
		}
	}
	whole := u.Span
	batch := e.NewBatch()
	defer func() { _ = batch.Close() }()
	indexed := e.NewIndexedBatch()
	defer func() { _ = indexed.Close() }()
	for rest, i := &whole, 0; spans && rest != nil; i = 1 {
		var err error
		u.Span = *rest
		_, rest, err = ResolveIntentRange(batch, &u, sizes[i], hlc.ClockTimestamp{}, &stats)
		must(err)
	}
	for i := 0; !spans && i < 200; i++ {
		u.Span = kvapi.Span{Key: key(i)}
		_, err := ResolveIntent(batch, key(i), &u, &stats)
		must(err)
		_, err = ReleaseLock(batch, key(i), &u, hlc.ClockTimestamp{}, &stats)
		must(err)
	}
	must(changes.Apply(batch.Repr(), func(c Change) {
		told = append(told, fmt.Sprintf("%s@%s=%s", c.Key, c.At, c.Value))
	}))
	must(indexed.ApplyRepr(batch.Repr()))
	got, err := Recompute(indexed, whole.Key, whole.EndKey)
	must(err)
	if got != stats {
		rt.Fatalf("statistics %+v, counted %+v", stats, got)
	}
	locks, err := ScanLocks(indexed, whole, 1000)
	must(err)
	for _, l := range locks {
		dump = append(dump, fmt.Sprintf("%s %s %s", l.Key, l.Txn.ID.Short(), l.Strength))
	}
	rows, err := Scan(indexed, whole, hlc.Timestamp{WallTime: 100}, ScanOptions{ReadOptions: ReadOptions{Inconsistent: true}})
	must(err)
	for _, r := range rows.Rows {
		dump = append(dump, fmt.Sprintf("%s=%s", r.Key, r.Value))
	}
	return told, dump, stats
}

// A large transaction's intents go with one deletion; and a dropped table's tell a
// feed nothing.
func TestIntentsThatCommitWhereTheyStandAreOneDeletion(t *testing.T) {
	e, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "s", CacheBytes: 1 << 20, MemTableBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	at := hlc.Timestamp{WallTime: 5}
	txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.TxnID{1}, WriteTimestamp: at}, ReadTimestamp: at}
	span := kvapi.Span{Key: kvapi.Key("k"), EndKey: kvapi.Key("l")}
	var stats kvapi.RangeStatistics
	b := e.NewBatch()
	for i := range 2 * rangeDeleteMin {
		if _, err := Put(b, kvapi.Key(fmt.Sprintf("k%04d", i)), at, []byte("v"), WriteOptions{Txn: txn, Seq: 1, Stats: &stats}); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Commit(b, false); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	hear := func(write func(b *storage.Batch) error) (n, ops int) {
		changes, err := NewChanges(e, span)
		if err != nil {
			t.Fatal(err)
		}
		b := e.NewBatch()
		defer func() { _ = b.Close() }()
		if err := write(b); err != nil {
			t.Fatal(err)
		}
		if err := changes.Apply(b.Repr(), func(Change) { n++ }); err != nil {
			t.Fatal(err)
		}
		if _, open := changes.Oldest(); open {
			t.Error("an intent is left open")
		}
		return n, b.Count()
	}
	n, ops := hear(func(b *storage.Batch) error {
		u := kvapi.LockUpdate{Span: span, Txn: txn.TxnMeta, Status: kvapi.Committed}
		_, _, err := ResolveIntentRange(b, &u, 0, hlc.ClockTimestamp{}, &stats)
		return err
	})
	if n != 2*rangeDeleteMin || ops != 1 {
		t.Errorf("%d changes by %d writes", n, ops)
	}
	if n, _ := hear(func(b *storage.Batch) error { return ClearRange(b, span, &stats) }); n != 0 {
		t.Errorf("a table that was dropped has %d changes", n)
	}
}
