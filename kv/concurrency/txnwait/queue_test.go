package txnwait

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/concurrency/txncache"
	"github.com/cairndb/cairn/kv/kvapi"
)

// cluster plays the records of transactions, each on a range of its own.
type cluster struct {
	mu     sync.Mutex
	queues map[kvapi.TxnID]*Queue
	txns   map[kvapi.TxnID]*kvapi.Transaction
	caches map[kvapi.TxnID]*txncache.Cache
	// mute transactions cannot ask for their own record.
	mute map[kvapi.TxnID]bool
	// ended is when transactions were finished.
	ended map[kvapi.TxnID]time.Time
}

func newCluster(priorities ...kvapi.Priority) *cluster {
	c := &cluster{queues: map[kvapi.TxnID]*Queue{}, txns: map[kvapi.TxnID]*kvapi.Transaction{},
		caches: map[kvapi.TxnID]*txncache.Cache{}, mute: map[kvapi.TxnID]bool{},
		ended: map[kvapi.TxnID]time.Time{}}
	for i, p := range priorities {
		txn := &kvapi.Transaction{}
		txn.ID, txn.AnchorKey, txn.Priority = id(i), kvapi.Key("a"), p
		c.txns[txn.ID] = txn
		c.caches[txn.ID] = txncache.New()
		c.queues[txn.ID] = New(c.caches[txn.ID], c, hlc.NewClock(hlc.SystemClock{}, 0))
	}
	return c
}

func id(i int) kvapi.TxnID { return kvapi.TxnID{byte(i + 1)} }

func (c *cluster) QueryTxn(ctx context.Context, txn kvapi.TxnMeta, known kvapi.WaitsSum) (*kvapi.Transaction, []kvapi.TxnWait, *kvapi.Error) {
	if c.mute[txn.ID] {
		return nil, nil, kvapi.NewError(kvapi.ErrUnavailable, "mute")
	}
	ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.QueryTxn, Push: &kvapi.PushArgs{Pushee: txn, Known: known}})
	q := c.queues[txn.ID]
	for {
		if br := q.MaybeAnswer(ba); br != nil {
			return br.Responses[0].Pushee, nil, nil
		}
		br := &kvapi.BatchResponse{Responses: []kvapi.Response{{Pushee: c.txn(txn.ID).Clone()}}}
		again, err := q.After(ctx, ba, br, nil)
		if again == nil {
			return br.Responses[0].Pushee, br.Responses[0].Waits, err
		}
		ba = again
	}
}

func (c *cluster) txn(id kvapi.TxnID) *kvapi.Transaction {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.txns[id]
}

func (c *cluster) finish(txn kvapi.TxnID, status kvapi.TxnStatus) {
	t := c.txn(txn).Clone()
	t.Status = status
	c.mu.Lock()
	c.txns[txn] = t
	c.ended[txn] = time.Now()
	c.mu.Unlock()
	c.caches[txn].Add(t)
	c.queues[txn].OnTxnUpdated(txn)
}

// push pushes until the pushee is finished or the pusher has to end.
func (c *cluster) push(ctx context.Context, pusher, pushee int) *kvapi.Error {
	ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.PushTxn, Push: &kvapi.PushArgs{
		Pusher: c.txn(id(pusher)).TxnMeta, Pushee: c.txn(id(pushee)).TxnMeta, Type: kvapi.PushAbort}})
	for {
		if c.queues[id(pushee)].MaybeAnswer(ba) != nil {
			return nil
		}
		if ba.Requests[0].Push.Force {
			c.finish(id(pushee), kvapi.Aborted)
			return nil
		}
		pErr := kvapi.NewError(kvapi.ErrPushFailed, "")
		again, err := c.queues[id(pushee)].After(ctx, ba, nil, pErr)
		if err != nil {
			return err
		}
		if again != nil {
			ba = again
		}
	}
}

// TestDeadlock: rings of random sizes and priorities, entered in random order,
// with bystanders that wait for a member. Exactly one member must end, within
// one pollInterval and some milliseconds of the last wait: the lowest
// priority, then the smallest id.
func TestDeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(noDeadline{t}, func(t *rapid.T) {
			n := rapid.IntRange(2, 5).Draw(t, "ring")
			total := n + rapid.IntRange(0, 3).Draw(t, "bystanders")
			prios := rapid.SliceOfN(rapid.Map(rapid.Int32Range(1, 3), func(p int32) kvapi.Priority { return kvapi.Priority(p) }), total, total).Draw(t, "priorities")
			c := newCluster(prios...)
			want := 0
			for i := range n {
				if prios[i] < prios[want] {
					want = i
				}
			}
			mute := rapid.Bool().Draw(t, "victim is mute")
			c.mute[id(want)] = mute
			ctx, cancel := context.WithCancel(context.Background())
			ended := map[int]*kvapi.Error{}
			var start time.Time // when the ring closed
			entered := 0
			order := make([]int, total)
			for i := range order {
				order[i] = i
			}
			for _, i := range rapid.Permutation(order).Draw(t, "order") {
				target := (i + 1) % n
				if i < n {
					if entered++; entered == n {
						start = time.Now()
					}
				}
				go func() {
					if err := c.push(ctx, i, target); err != nil && ctx.Err() == nil {
						c.mu.Lock()
						ended[i] = err
						c.mu.Unlock()
						c.finish(id(i), kvapi.Aborted) // the client rolls back
					}
				}()
				time.Sleep(time.Duration(rapid.IntRange(0, 30).Draw(t, "pause")) * time.Millisecond)
			}
			time.Sleep(3 * time.Second)
			synctest.Wait()
			took := c.ended[id(want)].Sub(start)
			for i := range total {
				if aborted := c.txn(id(i)).Status == kvapi.Aborted; aborted != (i == want) {
					t.Fatalf("transaction %d aborted: %t; the victim should be %d", i, aborted, want)
				}
			}
			most := pollInterval + time.Duration(2*total)*pollPause
			if mute {
				most += seenToForce * pollInterval
			}
			if took > most {
				t.Fatalf("took %s", took)
			}
			if err := ended[want]; !mute && (err == nil || err.Kind != kvapi.ErrDeadlock) {
				t.Fatalf("the victim got %v", err)
			}
			cancel()
			synctest.Wait()
			for _, q := range c.queues {
				if q.Count() != 0 {
					t.Fatal("somebody still waits")
				}
			}
		})
	})
}

type noDeadline struct{ rapid.TB }

// TestNoCycle: a chain is not a deadlock, and ends when its head does.
func TestNoCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(1, 1, 1)
		var order []string
		for i := range 2 {
			go func() {
				err := c.push(context.Background(), i, i+1)
				order = append(order, fmt.Sprintf("%d:%v", i, err == nil))
				c.finish(id(i), kvapi.Committed)
			}()
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if len(order) != 0 {
			t.Fatal(order)
		}
		c.finish(id(2), kvapi.Committed)
		synctest.Wait()
		if !slices.Equal(order, []string{"1:true", "0:true"}) {
			t.Error(order)
		}
	})
}

// TestWaits: what ends a push's wait, and with which answer.
func TestWaits(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*cluster, context.CancelFunc)
		want string
	}{
		{"pushee commits: evaluate again", func(c *cluster, _ context.CancelFunc) { c.finish(id(1), kvapi.Committed) }, "again after 0s"},
		{"nothing happens: the push failed", func(*cluster, context.CancelFunc) {}, "failed after 1s"},
		{"pusher is aborted", func(c *cluster, _ context.CancelFunc) { c.finish(id(0), kvapi.Aborted) }, "transaction aborted after 2ms"},
		{"client goes away", func(_ *cluster, cancel context.CancelFunc) { cancel() }, "canceled after 0s"},
		{"lease changes: evaluate again", func(c *cluster, _ context.CancelFunc) { c.queues[id(1)].Clear() }, "again after 0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newCluster(1, 1)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.PushTxn, Push: &kvapi.PushArgs{
					Pusher: cl.txns[id(0)].TxnMeta, Pushee: cl.txns[id(1)].TxnMeta, Type: kvapi.PushAbort}})
				got, start := "", time.Now()
				go func() {
					again, err := cl.queues[id(1)].After(ctx, ba, nil, kvapi.NewError(kvapi.ErrPushFailed, ""))
					switch {
					case err != nil:
						got = err.Kind.String()
					case again != nil:
						got = "again"
					default:
						got = "failed"
					}
					got += fmt.Sprint(" after ", time.Since(start))
				}()
				synctest.Wait()
				c.do(cl, cancel)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}

// TestNoLostWakeup: the pushee ended between evaluation and registration.
func TestNoLostWakeup(t *testing.T) {
	c := newCluster(1, 1)
	c.finish(id(1), kvapi.Aborted)
	ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.PushTxn, Push: &kvapi.PushArgs{
		Pusher: c.txns[id(0)].TxnMeta, Pushee: c.txns[id(1)].TxnMeta, Type: kvapi.PushAbort}})
	if again, err := c.queues[id(1)].After(context.Background(), ba, nil, kvapi.NewError(kvapi.ErrPushFailed, "")); again != ba || err != nil {
		t.Error(again, err)
	}
}

// TestMaybeAnswer: which batches need no evaluation.
func TestMaybeAnswer(t *testing.T) {
	for _, c := range []struct {
		kind   kvapi.Kind
		status kvapi.TxnStatus
		want   bool
	}{
		{kvapi.PushTxn, kvapi.Pending, false},
		{kvapi.PushTxn, kvapi.Staging, false},
		{kvapi.PushTxn, kvapi.Committed, true},
		{kvapi.PushTxn, kvapi.Aborted, true},
		{kvapi.QueryTxn, kvapi.Committed, true},
		{kvapi.QueryTxn, kvapi.Aborted, false},
		{kvapi.QueryTxn, kvapi.Pending, false},
	} {
		cl := newCluster(1)
		cl.finish(id(0), c.status)
		ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: c.kind, Push: &kvapi.PushArgs{Pushee: cl.txn(id(0)).TxnMeta}})
		br := cl.queues[id(0)].MaybeAnswer(ba)
		if (br != nil) != c.want || br != nil && br.Responses[0].Pushee.Status != c.status {
			t.Errorf("%s of a %s transaction: %v", c.kind, c.status, br)
		}
		ba.Add(kvapi.Request{Kind: kvapi.Get})
		if cl.queues[id(0)].MaybeAnswer(ba) != nil {
			t.Error("a batch with another request was answered")
		}
	}
}
