package store

import (
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// affinity counts how many of a range's commits also write in a neighbour. A
// transaction's end goes to the range of its anchor, and names all that it has
// locked, wherever that is:
//
//	left neighbour   this range   right neighbour   beyond
//	     ·               ×                ×                   1 crosses to the right
//	     ·               ×                ·            ×      0: no merge of neighbours helps it
//	     ×               ×                ×                   1 to the left, 1 to the right
//
// A commit costs a range one atomic addition, one that commits much a second or
// third besides, and as many comparisons of keys as it has locked spans.
//
// The simpler idea, to see by the intents that are resolved here whose anchor is
// elsewhere, would look at each transaction in every range that it touches, and
// could not tell those that commit here alone.
type affinity struct {
	// commits counts since the last look.
	commits atomic.Int64
	crossed atomic.Pointer[crossings]
	// sides are of the one that looks.
	sides [2]sideMemory
}

// side is a neighbour of a range.
type side int

const (
	leftSide side = iota
	rightSide
)

// sideMemory is what the look remembers of a neighbour.
type sideMemory struct {
	// looks is how many looks in a row commits have crossed often enough.
	looks int
	// until is when a boundary may be looked at again that was kept, or where a
	// merge has failed.
	boundary kvapi.Key
	until    time.Time
	// pause is how long that was, after a merge that failed.
	pause time.Duration
}

// crossings counts commits that cross, between two looks, as long as the range
// commits much. Its bounds do not change.
type crossings struct {
	// start and end are the range's; before is where its left neighbour begins,
	// and beyond where its right one ends, both empty if there is none to merge
	// with.
	before, start, end, beyond kvapi.Key
	generation                 kvapi.Generation
	// born is when the neighbours were looked up.
	born time.Time
	// to are commits that cross, by side.
	to [2]atomic.Int64
}

// note counts a commit.
func (a *affinity) note(end *kvapi.EndTxnArgs) {
	a.commits.Add(1)
	if c := a.crossed.Load(); c != nil {
		c.note(end.LockSpans)
	}
}

// note counts a commit by the spans it has locked; of very many it looks at some.
func (c *crossings) note(spans []kvapi.Span) {
	var left, right bool
	for i := range spans[:min(len(spans), crossingSpansMax)] {
		sp := &spans[i]
		left = left || sp.Key.Less(c.start) && reaches(sp, c.before)
		right = right || !sp.Key.Less(c.end) && sp.Key.Less(c.beyond) || sp.Key.Less(c.end) && c.end.Less(sp.EndKey)
	}
	if left && len(c.before) > 0 {
		c.to[leftSide].Add(1)
	}
	if right && len(c.beyond) > 0 {
		c.to[rightSide].Add(1)
	}
}

// reaches reports whether a span has a key at or after k.
func reaches(sp *kvapi.Span, k kvapi.Key) bool {
	return !sp.Key.Less(k) || k.Less(sp.EndKey)
}

// look takes in what was counted since the last look, and returns how many
// commits a second there were, and how many of them crossed to each side. There
// is one that looks.
func (a *affinity) look(elapsed time.Duration) (commits float64, to [2]float64) {
	commits = float64(a.commits.Swap(0)) / elapsed.Seconds()
	if c := a.crossed.Load(); c != nil {
		for s := range to {
			to[s] = float64(c.to[s].Swap(0)) / elapsed.Seconds()
		}
	}
	return commits, to
}

// isBusy reports whether a look would find anything.
func (a *affinity) isBusy() bool { return a.commits.Load() != 0 || a.crossed.Load() != nil }

// leave leaves a boundary alone for a while.
func (a *affinity) leave(s side, boundary kvapi.Key, d time.Duration) {
	a.sides[s] = sideMemory{boundary: boundary, until: time.Now().Add(d)}
}

// failed leaves a boundary alone at which a merge has failed, the longer the more
// often it did: each may have stopped a range until its freeze was over.
func (a *affinity) failed(s side, boundary kvapi.Key) {
	pause := joinAgainMin
	if m := &a.sides[s]; m.boundary.Equal(boundary) {
		pause = min(max(2*m.pause, pause), joinAgainMax)
	}
	a.leave(s, boundary, pause)
	a.sides[s].pause = pause
}
