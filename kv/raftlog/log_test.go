package raftlog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage/storagetest"
)

// TestCacheAgainstLog: whatever the cache holds or lost, the log reads as a
// slice does, through appends, overwrites and truncations.
func TestCacheAgainstLog(t *testing.T) {
	eng := storagetest.Open(t)
	cache := NewCache(700)
	w := NewWriter(eng, Options{})
	defer w.Stop()
	logs, model := map[kvapi.RangeID]*Log{}, map[kvapi.RangeID][]raftgroup.Entry{}
	rng := rand.New(rand.NewPCG(3, 3))
	for step := range 1500 {
		id := kvapi.RangeID(1 + rng.IntN(3))
		if logs[id] == nil || rng.IntN(50) == 0 {
			if err := w.Barrier(context.Background()); err != nil {
				t.Fatal(err)
			}
			cache.forget(id)
			l, err := Load(eng, cache, id)
			if err != nil {
				t.Fatal(err)
			}
			logs[id] = l
		}
		l := logs[id]
		switch first := l.FirstIndex(); rng.IntN(4) {
		case 0, 1: // append, sometimes over a suffix
			from := l.LastIndex() + 1
			if rng.IntN(3) == 0 && from > first {
				from = first + kvapi.LogIndex(rng.IntN(int(from-first)))
			}
			var ents []raftgroup.Entry
			for i := range kvapi.LogIndex(1 + rng.IntN(4)*rng.IntN(30)) {
				ents = append(ents, raftgroup.Entry{Index: from + i, Term: kvapi.Term(step + 1), Kind: raftgroup.EntryCommand, Data: fmt.Appendf(nil, "%d", step)})
			}
			model[id] = append(model[id][:from-first:from-first], ents...)
			if err := w.Append(context.Background(), l, &raftgroup.StorageAppend{Entries: ents}, nil); err != nil {
				t.Fatal(err)
			}
		case 2: // truncate
			if rng.IntN(4) != 0 || l.LastIndex() < first {
				continue
			}
			n := 1 + rng.IntN(len(model[id]))
			if err := w.Barrier(context.Background()); err != nil {
				t.Fatal(err)
			}
			b := eng.NewBatch()
			e := model[id][n-1]
			if err := l.Truncate(b, TruncatedState{Index: e.Index, Term: e.Term}); err != nil {
				t.Fatal(err)
			}
			if err := eng.Commit(b, false); err != nil {
				t.Fatal(err)
			}
			_ = b.Close()
			model[id] = model[id][n:]
		case 3: // read
			if l.LastIndex() < first {
				continue
			}
			if err := w.Barrier(context.Background()); err != nil {
				t.Fatal(err)
			}
			lo := rng.IntN(len(model[id]))
			hi := lo + 1 + rng.IntN(len(model[id])-lo)
			limit := uint64(rng.IntN(2000))
			got, err := l.Entries(first+kvapi.LogIndex(lo), first+kvapi.LogIndex(hi), limit)
			if err != nil {
				t.Fatal(err)
			}
			want := model[id][lo:hi]
			want = want[:limitEntries(want, limit)]
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("step %d: %s reads %v, want %v", step, id, got, want)
			}
			if term, err := l.Term(want[0].Index); err != nil || term != want[0].Term {
				t.Fatalf("step %d: term %d, %v", step, term, err)
			}
		}
		if cache.Bytes() > 700 {
			t.Fatalf("the cache holds %d bytes", cache.Bytes())
		}
	}
	for id, l := range logs {
		if l.SizeBytes() < 0 {
			t.Errorf("%s: size %d", id, l.SizeBytes())
		}
	}
}
