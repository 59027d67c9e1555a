package batcheval

import (
	"testing"

	"github.com/cairndb/cairn/kv/kvapi"
)

func raise(to, asOf int64) kvapi.Request {
	return kvapi.Request{Kind: kvapi.RaiseGCThreshold, Key: kvapi.Key("\x02"), GC: &kvapi.GCArgs{Threshold: ts(to), ProtectedAsOf: ts(asOf)}}
}

func collect(k string) kvapi.Request {
	return kvapi.Request{Kind: kvapi.CollectGarbage, Key: kvapi.Key(k)}
}

func TestNothingIsCollectedAboveTheThreshold(t *testing.T) {
	s := oneRange(t)
	for _, w := range []int64{10, 20, 30} {
		s.must(at(w, put("a", "1", 0), put("b", "1", 0)))
	}
	if br := s.must(at(100, collect("a"))); br.Responses[0].Keys != 0 || s.res.Replicated.Removes != nil {
		t.Fatalf("without a threshold: %+v", br.Responses[0])
	}
	s.must(at(100, raise(25, 90)))
	s.must(at(100, raise(15, 90))) // does not fall
	br := s.must(at(100, collect("a"), collect("b")))
	if br.Responses[0].Keys != 1 || br.Responses[1].Keys != 1 || s.res.Replicated.RemovesUpTo != ts(25) {
		t.Fatalf("%+v, %+v", br.Responses, s.res.Replicated)
	}
	if sp := s.res.Replicated.Removes; sp == nil || sp.String() != `["a", "b\x00")` {
		t.Errorf("declared %s", sp)
	}
	s.must(at(26, get("a")))
	for _, q := range []kvapi.Request{get("a"), put("a", "2", 0), {Kind: kvapi.Scan, Key: kvapi.Key("a"), EndKey: kvapi.Key("c")}} {
		if e := s.mustFail(kvapi.ErrBelowGCThreshold, at(25, q)); e.Timestamp != ts(25) {
			t.Errorf("%s: %v at %s", q.Kind, e, e.Timestamp)
		}
	}
}

func TestCollectionIsBoundedByTheBatch(t *testing.T) {
	s := oneRange(t)
	for w := int64(1); w <= 6; w++ {
		s.must(at(w, put("a", "1", 0), put("b", "1", 0)))
	}
	s.must(at(100, raise(50, 90)))
	ba := at(100, collect("a"), collect("b"))
	ba.MaxKeys = 7
	br := s.must(ba)
	if a, b := br.Responses[0], br.Responses[1]; a.Keys != 5 || a.Resume != nil || b.Keys != 2 || b.Resume == nil {
		t.Fatalf("%+v", br.Responses)
	}
}

func TestAThresholdNeedsAllProtectionsKnown(t *testing.T) {
	s := oneRange(t)
	s.mustFail(kvapi.ErrUnavailable, at(100, raise(50, 0))) // the lease began at 1
	s.mustFail(kvapi.ErrInternal, at(100, raise(1001, 1000)))
	protect := kvapi.Request{Kind: kvapi.CheckProtection, Key: kvapi.Key("a"), EndKey: kvapi.Key("b"), GC: &kvapi.GCArgs{Threshold: ts(40), ProtectedAsOf: ts(80)}}
	s.must(at(100, protect))
	s.mustFail(kvapi.ErrUnavailable, at(100, raise(50, 79)))
	s.must(at(100, raise(50, 80)))
	s.mustFail(kvapi.ErrBelowGCThreshold, at(100, protect))
}

// A second attempt at writes that may be in place is not known to have done
// nothing because it comes too late.
func TestASecondAttemptBelowTheThresholdIsAmbiguous(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	args := kvapi.EndTxnArgs{Commit: true, CanCommitOnePhase: true, InFlightWrites: writes("a")}
	ba := batch(x, put("a", "1", 1), end("a", args))
	s.must(ba)
	s.must(at(100, raise(50, 90)))
	s.mustFail(kvapi.ErrBelowGCThreshold, ba)
	ba.AmbiguousReplay = true
	s.mustFail(kvapi.ErrAmbiguous, ba)
}
