package scheduler

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// recorder writes down what it is called for; hold, if set, runs in each call.
type recorder struct {
	mu   sync.Mutex
	log  []string
	hold func(id kvapi.RangeID)
}

func (r *recorder) record(what string, id kvapi.RangeID) {
	r.mu.Lock()
	r.log = append(r.log, fmt.Sprintf("%s %s", what, id))
	r.mu.Unlock()
	if r.hold != nil {
		r.hold(id)
	}
}

func (r *recorder) ProcessMessages(id kvapi.RangeID) bool { r.record("messages", id); return true }
func (r *recorder) ProcessTick(id kvapi.RangeID) bool     { r.record("tick", id); return false }
func (r *recorder) ProcessReady(id kvapi.RangeID)         { r.record("ready", id) }

func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := strings.Join(r.log, ", ")
	r.log = nil
	return s
}

func TestPassesAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s := New(r, Options{Workers: 1})
		expect := func(want string) {
			t.Helper()
			synctest.Wait()
			if got := r.take(); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
		// All a range's events are one pass; ranges go in order of arrival.
		s.EnqueueTicks([]kvapi.RangeID{2, 1})
		s.EnqueueReady(3)
		s.EnqueueMessages(2)
		s.EnqueueMessages(2)
		s.Start()
		expect("messages r2, tick r2, ready r2, tick r1, ready r3")

		// What arrives during a pass makes another, behind those that waited.
		held, goOn := make(chan struct{}), make(chan struct{})
		r.hold = func(id kvapi.RangeID) {
			if id == 1 {
				r.hold = nil
				close(held)
				<-goOn
			}
		}
		s.EnqueueReady(1)
		<-held
		s.EnqueueReady(1)
		s.EnqueueReady(4)
		close(goOn)
		expect("ready r1, ready r4, ready r1")

		// Ticks do not pile up.
		held, goOn = make(chan struct{}), make(chan struct{})
		r.hold = func(kvapi.RangeID) { r.hold = nil; close(held); <-goOn }
		s.EnqueueReady(9)
		<-held
		for range 10 {
			s.EnqueueTicks([]kvapi.RangeID{5})
		}
		close(goOn)
		expect("ready r9, tick r5, tick r5, tick r5")

		s.EnqueueReady(6)
		s.Stop()
		expect("ready r6")
		s.EnqueueReady(7)
		expect("")
	})
}

// counter checks that no range is processed twice at a time, and counts the
// events that a pass saw.
type counter struct {
	t       *testing.T
	running []atomic.Int32
	pending []atomic.Int64
	handled []atomic.Int64
}

func (c *counter) enter(id kvapi.RangeID) func() {
	if c.running[id].Add(1) != 1 {
		c.t.Errorf("%s on two workers", id)
	}
	return func() { c.running[id].Add(-1) }
}

func (c *counter) ProcessMessages(id kvapi.RangeID) bool {
	defer c.enter(id)()
	c.handled[id].Add(c.pending[id].Swap(0))
	return true
}
func (c *counter) ProcessTick(id kvapi.RangeID) bool { defer c.enter(id)(); return true }
func (c *counter) ProcessReady(id kvapi.RangeID)     { defer c.enter(id)() }

func TestOneWorkerPerRange(t *testing.T) {
	const ranges, senders, each = 20, 4, 5000
	c := &counter{t: t, running: make([]atomic.Int32, ranges), pending: make([]atomic.Int64, ranges), handled: make([]atomic.Int64, ranges)}
	s := New(c, Options{Workers: 8})
	s.Start()
	var wg sync.WaitGroup
	for i := range uint64(senders) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, i))
			for range each {
				id := kvapi.RangeID(rng.IntN(ranges))
				c.pending[id].Add(1)
				s.EnqueueMessages(id)
				if rng.IntN(100) == 0 {
					s.EnqueueTicks([]kvapi.RangeID{id, (id + 1) % ranges})
				}
			}
		})
	}
	wg.Wait()
	s.Stop()
	var total int64
	for i := range c.handled {
		total += c.handled[i].Load()
	}
	if total != senders*each {
		t.Fatalf("%d of %d events handled", total, senders*each)
	}
	for _, sh := range s.shards {
		if len(sh.mu.ranges) != 0 {
			t.Fatalf("idle ranges are kept: %d", len(sh.mu.ranges))
		}
	}
}

// TestIdleCostsNothing: with nothing to do, virtual time runs through an hour
// without a wake-up.
func TestIdleCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s := New(r, Options{})
		s.Start()
		time.Sleep(time.Hour)
		if got := r.take(); got != "" {
			t.Fatal(got)
		}
		s.Stop()
	})
}

type nothing struct{}

func (nothing) ProcessMessages(kvapi.RangeID) bool { return true }
func (nothing) ProcessTick(kvapi.RangeID) bool     { return false }
func (nothing) ProcessReady(kvapi.RangeID)         {}

func BenchmarkEnqueue(b *testing.B) {
	s := New(nothing{}, Options{})
	s.Start()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.EnqueueMessages(kvapi.RangeID(i % 256))
	}
	s.Stop()
}
