package mvcc

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/kv/storage/storagetest"
)

func wall(n int64) hlc.Timestamp { return hlc.Timestamp{WallTime: n} }

// direct writes without batches.
type direct struct{ *storage.Engine }

func (d direct) alone(f func(*storage.Batch) error) error {
	b := d.NewBatch()
	defer b.Close()
	if err := f(b); err != nil {
		return err
	}
	return d.Commit(b, false)
}

func (d direct) SetRaw(k, v []byte) error {
	return d.alone(func(b *storage.Batch) error { return b.SetRaw(k, v) })
}

func (d direct) DeleteRaw(k []byte) error {
	return d.alone(func(b *storage.Batch) error { return b.DeleteRaw(k) })
}

func (d direct) DeleteRangeRaw(from, to []byte) error {
	return d.alone(func(b *storage.Batch) error { return b.DeleteRangeRaw(from, to) })
}

// gcHistory is a key's history in a script: "50 40- 30?" has a value at 50, a
// tombstone at 40 and an intent at 30, in any order.
type gcHistory struct {
	e     direct
	stats kvapi.RangeStatistics
	txn   kvapi.Transaction
}

func newGCHistory(t testing.TB) *gcHistory {
	h := &gcHistory{e: direct{storagetest.Open(t)}}
	h.txn.ID[0] = 1
	return h
}

func (h *gcHistory) write(t testing.TB, key kvapi.Key, history string) {
	t.Helper()
	words := strings.Fields(history)
	slices.Reverse(words) // oldest first
	for _, w := range words {
		var at int64
		if _, err := fmt.Sscan(strings.TrimRight(w, "-?"), &at); err != nil {
			t.Fatal(err)
		}
		o := WriteOptions{Stats: &h.stats}
		if strings.HasSuffix(w, "?") {
			x := h.txn.Clone()
			x.WriteTimestamp, x.ReadTimestamp = wall(at), wall(at)
			o.Txn, o.Seq = x, 1
		}
		var err error
		if strings.Contains(w, "-") {
			_, err = Delete(h.e, key, wall(at), o)
		} else {
			_, err = Put(h.e, key, wall(at), []byte("v"+w), o)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (h *gcHistory) left(t testing.TB, key kvapi.Key) string {
	t.Helper()
	var out []string
	err := EachVersion(h.e, kvapi.Span{Key: key, EndKey: key.Next()}, func(_ kvapi.Key, at hlc.Timestamp, _ []byte, tombstone bool) {
		w := fmt.Sprint(at.WallTime)
		if tombstone {
			w += "-"
		}
		out = append(out, w)
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

func (h *gcHistory) checkStats(t testing.TB) {
	t.Helper()
	counted, err := Recompute(h.e, kvapi.Key("\x02"), kvapi.Key("\xff"))
	if err != nil || counted != h.stats {
		t.Fatalf("statistics are %+v, counted %+v (%v)", h.stats, counted, err)
	}
}

func TestWhatIsGarbage(t *testing.T) {
	for _, c := range []struct{ name, history, left string }{
		{"only the newest is there", "30", "30"},
		{"the newest at the threshold stays", "60 40 30 20", "60 40"},
		{"a version at the threshold is at it", "50 40", "50"},
		{"all are young", "70 60", "70 60"},
		{"all are old", "40 30 20", "40"},
		{"the key is gone", "40- 30 20-", ""},
		{"a tombstone alone", "40-", ""},
		{"a tombstone below a young version", "60 40- 30", "60"},
		{"a young tombstone", "60- 40 30", "60- 40"},
		{"a tombstone below the newest", "40 30- 20", "40"},
		{"above a young intent nothing changes", "60? 40 30 20", "60 40"},
		{"a tombstone below a young intent", "60? 40- 30", "60"},
		{"an old intent keeps all", "45? 40 30", "45 40 30"},
		{"an old intent alone", "45?", "45"},
	} {
		for _, key := range []kvapi.Key{kvapi.Key("k"), keys.RangeDescriptor(kvapi.Key("k"))} {
			t.Run(c.name, func(t *testing.T) {
				h := newGCHistory(t)
				h.write(t, key, c.history)
				before := h.left(t, key)
				h.checkStats(t)
				n, more, err := CollectGarbage(h.e, key, GCOptions{Threshold: wall(50), Stats: &h.stats})
				if err != nil || more {
					t.Fatal(more, err)
				}
				if got := h.left(t, key); got != c.left || n != int64(len(strings.Fields(before))-len(strings.Fields(got))) {
					t.Errorf("%q is left, %d removed, of %q; want %q", got, n, c.history, c.left)
				}
				h.checkStats(t)
			})
		}
	}
}

// A bounded collection leaves a tombstone where it is until nothing is below it.
func TestATombstoneGoesLast(t *testing.T) {
	h := newGCHistory(t)
	h.write(t, kvapi.Key("k"), "40- 30 20 10")
	for _, want := range []string{"40- 20 10", "40- 10", ""} {
		n, more, err := CollectGarbage(h.e, kvapi.Key("k"), GCOptions{Threshold: wall(50), MaxVersions: 1, Stats: &h.stats})
		if err != nil || more != (want != "") || n == 0 {
			t.Fatal(n, more, err)
		}
		if got := h.left(t, kvapi.Key("k")); got != want {
			t.Fatalf("%q is left, not %q", got, want)
		}
		h.checkStats(t)
	}
}

func TestAHotKeyIsCollectedByRangeDeletions(t *testing.T) {
	h := newGCHistory(t)
	const n = 10 * rangeDeleteMin
	for i := int64(1); i <= n; i++ {
		for _, k := range []kvapi.Key{kvapi.Key("a"), kvapi.Key("a\x00"), kvapi.Key("b")} {
			if _, err := Put(h.e, k, wall(i), []byte("v"), WriteOptions{Stats: &h.stats}); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := kvapi.Span{Key: kvapi.Key("a"), EndKey: kvapi.Key("c")}
	found, rest, err := FindGarbage(h.e, all, wall(n/2), 2, 100)
	if err != nil || len(found) != 2 || !found[1].Equal(kvapi.Key("a\x00")) || rest == nil || !rest.Key.Equal(kvapi.Key("b")) {
		t.Fatal(found, rest, err)
	}
	b := h.e.NewBatch()
	defer b.Close()
	removed, more, err := CollectGarbage(b, found[0], GCOptions{Threshold: wall(n / 2), MaxVersions: 2 * rangeDeleteMin, Stats: &h.stats})
	if err != nil || !more || removed != 2*rangeDeleteMin || b.Count() != 1 {
		t.Fatalf("%d removed by %d deletions, more %t, %v", removed, b.Count(), more, err)
	}
	if err := h.e.Commit(b, false); err != nil {
		t.Fatal(err)
	}
	h.checkStats(t)
	if removed, more, err = CollectGarbage(h.e, found[0], GCOptions{Threshold: wall(n / 2), Stats: &h.stats}); err != nil || more || removed != n/2-1-2*rangeDeleteMin {
		t.Fatal(removed, more, err)
	}
	h.checkStats(t)
	if found, rest, err = FindGarbage(h.e, all, wall(n/2), 9, 100); err != nil || len(found) != 2 || rest != nil {
		t.Fatal(found, rest, err)
	}
	for _, at := range []int64{n / 2, n/2 + 1, n} {
		if v, ok, err := Get(h.e, kvapi.Key("a"), wall(at), ReadOptions{}); err != nil || !ok || string(v) != "v" {
			t.Fatal(at, ok, err)
		}
	}
}

// TestCollectionIsInvisible runs the same random operations on two engines, of
// which one collects now and then, and compares every read above the threshold,
// before and after intents meet their fate. What is kept must be what a
// straightforward rule keeps.
func TestCollectionIsInvisible(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		kept, swept := newGCHistory(t), newGCHistory(t)
		both := []*gcHistory{kept, swept}
		ks := []kvapi.Key{kvapi.Key("a"), kvapi.Key("a\x00"), kvapi.Key("b")}
		var txns [2]kvapi.Transaction
		for i := range txns {
			txns[i].ID[0] = byte(i + 1)
			txns[i].WriteTimestamp = wall(int64(i + 1))
		}
		threshold, now := wall(0), int64(1)
		for step, n := 0, rapid.IntRange(1, 60).Draw(rt, "steps"); step < n; step++ {
			now += rapid.Int64Range(0, 2).Draw(rt, "later")
			key := rapid.SampledFrom(ks).Draw(rt, "key")
			at := wall(max(now-rapid.Int64Range(0, 3).Draw(rt, "ago"), threshold.WallTime+1))
			x := rapid.IntRange(-1, 1).Draw(rt, "txn")
			switch op := rapid.IntRange(0, 5).Draw(rt, "op"); op {
			case 0, 1, 2:
				var out [2]string
				for i, h := range both {
					o := WriteOptions{Stats: &h.stats}
					if x >= 0 {
						t := txns[x]
						t.ReadTimestamp, t.WriteTimestamp = at, at
						o.Txn, o.Seq = &t, kvapi.TxnSeq(step+1)
					}
					var wrote hlc.Timestamp
					var err error
					if op == 0 {
						wrote, err = Delete(h.e, key, at, o)
					} else {
						wrote, err = Put(h.e, key, at, []byte(fmt.Sprint(step)), o)
					}
					out[i] = fmt.Sprint(wrote, err)
				}
				if out[0] != out[1] {
					rt.Fatalf("step %d: write of %s at %s: %s, after collection %s", step, key, at, out[0], out[1])
				}
			case 3:
				status := rapid.SampledFrom([]kvapi.TxnStatus{kvapi.Committed, kvapi.Aborted, kvapi.Pending}).Draw(rt, "status")
				if l, ok, err := getLock(kept.e, key); err == nil && ok {
					u := &kvapi.LockUpdate{Span: kvapi.Span{Key: key}, Txn: l.txn, Status: status}
					u.Txn.WriteTimestamp = wall(max(now, l.at().WallTime))
					for _, h := range both {
						if _, err := ResolveIntent(h.e, key, u, &h.stats); err != nil {
							rt.Fatal(err)
						}
					}
				}
			default:
				threshold.Forward(wall(now - rapid.Int64Range(1, 6).Draw(rt, "ttl")))
				collectSome(rt, swept, ks, threshold, rapid.Int64Range(0, 2).Draw(rt, "max"))
			}
			compareAbove(rt, kept, swept, ks, threshold, now)
			kept.checkStats(t)
			swept.checkStats(t)
		}
		collectSome(rt, swept, ks, threshold, 0)
		for _, key := range ks {
			if got, want := swept.left(t, key), mustKeep(rt, kept, key, threshold); got != want {
				// Less may be there after collections at lower thresholds only if it is garbage now.
				rt.Fatalf("%s: %q is left, %q should be", key, got, want)
			}
		}
	})
}

func collectSome(rt *rapid.T, h *gcHistory, ks []kvapi.Key, threshold hlc.Timestamp, most int64) {
	found, rest, err := FindGarbage(h.e, kvapi.Span{Key: ks[0], EndKey: ks[len(ks)-1].Next()}, threshold, 10, 10)
	if err != nil || rest != nil {
		rt.Fatal(rest, err)
	}
	for _, key := range ks {
		n, more, err := CollectGarbage(h.e, key, GCOptions{Threshold: threshold, MaxVersions: most, Stats: &h.stats})
		if err != nil || more && most == 0 {
			rt.Fatal(more, err)
		}
		if isFound := slices.ContainsFunc(found, key.Equal); n > 0 && !isFound {
			rt.Fatalf("garbage of %s was not found", key)
		}
	}
}

// mustKeep is the straightforward rule.
func mustKeep(rt *rapid.T, h *gcHistory, key kvapi.Key, threshold hlc.Timestamp) string {
	l, locked, err := getLock(h.e, key)
	if err != nil {
		rt.Fatal(err)
	}
	if locked && l.at().LessEq(threshold) {
		rt.SkipNow() // what is below it depends on when it was met
	}
	var out []string
	hidden := false
	err = EachVersion(h.e, kvapi.Span{Key: key, EndKey: key.Next()}, func(_ kvapi.Key, at hlc.Timestamp, _ []byte, tombstone bool) {
		old := at.LessEq(threshold)
		if !old || !hidden && !tombstone {
			w := fmt.Sprint(at.WallTime)
			if tombstone {
				w += "-"
			}
			out = append(out, w)
		}
		hidden = hidden || old
	})
	if err != nil {
		rt.Fatal(err)
	}
	return strings.Join(out, " ")
}

func compareAbove(rt *rapid.T, kept, swept *gcHistory, ks []kvapi.Key, threshold hlc.Timestamp, now int64) {
	for at := threshold.WallTime + 1; at <= now+1; at++ {
		for _, inconsistent := range []bool{false, true} {
			for _, key := range ks {
				want, ok, err := Get(kept.e, key, wall(at), ReadOptions{Inconsistent: inconsistent})
				got, ok2, err2 := Get(swept.e, key, wall(at), ReadOptions{Inconsistent: inconsistent})
				if ok != ok2 || string(got) != string(want) || outcome(err) != outcome(err2) {
					rt.Fatalf("%s at %d, threshold %d: %q %v %v, after collection %q %v %v", key, at, threshold.WallTime, want, ok, err, got, ok2, err2)
				}
			}
			all := kvapi.Span{Key: ks[0], EndKey: ks[len(ks)-1].Next()}
			for _, reverse := range []bool{false, true} {
				o := ScanOptions{ReadOptions: ReadOptions{Inconsistent: inconsistent}, Reverse: reverse}
				want, err := Scan(kept.e, all, wall(at), o)
				got, err2 := Scan(swept.e, all, wall(at), o)
				if fmt.Sprint(printRows(want), outcome(err)) != fmt.Sprint(printRows(got), outcome(err2)) {
					rt.Fatalf("scan at %d, threshold %d: %v %v, after collection %v %v", at, threshold.WallTime, printRows(want), err, printRows(got), err2)
				}
			}
		}
	}
}
