package store

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// TestCommandsGatherWhileAnAppendIsSynced: what comes while the disk is busy is
// one append, also at the followers, and waits no longer than for that sync.
func TestCommandsGatherWhileAnAppendIsSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const syncTime, n = 100 * time.Millisecond, 8
		knobs := quiet
		knobs.LogSyncTime = func() time.Duration { return syncTime }
		c := newCluster(t, 3, knobs)
		c.replicateEverywhere()
		c.mustPut("warm", "up")
		time.Sleep(5 * syncTime)
		appends := func(id kvapi.NodeID) int64 { return c.nodes[id].store.logWriter.Stats.Appends.Load() }
		before := map[kvapi.NodeID]int64{}
		for id := range c.nodes {
			before[id] = appends(id)
		}
		start := time.Now()
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { c.mustPut(fmt.Sprint("k", i), "v") })
			time.Sleep(syncTime / (2 * n))
		}
		wg.Wait()
		if took := time.Since(start); took > 2*syncTime {
			t.Errorf("%d writes took %s, two syncs %s", n, took, 2*syncTime)
		}
		for id := range c.nodes {
			// The first one's, that of all others, and the news that those have committed.
			if done := appends(id) - before[id]; done > 4 {
				t.Errorf("%d writes became %d appends at %s", n, done, id)
			}
		}
		c.checkConsistency()
	})
}
