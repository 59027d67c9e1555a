package node

import (
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/kv/kvapi"
)

// distancesAge is how long what gossip says of places is taken for what it is:
// nodes do not move.
const distancesAge = 10 * time.Second

// distances tells how far nodes are, by the tiers of locality that they do not
// share with this one.
type distances struct {
	c  *Core
	mu struct {
		sync.Mutex
		at   time.Time
		tier map[kvapi.NodeID]int
	}
}

// to implements rangecache.Config.Distance.
func (d *distances) to(n kvapi.NodeID) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.tier == nil || time.Since(d.mu.at) > distancesAge {
		d.mu.at, d.mu.tier = time.Now(), d.read()
	}
	return d.mu.tier[n]
}

// read returns, for each node, minus the leading tiers that it shares with this
// one.
func (d *distances) read() map[kvapi.NodeID]int {
	own, _ := allocator.ParseLocality(d.c.describe().Locality)
	out := map[kvapi.NodeID]int{}
	for _, n := range d.c.Gossip.Nodes() {
		l, _ := allocator.ParseLocality(n.Locality)
		out[n.NodeID] = -own.Shared(l)
	}
	return out
}
