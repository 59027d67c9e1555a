package latch

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/spanset"
)

func ts(n int64) hlc.Timestamp { return hlc.Timestamp{WallTime: n} }

// span reads "a" or "a-c".
func span(s string) kvapi.Span {
	if len(s) == 3 {
		return kvapi.Span{Key: kvapi.Key(s[:1]), EndKey: kvapi.Key(s[2:])}
	}
	return kvapi.Span{Key: kvapi.Key(s)}
}

func read(s string, t int64) spanset.LatchSpan {
	return spanset.LatchSpan{Span: span(s), Access: spanset.Read, Timestamp: ts(t)}
}

func write(s string, t int64) spanset.LatchSpan {
	return spanset.LatchSpan{Span: span(s), Access: spanset.Write, Timestamp: ts(t)}
}

// TestConflicts: does the second request wait for the first?
func TestConflicts(t *testing.T) {
	for _, c := range []struct {
		first, second spanset.LatchSpan
		waits         bool
	}{
		{read("a", 5), read("a", 5), false},
		{read("a", 0), read("a", 0), false},
		{write("a", 5), write("a", 5), true},
		{write("a", 5), write("a", 9), true},
		{write("a", 5), write("b", 5), false},
		{write("a", 5), read("a", 4), false},
		{write("a", 5), read("a", 5), true},
		{write("a", 5), read("a", 6), true},
		{read("a", 5), write("a", 4), true},
		{read("a", 5), write("a", 5), true},
		{read("a", 5), write("a", 6), false},
		{read("a", 5), write("a", 0), true},
		{read("a", 0), write("a", 6), true},
		{write("a", 9), read("a", 0), true},
		{read("a-c", 5), write("b", 5), true},
		{read("a-c", 5), write("c", 5), false},
		{write("b", 5), read("a-c", 5), true},
		{write("c", 5), read("a-c", 5), false},
		{write("a-c", 5), write("b-d", 5), true},
		{write("a-c", 5), write("c-d", 5), false},
	} {
		t.Run(fmt.Sprintf("%s then %s", c.first, c.second), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := New()
				g1, _ := m.Acquire(context.Background(), []spanset.LatchSpan{c.first})
				got := false
				go func() {
					g2, _ := m.Acquire(context.Background(), []spanset.LatchSpan{c.second})
					got = true
					m.Release(g2)
				}()
				synctest.Wait()
				if got == c.waits {
					t.Errorf("waits: %t, want %t", !got, c.waits)
				}
				m.Release(g1)
				synctest.Wait()
				if !got || m.Count() != 0 {
					t.Errorf("granted %t, %d latches left", got, m.Count())
				}
			})
		})
	}
}

// TestArrivalOrder: a reader behind a waiting writer does not overtake it.
func TestArrivalOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New()
		first, _ := m.Acquire(context.Background(), []spanset.LatchSpan{read("a", 5)})
		var order []string
		start := func(name string, l spanset.LatchSpan) {
			go func() {
				g, _ := m.Acquire(context.Background(), []spanset.LatchSpan{l})
				order = append(order, name)
				m.Release(g)
			}()
			synctest.Wait()
		}
		start("writer", write("a", 5))
		start("reader", read("a", 5))
		m.Release(first)
		synctest.Wait()
		if got := fmt.Sprint(order); got != "[writer reader]" {
			t.Error(got)
		}
	})
}

// TestCancel: a cancelled request leaves nothing behind, and lets those pass
// that waited for it alone.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New()
		g, _ := m.Acquire(context.Background(), []spanset.LatchSpan{read("a", 5)})
		ctx, cancel := context.WithCancel(context.Background())
		var err error
		go func() { _, err = m.Acquire(ctx, []spanset.LatchSpan{write("a", 5)}) }()
		synctest.Wait()
		passed := false
		go func() {
			g, _ := m.Acquire(context.Background(), []spanset.LatchSpan{read("a", 6)})
			passed = true
			m.Release(g)
		}()
		synctest.Wait()
		if passed {
			t.Error("the reader overtook the writer")
		}
		cancel()
		synctest.Wait()
		if err != context.Canceled || !passed {
			t.Errorf("err %v, passed %t", err, passed)
		}
		m.Release(g)
		m.Release(g)
		if m.Count() != 0 {
			t.Errorf("%d latches left", m.Count())
		}
	})
}

// TestAgainstNaive runs random requests one step at a time and compares who
// holds what with a list in arrival order.
func TestAgainstNaive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(noDeadline{t}, checkAgainstNaive)
	})
}

// noDeadline hides testing.T's Deadline, which a bubble forbids to call.
type noDeadline struct{ rapid.TB }

type naiveReq struct {
	latches []spanset.LatchSpan
	guard   *Guard
	granted bool
	cancel  context.CancelFunc
}

func (r *naiveReq) conflicts(o *naiveReq) bool {
	for _, a := range r.latches {
		for _, b := range o.latches {
			overlap := false
			for _, k := range []string{"a", "b", "c", "d"} {
				overlap = overlap || a.Span.Contains(kvapi.Key(k)) && b.Span.Contains(kvapi.Key(k))
			}
			w, x := a, b
			if w.Access == spanset.Read {
				w, x = x, w
			}
			twoReads := w.Access == spanset.Read
			passes := x.Access == spanset.Read && x.Timestamp.Less(w.Timestamp) && x.Timestamp != ts(0)
			if overlap && !twoReads && !passes {
				return true
			}
		}
	}
	return false
}

func checkAgainstNaive(t *rapid.T) {
	m := New()
	var reqs []*naiveReq
	spans := []string{"a", "b", "c", "d", "a-c", "b-d", "a-d"}
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		if len(reqs) == 0 || rapid.Bool().Draw(t, "acquire") {
			r := &naiveReq{}
			for range rapid.IntRange(1, 5).Draw(t, "latches") {
				r.latches = append(r.latches, spanset.LatchSpan{
					Span:      span(rapid.SampledFrom(spans).Draw(t, "span")),
					Access:    rapid.SampledFrom([]spanset.Access{spanset.Read, spanset.Write}).Draw(t, "access"),
					Timestamp: ts(rapid.Int64Range(0, 3).Draw(t, "ts")),
				})
			}
			reqs = append(reqs, r)
			ctx, cancel := context.WithCancel(context.Background())
			r.cancel = cancel
			go func() {
				if g, err := m.Acquire(ctx, r.latches); err == nil {
					r.guard, r.granted = g, true
				}
			}()
		} else {
			i := rapid.IntRange(0, len(reqs)-1).Draw(t, "end")
			reqs[i].cancel()
			m.Release(reqs[i].guard)
			reqs = append(reqs[:i], reqs[i+1:]...)
		}
		synctest.Wait()
		for i, r := range reqs {
			free := true
			for _, earlier := range reqs[:i] {
				free = free && !r.conflicts(earlier)
			}
			if free != r.granted {
				t.Fatalf("request %d %v: granted %t, want %t", i, r.latches, r.granted, free)
			}
		}
	}
	for _, r := range reqs {
		r.cancel()
		synctest.Wait()
		m.Release(r.guard)
	}
	if m.Count() != 0 {
		t.Fatalf("%d latches left", m.Count())
	}
}

// TestNeverBothHeld: real goroutines count on unprotected variables, which
// the race detector watches.
func TestNeverBothHeld(t *testing.T) {
	m := New()
	counters := map[string]*int{"a": new(int), "b": new(int), "c": new(int)}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 200 {
				k := string(rune('a' + (i+n)%3))
				g, _ := m.Acquire(context.Background(), []spanset.LatchSpan{write(k, int64(n+1))})
				*counters[k]++
				m.Release(g)
			}
		})
	}
	wg.Wait()
	if sum := *counters["a"] + *counters["b"] + *counters["c"]; sum != 1600 {
		t.Errorf("sum %d", sum)
	}
}

func BenchmarkAcquireRelease(b *testing.B) {
	for _, n := range []int{1, 3} {
		b.Run(fmt.Sprintf("points=%d", n), func(b *testing.B) {
			m := New()
			l := []spanset.LatchSpan{write("a", 1), write("b", 1), write("c", 1)}[:n]
			b.ReportAllocs()
			for b.Loop() {
				g, _ := m.Acquire(context.Background(), l)
				m.Release(g)
			}
		})
	}
}
