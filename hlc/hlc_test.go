package hlc

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestNowIsMonotoneWhileWallStepsBack(t *testing.T) {
	wall := NewManualClock(1000)
	c := NewClock(wall, time.Second)
	last := c.Now()
	for _, step := range []time.Duration{0, 1, -500, 0, 2000, -1} {
		wall.Advance(step)
		now := c.Now()
		if !Timestamp(last).Less(Timestamp(now)) {
			t.Fatalf("after a step of %d: %s then %s", step, last, now)
		}
		last = now
	}
}

func TestNowIsUniqueUnderConcurrency(t *testing.T) {
	c := NewClock(SystemClock{}, time.Second)
	var mu sync.Mutex
	seen := map[ClockTimestamp]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			last := c.Now()
			for range 1000 {
				now := c.Now()
				if !Timestamp(last).Less(Timestamp(now)) {
					t.Errorf("%s then %s", last, now)
				}
				last = now
				mu.Lock()
				if seen[now] {
					t.Errorf("%s twice", now)
				}
				seen[now] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestUpdateMovesPastRemoteAndRefusesFarFuture(t *testing.T) {
	wall := NewManualClock(1000)
	c := NewClock(wall, 100)
	remote := ClockTimestamp{WallTime: 1100, Logical: 7}
	if err := c.Update(remote); err != nil {
		t.Fatal(err)
	}
	if now := c.Now(); !Timestamp(remote).Less(Timestamp(now)) {
		t.Fatalf("now %s is not after %s", now, remote)
	}
	before := c.last()
	var off *OffsetError
	if err := c.Update(ClockTimestamp{WallTime: 1101}); !errors.As(err, &off) {
		t.Fatalf("a reading beyond the maximum offset was taken in: %v", err)
	}
	if c.last() != before {
		t.Fatal("a refused reading moved the clock")
	}
}

func TestTimestampOrderMatchesTuple(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gen := rapid.Custom(func(t *rapid.T) Timestamp {
			return Timestamp{rapid.Int64Range(0, 3).Draw(t, "wall"), rapid.Int32Range(0, 3).Draw(t, "logical")}
		})
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		want := a.WallTime*10+int64(a.Logical) < b.WallTime*10+int64(b.Logical)
		if a.Less(b) != want {
			t.Fatalf("%s < %s: got %v", a, b, !want)
		}
		if a.Next().LessEq(a) || !a.Next().Prev().LessEq(a) {
			t.Fatalf("next and prev of %s: %s %s", a, a.Next(), a.Next().Prev())
		}
		back, err := ParseTimestamp(a.String())
		if err != nil || back != a {
			t.Fatalf("%s parsed as %s, %v", a, back, err)
		}
	})
}

type memBound struct{ v int64 }

func (m *memBound) ReadClockBound() (int64, error) { return m.v, nil }
func (m *memBound) WriteClockBound(v int64) error  { m.v = v; return nil }

type bubbleClock struct{}

func (bubbleClock) WallNanos() int64 { return time.Now().UnixNano() }

// TestRestartWaitsForBound crashes a node whose wall clock is then set back:
// the new process must hand out only larger timestamps.
func TestRestartWaitsForBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memBound{}
		wall := &SkewedClock{Base: bubbleClock{}}
		first := NewClock(wall, 250*time.Millisecond)
		if _, err := StartBound(t.Context(), first, store); err != nil {
			t.Fatal(err)
		}
		time.Sleep(boundAhead - 1)
		used := first.Now()

		wall.SetOffset(-200 * time.Millisecond)
		second := NewClock(wall, 250*time.Millisecond)
		if _, err := StartBound(t.Context(), second, store); err != nil {
			t.Fatal(err)
		}
		if now := second.Now(); !Timestamp(used).Less(Timestamp(now)) {
			t.Fatalf("after the restart %s, before it %s", now, used)
		}

		wall.SetOffset(-time.Hour)
		if _, err := StartBound(t.Context(), NewClock(wall, 250*time.Millisecond), store); err == nil {
			t.Fatal("started with a wall clock an hour behind the bound")
		}
	})
}

// TestTheBoundDoesNotFollowAJump has the bound's turn come between a jump of the
// wall clock and the next look for one: nothing from after the jump is used, and
// once the clock is right the node starts again.
func TestTheBoundDoesNotFollowAJump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memBound{}
		wall := &SkewedClock{Base: bubbleClock{}}
		c := NewClock(wall, 250*time.Millisecond)
		b, err := StartBound(t.Context(), c, store)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		before := store.v
		wall.SetOffset(8 * time.Hour)
		if err := b.raise(); err == nil {
			t.Error("the bound was raised by a clock that had jumped")
		}
		if store.v != before {
			t.Errorf("the bound went from %d to %d", before, store.v)
		}
		wall.SetOffset(0)
		begin := time.Now()
		if _, err := StartBound(t.Context(), NewClock(wall, 250*time.Millisecond), store); err != nil {
			t.Error(err)
		}
		if waited := time.Since(begin); waited > boundAhead {
			t.Errorf("waited %s", waited)
		}
	})
}

// TestAClockIsTurnedWhileANodeStarts: a clock that is set right before the node
// has used it does no harm.
func TestAClockIsTurnedWhileANodeStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wall := &SkewedClock{Base: bubbleClock{}}
		store := &memBound{v: wall.WallNanos() + int64(2*time.Second)}
		time.AfterFunc(time.Second, func() { wall.SetOffset(200 * time.Millisecond) })
		if _, err := StartBound(t.Context(), NewClock(wall, 250*time.Millisecond), store); err != nil {
			t.Error(err)
		}
	})
}

// TestNowBlocksAtTheBound stalls the disk that holds the bound.
func TestNowBlocksAtTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClock(bubbleClock{}, time.Second)
		b, err := StartBound(t.Context(), c, &memBound{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * boundAhead)
		got := make(chan ClockTimestamp)
		go func() { got <- c.Now() }()
		synctest.Wait()
		select {
		case now := <-got:
			t.Fatalf("Now returned %s at the bound", now)
		default:
		}
		if err := b.raise(); err != nil {
			t.Fatal(err)
		}
		<-got
	})
}

func TestCleanStopLeavesNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memBound{}
		c := NewClock(bubbleClock{}, time.Second)
		b, _ := StartBound(t.Context(), c, store)
		c.Now()
		if err := b.Release(); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := StartBound(t.Context(), NewClock(bubbleClock{}, time.Second), store); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begin); waited > 10*time.Millisecond {
			t.Fatalf("waited %s", waited)
		}
	})
}

func TestOffsetMonitor(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		name  string
		peers []Offset
		bad   bool
	}{
		{"no peers", nil, false},
		{"all near", []Offset{{10 * ms, ms}, {-20 * ms, ms}}, false},
		{"one of two off", []Offset{{900 * ms, ms}, {0, ms}}, false},
		{"both off", []Offset{{900 * ms, ms}, {950 * ms, ms}}, true},
		{"slow network is no wrong clock", []Offset{{900 * ms, 500 * ms}, {900 * ms, 500 * ms}}, false},
		{"behind counts too", []Offset{{-900 * ms, ms}}, true},
	} {
		m := NewOffsetMonitor(1000 * ms)
		for i, o := range tc.peers {
			m.Record(PeerID(i+1), o)
		}
		if err := m.Check(); (err != nil) != tc.bad {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestJumpMonitorTellsJumpFromPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wall := &SkewedClock{Base: bubbleClock{}}
		j := NewJumpMonitor(wall, 250*time.Millisecond)
		time.Sleep(15 * time.Second) // a pause: both clocks moved
		if _, err := j.Check(); err != nil {
			t.Errorf("a pause is no jump: %v", err)
		}
		wall.SetOffset(-time.Minute)
		if jump, err := j.Check(); err != nil || jump != -time.Minute {
			t.Errorf("a step back: %s %v", jump, err)
		}
		wall.SetOffset(0)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := j.Run(ctx); err == nil {
			t.Error("a jump of a minute was not seen")
		}
	})
}

// slowClock takes its time now and then, as a process does that does not run.
type slowClock struct {
	WallClock
	reads int
	takes func(read int) time.Duration
}

func (c *slowClock) WallNanos() int64 {
	c.reads++
	now := c.WallClock.WallNanos()
	time.Sleep(c.takes(c.reads))
	return now
}

func TestJumpMonitorIsNotFooledByABusyMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		skewed := &SkewedClock{Base: bubbleClock{}}
		// Three of four readings take longer than a jump may be.
		wall := &slowClock{skewed, 0, func(read int) time.Duration {
			if read%4 != 0 {
				return 400 * time.Millisecond
			}
			return 0
		}}
		j := NewJumpMonitor(wall, 250*time.Millisecond)
		for range 50 {
			time.Sleep(125 * time.Millisecond)
			if jump, err := j.Check(); err != nil {
				t.Fatalf("a jump of %s without one: %v", jump, err)
			}
		}
		// None is exact, and then one is: the jump in between is found.
		exact := wall.takes
		wall.takes = func(int) time.Duration { return 400 * time.Millisecond }
		if _, err := j.Check(); err != nil {
			t.Error(err)
		}
		skewed.SetOffset(200 * time.Millisecond)
		if _, err := j.Check(); err != nil {
			t.Errorf("told from a reading that proves nothing: %v", err)
		}
		wall.takes = exact
		if _, err := j.Check(); err == nil {
			t.Error("a jump was missed while the machine was busy")
		}
	})
}

func BenchmarkNow(b *testing.B) {
	c := NewClock(SystemClock{}, time.Second)
	for b.Loop() {
		c.Now()
	}
}
