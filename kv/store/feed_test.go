package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

// feedReader reads a feed of one range from one node, page by page.
type feedReader struct {
	c    *cluster
	node kvapi.NodeID
	span kvapi.Span
	args kvapi.FeedArgs
}

func (f *feedReader) next() (*kvapi.FeedPage, *kvapi.Error) {
	f.args.Page++
	q := f.args
	br, err := f.c.nodes[f.node].store.Send(context.Background(), (&kvapi.BatchRequest{}).Add(
		kvapi.Request{Kind: kvapi.FeedRange, Key: f.span.Key, EndKey: f.span.EndKey, Feed: &q}))
	if err != nil {
		return nil, err
	}
	return br.Responses[0].Feed, nil
}

// until reads on until all up to a timestamp is resolved.
func (f *feedReader) until(at hlc.Timestamp) (out []kvapi.FeedEvent) {
	f.c.t.Helper()
	for began := time.Now(); time.Since(began) < time.Minute; {
		page, err := f.next()
		if err != nil {
			f.c.t.Fatal(err)
		}
		out = append(out, page.Events...)
		if at.LessEq(page.Resolved) {
			return out
		}
	}
	f.c.t.Fatalf("%s is not resolved", at)
	return nil
}

// versionsOn are the versions on a node's disk above a timestamp.
func (c *cluster) versionsOn(id kvapi.NodeID, span kvapi.Span, after, upTo hlc.Timestamp) map[string]string {
	c.t.Helper()
	out := map[string]string{}
	err := mvcc.EachVersion(c.nodes[id].engine, span, func(key kvapi.Key, at hlc.Timestamp, value []byte, tombstone bool) {
		if after.Less(at) && at.LessEq(upTo) {
			out[fmt.Sprintf("%s %s", key, at)] = fmt.Sprintf("%q %t", value, tombstone)
		}
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

func (c *cluster) sameAsFeed(events []kvapi.FeedEvent, want map[string]string, upTo hlc.Timestamp) {
	c.t.Helper()
	got := map[string]string{}
	for _, e := range events {
		if upTo.Less(e.At) {
			continue
		}
		k := fmt.Sprintf("%s %s", e.Key, e.At)
		if _, twice := got[k]; twice {
			c.t.Errorf("%s comes twice", k)
		}
		got[k] = fmt.Sprintf("%q %t", e.Value, e.Deleted)
	}
	for k, v := range want {
		if got[k] != v {
			c.t.Errorf("%s is %s, the feed has %q", k, v, got[k])
		}
	}
	for k, v := range got {
		if want[k] == "" {
			c.t.Errorf("the feed has %s %s, which is not there", k, v)
		}
	}
}

// A feed tells the versions that come to be, of transactions too, each once, from
// its beginning on, on any replica.
func TestFeedTellsWhatIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		span := kvapi.Span{Key: tkey("k"), EndKey: tkey("l")}
		c.mustPut("k1", "before")
		time.Sleep(time.Second)
		after := c.now()
		time.Sleep(time.Second)
		c.mustPut("k1", "caught up")
		leader, follower := c.leader(tkey("k")), c.followerOf(tkey("k"))
		c.checkConsistency()
		feeds := []*feedReader{{c: c, node: leader, span: span, args: kvapi.FeedArgs{ID: 1, After: after}},
			{c: c, node: follower, span: span, args: kvapi.FeedArgs{ID: 2, After: after}}}
		var events [2][]kvapi.FeedEvent
		for i, f := range feeds {
			page, err := f.next()
			if err != nil || len(page.Events) != 1 || string(page.Events[0].Value) != "caught up" {
				t.Fatalf("%s begins with %v, %v", f.node, page, err)
			}
			events[i] = page.Events
		}
		var end hlc.Timestamp
		ended := make(chan struct{})
		var reading sync.WaitGroup
		for i, f := range feeds {
			reading.Go(func() {
				for {
					page, err := f.next()
					if err != nil {
						t.Error(err)
						return
					}
					events[i] = append(events[i], page.Events...)
					select {
					case <-ended:
						if end.LessEq(page.Resolved) {
							return
						}
					default:
					}
				}
			})
		}
		rng := rand.New(rand.NewPCG(3, 4))
		for i := range 60 {
			key := fmt.Sprintf("k%d", rng.IntN(5))
			switch rng.IntN(4) {
			case 0:
				c.mustPut(key, fmt.Sprint(i))
			default:
				err := testTxns{c}.RunTxn(context.Background(), "feed", func(ctx context.Context, txn Txn) error {
					if err := txn.Put(ctx, tkey(key), []byte(fmt.Sprint(i))); err != nil {
						return err
					}
					if rng.IntN(2) == 0 {
						if err := txn.Delete(ctx, tkey(fmt.Sprintf("k%d", 5+rng.IntN(4)))); err != nil {
							return err
						}
					}
					if rng.IntN(2) == 0 {
						if _, err := txn.Flush(ctx); err != nil {
							return err
						}
					}
					if rng.IntN(5) == 0 {
						return errFeedTest
					}
					return nil
				})
				if err != nil && err != errFeedTest {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
		}
		end = c.now()
		close(ended)
		reading.Wait()
		for i, f := range feeds {
			c.sameAsFeed(events[i], c.versionsOn(f.node, span, after, end), end)
		}
		// The same page, if it is asked for again.
		f := feeds[0]
		f.args.Page--
		if page, err := f.next(); err != nil || page.Page != f.args.Page {
			t.Errorf("%v, %v", page, err)
		}
	})
}

var errFeedTest = fmt.Errorf("no")

// A feed ends where it could tell only half: with its range, and its replica.
func TestFeedEndsWithItsRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("k1", "1")
		span := kvapi.Span{Key: tkey("k"), EndKey: tkey("l")}
		lost := func(what string, f *feedReader) {
			t.Helper()
			c.eventually(what, 10*time.Second, func() error {
				page, err := f.next()
				if err == nil {
					return fmt.Errorf("it tells %v", page)
				}
				if err.Kind != kvapi.ErrFeedLost && err.Kind != kvapi.ErrRangeMismatch {
					t.Fatal(err)
				}
				return nil
			})
		}
		begin := func(id uint64) *feedReader {
			t.Helper()
			f := &feedReader{c: c, node: c.leader(tkey("k")), span: span, args: kvapi.FeedArgs{ID: id, After: c.now()}}
			if _, err := f.next(); err != nil {
				t.Fatal(err)
			}
			return f
		}
		f := begin(1)
		if err := c.split("k5"); err != nil {
			t.Fatal(err)
		}
		lost("a split", f)
		span.EndKey = tkey("k5")
		f = begin(2)
		c.mergeSoon("k5")
		lost("a merge", f)
		f = begin(3)
		time.Sleep(2 * feedIdleMax)
		lost("nobody asks", f)
		f = begin(4)
		r := c.nodes[f.node].store.replicas.lookup(tkey("k"))
		for i := range 2 * feedBufferMax / (64 << 10) {
			c.mustPut("k1", string(make([]byte, 64<<10))+fmt.Sprint(i))
		}
		lost("a slow reader", f)
		if n := r.feeds.count.Load(); n != 0 {
			t.Errorf("%d feeds are left", n)
		}
	})
}

// An intent that nobody ends holds a feed back for a while only.
func TestForgottenIntentHoldsAFeedBackForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("k1", "1")
		f := &feedReader{c: c, node: c.leader(tkey("k")), span: kvapi.Span{Key: tkey("k"), EndKey: tkey("l")},
			args: kvapi.FeedArgs{ID: 1, After: c.now()}}
		var once sync.Once
		left := make(chan struct{})
		go func() {
			_ = testTxns{c}.RunTxn(context.Background(), "forgotten", func(ctx context.Context, txn Txn) error {
				if err := txn.Put(ctx, tkey("k1"), []byte("2")); err != nil {
					return err
				}
				if _, err := txn.Flush(ctx); err != nil {
					return err
				}
				once.Do(func() { close(left) })
				time.Sleep(5 * time.Minute)
				return errFeedTest
			})
		}()
		<-left
		at := c.now()
		time.Sleep(2 * ClosedLagDefault)
		if page, err := f.next(); err != nil || at.LessEq(page.Resolved) {
			t.Fatalf("%v, %v: resolved over an intent", page, err)
		}
		if events := f.until(at); len(events) != 0 {
			t.Errorf("%v", events)
		}
		time.Sleep(5 * time.Minute)
	})
}
