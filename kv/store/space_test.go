package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// threeWithTable are three stores with a range of a table.
func threeWithTable(t *testing.T) *cluster {
	c := three(t)
	if err := c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey("")}); err != nil {
		t.Fatal(err)
	}
	c.mustPut("a", "1")
	return c
}

// setSpace makes a node's disk as full as a level says, and waits until all
// know.
func (c *cluster) setSpace(id kvapi.NodeID, s storage.Space) {
	const total = 1 << 30
	l := storage.SpaceLimitsOf(total)
	free := map[storage.Space]uint64{storage.SpacePlenty: total / 2, storage.SpaceLow: l.LowBytes - 1,
		storage.SpaceCritical: l.CriticalBytes - 1}[s]
	c.nodes[id].fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: free, TotalBytes: total, UsedBytes: total - free})
	time.Sleep(2*spaceInterval + spaceInterval/2)
}

func (c *cluster) isDiskFull(err error) {
	c.t.Helper()
	var e *kvapi.Error
	if !errors.As(err, &e) || e.Kind != kvapi.ErrDiskFull {
		c.t.Fatalf("%v, want %v", err, kvapi.ErrDiskFull)
	}
}

func (c *cluster) delete(key string) error {
	_, err := c.Send(context.Background(), (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Delete, Key: tkey(key)}))
	return err.AsError()
}

func TestAFullLeaseholderHandsItsTablesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := threeWithTable(t)
		full := c.leader(tkey("a"))
		c.setSpace(full, storage.SpaceLow)
		if now := c.leader(tkey("a")); now == full {
			t.Errorf("%s still serves", now)
		}
		c.mustPut("a", "2")
		c.mustGet("a", "2")
		c.checkConsistency()
	})
}

// Where a majority of a range's disks is full nothing new comes in, wherever
// the lease is, and everything else goes on; with room again no restart is
// needed.
func TestNoNewDataWhileMostDisksAreFull(t *testing.T) {
	for _, level := range []storage.Space{storage.SpaceLow, storage.SpaceCritical} {
		t.Run(level.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := threeWithTable(t)
				c.mustPut("b", "1")
				c.setSpace(1, level)
				c.setSpace(2, level)
				c.isDiskFull(c.put("a", "2"))
				time.Sleep(30 * time.Second) // leases are renewed
				c.mustGet("a", "1")
				if err := c.delete("b"); err != nil {
					t.Fatal(err)
				}
				c.mustGet("b", "")
				c.isDiskFull(c.put("b", "2"))
				c.setSpace(1, storage.SpacePlenty)
				c.mustPut("b", "3")
				c.setSpace(2, storage.SpacePlenty)
				c.checkConsistency()
			})
		})
	}
}

// A follower without any room drops what the others write, keeps its vote and
// its process, and catches up when it has room again, by log or by snapshot.
func TestAFollowerWithoutRoomPromisesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := threeWithTable(t)
		id := c.followerOf(tkey("a"))
		c.setSpace(id, storage.SpaceCritical)
		before := c.nodes[id].store.replicas.lookup(tkey("a")).appliedIndex()
		for i := range 100 {
			c.mustPut(fmt.Sprintf("k%02d", i), fmt.Sprint(i))
		}
		time.Sleep(10 * time.Second)
		after := c.nodes[id].store.replicas.lookup(tkey("a")).appliedIndex()
		if after >= before+100 {
			t.Errorf("applied index %d, was %d: the full follower takes new data", after, before)
		}
		c.setSpace(id, storage.SpacePlenty)
		c.mustPut("a", "2")
		c.checkConsistency() // waits until it has caught up
	})
}
