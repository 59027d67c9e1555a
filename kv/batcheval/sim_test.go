package batcheval

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
	"github.com/cairndb/cairn/kv/spanset"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/kv/storage/storagetest"
)

// sim is a replica without Raft, latches and locks: batches run one at a
// time, and the timestamp cache is a list. It checks after each batch that
// the statistics are exact and that only declared keys were touched (I9).
type sim struct {
	t        testing.TB
	fatalf   func(string, ...any)
	eng      *storage.Engine
	desc     kvapi.RangeDescriptor
	now      int64
	stats    kvapi.RangeStatistics
	reads    []spanset.ReadSpan
	finished map[kvapi.TxnID]hlc.Timestamp
	minimum  map[kvapi.TxnID]hlc.Timestamp
	res      Result
	// threshold is the range's, protected what the node was asked about.
	threshold, protected hlc.Timestamp
	// programs are those of scans.
	programs kvapi.Programs
	// known are finished transactions that evaluation may know of.
	known knownTxns
}

type knownTxns map[kvapi.TxnID]*kvapi.Transaction

func (k knownTxns) GetCommitted(id kvapi.TxnID) *kvapi.Transaction {
	if t := k[id]; t != nil && t.Status != kvapi.Aborted {
		return t
	}
	return nil
}

func newSim(t testing.TB, eng *storage.Engine, id kvapi.RangeID, start, end string) *sim {
	return &sim{t: t, fatalf: t.Fatalf, eng: eng, now: 1000, finished: map[kvapi.TxnID]hlc.Timestamp{}, minimum: map[kvapi.TxnID]hlc.Timestamp{},
		desc: kvapi.RangeDescriptor{RangeID: id, StartKey: kvapi.Key(start), EndKey: kvapi.Key(end),
			Replicas: []kvapi.ReplicaDescriptor{{NodeID: 1, ReplicaID: 1}}}}
}

func oneRange(t testing.TB) *sim { return newSim(t, storagetest.Open(t), 1, "\x02", "\xff") }

func (s *sim) CanCreateTxnRecord(id kvapi.TxnID, _ kvapi.Key, minTS hlc.Timestamp) (bool, hlc.Timestamp) {
	return s.finished[id].Less(minTS), s.minimum[id]
}

// bump is the timestamp cache's part before evaluation.
func (s *sim) bump(ba *kvapi.BatchRequest) *kvapi.BatchRequest {
	if ba.Txn == nil {
		return ba
	}
	txn := ba.Txn.Clone()
	for i := range ba.Requests {
		for _, r := range s.reads {
			if ba.Requests[i].Kind.IsIntentWrite() && r.Span.Overlaps(ba.Requests[i].Span()) && r.TxnID != txn.ID &&
				txn.WriteTimestamp.LessEq(r.Timestamp) {
				txn.WriteTimestamp = r.Timestamp.Next()
			}
		}
	}
	c := *ba
	c.Txn = txn
	return &c
}

func (s *sim) send(ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	s.t.Helper()
	ba = s.bump(ba)
	b := s.eng.NewBatch()
	if NeedsIndex(ba) {
		_ = b.Close()
		b = s.eng.NewIndexedBatch()
	}
	defer func() { _ = b.Close() }()
	ec := &EvalContext{Programs: s.programs, Desc: &s.desc, Stats: s.stats, NodeID: 1, Now: hlc.ClockTimestamp(ts(s.now)), Records: s, Finished: s.known,
		GCThreshold: s.threshold, ProtectedAsOf: s.protected, Lease: kvapi.Lease{Start: ts(1)}}
	if ba.Txn != nil {
		ec.Uncertainty = Uncertainty(ba, kvapi.Lease{}, hlc.Timestamp{}, 0)
	}
	br, res, err := Evaluate(s.t.Context(), &declared{b, s.t, DeclareSpans(ba, &s.desc)}, ec, ba)
	s.res = res
	s.reads = append(s.reads, ReadSpans(ba, br, err)...)
	if err != nil {
		return nil, err
	}
	s.reads = append(s.reads, res.Local.MissingIntents...)
	for _, m := range res.Local.TxnMarks {
		if m.Finished {
			s.finished[m.ID] = m.Timestamp
		} else {
			s.minimum[m.ID] = m.Timestamp
		}
	}
	if e := s.eng.Commit(b, false); e != nil {
		s.t.Fatal(e)
	}
	s.stats.Add(res.Replicated.StatsDelta)
	s.threshold.Forward(res.Replicated.GCThreshold)
	s.protected.Forward(res.Local.ProtectedAsOf)
	if counted, e := mvcc.Recompute(s.eng, s.desc.StartKey, s.desc.EndKey); e != nil || counted != s.stats {
		s.t.Fatalf("statistics are %+v, counted %+v (%v) after %v", s.stats, counted, e, ba.Requests)
	}
	return br, nil
}

// declared refuses access to keys that were not declared.
type declared struct {
	*storage.Batch
	t     testing.TB
	spans spanset.Spans
}

func (d *declared) check(ek []byte, write bool) {
	d.t.Helper()
	key, _, err := storage.SplitKey(ek)
	if err != nil {
		d.t.Fatal(err)
	}
	k := kvapi.Key(bytes.Clone(key))
	if user, err := keys.DecodeLockTable(k); err == nil {
		k = user
	}
	for _, l := range d.spans.Latches {
		if l.Span.Contains(k) && (l.Access == spanset.Write || !write) {
			return
		}
	}
	d.t.Fatalf("touched %s (write %v), declared %v", k, write, d.spans.Latches)
}

func (d *declared) GetRaw(k []byte) ([]byte, bool, error) {
	d.check(k, false)
	return d.Batch.GetRaw(k)
}
func (d *declared) SetRaw(k, v []byte) error { d.check(k, true); return d.Batch.SetRaw(k, v) }
func (d *declared) DeleteRaw(k []byte) error { d.check(k, true); return d.Batch.DeleteRaw(k) }
func (d *declared) DeleteRangeRaw(lo, hi []byte) error {
	d.check(lo, true)
	return d.Batch.DeleteRangeRaw(lo, hi)
}
func (d *declared) AcquireIter(lo, hi []byte) (*pebble.Iterator, error) {
	return d.Batch.AcquireIter(lo, hi)
}

func ts(wall int64) hlc.Timestamp { return hlc.Timestamp{WallTime: wall} }

func newTxn(id byte, anchor string, at int64) *kvapi.Transaction {
	t := &kvapi.Transaction{ReadTimestamp: ts(at)}
	t.ID, t.AnchorKey, t.WriteTimestamp, t.MinTimestamp = kvapi.TxnID{id}, kvapi.Key(anchor), ts(at), ts(at)
	t.Priority = kvapi.PriorityNormal
	return t
}

func batch(txn *kvapi.Transaction, rs ...kvapi.Request) *kvapi.BatchRequest {
	ba := &kvapi.BatchRequest{Requests: rs}
	ba.Txn = txn
	return ba
}

func at(wall int64, rs ...kvapi.Request) *kvapi.BatchRequest {
	ba := &kvapi.BatchRequest{Requests: rs}
	ba.Timestamp = ts(wall)
	return ba
}

func put(k, v string, seq kvapi.TxnSeq) kvapi.Request {
	return kvapi.Request{Kind: kvapi.Put, Key: kvapi.Key(k), Value: []byte(v), Seq: seq}
}

func get(k string) kvapi.Request { return kvapi.Request{Kind: kvapi.Get, Key: kvapi.Key(k)} }

func end(anchor string, a kvapi.EndTxnArgs) kvapi.Request {
	return kvapi.Request{Kind: kvapi.EndTxn, Key: kvapi.Key(anchor), EndTxn: &a}
}

func push(pushee kvapi.TxnMeta, typ kvapi.PushType, to int64) kvapi.Request {
	return kvapi.Request{Kind: kvapi.PushTxn, Key: pushee.AnchorKey,
		Push: &kvapi.PushArgs{Pushee: pushee, Type: typ, To: ts(to), Pusher: kvapi.TxnMeta{Priority: kvapi.PriorityNormal}}}
}

func span(k string) kvapi.Span { return kvapi.Span{Key: kvapi.Key(k)} }

func writes(ks ...string) (out []kvapi.SequencedWrite) {
	for i, k := range ks {
		out = append(out, kvapi.SequencedWrite{Key: kvapi.Key(k), Seq: kvapi.TxnSeq(i + 1)})
	}
	return out
}

func (s *sim) must(ba *kvapi.BatchRequest) *kvapi.BatchResponse {
	s.t.Helper()
	br, err := s.send(ba)
	if err != nil {
		s.fatalf("%v", err)
	}
	return br
}

func (s *sim) mustFail(kind kvapi.ErrorKind, ba *kvapi.BatchRequest) *kvapi.Error {
	s.t.Helper()
	br, err := s.send(ba)
	if err == nil {
		s.t.Fatalf("%s expected, got %+v", kind, br.Responses)
	}
	if err.Kind != kind {
		s.t.Fatalf("%s expected, got %v", kind, err)
	}
	return err
}

// value reads a key now, "-" if absent.
func (s *sim) value(k string) string {
	s.t.Helper()
	s.now++
	br := s.must(at(s.now, get(k)))
	if !br.Responses[0].Exists {
		return "-"
	}
	return string(br.Responses[0].Value)
}

func (s *sim) record(t *kvapi.Transaction) string {
	b, ok, err := storage.GetUnversioned(s.eng, keys.TxnRecord(t.AnchorKey, t.ID))
	if err != nil || !ok {
		return fmt.Sprint("none ", err)
	}
	var r kvapi.Transaction
	if err := r.UnmarshalWire(b); err != nil {
		return err.Error()
	}
	return r.Status.String()
}
