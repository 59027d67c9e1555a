package check

import (
	"testing"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/testkit/history"
)

func kvAt(n int64) hlc.Timestamp { return hlc.Timestamp{WallTime: n} }

// kvTxn is a transaction that ran from one moment to the next.
func kvTxn(call history.Moment, o history.Outcome, at int64, steps ...history.KVStep) history.KVTxn {
	t := history.KVTxn{Op: history.Op{Call: call, Return: call + 1, Outcome: o}, Steps: steps}
	if o == history.Info {
		t.Return = history.Never
	}
	if o == history.OK {
		t.At = kvAt(at)
	}
	return t
}

func kvPut(k history.Key, v history.Value) history.KVStep {
	return history.KVStep{Kind: history.KVPut, Key: k, Value: v}
}

func kvGet(k history.Key, v history.Value) history.KVStep {
	return history.KVStep{Kind: history.KVGet, Key: k, Value: v}
}

func kvDelete(k history.Key) history.KVStep { return history.KVStep{Kind: history.KVDelete, Key: k} }

func kvScan(limit int, reverse bool, resume *history.KVSpan, rows ...history.KVRow) history.KVStep {
	return history.KVStep{Kind: history.KVScan, Span: history.KVSpan{Start: "a", End: "z"}, Limit: limit,
		Reverse: reverse, Rows: rows, Resume: resume}
}

func kvRow(k history.Key, v history.Value) history.KVRow { return history.KVRow{Key: k, Value: v} }

func TestKV(t *testing.T) {
	ver := func(k history.Key, at int64, v history.Value) history.Version {
		return history.Version{Key: k, At: kvAt(at), Value: v}
	}
	const ok, fail, info = history.OK, history.Fail, history.Info
	ab := kvTxn(1, ok, 10, kvPut("a", 1), kvPut("b", 2))
	abVersions := []history.Version{ver("a", 10, 1), ver("b", 10, 2)}
	savepoint, back := history.KVStep{Kind: history.KVSavepoint}, history.KVStep{Kind: history.KVRollback, Savepoint: 1}
	for _, c := range []struct {
		name     string
		want     Anomaly
		txns     []history.KVTxn
		versions []history.Version
	}{
		{"good: own writes, and others'", "", []history.KVTxn{ab,
			kvTxn(3, ok, 20, kvGet("a", 1), kvPut("a", 3), kvGet("a", 3), kvDelete("b"), kvGet("b", 0)),
			kvTxn(5, ok, 30, kvGet("a", 3), kvGet("b", 0))},
			append(abVersions[:2:2], ver("a", 20, 3), ver("b", 20, 0))},
		{"good: rolled back", "", []history.KVTxn{kvTxn(1, ok, 10, kvPut("a", 1), savepoint, kvPut("a", 2), kvGet("a", 2), back, kvGet("a", 1))},
			[]history.Version{ver("a", 10, 1)}},
		{"good: scans with limits", "", []history.KVTxn{ab,
			kvTxn(3, ok, 20, kvScan(1, false, &history.KVSpan{Start: "b", End: "z"}, kvRow("a", 1))),
			kvTxn(3, ok, 20, kvScan(1, true, &history.KVSpan{Start: "a", End: "b"}, kvRow("b", 2)))}, abVersions},
		{"good: unknown, all there", "", []history.KVTxn{kvTxn(1, info, 0, kvPut("a", 1), kvPut("b", 2), kvDelete("c"))},
			append(abVersions[:2:2], ver("c", 10, 0))},
		{"good: unknown, nothing there", "", []history.KVTxn{kvTxn(1, info, 0, kvPut("a", 1), kvPut("b", 2))}, nil},
		{"good: concurrent reader of before", "", []history.KVTxn{ab, kvTxn(2, ok, 5, kvGet("a", 0))}, abVersions},

		{"acknowledged write is not there", LostWrite, []history.KVTxn{ab}, abVersions[:1]},
		{"write is at another timestamp", LostWrite, []history.KVTxn{ab}, []history.Version{ver("a", 10, 1), ver("b", 9, 2)}},
		{"delete did nothing", LostWrite, []history.KVTxn{ab, kvTxn(3, ok, 20, kvDelete("a"))}, abVersions},
		{"unknown, half there", LostWrite, []history.KVTxn{kvTxn(1, info, 0, kvPut("a", 1), kvPut("b", 2))}, abVersions[:1]},
		{"unknown, at two timestamps", LostWrite, []history.KVTxn{kvTxn(1, info, 0, kvPut("a", 1), kvPut("b", 2))},
			[]history.Version{ver("a", 10, 1), ver("b", 11, 2)}},
		{"failed, and there", GhostWrite, []history.KVTxn{kvTxn(1, fail, 0, kvPut("a", 1))}, abVersions[:1]},
		{"rolled back, and there", GhostWrite, []history.KVTxn{kvTxn(1, ok, 10, kvPut("a", 1), savepoint, kvPut("b", 2), back)}, abVersions},
		{"of an earlier attempt", GhostWrite, []history.KVTxn{ab}, append(abVersions[:2:2], ver("a", 9, 7))},
		{"tombstone of nobody", GhostWrite, []history.KVTxn{ab}, append(abVersions[:2:2], ver("a", 12, 0))},
		{"reads what is newer", WrongRead, []history.KVTxn{ab, kvTxn(1, ok, 5, kvGet("a", 1))}, abVersions},
		{"reads half of a transaction", WrongRead, []history.KVTxn{ab, kvTxn(3, ok, 15, kvGet("a", 1), kvGet("b", 0))}, abVersions},
		{"lost update", WrongRead, []history.KVTxn{ab, kvTxn(3, ok, 20, kvGet("a", 1), kvPut("a", 3)), kvTxn(3, ok, 30, kvGet("a", 1), kvPut("a", 4))},
			append(abVersions[:2:2], ver("a", 20, 3), ver("a", 30, 4))},
		{"misses its own write", WrongRead, []history.KVTxn{kvTxn(1, ok, 10, kvPut("a", 1), kvGet("a", 0), kvPut("b", 2))}, abVersions},
		{"scan misses a row", WrongRead, []history.KVTxn{ab, kvTxn(3, ok, 20, kvScan(0, false, nil, kvRow("b", 2)))}, abVersions},
		{"scan ends early without a rest", WrongRead, []history.KVTxn{ab, kvTxn(3, ok, 20, kvScan(1, false, nil, kvRow("a", 1)))}, abVersions},
		{"scan leaves what it returned", WrongRead, []history.KVTxn{ab,
			kvTxn(3, ok, 20, kvScan(1, false, &history.KVSpan{Start: "a", End: "z"}, kvRow("a", 1)))}, abVersions},
		{"scan in the wrong order", WrongRead, []history.KVTxn{ab, kvTxn(3, ok, 20, kvScan(0, true, nil, kvRow("a", 1), kvRow("b", 2)))}, abVersions},
		{"misses what had ended", StaleRead, []history.KVTxn{ab, kvTxn(3, ok, 5, kvGet("a", 0))}, abVersions},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Anomaly("")
			v := KV(c.txns, c.versions)
			if v != nil {
				got = v.Anomaly
			}
			if got != c.want {
				t.Errorf("found %q, want %q: %v", got, c.want, v)
			}
		})
	}
}
