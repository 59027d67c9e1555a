package closedts

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

func ts(n int) hlc.Timestamp { return hlc.Timestamp{WallTime: int64(n)} }

// TestTrackerAgainstASet compares with one that remembers every evaluation (I1).
func TestTrackerAgainstASet(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var tr Tracker
		type open struct {
			at  hlc.Timestamp
			tok Token
		}
		var opens []open
		var closed hlc.Timestamp
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 2).Draw(rt, "step") {
			case 0:
				want := ts(rapid.IntRange(1, 50).Draw(rt, "at"))
				at, tok := tr.Begin(want, hlc.Timestamp{})
				if at.LessEq(closed) || at.Less(want) || (closed.Less(want) && at != want) {
					rt.Fatalf("%s begins at %s, %s is closed", want, at, closed)
				}
				opens = append(opens, open{at, tok})
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

// TestStreamsAgainstALog has a node tell another what it has closed, over a
// network that loses and repeats; the other never believes what was not so.
func TestStreamsAgainstALog(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		out, in := &Outbound{}, &Inbound{}
		index := map[kvapi.RangeID]kvapi.LogIndex{}
		// said is, for each range, what was ever promised: time by index.
		said := map[kvapi.RangeID]map[kvapi.LogIndex]hlc.Timestamp{}
		var sent []*Update
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
			u := out.Next(ts(now), ranges, next)
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
	step := func(ranges []Range) *Update {
		now++
		u := out.Next(ts(now), ranges, uint64(now))
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
