package mvcc

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// TestVacancyAgainstLookUps: a key is said to be free only if no record of it is
// found, and unless the Vacancy has given up it is said of each that is.
func TestVacancyAgainstLookUps(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "s", CacheBytes: 1 << 20, MemTableBytes: 256 << 10})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = e.Close() }()
		key := func(i int) kvapi.Key { return kvapi.Key(fmt.Sprintf("k%03d", i)) }
		write := e.NewBatch()
		id := rapid.ByteRange(1, 3)
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, 299), 0, 100).Draw(rt, "locked") {
			l := lockRecord{txn: kvapi.TxnMeta{ID: kvapi.TxnID{id.Draw(rt, "txn")}, WriteTimestamp: hlc.Timestamp{WallTime: 5}}, local: hlc.Timestamp{WallTime: 5}}
			ek := appendIntentKey(nil, key(i))
			value := l.appendTo(nil)
			if rapid.Bool().Draw(rt, "durable") {
				l.strength = kvapi.LockShared
				ek, value = durableKey(key(i), l.strength, l.txn.ID), l.appendDurable(nil)
			}
			if err := write.SetRaw(ek, value); err != nil {
				rt.Fatal(err)
			}
			if rapid.Bool().Draw(rt, "released") {
				if err := write.DeleteRaw(ek); err != nil {
					rt.Fatal(err)
				}
			}
		}
		if err := e.Commit(write, false); err != nil {
			rt.Fatal(err)
		}
		_ = write.Close()
		var asked []kvapi.Key
		for i := range 300 {
			if rapid.IntRange(0, 2).Draw(rt, "ask") > 0 {
				asked = append(asked, key(i))
			}
		}
		if len(asked) == 0 {
			return
		}
		view := e.NewView()
		defer func() { _ = view.Close() }()
		v, err := NewVacancy(view, len(asked), func(i int) kvapi.Key { return asked[i] })
		if err != nil {
			rt.Fatal(err)
		}
		defer v.Close()
		for i, k := range asked {
			free, err := v.IsFree(i)
			if err != nil {
				rt.Fatal(err)
			}
			locks, err := ScanLocks(view, kvapi.Span{Key: k}, 1)
			if err != nil {
				rt.Fatal(err)
			}
			if none := len(locks) == 0; free && !none || !free && none && !v.gaveUp {
				rt.Fatalf("%s: free %v, locks %v", k, free, locks)
			}
		}
	})
}

// However often records are met, what is looked at next are keys that there are.
func TestVacancyLooksAheadWithinTheKeys(t *testing.T) {
	e, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "s", CacheBytes: 1 << 20, MemTableBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	key := func(i int) kvapi.Key { return kvapi.Key(fmt.Sprintf("k%06d", i)) }
	b := e.NewBatch()
	for i := 0; i < 1000; i += 10 {
		l := lockRecord{txn: kvapi.TxnMeta{ID: kvapi.TxnID{1}, WriteTimestamp: hlc.Timestamp{WallTime: 5}}, local: hlc.Timestamp{WallTime: 5}}
		if err := b.SetRaw(appendIntentKey(nil, key(i)), l.appendTo(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Commit(b, false); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	view := e.NewView()
	defer func() { _ = view.Close() }()
	v, err := NewVacancy(view, 1000, key)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for i := range 1000 {
		if free, err := v.IsFree(i); err != nil || free == (i%10 == 0) {
			t.Fatalf("key %d: free %v, %v", i, free, err)
		}
	}
}

// A released lock is walked over, but not without end.
func TestVacancyGivesUpOnManyTombstones(t *testing.T) {
	e, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "s", CacheBytes: 1 << 20, MemTableBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	key := func(i int) kvapi.Key { return kvapi.Key(fmt.Sprintf("k%06d", i)) }
	b := e.NewBatch()
	for i := range 20000 {
		if err := b.DeleteRaw(appendIntentKey(nil, key(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Commit(b, false); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	view := e.NewView()
	defer func() { _ = view.Close() }()
	v, err := NewVacancy(view, 100, func(i int) kvapi.Key { return key(200 * i) })
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	free := 0
	for i := range 100 {
		ok, err := v.IsFree(i)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			free++
		}
	}
	if !v.gaveUp || free > 3 {
		t.Errorf("gave up: %v, after %d keys", v.gaveUp, free)
	}
}
