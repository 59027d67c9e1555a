package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// One range loses its quorum: its requests, those that wait behind a stuck write
// too, fail soon and say which range and why; the other ranges do not notice; and
// with the quorum the range comes back by itself.
func TestARangeWithoutQuorumHangsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		for _, k := range []string{"a", "m"} {
			if err := c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey(k)}); err != nil {
				t.Fatal(err)
			}
		}
		c.mustPut("a", "1")
		c.mustPut("m", "1")
		leader := c.leader(tkey("a"))
		s := c.nodes[leader].store
		r := s.replicas.lookup(tkey("a"))
		c.mu.Lock()
		c.lose = func(e raftgroup.Envelope) bool { return e.RangeID == r.rangeID }
		c.mu.Unlock()

		send := func(kind kvapi.Kind) (*kvapi.Error, time.Duration) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			began := time.Now()
			_, err := s.Send(ctx, (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kind, Key: tkey("a"), Value: []byte("2")}))
			return err, time.Since(began)
		}
		type answer struct {
			err *kvapi.Error
			in  time.Duration
		}
		waiting := make(chan answer, 3)
		for range cap(waiting) {
			go func() {
				err, in := send(kvapi.Put)
				waiting <- answer{err, in}
			}()
			time.Sleep(10 * time.Millisecond)
		}
		for range cap(waiting) {
			a := <-waiting
			if a.err == nil || a.in > 20*time.Second {
				t.Errorf("a write without quorum: %v after %s", a.err, a.in)
			}
		}
		c.eventually("the breaker opens", 30*time.Second, func() error {
			if len(s.Unavailable()) == 0 {
				return errors.New("it is closed")
			}
			return nil
		})
		for _, kind := range []kvapi.Kind{kvapi.Put, kvapi.Get} {
			err, in := send(kind)
			if err == nil || err.Kind != kvapi.ErrRangeUnavailable || err.MaybeApplied || in > 0 {
				t.Errorf("%s: %v after %s, want it refused at once", kind, err, in)
			} else if !strings.Contains(err.Message, r.rangeID.String()[1:]) || !strings.Contains(err.Message, "leader") && !strings.Contains(err.Message, "quorum") {
				t.Errorf("%s: %v does not say which range and why", kind, err)
			}
		}
		began := time.Now()
		c.mustPut("m", "2")
		c.mustGet("m", "2")
		if in := time.Since(began); in > time.Second {
			t.Errorf("another range took %s", in)
		}

		c.mu.Lock()
		c.lose = nil
		c.mu.Unlock()
		c.eventually("the breaker closes", 30*time.Second, func() error {
			for id := range c.nodes {
				for _, why := range c.nodes[id].store.Unavailable() {
					return errors.New(why)
				}
			}
			return nil
		})
		c.mustPut("a", "3")
		c.mustGet("a", "3")
		c.checkConsistency()
	})
}

// A leader that still leads, but whose writes go nowhere, sends away who waits
// for their latches.
func TestWaitersBehindAStuckWriteAreSentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("a", "1")
		leader := c.leader(tkey("a"))
		s := c.nodes[leader].store
		r := s.replicas.lookup(tkey("a"))
		c.mu.Lock()
		// Heartbeats go through, appends do not.
		c.lose = func(e raftgroup.Envelope) bool {
			return e.RangeID == r.rangeID && e.Message.Type() == raftgroup.MsgAppend
		}
		c.mu.Unlock()
		answers := make(chan *kvapi.Error, 2)
		put := func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_, err := s.Send(ctx, (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Put, Key: tkey("a"), Value: []byte("2")}))
			answers <- err
		}
		began := time.Now()
		go put()
		time.Sleep(50 * time.Millisecond)
		go put()
		kinds := map[kvapi.ErrorKind]int{}
		for range 2 {
			if err := <-answers; err != nil {
				kinds[err.Kind]++
			}
		}
		if in := time.Since(began); in > 15*time.Second || kinds[kvapi.ErrAmbiguous] != 1 || kinds[kvapi.ErrRangeUnavailable]+kinds[kvapi.ErrNotLeaseholder] != 1 {
			t.Errorf("after %s: %v", in, kinds)
		}
		c.mu.Lock()
		c.lose = nil
		c.mu.Unlock()
		c.mustPut("a", "3")
		c.mustGet("a", "3")
		c.checkConsistency()
	})
}
