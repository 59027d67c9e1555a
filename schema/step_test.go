package schema_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
)

// step publishes a version of the table that differs in its comment.
func (c *cluster) step(n kvapi.NodeID, id schema.DescID, comment string) error {
	return c.nodes[n].Step(c.ctx, "test", id, func(_ context.Context, r *schema.Resolver, _ schema.Txn, tab *schema.Table) error {
		tab.Comment = comment
		r.Publish(tab)
		return nil
	})
}

func TestAStepIsInNobodysWay(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		id := c.create(1, "t")
		user := c.begin(2)
		user.mustLookup("t")
		start := time.Now()
		c.must(c.step(1, id, "one"))
		if got := c.begin(2).mustLookup("t"); got.Comment != "one" {
			t.Errorf("a new transaction has version %d", got.Version)
		}
		c.must(user.t.Put(c.ctx, kvapi.Key("\x10row"), nil))
		c.must(user.commit())
		if d := time.Since(start); d > time.Millisecond {
			t.Errorf("somebody waited %s", d)
		}
	})
}

func TestTheNextStepWaitsForTheVersionBeforeTheLast(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		id := c.create(1, "t")
		user := c.begin(2)
		user.mustLookup("t")
		c.must(c.step(1, id, "one"))
		done := make(chan error, 1)
		go func() { done <- c.step(1, id, "two") }()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(done) != 0 {
			t.Fatal("three versions are in use")
		}
		s := c.begin(2)
		if got := s.mustLookup("t"); got.Comment != "one" {
			t.Errorf("version %d is current", got.Version)
		}
		s.r.Release()
		c.must(user.commit())
		c.must(<-done)
	})
}

func TestAStepIsDelayedByADeadNodeNoLongerThanItsLease(t *testing.T) {
	bubble(t, 3, func(c *cluster) {
		id := c.create(1, "t")
		lost := c.begin(3)
		lost.mustLookup("t")
		c.dead[3] = true
		start := time.Now()
		c.must(c.step(1, id, "one"))
		c.must(c.step(2, id, "two"))
		c.must(c.step(1, id, "three"))
		c.must(c.step(1, id, "four"))
		if d := time.Since(start); d > 17*time.Second { // a lease, and the tries to reach the node
			t.Errorf("four steps took %s", d)
		}
		c.must(lost.t.Put(c.ctx, kvapi.Key("\x10row"), nil))
		if err := lost.commit(); err == nil {
			t.Error("a transaction committed with a version that is long gone")
		}
	})
}

func TestAStepWaitsForAHoldAndAHoldForUsersOfBothVersions(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		id := c.create(1, "t")
		old := c.begin(2)
		old.mustLookup("t")
		c.must(c.step(1, id, "one"))
		fresh := c.begin(2)
		fresh.mustLookup("t")
		held := make(chan error, 1)
		go func() { held <- c.addColumn(1, id, "b") }()
		time.Sleep(time.Second)
		stepped := make(chan error, 1)
		go func() { stepped <- c.step(2, id, "two") }()
		time.Sleep(time.Second)
		c.must(old.commit())
		time.Sleep(time.Second)
		synctest.Wait()
		if len(held) != 0 || len(stepped) != 0 {
			t.Fatal("the table was taken from a transaction that uses it")
		}
		c.must(fresh.commit())
		c.must(<-held)
		c.must(<-stepped)
		s := c.begin(1)
		if got := s.mustLookup("t"); got.Comment != "two" || len(got.Columns) != 2 {
			t.Errorf("%+v", got)
		}
		s.r.Release()
	})
}

func TestAReaderOutlivesStepsAsLongAsItReadsTheSame(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		id := c.create(1, "t")
		reader, writer := c.begin(2), c.begin(2)
		reader.mustLookup("t")
		writer.mustLookup("t")
		c.must(c.step(1, id, "one"))
		c.must(c.step(1, id, "two"))
		time.Sleep(3 * schema.LeaseDuration)
		c.must(reader.r.Check(c.ctx))
		if got := reader.mustLookup("t"); got.Version != 1 {
			t.Errorf("the reader has version %d now", got.Version)
		}
		c.must(writer.t.Put(c.ctx, kvapi.Key("\x10row"), nil))
		if err := writer.commit(); err == nil {
			t.Error("a writer committed with a version that is long gone")
		}
		// What it reads is another now.
		c.must(c.step(1, id, "three"))
		c.must(c.nodes[1].Step(c.ctx, "test", id, func(_ context.Context, r *schema.Resolver, _ schema.Txn, tab *schema.Table) error {
			tab.Primary.ID++
			r.Publish(tab)
			return nil
		}))
		if err := reader.r.Check(c.ctx); err == nil {
			t.Error("a reader goes on with keys that are no more")
		}
		reader.r.Finish(c.ctx, false)
	})
}

func TestAStepThatFailsLeavesNothing(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		id := c.create(1, "t")
		no := errors.New("no")
		err := c.nodes[1].Step(c.ctx, "test", id, func(_ context.Context, r *schema.Resolver, _ schema.Txn, tab *schema.Table) error {
			tab.Comment = "half"
			r.Publish(tab)
			return no
		})
		if !errors.Is(err, no) {
			t.Fatal(err)
		}
		if got := c.begin(1).mustLookup("t"); got.Version != 1 || got.Comment != "" {
			t.Errorf("%+v", got)
		}
	})
}

// commitOf is a user's commit, or the publication of a version.
type commitOf struct {
	version schema.DescVersion
	at      hlc.Timestamp
}

// TestAtMostTwoVersionsAreInUse runs transactions of random length on three
// nodes, of which some are cut off for a while, against steps and holds: when
// version n is published, nobody commits any more with n-2.
func TestAtMostTwoVersionsAreInUse(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, 3, func(c *cluster) { twoVersions(c, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func twoVersions(c *cluster, rng *rand.Rand) {
	id := c.create(1, "t")
	var mu sync.Mutex // guards what follows, and rng
	var used, published []commitOf
	draw := func(n int) int { mu.Lock(); defer mu.Unlock(); return rng.IntN(n) }
	ctx, stop := context.WithCancel(c.ctx)
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				s := c.begin(kvapi.NodeID(w%3 + 1))
				tab, err := s.lookup("t")
				if err != nil {
					s.r.Finish(c.ctx, false)
					continue
				}
				// Most are short, some outlive a lease.
				time.Sleep(time.Duration(draw(400)) * time.Millisecond)
				if draw(20) == 0 {
					time.Sleep(time.Duration(draw(25)) * time.Second)
				}
				c.must(s.t.Put(c.ctx, kvapi.Key(fmt.Sprintf("\x10%d/%d", w, i)), nil))
				if s.commit() == nil {
					mu.Lock()
					used = append(used, commitOf{tab.Version, s.t.Committed})
					mu.Unlock()
				}
			}
		})
	}
	publish := func(n kvapi.NodeID, comment string) {
		var version schema.DescVersion
		c.must(c.nodes[n].Step(c.ctx, "test", id, func(_ context.Context, r *schema.Resolver, _ schema.Txn, tab *schema.Table) error {
			tab.Comment, version = comment, tab.Version+1
			r.Publish(tab)
			return nil
		}))
		mu.Lock()
		published = append(published, commitOf{version, c.store.Clock.Now().Timestamp()})
		mu.Unlock()
	}
	for i := range 12 {
		switch n := kvapi.NodeID(draw(3) + 1); draw(5) {
		case 0:
			c.cut(n, true)
			time.Sleep(time.Duration(draw(3)) * time.Second)
			publish(n%3+1, fmt.Sprint(i))
			c.cut(n, false)
		case 1:
			c.must(c.addColumn(n, id, fmt.Sprint("c", i)))
		default:
			publish(n, fmt.Sprint(i))
		}
		time.Sleep(time.Duration(draw(3000)) * time.Millisecond)
	}
	stop()
	wg.Wait()
	for _, p := range published {
		for _, u := range used {
			if u.version+2 <= p.version && p.at.Less(u.at) {
				c.t.Errorf("version %d was used at %s, when %d had been published", u.version, u.at, p.version)
			}
		}
	}
	if len(used) < 50 || len(published) < 3 {
		c.t.Errorf("only %d commits, %d publications", len(used), len(published))
	}
}
