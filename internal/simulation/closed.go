package simulation

import (
	"fmt"
	"sync"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// promises are what leaseholders have closed, by updates to other nodes, and
// what was written, on any replica: nothing may be written at or below what was
// closed from an earlier index on. What commands close is asserted by the
// product.
type promises struct {
	mu      sync.Mutex
	byRange map[kvapi.RangeID]*promised
}

// promisedMax bounds what is remembered of a range: the newest.
const promisedMax = 2000

type promised struct {
	closed, wrote []indexed
}

type indexed struct {
	index kvapi.LogIndex
	at    hlc.Timestamp
}

func (p *promises) of(id kvapi.RangeID) *promised {
	if p.byRange == nil {
		p.byRange = map[kvapi.RangeID]*promised{}
	}
	if p.byRange[id] == nil {
		p.byRange[id] = &promised{}
	}
	return p.byRange[id]
}

// onClosed notes a promise, and compares it with what was written already.
func (c *Cluster) onClosed(id kvapi.RangeID, index kvapi.LogIndex, at hlc.Timestamp) {
	c.promises.mu.Lock()
	defer c.promises.mu.Unlock()
	p := c.promises.of(id)
	for _, w := range p.wrote {
		if w.index > index && w.at.LessEq(at) {
			c.fail(fmt.Errorf("%s: %s is closed from index %d on, and index %d had written at %s", id, at, index, w.index, w.at))
		}
	}
	if n := len(p.closed); n > 0 && p.closed[n-1].index == index {
		p.closed[n-1].at.Forward(at) // the same promise, for longer
		return
	}
	p.closed = appendNewest(p.closed, indexed{index, at})
}

// onWrote notes a write that applies somewhere, and compares it with what was
// promised.
func (c *Cluster) onWrote(id kvapi.RangeID, index kvapi.LogIndex, at hlc.Timestamp) {
	c.promises.mu.Lock()
	defer c.promises.mu.Unlock()
	p := c.promises.of(id)
	for _, o := range p.closed {
		if index > o.index && at.LessEq(o.at) {
			c.fail(fmt.Errorf("%s: index %d writes at %s, and %s is closed from index %d on", id, index, at, o.at, o.index))
		}
	}
	if n := len(p.wrote); n == 0 || p.wrote[n-1].index < index { // other replicas apply it, too
		p.wrote = appendNewest(p.wrote, indexed{index, at})
	}
}

func appendNewest(l []indexed, e indexed) []indexed {
	if len(l) >= promisedMax {
		l = append(l[:0], l[len(l)/2:]...)
	}
	return append(l, e)
}
