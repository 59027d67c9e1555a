package store

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/kv/kvapi"
)

// What is asked of a range is counted as long as there is anything to count.
func TestAReplicaIsLookedAtWhileItIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		knobs := quiet
		knobs.DisableCheckLoop, knobs.DisableGCLoop, knobs.DisableMergeLoop = true, true, true
		c := newCluster(t, 3, knobs)
		c.replicateEverywhere()
		if err := c.split("m"); err != nil {
			t.Fatal(err)
		}
		r := func() *Replica { return c.nodes[c.leader(tkey("a"))].store.replicas.lookup(tkey("a")) }
		for range 2 {
			c.mustPut("a", "1")
			if led := r(); !slices.Contains(led.store.asked.all(), led) {
				t.Error("it is not counted what the range is asked for")
			}
			time.Sleep(3 * time.Minute)
			if led := r(); slices.Contains(led.store.asked.all(), led) {
				t.Error("the range is looked at though it is asked for nothing")
			}
		}
	})
}

// Looks in turns come to each replica in as many of them as it takes, whichever others
// come and go meanwhile.
func TestTurnsComeToAll(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		set := newReplicaSet()
		next := kvapi.RangeID(1)
		add := func() *Replica {
			r := &Replica{rangeID: next}
			next += kvapi.RangeID(rapid.IntRange(1, 3).Draw(rt, "gap"))
			set.add(r, kvapi.Span{}, false)
			return r
		}
		kept := map[*Replica]bool{}
		for range rapid.IntRange(1, 20).Draw(rt, "kept") {
			kept[add()] = true
		}
		var passing []*Replica
		for range rapid.IntRange(0, 20).Draw(rt, "passing") {
			passing = append(passing, add())
		}
		n := rapid.IntRange(1, 8).Draw(rt, "a turn")
		var looked turns
		for range rapid.IntRange(0, 5).Draw(rt, "before") {
			looked.next(set, n)
		}
		// A whole round, and the rest of the one that was under way.
		for range 2 * (len(set.all())/n + 2) {
			for _, r := range looked.next(set, n) {
				delete(kept, r)
			}
			if len(passing) > 0 && rapid.Bool().Draw(rt, "goes") {
				set.remove(passing[0])
				passing = passing[1:]
			}
		}
		if len(kept) > 0 {
			rt.Fatalf("%d replicas had no turn", len(kept))
		}
	})
}
