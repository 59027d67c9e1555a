package sql

import (
	"sync/atomic"
	"time"
)

// A hidden row id is 63 bits:
//
//	| 48 bits: units of 4 µs since 2024, or one more than the last | 15 bits: node |
//
// So ids of one node ascend, ids of two nodes differ, and both hold until 2059. Rows under hidden
// keys are written blindly, so an id must never be given out twice: see next.
const (
	rowIDUnit     = 4 * time.Microsecond
	rowIDNodeBits = 15
	rowIDNodeMask = 1<<rowIDNodeBits - 1
)

var rowIDEpoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// rowIDs makes hidden row ids for one node.
type rowIDs struct {
	node int64
	last atomic.Int64
}

// next returns a new id. It never runs further ahead of the clock than rowIDAheadMax: past that it
// waits, so that a node that restarts (which takes longer) cannot give out an id twice.
func (g *rowIDs) next() int64 {
	for {
		now := int64(time.Since(rowIDEpoch) / rowIDUnit)
		last := g.last.Load()
		id := max(now, last+1)
		if ahead := time.Duration(id-now) * rowIDUnit; ahead > rowIDAheadMax {
			time.Sleep(ahead - rowIDAheadMax)
			continue
		}
		if g.last.CompareAndSwap(last, id) {
			return id<<rowIDNodeBits | g.node
		}
	}
}

// rowIDAheadMax is less than the least time between a process's last insert and its successor's
// first: that needs a lease and a catalog.
const rowIDAheadMax = 100 * time.Millisecond
