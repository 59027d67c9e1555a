package simulation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/store"
)

// checkReplicas waits until all replicas of each range have applied the same,
// and compares them: same data, statistics as a recount gives them, no locks
// left behind, and all of the keyspace covered once.
func (c *Cluster) checkReplicas(ctx context.Context) error {
	if err := c.eventually(ctx, "ranges cover the keyspace", func() error { return c.coverage(ctx) }); err != nil {
		return err
	}
	for {
		before, err := c.ranges(ctx)
		if err == nil {
			err = c.compareAll(ctx, before)
		}
		if err != nil {
			return err
		}
		// A merge that was under way may have ended only now.
		if after, err := c.ranges(ctx); err != nil || sameRanges(before, after) {
			return err
		}
	}
}

// sameRanges reports whether no range came, went or changed.
func sameRanges(a, b map[kvapi.RangeID]store.RangeReport) bool {
	return maps.EqualFunc(a, b, func(x, y store.RangeReport) bool { return x.Desc.Generation == y.Desc.Generation })
}

// compareAll compares the replicas of each range that is still there.
func (c *Cluster) compareAll(ctx context.Context, ranges map[kvapi.RangeID]store.RangeReport) error {
	for _, id := range slices.Sorted(maps.Keys(ranges)) {
		var wrong error
		err := c.eventually(ctx, fmt.Sprintf("the replicas of %s agree", id), func() (err error) {
			wrong, err = c.compare(id)
			return err
		})
		if wrong != nil {
			return wrong
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkInterval is how often half of the runs have the nodes themselves compare
// the replicas of each range, under all faults.
const checkInterval = 20 * time.Second

// onChecked is told what they find: replicas that differ, or statistics that are
// wrong, there must not be.
func (c *Cluster) onChecked(rec kvapi.IntegrityRecord) {
	if rec.Outcome == kvapi.CheckDiverged || rec.Outcome == kvapi.CheckRepaired {
		c.fail(fmt.Errorf("%s checked %s: %s: %s", rec.NodeID, rec.RangeID, rec.Outcome, rec.Detail))
	}
}

// coverage finds holes and overlaps in what nodes know.
func (c *Cluster) coverage(ctx context.Context) error {
	ranges, err := c.ranges(ctx)
	if err != nil {
		return err
	}
	sorted := slices.SortedFunc(maps.Values(ranges), func(a, b store.RangeReport) int {
		return a.Desc.StartKey.Compare(b.Desc.StartKey)
	})
	for i, r := range sorted {
		if i > 0 && !sorted[i-1].Desc.EndKey.Equal(r.Desc.StartKey) {
			return fmt.Errorf("%s does not meet %s", &sorted[i-1].Desc, &r.Desc)
		}
	}
	return nil
}

// compare compares the replicas of a range. wrong is for ever, err may pass.
func (c *Cluster) compare(id kvapi.RangeID) (wrong, err error) {
	var first store.Inspection
	var firstNode *Node
	seen := 0
	for _, n := range c.nodes {
		core := n.Core()
		if core == nil {
			continue
		}
		in, ok, err := core.Store.Inspect(id, nil)
		if err != nil {
			return err, nil
		}
		if !ok {
			continue
		}
		seen++
		switch {
		case in.Kept != in.Counted:
			return fmt.Errorf("%s of %s at %d: statistics %+v, a recount gives %+v", n, id, in.Applied, in.Kept, in.Counted), nil
		case seen == 1:
			first, firstNode = in, n
		case in.Applied != first.Applied:
			return nil, fmt.Errorf("%s is at %d, %s at %d", firstNode, first.Applied, n, in.Applied)
		case in.Checksum != first.Checksum:
			return fmt.Errorf("%s: %s and %s differ at index %d:\n%s", id, firstNode, n, in.Applied, c.difference(id, firstNode, n)), nil
		}
	}
	if now, err := c.ranges(context.Background()); err == nil && seen == 0 {
		if _, still := now[id]; !still {
			return nil, nil // merged
		}
	}
	if seen < min(3, len(c.nodes)) {
		return nil, fmt.Errorf("only %d replicas of %s", seen, id)
	}
	if locks := first.Kept.IntentCount; locks != 0 {
		return nil, fmt.Errorf("%d locks are left in %s", locks, &first.Desc)
	}
	return nil, nil
}

// difference lists keys and values that only one of two replicas has.
func (c *Cluster) difference(id kvapi.RangeID, a, b *Node) string {
	dump := func(n *Node) map[string]bool {
		out := map[string]bool{}
		if core := n.Core(); core != nil {
			_, _, _ = core.Store.Inspect(id, func(k, v []byte) { out[fmt.Sprintf("%q = %q", k, v)] = true })
		}
		return out
	}
	da, db := dump(a), dump(b)
	var lines []string
	for _, l := range slices.Sorted(maps.Keys(da)) {
		if !db[l] {
			lines = append(lines, a.String()+" "+l)
		}
	}
	for _, l := range slices.Sorted(maps.Keys(db)) {
		if !da[l] {
			lines = append(lines, b.String()+" "+l)
		}
	}
	return strings.Join(lines[:min(len(lines), 20)], "\n")
}
