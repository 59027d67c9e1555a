package txn_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/internal/testkit/memkv"
	"github.com/cairndb/cairn/kv/intents"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
	"github.com/cairndb/cairn/txn/txntest"
)

// TestCommitResentWholeIsSeen is CockroachDB #46431. A commit on three ranges
// fails on one of them and is refreshed. A coordinator that then sends writes
// and commit together again makes, with the intents of the first attempt, a
// record that anybody may find committed while its writes still run: they find
// themselves committed, and the user hears of an error.
func TestCommitResentWholeIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if told, there := commitWithRecoverer(t, txn.TestingKnobs{}); (told == nil) != there {
			t.Errorf("told %v, committed: %v", told, there)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var told error
		var there bool
		// The cluster itself may notice first: an intent of a transaction that
		// was committed without it.
		noticed := func() (s any) {
			defer func() { s = recover() }()
			told, there = commitWithRecoverer(t, txn.TestingKnobs{ResendCommitWithWrites: true})
			return nil
		}()
		if noticed == nil && (told == nil) == there {
			t.Errorf("the broken coordinator is right: told %v, committed: %v", told, there)
		}
		t.Logf("told %v, committed: %v, noticed: %v", told, there, noticed)
	})
}

// commitWithRecoverer commits a, m and z, of which z is refused at first, while
// somebody recovers the transaction just before m is written a second time.
func commitWithRecoverer(t *testing.T, knobs txn.TestingKnobs) (told error, there bool) {
	env := txntest.New(t)
	env.Cluster.Split(k("c"))
	env.Cluster.Split(k("n"))
	ctx := context.Background()
	db := txn.NewDB(txn.Config{Sender: env.Sender, Clock: env.Clock, NodeID: 1, Knobs: knobs})
	t.Cleanup(func() { must(t, db.Close(ctx)) })
	resolver := intents.New(intents.Config{Sender: env.Sender, Clock: env.Clock, NodeID: 1})
	t.Cleanup(resolver.Close)

	tx := db.Begin(txn.Options{})
	for _, key := range []string{"a", "m", "z"} {
		must(t, tx.Put(ctx, k(key), []byte("1")))
	}
	// Something read keeps the servers from moving the transaction themselves.
	_, _, err := tx.Get(ctx, k("b"), txn.GetOptions{})
	must(t, err)
	put(t, env, "z", "0")

	var writesOfM atomic.Int32
	env.Cluster.SetOnSend(func(ctx context.Context, _ kvapi.NodeID, ba *kvapi.BatchRequest) memkv.Fault {
		if ba.Txn == nil || len(ba.Requests) == 0 || ba.Txn.ID != tx.ID() || ba.Requests[0].Kind != kvapi.Put {
			return memkv.Fault{}
		}
		// The second write of m comes after those of a and z.
		if ba.Requests[0].Key.Equal(k("m")) && writesOfM.Add(1) == 2 {
			othersEvaluated(env, ba.Txn)
			recoverNow(t, env, resolver, ba.Txn)
			put(t, env, "b", "9") // what it has read does not hold any more
		}
		return memkv.Fault{}
	})
	told = tx.Commit(ctx)
	env.Cluster.SetOnSend(func(context.Context, kvapi.NodeID, *kvapi.BatchRequest) memkv.Fault { return memkv.Fault{} })
	_ = tx.Rollback(ctx)
	must(t, env.DB.Run(ctx, txn.Options{}, func(ctx context.Context, t *txn.Txn) error {
		_, ok, err := t.Get(ctx, k("m"), txn.GetOptions{})
		there = ok
		return err
	}))
	return told, there
}

// recoverNow recovers a transaction as a reader would do that takes its
// coordinator for dead, and resolves its intents.
func recoverNow(t *testing.T, env *txntest.Env, r *intents.Resolver, p *kvapi.Transaction) {
	ctx := context.Background()
	send := func(q kvapi.Request) *kvapi.Transaction {
		q.Key = p.AnchorKey
		br, err := env.Sender.Send(ctx, (&kvapi.BatchRequest{}).Add(q))
		if err != nil {
			t.Errorf("%v", err)
			return nil
		}
		return br.Responses[0].Pushee
	}
	rec := send(kvapi.Request{Kind: kvapi.QueryTxn, Push: &kvapi.PushArgs{Pushee: p.TxnMeta}})
	if rec == nil || rec.Status != kvapi.Staging {
		t.Errorf("the record is %v", rec)
		return
	}
	rec, err := r.Recover(ctx, rec)
	if err != nil || !rec.Status.IsFinal() {
		t.Errorf("recovered: %v %v", rec, err)
		return
	}
	for _, key := range []string{"a", "m", "z"} {
		_, err := env.Sender.Send(ctx, (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.ResolveIntent, Key: k(key),
			Resolve: &kvapi.LockUpdate{Span: kvapi.Span{Key: k(key)}, Txn: rec.TxnMeta, Status: rec.Status}}))
		if err != nil {
			t.Errorf("%v", err)
		}
	}
}

// othersEvaluated waits until z holds the intent of the second attempt. The
// record, of which the sender's own goroutine takes care, is given a moment.
func othersEvaluated(env *txntest.Env, p *kvapi.Transaction) {
	for range 1000 {
		br, err := env.Sender.Send(context.Background(), (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.QueryTxn, Key: p.AnchorKey,
			Push: &kvapi.PushArgs{Pushee: p.TxnMeta}}))
		if err == nil && br.Responses[0].Pushee != nil && !br.Responses[0].Pushee.WriteTimestamp.Less(p.WriteTimestamp) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// A commit in one phase is on its way when its sender gives up, and arrives when
// the user has been answered. Who only looks whether it has happened says no,
// and then it happens.
func TestSettlingByLookingIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if told, there := commitThatComesLate(t, txn.TestingKnobs{}); told == nil || txn.IsAmbiguous(told) || there {
			t.Errorf("told %v, committed: %v", told, there)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		if told, there := commitThatComesLate(t, txn.TestingKnobs{SettleByLooking: true}); told == nil || !there {
			t.Errorf("the broken coordinator is right: told %v, committed: %v", told, there)
		}
	})
}

func commitThatComesLate(t *testing.T, knobs txn.TestingKnobs) (told error, there bool) {
	env := txntest.New(t)
	ctx := context.Background()
	db := txn.NewDB(txn.Config{Sender: env.Sender, Clock: env.Clock, NodeID: 1, Knobs: knobs})
	t.Cleanup(func() { must(t, db.Close(ctx)) })
	put(t, env, "a", "0")
	type delivery struct {
		node kvapi.NodeID
		ba   *kvapi.BatchRequest
	}
	var late []delivery
	env.Cluster.SetOnSend(func(_ context.Context, node kvapi.NodeID, ba *kvapi.BatchRequest) memkv.Fault {
		if end := ba.EndTxnRequest(); end != nil && end.Commit {
			late = append(late, delivery{node, ba})
			return memkv.Fault{Before: unreachable(true)}
		}
		return memkv.Fault{}
	})
	tx := db.Begin(txn.Options{})
	must(t, tx.Put(ctx, k("a"), []byte("1")))
	told = tx.Commit(ctx)
	env.Cluster.SetOnSend(func(context.Context, kvapi.NodeID, *kvapi.BatchRequest) memkv.Fault { return memkv.Fault{} })
	for _, d := range late {
		_, _ = env.Cluster.Send(ctx, d.node, d.ba)
	}
	v, _ := env.Cluster.Value(k("a"))
	return told, string(v) == "1"
}
