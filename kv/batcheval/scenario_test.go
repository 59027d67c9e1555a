package batcheval

import (
	"testing"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

func TestOnePhaseCommitLeavesNoIntentAndNoRecord(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	args := kvapi.EndTxnArgs{Commit: true, CanCommitOnePhase: true, InFlightWrites: writes("a", "b"), LockSpans: []kvapi.Span{span("a"), span("b")}}
	br := s.must(batch(x, put("a", "1", 1), put("b", "2", 2), end("a", args)))
	if !br.Responses[2].OnePhase || br.Txn.Status != kvapi.Committed || s.record(x) != "none <nil>" || s.stats.IntentCount != 0 {
		t.Fatalf("%+v, record %s", br.Txn, s.record(x))
	}
	if s.value("a")+s.value("b") != "12" {
		t.Fatal("values are missing")
	}
}

func TestSecondAttemptAtOnePhaseCommitIsAmbiguous(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	args := kvapi.EndTxnArgs{Commit: true, CanCommitOnePhase: true, InFlightWrites: writes("a")}
	ba := batch(x, put("a", "1", 1), end("a", args))
	ba.CanForwardReadTimestamp = true
	s.must(ba)
	replay := *ba
	replay.AmbiguousReplay = true
	if err := s.mustFail(kvapi.ErrAmbiguous, &replay); !err.MaybeApplied {
		t.Fatal("ambiguous, but not maybe applied")
	}
	// Even where the mark was lost, the newer version is not a reason to move.
	delete(s.finished, x.ID)
	s.mustFail(kvapi.ErrAmbiguous, &replay)
}

// A write that was done before is there, and no new version: nobody may take it
// for one below what was closed since.
func TestARepeatedWriteIsNoNewVersion(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	s.must(batch(x, put("a", "1", 1)))
	if low := s.res.Replicated.LowestWrite; low != ts(10) {
		t.Fatalf("the lowest version is %s", low)
	}
	moved := x.Clone()
	moved.WriteTimestamp = ts(30)
	s.must(batch(moved, put("a", "1", 1)))
	if low := s.res.Replicated.LowestWrite; !low.IsEmpty() {
		t.Errorf("a repeated write counts as a version at %s", low)
	}
	s.must(batch(moved, put("a", "1", 1), put("b", "2", 2)))
	if low := s.res.Replicated.LowestWrite; low != ts(30) {
		t.Errorf("beside a repeated write the lowest version is %s", low)
	}
}

func TestOnePhaseCommitMovesAboveNewerVersionIfNothingWasRead(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	s.must(at(20, put("b", "0", 0)))
	args := kvapi.EndTxnArgs{Commit: true, CanCommitOnePhase: true}
	ba := batch(x, put("a", "1", 1), put("b", "2", 2), end("a", args))
	s.mustFail(kvapi.ErrWriteTooOld, ba)
	ba.CanForwardReadTimestamp = true
	if br := s.must(ba); br.Txn.WriteTimestamp != ts(20).Next() || br.Txn.ReadTimestamp != br.Txn.WriteTimestamp {
		t.Fatalf("%s", br.Txn)
	}
	if s.value("a")+s.value("b") != "12" {
		t.Fatal("values are missing")
	}
}

func TestCommitAboveReadTimestampMustRefresh(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	s.must(at(15, get("a")))
	args := kvapi.EndTxnArgs{Commit: true, CanCommitOnePhase: true}
	err := s.mustFail(kvapi.ErrTxnRetry, batch(x, put("a", "1", 1), end("a", args)))
	if err.Txn == nil || err.Txn.WriteTimestamp != ts(15).Next() {
		t.Fatalf("%+v", err)
	}
}

func TestOwnReadDoesNotMoveOwnWrite(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	s.must(batch(x, get("a")))
	s.must(batch(x, put("a", "1", 1), end("a", kvapi.EndTxnArgs{Commit: true, CanCommitOnePhase: true})))
}

func TestBlindIntentMovesAboveNewerVersion(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	s.must(at(20, put("a", "0", 0)))
	br := s.must(batch(x, put("a", "1", 1)))
	if br.Txn == nil || br.Txn.WriteTimestamp != ts(20).Next() || br.Txn.ReadTimestamp != ts(10) {
		t.Fatalf("%+v", br.Txn)
	}
	s.must(at(30, put("b", "0", 0)))
	s.mustFail(kvapi.ErrWriteTooOld, batch(newTxn(2, "b", 10),
		kvapi.Request{Kind: kvapi.ConditionalPut, Key: kvapi.Key("b"), MustExist: true}))
}

func TestAWriteFailsIfItsKeyWasWrittenSince(t *testing.T) {
	s := oneRange(t)
	s.must(at(20, put("a", "0", 0)))
	since := func(wall int64) kvapi.Request {
		r := put("a", "1", 1)
		r.ReadAt = ts(wall)
		return r
	}
	e := s.mustFail(kvapi.ErrRefreshFailed, batch(newTxn(1, "a", 30), since(19)))
	if !e.Key.Equal(kvapi.Key("a")) {
		t.Errorf("on %s", e.Key)
	}
	// Nor does it move above, in one phase or as a second attempt.
	ba := batch(newTxn(1, "a", 30), since(19), end("a", kvapi.EndTxnArgs{Commit: true, CanCommitOnePhase: true}))
	ba.CanForwardReadTimestamp = true
	s.mustFail(kvapi.ErrRefreshFailed, ba)
	ba.AmbiguousReplay = true
	s.mustFail(kvapi.ErrAmbiguous, ba)
	// A transaction's own intent is no other's write.
	x := newTxn(2, "a", 30)
	s.must(batch(x, since(20)))
	again := since(20)
	again.Seq = 2
	s.must(batch(x, again))
}

func TestDeadlineIsCheckedAgainstFinalTimestamp(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	s.must(at(15, get("a")))
	ba := batch(x, put("a", "1", 1), end("a", kvapi.EndTxnArgs{Commit: true, CanCommitOnePhase: true, Deadline: ts(15)}))
	ba.CanForwardReadTimestamp = true
	s.mustFail(kvapi.ErrDeadlineExceeded, ba)
}

func TestExplicitCommitResolvesLocalLocksAndKeepsRecordForOthers(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	s.desc.EndKey = kvapi.Key("m")
	s.must(batch(x, put("a", "1", 1)))
	s.must(batch(x, put("b", "2", 2)))
	args := kvapi.EndTxnArgs{Commit: true, LockSpans: []kvapi.Span{span("a"), {Key: kvapi.Key("b"), EndKey: kvapi.Key("x")}}}
	s.must(batch(x, end("a", args)))
	if s.record(x) != "committed" || s.stats.IntentCount != 0 || len(s.res.Local.EndTxns) != 1 {
		t.Fatalf("record %s, %+v", s.record(x), s.res.Local)
	}
	if left := s.res.Local.EndTxns[0].LockSpans; len(left) != 1 || left[0].String() != `["m", "x")` {
		t.Fatalf("left %v", left)
	}
	if err := s.mustFail(kvapi.ErrTxnFinished, batch(x, end("a", args))); err.Txn.Status != kvapi.Committed {
		t.Fatalf("%+v", err)
	}
}

func TestRollbackRemovesIntents(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	s.must(batch(x, put("a", "1", 1)))
	s.must(batch(x, end("a", kvapi.EndTxnArgs{LockSpans: []kvapi.Span{span("a")}})))
	if s.value("a") != "-" || s.stats.IntentCount != 0 {
		t.Fatal("the intent is still there")
	}
	s.mustFail(kvapi.ErrTxnAborted, batch(x, end("a", kvapi.EndTxnArgs{Commit: true})))
	s.mustFail(kvapi.ErrTxnAborted, batch(x, kvapi.Request{Kind: kvapi.HeartbeatTxn, Key: kvapi.Key("a"), Now: ts(11)}))
}

func TestPushWithoutRecordIsObeyedByItsCreator(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	s.now = 11
	s.mustFail(kvapi.ErrPushFailed, at(11, push(x.TxnMeta, kvapi.PushTimestamp, 30)))
	force := push(x.TxnMeta, kvapi.PushTimestamp, 30)
	force.Push.Force = true
	br := s.must(at(11, force))
	if got := br.Responses[0].Pushee; got.Status != kvapi.Pending || got.WriteTimestamp != ts(30).Next() || s.record(x) != "none <nil>" {
		t.Fatalf("%s, record %s", got, s.record(x))
	}
	s.mustFail(kvapi.ErrTxnRetry, batch(x, put("a", "1", 1), end("a", kvapi.EndTxnArgs{Commit: true})))
	force.Push.Type = kvapi.PushAbort
	s.must(at(11, force))
	s.mustFail(kvapi.ErrTxnAborted, batch(x, put("a", "1", 1), end("a", kvapi.EndTxnArgs{Commit: true, CanCommitOnePhase: true})))
}

func TestHeartbeatKeepsTransactionFromExpiring(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	s.now = 10 + int64(TxnExpiration)
	s.must(batch(x, kvapi.Request{Kind: kvapi.HeartbeatTxn, Key: kvapi.Key("a"), Now: ts(s.now)}))
	s.now += int64(TxnExpiration)
	s.mustFail(kvapi.ErrPushFailed, at(s.now, push(x.TxnMeta, kvapi.PushAbort, 0)))
	s.now++
	br := s.must(at(s.now, push(x.TxnMeta, kvapi.PushAbort, 0)))
	if br.Responses[0].Pushee.Status != kvapi.Aborted || s.record(x) != "aborted" {
		t.Fatalf("%s", br.Responses[0].Pushee)
	}
	s.mustFail(kvapi.ErrTxnAborted, batch(x, end("a", kvapi.EndTxnArgs{Commit: true})))
}

func TestRollbackOfStagingIsIndeterminate(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	s.must(batch(x, put("a", "1", 1), end("a", kvapi.EndTxnArgs{Commit: true, InFlightWrites: writes("a", "z")})))
	if s.record(x) != "staging" {
		t.Fatal(s.record(x))
	}
	s.mustFail(kvapi.ErrIndeterminateCommit, batch(x, end("a", kvapi.EndTxnArgs{})))
}

func TestConditionFailedIsARead(t *testing.T) {
	s, x, y := oneRange(t), newTxn(1, "a", 10), newTxn(2, "a", 5)
	err := s.mustFail(kvapi.ErrConditionFailed, batch(x, kvapi.Request{Kind: kvapi.ConditionalPut, Key: kvapi.Key("a"), MustExist: true}))
	if err.ActualExists || err.Index != 0 {
		t.Fatalf("%+v", err)
	}
	if got := s.bump(batch(y, put("a", "1", 1))).Txn.WriteTimestamp; got != ts(10).Next() {
		t.Fatalf("a write slipped below the read, at %s", got)
	}
}

func TestLockingReadLocksAbsentKeyAndFailsOnNewer(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	g := get("a")
	g.Lock = kvapi.LockExclusive
	s.must(batch(x, g))
	if l := s.res.Local.AcquiredLocks; len(l) != 1 || l[0].Strength != kvapi.LockExclusive || l[0].Replicated {
		t.Fatalf("%+v", l)
	}
	s.must(at(20, put("a", "1", 0)))
	s.mustFail(kvapi.ErrWriteTooOld, batch(x, g))
	ba := batch(x, g)
	ba.CanForwardReadTimestamp = true
	if br := s.must(ba); br.Txn.ReadTimestamp != ts(20).Next() || string(br.Responses[0].Value) != "1" {
		t.Fatalf("%s", br.Txn)
	}
}

// A write that says where its key was read is not moved above a newer version.
func TestWriteChecksWhereItsKeyWasRead(t *testing.T) {
	s := oneRange(t)
	s.must(at(20, put("a", "1", 0)))
	w := put("a", "2", 1)
	w.ReadAt = ts(10)
	if err := s.mustFail(kvapi.ErrRefreshFailed, batch(newTxn(1, "a", 30), w)); string(err.Key) != "a" || err.Timestamp != ts(20) {
		t.Errorf("%+v", err)
	}
	w.ReadAt = ts(20)
	s.must(batch(newTxn(1, "a", 30), w))
}

// A locking read that comes too late for its timestamp fails, and has the lock
// when it comes back.
func TestLateLockingReadKeepsItsLock(t *testing.T) {
	s := oneRange(t)
	s.must(at(20, put("a", "1", 0)))
	g := get("a")
	g.Lock = kvapi.LockExclusive
	s.mustFail(kvapi.ErrWriteTooOld, batch(newTxn(1, "a", 10), g))
	if l := s.res.Local.AcquiredLocks; len(l) != 1 || l[0].Strength != kvapi.LockExclusive || string(l[0].Key) != "a" {
		t.Errorf("locks %+v", l)
	}
	g.Durable = true
	s.mustFail(kvapi.ErrWriteTooOld, batch(newTxn(1, "a", 10), g))
	if l := s.res.Local.AcquiredLocks; len(l) != 1 || l[0].Replicated || s.stats.LockCount != 0 {
		t.Errorf("what failed left a durable lock: %+v", l)
	}
}

func lockingGet(k string, s kvapi.LockStrength) kvapi.Request {
	g := get(k)
	g.Lock, g.Durable = s, true
	return g
}

func TestDurableLockHoldsUntilItsTransactionEnds(t *testing.T) {
	s, x, y := oneRange(t), newTxn(1, "a", 10), newTxn(2, "b", 11)
	s.must(batch(x, lockingGet("a", kvapi.LockShared), lockingGet("a", kvapi.LockExclusive), lockingGet("absent", kvapi.LockKeyShare)))
	if s.stats.LockCount != 2 {
		t.Fatalf("%d locks, not one for each key", s.stats.LockCount)
	}
	s.must(batch(x, lockingGet("a", kvapi.LockNoKeyUpdate)))
	s.must(batch(y, get("a")))
	for _, r := range []kvapi.Request{put("a", "1", 1), lockingGet("a", kvapi.LockKeyShare), put("absent", "1", 1)} {
		e := s.mustFail(kvapi.ErrLockConflict, batch(y, r))
		if len(e.Locks) != 1 || e.Locks[0].Txn.ID != x.ID || !e.Locks[0].Replicated || e.Locks[0].Strength == kvapi.LockIntent {
			t.Errorf("%+v", e.Locks)
		}
	}
	skip := lockingGet("a", kvapi.LockExclusive)
	skip.Kind, skip.EndKey, skip.Wait = kvapi.Scan, kvapi.Key("z"), kvapi.WaitSkip
	s.must(at(5, put("c", "1", 0)))
	if br := s.must(batch(y, skip)); len(br.Responses[0].Rows) != 1 || s.stats.LockCount != 3 {
		t.Fatalf("%v, %d locks", br.Responses[0].Rows, s.stats.LockCount)
	}
	nonKey := put("absent", "1", 1)
	nonKey.Lock = kvapi.LockNoKeyUpdate
	s.must(batch(y, nonKey))
	s.must(batch(x, end("a", kvapi.EndTxnArgs{Commit: true, LockSpans: []kvapi.Span{{Key: kvapi.Key("a")}, {Key: kvapi.Key("absent")}}})))
	if s.stats.LockCount != 1 {
		t.Fatalf("%d locks after the end", s.stats.LockCount)
	}
	s.must(batch(y, put("a", "1", 2), end("b", kvapi.EndTxnArgs{Commit: true, LockSpans: []kvapi.Span{{Key: kvapi.Key("a"), EndKey: kvapi.Key("z")}}})))
	if s.stats.LockCount != 0 || s.stats.IntentCount != 0 {
		t.Fatalf("left behind: %+v", s.stats)
	}
}

func TestUncertainReadMovesUpIfNothingWasRead(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	x.GlobalUncertaintyLimit = ts(25)
	s.must(at(20, put("a", "1", 0)))
	s.mustFail(kvapi.ErrUncertain, batch(x, get("a")))
	ba := batch(x, get("a"))
	ba.CanForwardReadTimestamp = true
	if br := s.must(ba); br.Txn.ReadTimestamp != ts(20) || string(br.Responses[0].Value) != "1" {
		t.Fatalf("%s", br.Txn)
	}
}

func TestLimitsAreSharedByTheBatch(t *testing.T) {
	s := oneRange(t)
	s.must(at(5, put("a", "1", 0), put("b", "2", 0), put("c", "3", 0)))
	scan := kvapi.Request{Kind: kvapi.Scan, Key: kvapi.Key("a"), EndKey: kvapi.Key("z")}
	rev := scan
	rev.Kind = kvapi.ReverseScan
	ba := at(10, scan, rev)
	ba.MaxKeys = 4
	br := s.must(ba)
	if len(br.Responses[0].Rows) != 3 || len(br.Responses[1].Rows) != 1 || br.Responses[1].Resume.String() != `["a", "c")` {
		t.Fatalf("%+v", br.Responses)
	}
	if sp := s.reads[len(s.reads)-1].Span; sp.String() != `["c", "z")` {
		t.Fatalf("read %s", sp)
	}
}

func TestRefreshFindsWritesOfOthers(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 30)
	s.must(at(20, put("k", "1", 0)))
	ref := kvapi.Request{Kind: kvapi.RefreshRange, Key: kvapi.Key("a"), EndKey: kvapi.Key("z"), RefreshFrom: ts(10)}
	s.mustFail(kvapi.ErrRefreshFailed, batch(x, ref))
	ref.RefreshFrom = ts(20)
	s.must(batch(x, ref))
}

func TestDeleteRangeInTransaction(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	s.must(at(5, put("a", "1", 0), put("b", "2", 0)))
	del := kvapi.Request{Kind: kvapi.DeleteRange, Key: kvapi.Key("a"), EndKey: kvapi.Key("z"), Seq: 1}
	if br := s.must(batch(x, del)); br.Responses[0].Keys != 2 || s.stats.IntentCount != 2 {
		t.Fatalf("%+v", br.Responses[0])
	}
	s.must(batch(x, end("a", kvapi.EndTxnArgs{Commit: true, LockSpans: []kvapi.Span{del.Span()}})))
	if s.value("a")+s.value("b") != "--" {
		t.Fatal("still there")
	}
	s.must(at(s.now, kvapi.Request{Kind: kvapi.ClearRange, Key: kvapi.Key("a"), EndKey: kvapi.Key("z")}))
	if s.stats != (kvapi.RangeStatistics{}) {
		t.Fatalf("%+v", s.stats)
	}
}

func TestRecordIsForgottenOnceItsLocksAreResolved(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	s.desc.EndKey = kvapi.Key("m")
	s.must(batch(x, put("a", "1", 1)))
	br := s.must(batch(x, end("a", kvapi.EndTxnArgs{Commit: true, LockSpans: []kvapi.Span{span("a"), span("x")}})))
	forget := kvapi.Request{Kind: kvapi.RecoverTxn, Key: kvapi.Key("a"), Recover: &kvapi.RecoverArgs{Txn: *br.Txn}}
	s.must(at(20, forget))
	if s.record(x) != "none <nil>" {
		t.Fatal(s.record(x))
	}
	s.mustFail(kvapi.ErrTxnAborted, batch(x, kvapi.Request{Kind: kvapi.HeartbeatTxn, Key: kvapi.Key("a"), Now: ts(21)}))
	s.must(at(22, forget))
}

// TestReadIsLatchedAndLockedUpToItsUncertainty: below that, evaluation could
// meet an intent that the lock table does not make it wait for.
func TestReadIsLatchedAndLockedUpToItsUncertainty(t *testing.T) {
	s, x := oneRange(t), newTxn(1, "a", 10)
	x.GlobalUncertaintyLimit = ts(25)
	for _, c := range []struct {
		ba   *kvapi.BatchRequest
		want hlc.Timestamp
	}{{batch(x, get("a")), ts(25)}, {at(10, get("a")), hlc.MaxTimestamp}} {
		sp := DeclareSpans(c.ba, &s.desc)
		if sp.Latches[0].Timestamp != c.want || sp.Locks[0].Timestamp != c.want {
			t.Errorf("%+v, not up to %s", sp, c.want)
		}
	}
	x.HasFlushed, x.ReadTimestamp = true, ts(20)
	if sp := DeclareSpans(batch(x, put("a", "1", 1)), &s.desc); sp.Latches[0].Timestamp != ts(10) {
		t.Errorf("a write that may move an intent is latched from %s", sp.Latches[0].Timestamp)
	}
}
