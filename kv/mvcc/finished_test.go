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

type finishedMap map[kvapi.TxnID]*kvapi.Transaction

func (f finishedMap) GetCommitted(id kvapi.TxnID) *kvapi.Transaction {
	if t := f[id]; t != nil && t.Status != kvapi.Aborted {
		return t
	}
	return nil
}

// An implicit commit is read, and its intent stays until its record says so.
func TestImplicitCommitIsReadAndNotReplaced(t *testing.T) {
	e, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "s", CacheBytes: 1 << 20, MemTableBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	b := e.NewIndexedBatch()
	defer func() { _ = b.Close() }()
	at := func(wall int64) hlc.Timestamp { return hlc.Timestamp{WallTime: wall} }
	txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.TxnID{1}, WriteTimestamp: at(5)}, ReadTimestamp: at(5)}
	var stats kvapi.RangeStatistics
	if _, err := Put(b, kvapi.Key("a"), at(5), []byte("1"), WriteOptions{Txn: txn, Seq: 1, Stats: &stats}); err != nil {
		t.Fatal(err)
	}
	put := func(f FinishedTxns) string {
		_, err := Put(b, kvapi.Key("a"), at(9), []byte("2"), WriteOptions{Stats: &stats, Finished: f})
		return outcome(err)
	}
	get := func(f FinishedTxns) string {
		v, _, err := Get(b, kvapi.Key("a"), at(9), ReadOptions{FailOnMoreRecent: true, Finished: f})
		return string(v) + outcome(err)
	}
	free := outcome(nil)
	status := func(s kvapi.TxnStatus) finishedMap {
		ended := *txn
		ended.Status = s
		return finishedMap{txn.ID: &ended}
	}
	if got := get(finishedMap{}); got == "1"+free {
		t.Error("a provisional value was read")
	}
	if got := get(status(kvapi.Staging)); got != "1"+free {
		t.Errorf("an implicit commit is read as %q", got)
	}
	if put(status(kvapi.Staging)) == free {
		t.Error("the intent of an implicit commit was replaced")
	}
	if got := put(status(kvapi.Committed)); got != free {
		t.Errorf("the intent of a commit was not replaced: %s", got)
	}
}

// lazyTwin does everything on two engines: one resolves a transaction's
// intents when it ends, the other some time later or by the next write.
type lazyTwin struct {
	rt          *rapid.T
	eager, lazy *storage.Engine
	finished    finishedMap
	// left are the intents that are still to be resolved in lazy.
	left             []kvapi.LockUpdate
	stats, lazyStats kvapi.RangeStatistics
}

// both does f on both engines and compares what it says.
func (w *lazyTwin) both(name string, f func(rw storage.ReadWriter, fin FinishedTxns, s *kvapi.RangeStatistics) string) {
	one := func(e *storage.Engine, fin FinishedTxns, stats *kvapi.RangeStatistics) string {
		b := e.NewIndexedBatch()
		defer func() { _ = b.Close() }()
		var delta kvapi.RangeStatistics
		out := f(b, fin, &delta)
		if err := e.Commit(b, false); err != nil {
			w.rt.Fatal(err)
		}
		stats.Add(delta)
		return out
	}
	want := one(w.eager, nil, &w.stats)
	if got := one(w.lazy, w.finished, &w.lazyStats); got != want {
		w.rt.Fatalf("%s: %s, resolved before it: %s", name, got, want)
	}
}

// TestCommittedIntentsAreAsGoodAsResolved: nobody can tell whether the intents
// of committed transactions have been resolved.
func TestCommittedIntentsAreAsGoodAsResolved(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		open := func() *storage.Engine {
			e, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "s", CacheBytes: 1 << 20, MemTableBytes: 256 << 10})
			if err != nil {
				rt.Fatal(err)
			}
			return e
		}
		w := &lazyTwin{rt: rt, eager: open(), lazy: open(), finished: finishedMap{}}
		defer func() { _, _ = w.eager.Close(), w.lazy.Close() }()
		for i := range 30 {
			at := hlc.Timestamp{WallTime: rapid.Int64Range(1, 40).Draw(rt, "at")}
			switch rapid.IntRange(0, 5).Draw(rt, "op") {
			case 0, 1:
				w.transaction(byte(i), at)
			case 2:
				w.write(at)
			case 3:
				w.read(at)
			case 4:
				w.refresh(byte(i), at)
			case 5:
				w.resolveSome()
			}
		}
		for len(w.left) > 0 {
			w.resolveSome()
		}
		lo, hi := kvapi.Key("a"), kvapi.Key("z")
		counted, err := Recompute(w.lazy, lo, hi)
		if err != nil || counted != w.lazyStats || counted != w.stats {
			rt.Fatalf("statistics %+v, counted %+v, eager %+v (%v)", w.lazyStats, counted, w.stats, err)
		}
		w.read(hlc.Timestamp{WallTime: 100})
	})
}

func (w *lazyTwin) key(label string) kvapi.Key {
	return kvapi.Key(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(w.rt, label))
}

// transaction writes two keys and ends.
func (w *lazyTwin) transaction(id byte, at hlc.Timestamp) {
	txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.TxnID{1, id}, WriteTimestamp: at, MinTimestamp: at}, ReadTimestamp: at}
	wrote := map[string]bool{}
	for seq := kvapi.TxnSeq(1); seq <= 2; seq++ {
		k, tomb, cond := w.key("key"), rapid.Bool().Draw(w.rt, "tomb"), rapid.IntRange(0, 3).Draw(w.rt, "cond") == 0
		ok := false
		w.both("write", func(rw storage.ReadWriter, fin FinishedTxns, s *kvapi.RangeStatistics) string {
			o := WriteOptions{Txn: txn, Seq: seq, Now: hlc.ClockTimestamp(at), Stats: s, Finished: fin}
			var err error
			switch {
			case cond:
				_, err = ConditionalPut(rw, k, at, []byte{id}, Condition{}, o)
			case tomb:
				_, err = Delete(rw, k, at, o)
			default:
				_, err = Put(rw, k, at, []byte{id}, o)
			}
			ok = err == nil
			return outcome(err)
		})
		if ok {
			wrote[string(k)] = true
		}
	}
	end := *txn
	end.Status = rapid.SampledFrom([]kvapi.TxnStatus{kvapi.Committed, kvapi.Committed, kvapi.Aborted}).Draw(w.rt, "end")
	w.finished[end.ID] = &end
	for k := range wrote {
		u := kvapi.LockUpdate{Span: kvapi.Span{Key: kvapi.Key(k)}, Txn: end.TxnMeta, Status: end.Status}
		if end.Status == kvapi.Aborted {
			w.both("resolve", func(rw storage.ReadWriter, _ FinishedTxns, s *kvapi.RangeStatistics) string {
				_, err := ResolveIntent(rw, u.Span.Key, &u, s)
				return outcome(err)
			})
			continue
		}
		w.resolve(w.eager, &u, &w.stats)
		w.left = append(w.left, u)
	}
}

// write is a one-phase commit, or a deletion of all keys.
func (w *lazyTwin) write(at hlc.Timestamp) {
	k, all := w.key("key"), rapid.IntRange(0, 3).Draw(w.rt, "all") == 0
	w.both("one-phase", func(rw storage.ReadWriter, fin FinishedTxns, s *kvapi.RangeStatistics) string {
		o := WriteOptions{Now: hlc.ClockTimestamp(at), Stats: s, Finished: fin}
		if all {
			n, _, _, err := DeleteRange(rw, kvapi.Span{Key: kvapi.Key("a"), EndKey: kvapi.Key("z")}, at, 0, o)
			return fmt.Sprint(n, outcome(err))
		}
		_, err := Put(rw, k, at, []byte("w"), o)
		return outcome(err)
	})
}

func (w *lazyTwin) read(at hlc.Timestamp) {
	o := ReadOptions{FailOnMoreRecent: rapid.Bool().Draw(w.rt, "lock"), SkipLocked: rapid.Bool().Draw(w.rt, "skip")}
	if rapid.Bool().Draw(w.rt, "uncertain") {
		o.Uncertainty.Global = at.AddNanos(5)
		o.Uncertainty.Local = at.AddNanos(rapid.Int64Range(0, 5).Draw(w.rt, "local"))
	}
	k := w.key("key")
	w.both("read", func(rw storage.ReadWriter, fin FinishedTxns, _ *kvapi.RangeStatistics) string {
		o.Finished = fin
		v, _, err := Get(rw, k, at, o)
		res, serr := Scan(rw, kvapi.Span{Key: kvapi.Key("a"), EndKey: kvapi.Key("z")}, at, ScanOptions{ReadOptions: o})
		return fmt.Sprint(v, outcome(err), printRows(res), outcome(serr))
	})
}

func (w *lazyTwin) refresh(id byte, from hlc.Timestamp) {
	txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.TxnID{2, id}}}
	sp := kvapi.Span{Key: w.key("key")}
	if rapid.Bool().Draw(w.rt, "range") {
		sp.EndKey = kvapi.Key("z")
	}
	w.both("refresh", func(rw storage.ReadWriter, fin FinishedTxns, _ *kvapi.RangeStatistics) string {
		err := CheckUnchanged(rw, sp, from, from.AddNanos(10), txn, fin)
		if err != nil {
			return "changed"
		}
		return "unchanged"
	})
}

// resolveSome resolves one intent that was left; it may have been replaced.
func (w *lazyTwin) resolveSome() {
	if len(w.left) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.left)-1).Draw(w.rt, "which")
	u := w.left[i]
	w.left = append(w.left[:i], w.left[i+1:]...)
	w.resolve(w.lazy, &u, &w.lazyStats)
}

func (w *lazyTwin) resolve(e *storage.Engine, u *kvapi.LockUpdate, stats *kvapi.RangeStatistics) {
	b := e.NewIndexedBatch()
	defer func() { _ = b.Close() }()
	if _, err := ResolveIntent(b, u.Span.Key, u, stats); err != nil {
		w.rt.Fatal(err)
	}
	if err := e.Commit(b, false); err != nil {
		w.rt.Fatal(err)
	}
}
