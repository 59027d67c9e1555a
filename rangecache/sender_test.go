package rangecache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/testkit/memkv"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/rangecache"
)

func key(i int) kvapi.Key { return kvapi.Key(fmt.Sprintf("\x10%03d", i)) }

type cluster struct {
	*memkv.Cluster
	*rangecache.Sender
	clock *hlc.Clock
}

func newCluster() *cluster {
	clock := hlc.NewClock(hlc.SystemClock{}, 0)
	c := &cluster{Cluster: memkv.New(clock, 3), clock: clock}
	c.Sender = c.newSender(c.Cluster)
	return c
}

func (c *cluster) newSender(t rangecache.Transport) *rangecache.Sender {
	return rangecache.NewSender(rangecache.Config{NodeID: 1, Clock: c.clock, Transport: t, FirstRange: c.Cluster})
}

func (c *cluster) put(tb testing.TB, keys ...int) {
	tb.Helper()
	for _, i := range keys {
		ba := &kvapi.BatchRequest{}
		ba.Add(kvapi.Request{Kind: kvapi.Put, Key: key(i), Value: []byte(fmt.Sprint(i))})
		if _, err := c.Sender.Send(context.Background(), ba); err != nil {
			tb.Fatal(err)
		}
	}
}

// words are the answer to one request as the test compares it.
func words(r *kvapi.Response) []string {
	var out []string
	if r.Exists {
		out = append(out, "="+string(r.Value))
	}
	for _, kv := range r.Rows {
		out = append(out, string(kv.Key[1:]))
	}
	return out
}

// TestAnyLayoutAnswersLikeOneRange sends random batches to a cluster that is
// split at random, with caches that are stale at random, and to one range.
func TestAnyLayoutAnswersLikeOneRange(t *testing.T) {
	one, many := newCluster(), newCluster()
	for i := range 60 {
		one.put(t, i)
		many.put(t, i)
	}
	idx := rapid.IntRange(0, 60)
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(0, 3).Draw(rt, "changes") {
			k := key(idx.Draw(rt, "at"))
			switch rapid.IntRange(0, 2).Draw(rt, "change") {
			case 0:
				many.Split(k)
			case 1:
				many.Merge(k)
			case 2:
				many.MoveLease(k, kvapi.NodeID(rapid.IntRange(1, 3).Draw(rt, "node")))
			}
		}
		reverse := rapid.Bool().Draw(rt, "reverse")
		var reqs []kvapi.Request
		limited := rapid.Bool().Draw(rt, "limited")
		at := 0
		for range rapid.IntRange(1, 5).Draw(rt, "requests") {
			a, b := idx.Draw(rt, "a"), idx.Draw(rt, "b")
			if limited { // in key order, as a limited batch is by contract
				a, b = at+a%10, at+a%10+1+b%15
				at = b
			}
			switch {
			case a == b || rapid.IntRange(0, 2).Draw(rt, "kind") == 0:
				reqs = append(reqs, kvapi.Request{Kind: kvapi.Get, Key: key(a)})
			case reverse:
				reqs = append(reqs, kvapi.Request{Kind: kvapi.ReverseScan, Key: key(min(a, b)), EndKey: key(max(a, b))})
			default:
				reqs = append(reqs, kvapi.Request{Kind: kvapi.Scan, Key: key(min(a, b)), EndKey: key(max(a, b))})
			}
		}
		if limited && reverse {
			slices.Reverse(reqs)
		}
		h := kvapi.Header{}
		if limited {
			h.MaxKeys = int64(rapid.IntRange(0, 8).Draw(rt, "max"))
			h.TargetBytes = int64(rapid.IntRange(0, 60).Draw(rt, "bytes"))
		}
		if len(reqs) == 1 && rapid.Bool().Draw(rt, "program") {
			reqs[0].Program = []byte("unknown") // several ranges at a time
		}
		compare(rt, one, many, h, reqs)
	})
}

// compare reads everything, page by page, from both, and compares the rows
// of each request. Pages may end elsewhere; their sum may not.
func compare(rt *rapid.T, one, many *cluster, h kvapi.Header, reqs []kvapi.Request) {
	got, want := readPages(rt, many, h, reqs), readPages(rt, one, h, reqs)
	if !slices.EqualFunc(got, want, slices.Equal) {
		rt.Fatalf("%+v %v\n got %q\nwant %q\n in %v", h, reqs, got, want, many.Ranges())
	}
}

func readPages(rt *rapid.T, c *cluster, h kvapi.Header, reqs []kvapi.Request) [][]string {
	out := make([][]string, len(reqs))
	pos := make([]int, len(reqs))
	for i := range pos {
		pos[i] = i
	}
	for page := 0; len(reqs) > 0; page++ {
		if page > 200 {
			rt.Fatalf("no progress")
		}
		br, err := c.Sender.Send(context.Background(), &kvapi.BatchRequest{Header: h, Requests: slices.Clone(reqs)})
		if err != nil {
			rt.Fatal(err)
		}
		var rest []kvapi.Request
		var restPos []int
		rows := 0
		for i := range br.Responses {
			r := &br.Responses[i]
			rows += len(r.Rows)
			out[pos[i]] = append(out[pos[i]], words(r)...)
			if r.Resume != nil {
				q := reqs[i]
				q.Key, q.EndKey = r.Resume.Key, r.Resume.EndKey
				rest, restPos = append(rest, q), append(restPos, pos[i])
			}
		}
		if h.MaxKeys > 0 && int64(rows) > h.MaxKeys {
			rt.Fatalf("%d rows, limit %d", rows, h.MaxKeys)
		}
		reqs, pos = rest, restPos
	}
	return out
}

func TestStaleCacheCostsOneCorrection(t *testing.T) {
	c := newCluster()
	c.put(t, 1, 50)
	c.Split(key(30))
	before := c.Sender.Metrics().Attempts.Load()
	c.put(t, 50)
	if n := c.Sender.Metrics().Attempts.Load() - before; n != 2 {
		t.Errorf("after a split: %d attempts, want 2", n)
	}
	c.MoveLease(key(50), 3)
	before = c.Sender.Metrics().Attempts.Load()
	c.put(t, 50)
	c.put(t, 50)
	if n := c.Sender.Metrics().Attempts.Load() - before; n != 3 {
		t.Errorf("after a move: %d attempts for two puts, want 3", n)
	}
}

func TestLookupsOfOneKeyAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.put(t, 1)
		s := c.newSender(slow{c.Cluster, 10 * time.Millisecond})
		errs := make(chan *kvapi.Error)
		for range 20 {
			go func() {
				_, err := s.Send(context.Background(), &kvapi.BatchRequest{Requests: []kvapi.Request{{Kind: kvapi.Get, Key: key(1)}}})
				errs <- err
			}()
		}
		for range 20 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		// 20 reads and one look-up.
		if n := s.Metrics().Attempts.Load(); n != 21 {
			t.Errorf("%d attempts, want 21", n)
		}
	})
}

// slow delays a transport.
type slow struct {
	rangecache.Transport
	d time.Duration
}

func (s slow) Send(ctx context.Context, to kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	time.Sleep(s.d)
	return s.Transport.Send(ctx, to, ba)
}

// hung makes one node never answer.
type hung struct {
	rangecache.Transport
	node kvapi.NodeID
}

func (h hung) Send(ctx context.Context, to kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	if to == h.node {
		<-ctx.Done()
		err := kvapi.NewError(kvapi.ErrCanceled, "%v", ctx.Err())
		err.MaybeApplied = true
		return nil, err
	}
	return h.Transport.Send(ctx, to, ba)
}

func TestHungLeaseholderIsLeftWhenItsLeaseMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.put(t, 1)
		s := c.newSender(c.Cluster)
		get := &kvapi.BatchRequest{Requests: []kvapi.Request{{Kind: kvapi.Get, Key: key(1)}}}
		if _, err := s.Send(context.Background(), get); err != nil {
			t.Fatal(err)
		}
		c.MoveLease(key(1), 2)
		h := rangecache.NewSender(rangecache.Config{NodeID: 3, Clock: c.clock, Transport: hung{c.Cluster, 1},
			FirstRange: c.Cluster, Cache: s.Cache()})
		start := time.Now()
		if _, err := h.Send(context.Background(), get); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("took %s", d)
		}
	})
}

func TestAmbiguousCommitIsNeverADefiniteError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.put(t, 1)
		c.SetOnSend(func(context.Context, kvapi.NodeID, *kvapi.BatchRequest) memkv.Fault {
			err := kvapi.NewError(kvapi.ErrNodeUnreachable, "gone")
			err.MaybeApplied = true
			return memkv.Fault{Before: err}
		})
		for _, ba := range []*kvapi.BatchRequest{
			{Requests: []kvapi.Request{{Kind: kvapi.Put, Key: key(1)}}},
			{Header: kvapi.Header{Txn: &kvapi.Transaction{}}, Requests: []kvapi.Request{{Kind: kvapi.Put, Key: key(1)},
				{Kind: kvapi.EndTxn, Key: key(1), EndTxn: &kvapi.EndTxnArgs{Commit: true}}}},
		} {
			_, err := c.Sender.Send(context.Background(), ba)
			if err == nil || err.Kind != kvapi.ErrAmbiguous || !err.MaybeApplied {
				t.Errorf("%v", err)
			}
		}
		_, err := c.Sender.Send(context.Background(), &kvapi.BatchRequest{Requests: []kvapi.Request{{Kind: kvapi.Get, Key: key(1)}}})
		if err == nil || err.Kind != kvapi.ErrUnavailable || err.MaybeApplied {
			t.Errorf("read: %v", err)
		}
	})
}

// A broken sender that forgets an earlier attempt says that a write has failed
// which has happened: its second attempt finds the first.
func TestBlindRetryIsSeen(t *testing.T) {
	commit := func(t *testing.T, knobs rangecache.TestingKnobs) (err *kvapi.Error, there bool) {
		c := newCluster()
		s := rangecache.NewSender(rangecache.Config{NodeID: 1, Clock: c.clock, Transport: c.Cluster, FirstRange: c.Cluster, Knobs: knobs})
		now := c.clock.Now().Timestamp()
		txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), AnchorKey: key(1), WriteTimestamp: now, MinTimestamp: now, Seq: 1}, ReadTimestamp: now}
		ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: txn}}
		ba.Add(kvapi.Request{Kind: kvapi.Put, Key: key(1), Value: []byte("1"), Seq: 1})
		ba.Add(kvapi.Request{Kind: kvapi.EndTxn, Key: key(1), EndTxn: &kvapi.EndTxnArgs{Commit: true, CanCommitOnePhase: true,
			LockSpans: []kvapi.Span{{Key: key(1)}}}})
		var lost atomic.Bool
		c.SetOnSend(func(_ context.Context, _ kvapi.NodeID, ba *kvapi.BatchRequest) memkv.Fault {
			if ba.EndTxnRequest() == nil || lost.Swap(true) {
				return memkv.Fault{}
			}
			err := kvapi.NewError(kvapi.ErrNodeUnreachable, "the answer is lost")
			err.MaybeApplied = true
			return memkv.Fault{After: err}
		})
		_, err = s.Send(context.Background(), ba)
		br, gerr := s.Send(context.Background(), (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Get, Key: key(1)}))
		if gerr != nil {
			t.Fatal(gerr)
		}
		return err, string(br.Responses[0].Value) == "1"
	}
	synctest.Test(t, func(t *testing.T) {
		if err, there := commit(t, rangecache.TestingKnobs{}); !there || err != nil && err.Kind != kvapi.ErrAmbiguous {
			t.Errorf("there: %v, told: %v", there, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		if err, there := commit(t, rangecache.TestingKnobs{BlindRetry: true}); !there || err == nil || err.Kind == kvapi.ErrAmbiguous {
			t.Errorf("the broken sender is right: there: %v, told: %v", there, err)
		}
	})
}

// TestARangeThatCannotTellIsNotAskedAgain: after a lost first attempt, a second
// one whose answer is "ambiguous" ends at once, and not after patience.
func TestARangeThatCannotTellIsNotAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.put(t, 1)
		attempts := 0
		c.SetOnSend(func(_ context.Context, _ kvapi.NodeID, ba *kvapi.BatchRequest) memkv.Fault {
			attempts++
			err := kvapi.NewError(kvapi.ErrNodeUnreachable, "gone")
			if ba.AmbiguousReplay {
				err = kvapi.NewError(kvapi.ErrAmbiguous, "finished, perhaps by an earlier attempt")
			}
			err.MaybeApplied = true
			return memkv.Fault{Before: err}
		})
		ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: &kvapi.Transaction{}}, Requests: []kvapi.Request{{Kind: kvapi.Put, Key: key(1)},
			{Kind: kvapi.EndTxn, Key: key(1), EndTxn: &kvapi.EndTxnArgs{Commit: true}}}}
		start := time.Now()
		_, err := c.Sender.Send(context.Background(), ba)
		if err == nil || err.Kind != kvapi.ErrAmbiguous || attempts != 2 || time.Since(start) > time.Second {
			t.Errorf("%d attempts in %v: %v", attempts, time.Since(start), err)
		}
	})
}

func TestCanceledCallerGetsItsContextsError(t *testing.T) {
	c := newCluster()
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	c.SetOnSend(func(context.Context, kvapi.NodeID, *kvapi.BatchRequest) memkv.Fault {
		return memkv.Fault{Before: kvapi.NewError(kvapi.ErrNodeUnreachable, "gone")}
	})
	_, err := c.Sender.Send(ctx, &kvapi.BatchRequest{Requests: []kvapi.Request{{Kind: kvapi.Get, Key: key(1)}}})
	if err == nil || err.Kind != kvapi.ErrCanceled {
		t.Errorf("%v", err)
	}
}

func BenchmarkSendToOneRange(b *testing.B) {
	c := newCluster()
	c.put(b, 1)
	s := c.newSender(nothing{})
	ba := &kvapi.BatchRequest{Requests: []kvapi.Request{{Kind: kvapi.Get, Key: key(1)}}}
	for _, r := range c.Ranges() {
		s.Cache().Insert(r)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Send(context.Background(), ba); err != nil {
			b.Fatal(err)
		}
	}
}

// nothing answers at once.
type nothing struct{}

func (nothing) Send(context.Context, kvapi.NodeID, *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	return &kvapi.BatchResponse{Responses: make([]kvapi.Response, 1)}, nil
}
