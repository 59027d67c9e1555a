package jobs_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/schema/schematest"
)

// node is a registry whose store can be out of its reach.
type node struct {
	schema.Store
	cut atomic.Bool
	*jobs.Registry
	stop context.CancelFunc
	work func(ctx context.Context, h *jobs.Handle) error
}

var errCut = errors.New("out of reach")

// Run implements schema.Store.
func (n *node) Run(ctx context.Context, name string, fn func(context.Context, schema.Txn) error) error {
	if n.cut.Load() {
		return errCut
	}
	return n.Store.Run(ctx, name, fn)
}

type cluster struct {
	t     *testing.T
	clock *hlc.Clock
	store *schematest.Store
}

func bubble(t *testing.T, fn func(t *testing.T, c *cluster)) {
	synctest.Test(t, func(t *testing.T) {
		clock := hlc.NewClock(hlc.SystemClock{}, 500*time.Millisecond)
		fn(t, &cluster{t: t, clock: clock, store: schematest.New(clock)})
	})
}

// node starts one; it ends with the test.
func (c *cluster) node(id kvapi.NodeID, work func(ctx context.Context, h *jobs.Handle) error) *node {
	n := &node{Store: c.store, work: work}
	n.Registry = jobs.NewRegistry(jobs.Config{Store: n, Clock: c.clock, NodeID: id, Work: work})
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	var wg sync.WaitGroup
	wg.Go(func() { n.Registry.Run(ctx) })
	c.t.Cleanup(func() { stop(); wg.Wait() })
	return n
}

func (c *cluster) create(id jobs.ID) {
	c.t.Helper()
	err := c.store.Run(c.t.Context(), "create", func(ctx context.Context, t schema.Txn) error {
		return jobs.Create(ctx, t, c.clock, jobs.Record{ID: id, Kind: jobs.KindIndex, Description: "test", Total: 10})
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// steps does ten steps of a second each and notes how often each was done.
func steps(done *[10]atomic.Int64) func(ctx context.Context, h *jobs.Handle) error {
	return func(ctx context.Context, h *jobs.Handle) error {
		for {
			r := h.Record()
			switch {
			case r.State.Ended() || r.State == jobs.Paused:
				return nil
			case r.Request == jobs.RequestPause:
				if err := h.Pause(ctx); err != nil {
					return err
				}
				continue
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
			}
			done[r.Done].Add(1)
			err := h.Update(ctx, func(r *jobs.Record) error {
				if r.Done++; r.Done == 10 {
					r.State = jobs.Succeeded
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
}

func (c *cluster) want(n *node, id jobs.ID, state jobs.State) *jobs.Record {
	c.t.Helper()
	r, err := n.Wait(c.t.Context(), id)
	if err != nil || r.State != state {
		c.t.Fatalf("%+v, %v; want %s", r, err, state)
	}
	return r
}

func TestAJobIsDoneOnce(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		var done [10]atomic.Int64
		a, b := c.node(1, steps(&done)), c.node(2, steps(&done))
		c.create(7)
		for _, n := range []*node{a, b, a} {
			if err := n.Start(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
		}
		r := c.want(b, 7, jobs.Succeeded)
		for i := range done {
			if n := done[i].Load(); n != 1 {
				t.Errorf("step %d was done %d times", i, n)
			}
		}
		if r.Coordinator != 1 || r.Resumed != 0 || r.Fraction() != 1 || r.FinishedNanos == 0 {
			t.Errorf("%+v", r)
		}
		if recs, err := a.List(t.Context()); err != nil || len(recs) != 1 {
			t.Error(recs, err)
		}
		if r, err := a.Ask(t.Context(), 7, jobs.RequestCancel); r != nil || err != nil {
			t.Errorf("a job that has ended takes a request: %+v, %v", r, err)
		}
	})
}

func TestAnotherNodeGoesOnAndTheFirstLearnsIt(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		var done [10]atomic.Int64
		first := make(chan *jobs.Handle, 1)
		a := c.node(1, func(ctx context.Context, h *jobs.Handle) error {
			first <- h
			return steps(&done)(ctx, h)
		})
		c.create(7)
		if err := a.Start(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		b := c.node(2, steps(&done))
		time.Sleep(3500 * time.Millisecond)
		a.cut.Store(true)
		start := time.Now()
		r := c.want(b, 7, jobs.Succeeded)
		if d := time.Since(start); d > 30*time.Second {
			t.Errorf("it took %s", d)
		}
		if r.Coordinator != 2 || r.Resumed != 1 {
			t.Errorf("%+v", r)
		}
		a.cut.Store(false)
		h := <-first
		if err := h.Update(t.Context(), func(r *jobs.Record) error { r.Done = 0; return nil }); !errors.Is(err, jobs.ErrLost) {
			t.Errorf("who lost the claim writes: %v", err)
		}
	})
}

func TestANodeThatStopsLeavesItsJobAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		var done [10]atomic.Int64
		a, b := c.node(1, steps(&done)), c.node(2, steps(&done))
		c.create(7)
		if err := a.Start(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
		a.stop()
		start := time.Now()
		c.want(b, 7, jobs.Succeeded)
		if d := time.Since(start); d > 15*time.Second {
			t.Errorf("it took %s", d)
		}
	})
}

func TestAPausedJobWaitsForResume(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		var done [10]atomic.Int64
		a, b := c.node(1, steps(&done)), c.node(2, steps(&done))
		c.create(7)
		if err := a.Start(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Ask(t.Context(), 7, jobs.RequestPause); err != nil {
			t.Fatal(err)
		}
		c.want(b, 7, jobs.Paused)
		time.Sleep(time.Hour)
		r := c.want(b, 7, jobs.Paused)
		if _, err := b.Resume(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if again := c.want(b, 7, jobs.Succeeded); again.Done != 10 || again.CreatedNanos != r.CreatedNanos {
			t.Errorf("%+v", again)
		}
	})
}

func TestWorkThatFailsIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		tries := 0
		a := c.node(1, func(ctx context.Context, h *jobs.Handle) error {
			if tries++; tries < 6 {
				return errCut
			}
			return h.Update(ctx, func(r *jobs.Record) error { r.State = jobs.Succeeded; return nil })
		})
		c.create(7)
		if err := a.Start(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		c.want(a, 7, jobs.Succeeded)
		if d := time.Since(start); d < 10*time.Second || d > 30*time.Second {
			t.Errorf("it took %s", d)
		}
	})
}
