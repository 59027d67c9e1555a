package check

import (
	"fmt"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// Queue reports whether everything that was put into a queue was taken out
// once, or is left. The values that are left are read when all has ended. The
// order in which values come out is nobody's promise.
func Queue(ops []history.QueueOp) *Violation {
	put, taken, left := map[history.Value]history.QueueOp{}, map[history.Value]history.QueueOp{}, map[history.Value]history.QueueOp{}
	// maybe are values that somebody may have taken; unknown counts those who
	// do not even know which.
	maybe, unknown := map[history.Value]bool{}, 0
	for _, o := range ops {
		if o.Kind == history.Enqueue {
			put[o.Value] = o
		}
	}
	for _, o := range ops {
		switch {
		case o.Kind == history.Enqueue, o.Outcome == history.Fail:
			continue
		case o.Kind == history.Left:
			left[o.Value] = o
		case o.Outcome == history.Info && o.Value == history.Absent:
			unknown++
			continue
		case o.Value == history.Absent:
			continue
		case o.Outcome == history.Info:
			maybe[o.Value] = true
		default:
			if t, ok := taken[o.Value]; ok {
				return violation(TakenTwice, t.String(), o.String())
			}
			taken[o.Value] = o
		}
		p, ok := put[o.Value]
		switch {
		case !ok:
			return violation(GarbageRead, "nobody enqueued "+o.Value.String(), o.String())
		case p.Outcome == history.Fail:
			return violation(G1a, p.String(), o.String())
		case o.Before(&p.Op):
			return violation(GarbageRead, "taken before it was put:", p.String(), o.String())
		}
	}
	var lost []string
	for v, p := range put {
		t, ok := taken[v]
		l, there := left[v]
		switch {
		case ok && there:
			return violation(TakenTwice, t.String(), l.String())
		case p.Outcome == history.OK && !ok && !there && !maybe[v]:
			lost = append(lost, p.String())
		}
	}
	if len(lost) > unknown {
		return violation(LostWrite, append(lost[:min(len(lost), 10)],
			fmt.Sprintf("%d values are gone, and %d answers were lost that may have been one of them", len(lost), unknown))...)
	}
	return nil
}
