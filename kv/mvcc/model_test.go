package mvcc

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/kv/storage/storagetest"
)

// model is the dumb twin: a map from keys to lists of versions.
type model map[string]*modelKey

type modelVersion struct {
	ts    hlc.Timestamp
	val   string
	tomb  bool
	local hlc.Timestamp
}

type modelKey struct {
	versions []modelVersion // committed, ascending
	intent   *modelIntent
	locks    map[kvapi.TxnID]kvapi.LockStrength // durable
}

// locked reports whether others' durable locks conflict with want.
func (k *modelKey) locked(want kvapi.LockStrength, txn *kvapi.Transaction) bool {
	for id, s := range k.locks {
		if (txn == nil || txn.ID != id) && s.ConflictsWith(want) {
			return true
		}
	}
	return false
}

func (k *modelKey) release(u *kvapi.LockUpdate) bool {
	_, ok := k.locks[u.Txn.ID]
	if ok = ok && u.Status.IsFinal(); ok {
		delete(k.locks, u.Txn.ID)
	}
	return ok
}

type modelIntent struct {
	modelVersion
	txn       kvapi.TxnID
	epoch     kvapi.Epoch
	seq       kvapi.TxnSeq
	rewritten bool
}

func (m model) key(k string) *modelKey {
	if m[k] == nil {
		m[k] = &modelKey{}
	}
	return m[k]
}

// outcome is a result in a form that can be compared.
func outcome(err error) string {
	var e *kvapi.Error
	if err == nil {
		return "ok"
	}
	if !errors.As(err, &e) {
		return "fault: " + err.Error()
	}
	return fmt.Sprintf("%s@%s", e.Kind, e.Timestamp)
}

func fail(k kvapi.ErrorKind, ts hlc.Timestamp) string { return fmt.Sprintf("%s@%s", k, ts) }

// read is the model's read of one key: value, present, outcome, newer.
func (k *modelKey) read(ts hlc.Timestamp, o *ReadOptions) (val string, ok bool, out string, newer hlc.Timestamp, skip bool) {
	locked := k.locked(o.Lock, o.Txn)
	if in := k.intent; in != nil {
		if o.Txn != nil && o.Txn.ID == in.txn {
			switch {
			case in.epoch > o.Txn.Epoch:
				return "", false, fail(kvapi.ErrTxnRetry, hlc.Timestamp{}), newer, false
			case in.epoch == o.Txn.Epoch && in.seq <= o.Txn.Seq && !locked:
				return in.val, !in.tomb, "ok", newer, false
			case in.epoch == o.Txn.Epoch && in.seq > o.Txn.Seq && in.rewritten:
				return "", false, fail(kvapi.ErrInternal, hlc.Timestamp{}), newer, false
			}
		} else if !o.Inconsistent {
			hit := o.FailOnMoreRecent || in.ts.LessEq(ts)
			if o.SkipLocked && hit {
				return "", false, "ok", newer, true
			}
			if hit || in.ts.LessEq(o.Uncertainty.Global) && in.local.LessEq(o.Uncertainty.Local) {
				return "", false, fail(kvapi.ErrLockConflict, hlc.Timestamp{}), newer, false
			}
		}
	}
	if locked && o.SkipLocked {
		return "", false, "ok", newer, true
	}
	if locked {
		return "", false, fail(kvapi.ErrLockConflict, hlc.Timestamp{}), newer, false
	}
	for i := len(k.versions) - 1; i >= 0; i-- {
		v := k.versions[i]
		if v.ts.LessEq(ts) {
			return v.val, !v.tomb, "ok", newer, false
		}
		if o.FailOnMoreRecent {
			newer.Forward(v.ts)
		} else if v.ts.LessEq(o.Uncertainty.Global) && v.local.LessEq(o.Uncertainty.Local) {
			return "", false, fail(kvapi.ErrUncertain, v.ts), newer, false
		}
	}
	return "", false, "ok", newer, false
}

func (k *modelKey) get(ts hlc.Timestamp, o *ReadOptions) (string, bool, string) {
	v, ok, out, newer, _ := k.read(ts, o)
	if out == "ok" && !newer.IsEmpty() {
		return "", false, fail(kvapi.ErrWriteTooOld, newer.Next())
	}
	return v, ok, out
}

func (m model) scan(sp kvapi.Span, ts hlc.Timestamp, o *ScanOptions) (rows []string, out string) {
	var ks []string
	for k := range m {
		if sp.Contains(kvapi.Key(k)) {
			ks = append(ks, k)
		}
	}
	sort.Strings(ks)
	// The lock table is judged before any version, in key order.
	for _, k := range ks {
		if in := m[k].intent; in != nil && o.Txn != nil && in.txn == o.Txn.ID {
			if _, _, out, _, _ := m[k].read(ts, &o.ReadOptions); out != "ok" {
				return nil, out
			}
		}
	}
	if o.Reverse {
		sort.Sort(sort.Reverse(sort.StringSlice(ks)))
	}
	var newer hlc.Timestamp
	conflicted, uncertainOut := false, ""
	for _, k := range ks {
		v, ok, out, n, _ := m[k].read(ts, &o.ReadOptions)
		newer.Forward(n)
		switch out {
		case "ok":
		case fail(kvapi.ErrLockConflict, hlc.Timestamp{}):
			conflicted = true
			continue
		default:
			uncertainOut = out
		}
		if uncertainOut != "" {
			return nil, uncertainOut
		}
		if ok {
			rows = append(rows, k+"="+v)
			if o.MaxKeys > 0 && int64(len(rows)) == o.MaxKeys {
				break
			}
		}
	}
	if conflicted {
		return nil, fail(kvapi.ErrLockConflict, hlc.Timestamp{})
	}
	if !newer.IsEmpty() {
		return nil, fail(kvapi.ErrWriteTooOld, newer.Next())
	}
	return rows, "ok"
}

func (k *modelKey) write(ts hlc.Timestamp, val string, tomb bool, c *Condition, o *WriteOptions) (hlc.Timestamp, string) {
	in := k.intent
	own := in != nil && o.Txn != nil && in.txn == o.Txn.ID
	if in != nil && !own || k.locked(max(o.Strength, kvapi.LockIntent), o.Txn) && o.Strength == kvapi.LockNone || k.locked(o.Strength, o.Txn) {
		return ts, fail(kvapi.ErrLockConflict, hlc.Timestamp{})
	}
	if own {
		switch {
		case in.epoch > o.Txn.Epoch:
			return ts, fail(kvapi.ErrTxnRetry, hlc.Timestamp{})
		case in.epoch == o.Txn.Epoch && in.seq == o.Seq && (in.val != val || in.tomb != tomb),
			in.epoch == o.Txn.Epoch && in.seq > o.Seq:
			return ts, fail(kvapi.ErrInternal, hlc.Timestamp{})
		case in.epoch == o.Txn.Epoch && in.seq == o.Seq:
			return in.ts, "ok"
		}
		ts = ts.Max(in.ts)
	}
	var newest *modelVersion
	if n := len(k.versions); n > 0 {
		newest = &k.versions[n-1]
	}
	if c != nil {
		readTS := ts
		if o.Txn != nil {
			readTS = o.Txn.ReadTimestamp
		}
		cur := newest
		if own && in.epoch == o.Txn.Epoch {
			cur = &in.modelVersion
		} else if newest != nil && readTS.Less(newest.ts) {
			return ts, fail(kvapi.ErrWriteTooOld, newest.ts.Next())
		}
		there := cur != nil && !cur.tomb
		if c.Expected != nil && !(there && cur.val == string(c.Expected)) ||
			c.Expected == nil && there != c.MustExist {
			return ts, fail(kvapi.ErrConditionFailed, hlc.Timestamp{})
		}
	}
	if newest != nil && ts.LessEq(newest.ts) {
		return ts, fail(kvapi.ErrWriteTooOld, newest.ts.Next())
	}
	v := modelVersion{ts: ts, val: val, tomb: tomb, local: ts.Min(o.Now.Timestamp())}
	if o.Txn == nil {
		k.versions = append(k.versions, v)
	} else {
		k.intent = &modelIntent{modelVersion: v, txn: o.Txn.ID, epoch: o.Txn.Epoch, seq: o.Seq,
			rewritten: own && in.epoch == o.Txn.Epoch}
	}
	return ts, "ok"
}

func (k *modelKey) resolve(u *kvapi.LockUpdate) (bool, string) {
	in := k.intent
	if in == nil || in.txn != u.Txn.ID {
		return false, "ok"
	}
	switch {
	case u.Status == kvapi.Aborted || in.epoch < u.Txn.Epoch || isIgnored(u.IgnoredSeqNums, in.seq):
		k.intent = nil
	case u.Status == kvapi.Committed && (in.epoch > u.Txn.Epoch || u.Txn.WriteTimestamp.Less(in.ts)):
		return true, fail(kvapi.ErrInternal, hlc.Timestamp{})
	case u.Status == kvapi.Committed:
		in.ts = u.Txn.WriteTimestamp
		k.versions = append(k.versions, in.modelVersion)
		k.intent = nil
	default:
		in.ts.Forward(u.Txn.WriteTimestamp)
	}
	return true, "ok"
}

func (m model) unchanged(sp kvapi.Span, from, to hlc.Timestamp, txn *kvapi.Transaction) bool {
	for k, mk := range m {
		if !sp.Contains(kvapi.Key(k)) {
			continue
		}
		if mk.intent != nil && mk.intent.txn != txn.ID && mk.intent.ts.LessEq(to) {
			return false
		}
		for _, v := range mk.versions {
			if from.Less(v.ts) && v.ts.LessEq(to) {
				return false
			}
		}
	}
	return true
}

var modelKeys = []string{"a", "a\x00", "a\x00\x01", "b", "bb", "c", "d\xff", "e"}

func drawTS(t *rapid.T, label string) hlc.Timestamp {
	return hlc.Timestamp{WallTime: rapid.Int64Range(1, 20).Draw(t, label), Logical: rapid.Int32Range(0, 1).Draw(t, label+".l")}
}

func drawSpan(t *rapid.T) kvapi.Span {
	i := rapid.IntRange(0, len(modelKeys)-1).Draw(t, "from")
	j := rapid.IntRange(i, len(modelKeys)-1).Draw(t, "to")
	return kvapi.Span{Key: kvapi.Key(modelKeys[i]), EndKey: kvapi.Key(modelKeys[j]).Next()}
}

// TestModel runs random operations on engine and twin and compares every
// answer; after each it counts the statistics anew, and now and then it pulls
// the plug, with everything committed so far synced.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fs := storagetest.NewCrashFS()
		open := func() *storage.Engine {
			e, err := storage.Open(storage.Options{FS: fs, Dir: "s", CacheBytes: 1 << 20, MemTableBytes: 256 << 10})
			if err != nil {
				rt.Fatal(err)
			}
			return e
		}
		e := open()
		defer func() { _ = e.Close() }()
		m := model{}
		var stats kvapi.RangeStatistics
		txns := make([]*kvapi.Transaction, 3)
		for i := range txns {
			txns[i] = &kvapi.Transaction{}
			txns[i].ID[0], txns[i].ID[15] = byte(i+1), byte(i) // one of them vacates, two delete
			txns[i].AnchorKey = kvapi.Key("a")
		}
		for step, n := 0, rapid.IntRange(1, 50).Draw(rt, "steps"); step < n; step++ {
			b := e.NewIndexedBatch()
			var delta kvapi.RangeStatistics
			var got, want string
			key := rapid.SampledFrom(modelKeys).Draw(rt, "key")
			mk := m.key(key)
			var txn *kvapi.Transaction
			if i := rapid.IntRange(-1, 2).Draw(rt, "txn"); i >= 0 {
				txn = txns[i].Clone()
				txn.Epoch = kvapi.Epoch(rapid.IntRange(0, 5).Draw(rt, "epoch") / 4)
				txn.Seq = kvapi.TxnSeq(rapid.IntRange(1, 4).Draw(rt, "seq"))
				txn.ReadTimestamp = drawTS(rt, "read")
				txn.WriteTimestamp = txn.ReadTimestamp.Max(drawTS(rt, "write"))
			}
			ts := drawTS(rt, "ts")
			if txn != nil {
				ts = txn.WriteTimestamp
			}
			wo := WriteOptions{Txn: txn, Now: hlc.ClockTimestamp(drawTS(rt, "now")), Stats: &delta}
			if txn != nil {
				wo.Seq = txn.Seq
			}
			ro := ReadOptions{Txn: txn, FailOnMoreRecent: rapid.Bool().Draw(rt, "fail"),
				Inconsistent: rapid.IntRange(0, 5).Draw(rt, "inc") == 0, SkipLocked: rapid.IntRange(0, 5).Draw(rt, "skip") == 0}
			if ro.FailOnMoreRecent {
				ro.Lock = kvapi.LockStrength(rapid.IntRange(0, 4).Draw(rt, "lock"))
			}
			wo.Strength = rapid.SampledFrom([]kvapi.LockStrength{kvapi.LockNone, kvapi.LockNoKeyUpdate}).Draw(rt, "strength")
			if rapid.Bool().Draw(rt, "uncertain") {
				ro.Uncertainty.Global = drawTS(rt, "global")
				ro.Uncertainty.Local = ro.Uncertainty.Global.Min(drawTS(rt, "local"))
			}
			switch op := rapid.IntRange(0, 12).Draw(rt, "op"); op {
			case 0, 1, 2:
				val := rapid.StringMatching("[xyz]{0,3}").Draw(rt, "val")
				var c *Condition
				if rapid.Bool().Draw(rt, "cond") {
					c = &Condition{MustExist: rapid.Bool().Draw(rt, "must")}
					if rapid.Bool().Draw(rt, "expect") {
						c.Expected = []byte("x")
					}
				}
				var gotTS hlc.Timestamp
				var err error
				tomb := false
				switch {
				case c != nil:
					gotTS, err = ConditionalPut(b, kvapi.Key(key), ts, []byte(val), *c, wo)
				case op == 0:
					tomb, val = true, ""
					gotTS, err = Delete(b, kvapi.Key(key), ts, wo)
				default:
					gotTS, err = Put(b, kvapi.Key(key), ts, []byte(val), wo)
				}
				wantTS, out := mk.write(ts, val, tomb, c, &wo)
				got, want = outcome(err), out
				if want == "ok" {
					got, want = got+gotTS.String(), want+wantTS.String()
				}
			case 3:
				v, ok, err := Get(b, kvapi.Key(key), ts, ro)
				mv, mok, out := mk.get(ts, &ro)
				got, want = fmt.Sprintf("%q %v %s", v, ok, outcome(err)), fmt.Sprintf("%q %v %s", mv, mok, out)
				if ok != (v != nil) {
					rt.Fatalf("value %v but ok %v", v, ok)
				}
			case 4, 5:
				so := ScanOptions{ReadOptions: ro, Reverse: op == 5, MaxKeys: rapid.Int64Range(0, 3).Draw(rt, "max")}
				sp := drawSpan(rt)
				// In pieces, following the resume spans, and at once.
				whole := so
				res, err := Scan(b, sp, ts, whole)
				rows, out := m.scan(sp, ts, &so)
				got, want = fmt.Sprint(printRows(res), outcome(err)), fmt.Sprint(rows, out)
				if err == nil {
					checkResume(rt, m, res, sp, ts, so, rows)
				}
			case 6, 7:
				u := &kvapi.LockUpdate{Span: kvapi.Span{Key: kvapi.Key(key)}, Status: kvapi.Pending}
				u.Status = rapid.SampledFrom([]kvapi.TxnStatus{kvapi.Pending, kvapi.Committed, kvapi.Aborted}).Draw(rt, "status")
				u.Txn = txns[rapid.IntRange(0, 2).Draw(rt, "holder")].TxnMeta
				u.Txn.Epoch = kvapi.Epoch(rapid.IntRange(0, 1).Draw(rt, "uepoch"))
				u.Txn.WriteTimestamp = drawTS(rt, "uts")
				if rapid.IntRange(0, 4).Draw(rt, "ign") == 0 {
					u.IgnoredSeqNums = []kvapi.SeqRange{{Start: 2, End: 3}}
				}
				if op == 6 {
					found, err := ResolveIntent(b, kvapi.Key(key), u, &delta)
					mfound, out := mk.resolve(u)
					got, want = fmt.Sprint(found, outcome(err)), fmt.Sprint(mfound, out)
					if err == nil {
						found, err = ReleaseLock(b, kvapi.Key(key), u, wo.Now, &delta)
						got, want = got+fmt.Sprint(found, err), want+fmt.Sprint(mk.release(u), nil)
					}
					break
				}
				u.Span = drawSpan(rt)
				_, _, err := ResolveIntentRange(b, u, 0, wo.Now, &delta)
				got, want = outcome(err), "ok"
				for _, k := range modelKeys {
					if mk := m[k]; mk != nil && u.Span.Contains(kvapi.Key(k)) {
						mk.release(u)
					}
					if mk := m[k]; mk != nil && u.Span.Contains(kvapi.Key(k)) && mk.intent != nil {
						saved := *mk.intent
						if _, out := mk.resolve(u); out != "ok" {
							// The real one fails as a whole; keep the twin in step.
							want, mk.intent = out, &saved
						}
					}
				}
				if want != "ok" {
					// Parts of the twin have moved on; end this run here.
					if got != want {
						rt.Fatalf("step %d: got %s want %s", step, got, want)
					}
					_ = b.Close()
					return
				}
			case 8:
				if txn == nil {
					txn = txns[0]
				}
				from, sp := drawTS(rt, "refresh"), drawSpan(rt)
				if rapid.Bool().Draw(rt, "point") {
					sp = kvapi.Span{Key: kvapi.Key(key)}
				}
				err := CheckUnchanged(b, sp, from, ts, txn, nil)
				got, want = fmt.Sprint(err == nil), fmt.Sprint(!from.Less(ts) || m.unchanged(sp, from, ts, txn))
				if !from.Less(ts) {
					got = want
				}
			case 9, 10, 11:
				if txn == nil {
					txn = txns[0]
				}
				ro := ReadOptions{Txn: txn, FailOnMoreRecent: true, Lock: kvapi.LockStrength(rapid.IntRange(1, 4).Draw(rt, "acquire"))}
				wo.Txn = txn
				_, _, err := Get(b, kvapi.Key(key), ts, ro)
				if err == nil {
					err = AcquireLock(b, kvapi.Key(key), ro.Lock, wo)
				}
				_, _, out := mk.get(ts, &ro)
				if got, want = outcome(err), out; want == "ok" {
					if mk.locks == nil {
						mk.locks = map[kvapi.TxnID]kvapi.LockStrength{}
					}
					mk.locks[txn.ID] = max(mk.locks[txn.ID], ro.Lock)
				}
			case 12:
				if err := e.Barrier(t.Context()); err != nil {
					rt.Fatal(err)
				}
				crashed := fs.Crash(50, rand.New(rand.NewPCG(uint64(step), 1)))
				_ = b.Close()
				_ = e.Close()
				fs = crashed
				e = open()
				b = e.NewIndexedBatch()
			}
			if got != want {
				rt.Fatalf("step %d key %q: got %s want %s", step, key, got, want)
			}
			if err := e.Commit(b, false); err != nil {
				rt.Fatal(err)
			}
			if err := b.Close(); err != nil {
				rt.Fatal(err)
			}
			stats.Add(delta)
			if counted, err := Recompute(e, kvapi.Key("\x02"), kvapi.Key("\xff")); err != nil || counted != stats {
				rt.Fatalf("step %d: statistics are %+v, counted %+v (%v)", step, stats, counted, err)
			}
		}
	})
}

func printRows(res ScanResult) (out []string) {
	for _, r := range res.Rows {
		out = append(out, string(r.Key)+"="+string(r.Value))
	}
	return out
}

// checkResume demands that rows and resume span together cover the span.
func checkResume(rt *rapid.T, m model, res ScanResult, sp kvapi.Span, ts hlc.Timestamp, so ScanOptions, rows []string) {
	if res.Resume == nil {
		so.MaxKeys = 0
		if all, out := m.scan(sp, ts, &so); out == "ok" && len(all) != len(rows) {
			rt.Fatalf("no resume span after %d of %d rows", len(rows), len(all))
		}
		return
	}
	last := res.Rows[len(res.Rows)-1].Key
	if so.Reverse && (!res.Resume.EndKey.Equal(last) || !res.Resume.Key.Equal(sp.Key)) ||
		!so.Reverse && (!res.Resume.Key.Equal(last.Next()) || !res.Resume.EndKey.Equal(sp.EndKey)) {
		rt.Fatalf("resume %s after %s of %s", res.Resume, last, sp)
	}
}

// TestValueGolden pins the encoding of versions and lock records.
func TestValueGolden(t *testing.T) {
	for _, c := range []struct {
		v    value
		want string
	}{
		{value{payload: []byte("hi")}, "\x00hi"},
		{value{tombstone: true}, "\x01"},
		{value{payload: []byte("hi"), local: hlc.Timestamp{WallTime: 258, Logical: 3}},
			"\x02\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03hi"},
	} {
		enc := c.v.appendTo(nil)
		if string(enc) != c.want || len(enc) != c.v.encodedLen() {
			t.Errorf("%+v is encoded as %q, not %q", c.v, enc, c.want)
		}
		back, err := decodeValue(enc)
		if err != nil || back.tombstone != c.v.tombstone || back.local != c.v.local || !bytes.Equal(back.payload, c.v.payload) {
			t.Errorf("%q is decoded as %+v, %v", enc, back, err)
		}
	}
	if _, err := decodeValue([]byte{0x10}); err == nil {
		t.Error("an unknown format was accepted")
	}
	l := lockRecord{valueLen: 300, local: hlc.Timestamp{WallTime: 7}, rewritten: true, hot: true}
	l.txn = kvapi.TxnMeta{ID: kvapi.TxnID{1}, AnchorKey: kvapi.Key("k"), Epoch: 2, Seq: 3,
		WriteTimestamp: hlc.Timestamp{WallTime: 9}}
	back, err := decodeLock(l.appendTo(nil))
	if err != nil || fmt.Sprint(back) != fmt.Sprint(l) {
		t.Errorf("lock record %+v came back as %+v, %v", l, back, err)
	}
	k := storage.EncodeLockKey(nil, kvapi.Key("a\x00b"), storage.SlotIntent, kvapi.TxnID{})
	if want := "\x01za\x00\xffb\x00\x01\x00\x03" + string(make([]byte, 16)) + "\x12"; string(k) != want {
		t.Errorf("lock key %q, not %q", k, want)
	}
}
