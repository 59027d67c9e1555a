package closedts

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

func ts(n int) hlc.Timestamp { return hlc.Timestamp{WallTime: int64(n)} }

// evaluation is one that has begun.
type evaluation struct {
	at  hlc.Timestamp
	tok Token
}

// TestTrackerAgainstASet compares with one that remembers every evaluation (I1).
func TestTrackerAgainstASet(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var tr Tracker
		var opens []evaluation
		var closed hlc.Timestamp
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 2).Draw(rt, "step") {
			case 0:
				want := ts(rapid.IntRange(1, 50).Draw(rt, "at"))
				at, tok := tr.Begin(want, hlc.Timestamp{})
				if at.LessEq(closed) || at.Less(want) || (closed.Less(want) && at != want) {
					rt.Fatalf("%s begins at %s, %s is closed", want, at, closed)
				}
				opens = append(opens, evaluation{at, tok})
			case 1:
				if len(opens) > 0 {
					i := rapid.IntRange(0, len(opens)-1).Draw(rt, "which")
					tr.End(opens[i].tok)
					opens = append(opens[:i], opens[i+1:]...)
				}
			case 2:
				target := ts(rapid.IntRange(1, 60).Draw(rt, "target"))
				got := tr.Close(target)
				if got.Less(closed) {
					rt.Fatalf("closed falls from %s to %s", closed, got)
				}
				closed = got
				for _, o := range opens {
					if o.at.LessEq(closed) {
						rt.Fatalf("closed %s, %s writes", closed, o.at)
					}
				}
				if len(opens) == 0 && closed.Less(target) {
					rt.Fatalf("nobody writes, and %s is not closed but %s", target, closed)
				}
			}
		}
		for _, o := range opens {
			tr.End(o.tok)
		}
		if got := tr.Close(ts(100)); got != ts(100) {
			rt.Fatalf("all have ended, and %s is closed", got)
		}
	})
}

// TestACrowdAgainstItsRanges has a crowd close for ranges that begin to write, end,
// close alone, and join it again (I1): none writes at or below what it has closed, and
// what is idle is closed as far as the crowd is.
func TestACrowdAgainstItsRanges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const ranges = 3
		type model struct {
			tr     Tracker
			closed hlc.Timestamp // what was ever said to be closed
			open   []evaluation
			in     bool
			left   bool // since the last Advance
		}
		var crowd Crowd
		all := make([]model, ranges)
		now := 1
		leave := func(m *model) { m.left, m.in = m.left || m.in, false }
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			id := rapid.IntRange(0, ranges-1).Draw(rt, "range")
			m := &all[id]
			now += rapid.IntRange(0, 2).Draw(rt, "time")
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0:
				at, tok := m.tr.Begin(ts(rapid.IntRange(1, now).Draw(rt, "at")), hlc.Timestamp{})
				leave(m)
				if at.LessEq(m.closed) {
					rt.Fatalf("r%d writes at %s, %s is closed", id, at, m.closed)
				}
				m.open = append(m.open, evaluation{at, tok})
			case 1:
				if len(m.open) > 0 {
					i := rapid.IntRange(0, len(m.open)-1).Draw(rt, "which")
					m.tr.End(m.open[i].tok)
					m.open = slices.Delete(m.open, i, i+1)
				}
			case 2:
				m.closed.Forward(m.tr.Close(ts(now)))
				leave(m)
			case 3:
				leave(m)
				closed, joined := m.tr.CloseIdle(ts(now), &crowd, kvapi.RangeID(id))
				if joined && (!closed || len(m.open) > 0) || len(m.open) == 0 && !joined {
					rt.Fatalf("r%d with %d evaluations: closed %t, joined %t", id, len(m.open), closed, joined)
				}
				if closed {
					m.closed.Forward(ts(now))
				}
				m.in = joined
			case 4:
				leave(m)
				m.tr.Leave()
			case 5:
				var want []kvapi.RangeID
				for i := range all {
					if all[i].in {
						all[i].closed.Forward(ts(now))
					}
					if all[i].left {
						want = append(want, kvapi.RangeID(i))
					}
					all[i].left = false
				}
				got := crowd.Advance(ts(now))
				slices.Sort(got)
				if got = slices.Compact(got); !slices.Equal(got, want) {
					rt.Fatalf("%v have left, told was %v", want, got)
				}
			}
			for i := range all {
				m := &all[i]
				if got := m.tr.Closed(); got.Less(m.closed) || m.in && got.Less(crowd.Closed()) {
					rt.Fatalf("r%d: %s is closed, it was said to be %s", i, got, m.closed)
				}
				if m.in && m.tr.Idle().Less(crowd.Closed()) {
					rt.Fatalf("r%d is idle and closed up to %s, and the crowd up to %s", i, m.tr.Idle(), crowd.Closed())
				}
				for _, o := range m.open {
					if o.at.LessEq(m.tr.Closed()) {
						rt.Fatalf("r%d writes at %s, %s is closed", i, o.at, m.tr.Closed())
					}
				}
			}
		}
	})
}

// changes tells one list of idle ranges from the one before: a range whose index is
// another has left, and joined again.
func changes(before, now []Range) (left []kvapi.RangeID, joined []Range) {
	for _, r := range before {
		if !slices.Contains(now, r) {
			left = append(left, r.ID)
		}
	}
	for _, r := range now {
		if !slices.Contains(before, r) {
			joined = append(joined, r)
		}
	}
	return left, joined
}

// TestStreamsAgainstALog has a node tell another what it has closed, over a
// network that loses and repeats; the other never believes what was not so.
func TestStreamsAgainstALog(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		out, in := &Outbound{}, &Inbound{}
		index := map[kvapi.RangeID]kvapi.LogIndex{}
		// said is, for each range, what was ever promised: time by index.
		said := map[kvapi.RangeID]map[kvapi.LogIndex]hlc.Timestamp{}
		var sent []*Update
		var before []Range
		next := uint64(0)
		receive := func(u *Update) {
			if !in.Receive(1, u) {
				next++
				out.Reset(next)
			}
			for id := range said {
				c, i, ok := in.Closed(1, id)
				if ok && said[id][i].Less(c) {
					rt.Fatalf("r%d: %s is believed to be closed at %d, promised was %s", id, c, i, said[id][i])
				}
			}
		}
		for now := 1; now < 40; now++ {
			var ranges []Range
			for id := kvapi.RangeID(1); id <= 4; id++ {
				if rapid.IntRange(0, 3).Draw(rt, "busy") == 0 {
					index[id]++
					continue
				}
				ranges = append(ranges, Range{id, index[id]})
				if said[id] == nil {
					said[id] = map[kvapi.LogIndex]hlc.Timestamp{}
				}
				said[id][index[id]] = ts(now)
			}
			next++
			left, joined := changes(before, ranges)
			before = ranges
			u := out.Next(ts(now), left, joined, next)
			if u == nil {
				continue
			}
			sent = append(sent, u)
			switch rapid.IntRange(0, 5).Draw(rt, "network") {
			case 0:
			case 1:
				receive(u)
				receive(sent[rapid.IntRange(0, len(sent)-1).Draw(rt, "again")])
			default:
				receive(u)
			}
		}
	})
}

// TestManyRangesComeInParts: an update is bounded, whatever happens at once.
func TestManyRangesComeInParts(t *testing.T) {
	out, in := &Outbound{}, &Inbound{}
	var all []Range
	for i := range 5*AddedMax + 7 {
		all = append(all, Range{kvapi.RangeID(i + 1), 10})
	}
	known := func() (n int) {
		for _, r := range all {
			if _, _, ok := in.Closed(1, r.ID); ok {
				n++
			}
		}
		return n
	}
	now := 0
	var before []Range
	step := func(ranges []Range) *Update {
		now++
		left, joined := changes(before, ranges)
		before = ranges
		u := out.Next(ts(now), left, joined, uint64(now))
		if len(u.Added) > AddedMax || len(u.Removed) > removedMax {
			t.Fatalf("%d added, %d removed", len(u.Added), len(u.Removed))
		}
		if !in.Receive(1, u) {
			t.Fatal("missed")
		}
		return u
	}
	for i := range 6 {
		step(all)
		if n := known(); n != min(len(all), (i+1)*AddedMax) {
			t.Fatalf("after %d updates %d are known", i+1, n)
		}
	}
	if u := step(all); len(u.Added)+len(u.Removed) > 0 {
		t.Errorf("nothing has changed: %v", u)
	}
	if b := len(step(all).AppendWire(nil)); b > 40 {
		t.Errorf("%d bytes for %d idle ranges", b, len(all))
	}
	step(all[:3]) // nearly all leave at once
	if n := known(); n != 3 {
		t.Errorf("%d are left", n)
	}
	if c, _, _ := in.Closed(1, 1); c != ts(now) {
		t.Error(fmt.Sprint(c))
	}
}
