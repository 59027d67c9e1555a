package locktable

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/concurrency/txncache"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/spanset"
)

// naive is the table as one would explain it: who holds what, who asked when.
type naive struct {
	// memory and intents are by key, then transaction.
	memory  map[string]map[kvapi.TxnID]kvapi.LockStrength
	intents map[string]map[kvapi.TxnID]int64
	reqs    []*naiveReq
}

type naiveReq struct {
	r      *Request
	txn    kvapi.TxnID
	key    string
	want   kvapi.LockStrength
	ts     int64
	queued bool // has waited, so it has a place
}

// conflicts is table 13.3 of Postgres's manual, with the intent as a last row.
var conflicts = [6][6]bool{
	kvapi.LockKeyShare:    {4: true, 5: true},
	kvapi.LockShared:      {3: true, 4: true, 5: true},
	kvapi.LockNoKeyUpdate: {2: true, 3: true, 4: true, 5: true},
	kvapi.LockExclusive:   {1: true, 2: true, 3: true, 4: true, 5: true},
	kvapi.LockIntent:      {1: true, 2: true, 3: true, 4: true, 5: true},
}

func TestStrengthsConflictAsInPostgres(t *testing.T) {
	for a := kvapi.LockNone; a <= kvapi.LockIntent; a++ {
		for b := kvapi.LockNone; b <= kvapi.LockIntent; b++ {
			if a.ConflictsWith(b) != conflicts[a][b] {
				t.Errorf("%s with %s: %t", a, b, a.ConflictsWith(b))
			}
		}
	}
}

func (n *naive) blocked(q *naiveReq) bool {
	own := false
	for id, s := range n.memory[q.key] {
		if id == q.txn {
			own = true
		} else if conflicts[q.want][s] {
			return true
		}
	}
	for id, ts := range n.intents[q.key] {
		if id == q.txn {
			own = true
		} else if q.want != kvapi.LockNone || ts <= q.ts {
			return true
		}
	}
	if own || q.want == kvapi.LockNone {
		return false
	}
	for _, o := range n.reqs {
		if o.queued && o.r.seq < q.r.seq && o.key == q.key && o.txn != q.txn && conflicts[q.want][o.want] {
			return true
		}
	}
	return false
}

// TestAgainstNaive runs random requests on three keys. Evaluation is played:
// a free request takes its lock, or not, and ends at once or later.
func TestAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := New(txncache.New())
		table.SetLease(true, 1)
		n := &naive{memory: map[string]map[kvapi.TxnID]kvapi.LockStrength{}, intents: map[string]map[kvapi.TxnID]int64{}}
		for _, k := range []string{"a", "b", "c"} {
			n.memory[k], n.intents[k] = map[kvapi.TxnID]kvapi.LockStrength{}, map[kvapi.TxnID]int64{}
		}
		drawTxn := func() kvapi.TxnID { return kvapi.TxnID{rapid.ByteRange(1, 4).Draw(t, "txn")} }
		end := func(q *naiveReq) {
			table.End(q.r)
			n.reqs = slices.DeleteFunc(n.reqs, func(o *naiveReq) bool { return o == q })
		}
		scan := func(q *naiveReq) {
			blocked := n.blocked(q)
			out := table.Scan(q.r)
			if (out.Kind == Wait) != blocked {
				t.Fatalf("request %d of %s at %s: outcome %d, blocked %t\n%s", q.r.seq, q.txn.Short(), q.key, out.Kind, blocked, dump(table))
			}
			if blocked {
				q.queued = true
				return
			}
			l := kvapi.Lock{Key: kvapi.Key(q.key), Txn: kvapi.TxnMeta{ID: q.txn, WriteTimestamp: hlc.Timestamp{WallTime: q.ts}}, Strength: q.want}
			switch {
			case q.want == kvapi.LockNone || !rapid.Bool().Draw(t, "takes the lock"):
			case q.want == kvapi.LockIntent:
				l.Replicated = true
				known := table.getLocked(l.Key) != nil
				table.Acquired(l)
				if known {
					n.intents[q.key][q.txn] = max(n.intents[q.key][q.txn], q.ts)
				}
			default:
				table.Acquired(l)
				n.memory[q.key][q.txn] = max(n.memory[q.key][q.txn], q.want)
			}
			if rapid.Bool().Draw(t, "ends") {
				end(q)
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1, 2:
				q := &naiveReq{txn: drawTxn(), key: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"),
					want: kvapi.LockStrength(rapid.ByteRange(0, 5).Draw(t, "want")), ts: rapid.Int64Range(1, 3).Draw(t, "ts")}
				txn := &kvapi.Transaction{}
				txn.ID = q.txn
				q.r = table.NewRequest(txn, []spanset.LockSpan{{
					Span: kvapi.Span{Key: kvapi.Key(q.key)}, Strength: q.want, Timestamp: hlc.Timestamp{WallTime: q.ts}}})
				n.reqs = append(n.reqs, q)
				scan(q)
			case 3:
				id := drawTxn()
				table.TxnFinished(id)
				for _, k := range []string{"a", "b", "c"} {
					delete(n.memory[k], id)
				}
			case 4:
				id := drawTxn()
				table.Updated(kvapi.LockUpdate{Span: kvapi.Span{Key: kvapi.Key("a"), EndKey: kvapi.Key("c")},
					Txn: kvapi.TxnMeta{ID: id}, Status: kvapi.Committed})
				for _, k := range []string{"a", "b"} {
					delete(n.memory[k], id)
					delete(n.intents[k], id)
				}
			case 5:
				if len(n.reqs) > 0 {
					end(n.reqs[rapid.IntRange(0, len(n.reqs)-1).Draw(t, "which")])
				}
			}
			// Whoever was signalled scans again, as its goroutine would.
			for again := true; again; {
				again = false
				for _, q := range slices.Clone(n.reqs) {
					if len(q.r.signal) > 0 {
						<-q.r.signal
						scan(q)
						again = true
					}
				}
			}
			n.check(t, table)
		}
		for len(n.reqs) > 0 {
			end(n.reqs[0])
		}
		if s := table.Stats(); s.Waiters != 0 {
			t.Fatalf("%d waiters left", s.Waiters)
		}
	})
}

func dump(table *Table) string {
	return table.String(func(r *Request) string { return string(rune('A' + r.seq)) }, func(id kvapi.TxnID) string { return id.Short() })
}

// check compares holders, and proves I1 to I3.
func (n *naive) check(t *rapid.T, table *Table) {
	for _, q := range n.reqs {
		if q.r.at != nil && !q.r.granted && !n.blocked(q) {
			t.Fatalf("request %d waits for nothing (I3)\n%s", q.r.seq, dump(table))
		}
	}
	held := 0
	table.mu.keys.Ascend(func(ks *keyState) bool {
		if ks.empty() {
			t.Fatalf("empty key %s", ks.key)
		}
		for i, h := range ks.holders {
			if h.memory != n.memory[string(ks.key)][h.txn.ID] {
				t.Fatalf("memory lock of %s at %s\n%s", h.txn.ID.Short(), ks.key, dump(table))
			}
			if h.memory != kvapi.LockNone {
				held++
				if _, ok := table.mu.held[h.txn.ID][ks]; !ok {
					t.Fatal("not indexed")
				}
			}
			if ts, ok := n.intents[string(ks.key)][h.txn.ID]; ok != (h.disk == kvapi.LockIntent) || ts != h.intentTS.WallTime {
				t.Fatalf("intent of %s at %s\n%s", h.txn.ID.Short(), ks.key, dump(table))
			}
			for _, o := range ks.holders[:i] {
				if !mayHoldTogether(h.strength(), o.strength()) {
					t.Fatalf("conflicting holders (I1)\n%s", dump(table))
				}
			}
		}
		if !slices.IsSortedFunc(ks.queue, func(a, b *Request) int { return int(a.seq) - int(b.seq) }) {
			t.Fatalf("queue out of order (I2)\n%s", dump(table))
		}
		return true
	})
	indexed := 0
	for _, set := range table.mu.held {
		indexed += len(set)
	}
	if indexed != held {
		t.Fatalf("%d memory locks, %d indexed", held, indexed)
	}
	if table.keyCount.Load() != int64(table.mu.keys.Len()) {
		t.Fatal("key count")
	}
}

// TestBounded: locks without waiters are forgotten, those with waiters stay.
func TestBounded(t *testing.T) {
	table := New(txncache.New())
	table.SetLease(true, 1)
	key := func(i int) kvapi.Key { return kvapi.Key{byte(i >> 16), byte(i >> 8), byte(i)} }
	lock := func(i int) {
		table.Acquired(kvapi.Lock{Key: key(i), Txn: kvapi.TxnMeta{ID: kvapi.TxnID{1}}, Strength: kvapi.LockExclusive})
	}
	lock(0)
	r := table.NewRequest(nil, []spanset.LockSpan{{Span: kvapi.Span{Key: key(0)}, Strength: kvapi.LockIntent}})
	if out := table.Scan(r); out.Kind != Wait {
		t.Fatalf("outcome %d", out.Kind)
	}
	for i := range 3 * keysMax {
		lock(i)
	}
	if s := table.Stats(); s.Keys > keysMax || s.Dropped == 0 || s.Waiters != 1 {
		t.Errorf("%+v", s)
	}
	if out := table.Scan(r); out.Kind != Wait {
		t.Error("the contended lock was forgotten")
	}
	table.TxnFinished(kvapi.TxnID{1})
	if s := table.Stats(); s.Keys != 1 || len(r.signal) != 1 {
		t.Errorf("%+v, %d signals", s, len(r.signal))
	}
}

// TestStaleDiscovery: a lock found under another lease does not enter (I4).
func TestStaleDiscovery(t *testing.T) {
	table := New(txncache.New())
	l := []kvapi.Lock{{Key: kvapi.Key("a"), Txn: kvapi.TxnMeta{ID: kvapi.TxnID{1}}, Strength: kvapi.LockIntent}}
	if table.AddDiscovered(0, l) {
		t.Error("added without a lease")
	}
	table.SetLease(true, 2)
	if table.AddDiscovered(1, l) || !table.AddDiscovered(2, l) {
		t.Error("the lease sequence was not compared")
	}
}

func BenchmarkScanAcquireFinish(b *testing.B) {
	table := New(txncache.New())
	table.SetLease(true, 1)
	txn := &kvapi.Transaction{}
	spans := []spanset.LockSpan{{Span: kvapi.Span{Key: kvapi.Key("/table/106/1/42")}, Strength: kvapi.LockExclusive}}
	other := kvapi.Lock{Key: kvapi.Key("/table/106/1/43"), Txn: kvapi.TxnMeta{ID: kvapi.TxnID{255}}, Strength: kvapi.LockExclusive}
	table.Acquired(other)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		txn.ID = kvapi.TxnID{byte(i), byte(i >> 8), 1}
		r := table.NewRequest(txn, spans)
		table.Scan(r)
		table.Acquired(kvapi.Lock{Key: spans[0].Span.Key, Txn: txn.TxnMeta, Strength: kvapi.LockExclusive})
		table.End(r)
		table.TxnFinished(txn.ID)
	}
}
