package schema_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/schematest"
)

// cluster is some nodes' catalogs over one store; nodes may be dead.
type cluster struct {
	t     *testing.T
	ctx   context.Context
	store *schematest.Store
	nodes map[kvapi.NodeID]*schema.Catalog
	mu    sync.Mutex // guards dead where nodes die while others ask
	dead  map[kvapi.NodeID]bool
	asked map[kvapi.NodeID]int
}

func newCluster(t *testing.T, n int) *cluster {
	clock := hlc.NewClock(hlc.SystemClock{}, 500*time.Millisecond)
	c := &cluster{t: t, ctx: t.Context(), store: schematest.New(clock), nodes: map[kvapi.NodeID]*schema.Catalog{},
		dead: map[kvapi.NodeID]bool{}, asked: map[kvapi.NodeID]int{}}
	for i := 1; i <= n; i++ {
		id := kvapi.NodeID(i)
		c.nodes[id] = schema.NewCatalog(schema.Config{Store: c.store, Clock: clock, NodeID: id, Peers: c})
	}
	return c
}

// Drain implements schema.Peers: a dead node never answers.
func (c *cluster) Drain(ctx context.Context, n kvapi.NodeID, req schema.DrainRequest) error {
	if c.isDead(n) {
		<-ctx.Done()
		return ctx.Err()
	}
	return c.nodes[n].Drain(ctx, req)
}

func (c *cluster) isDead(n kvapi.NodeID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead[n]
}

// cut takes a node from the others, or gives it back.
func (c *cluster) cut(n kvapi.NodeID, off bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead[n] = off
}

// session is a transaction on a node.
type session struct {
	c *cluster
	t *schematest.Txn
	r *schema.Resolver
}

func (c *cluster) begin(n kvapi.NodeID) *session {
	t := c.store.Begin()
	return &session{c, t, c.nodes[n].Resolver(t)}
}

func (s *session) commit() error {
	err := s.r.PrepareCommit(s.c.ctx)
	if err == nil {
		err = s.t.Commit(s.c.ctx)
	}
	s.r.Finish(s.c.ctx, err == nil)
	return err
}

func (s *session) lookup(name string) (*schema.Table, error) {
	s.c.t.Helper()
	o, _, err := s.r.Lookup(s.c.ctx, 100, []string{"public"}, name)
	t, _ := o.(*schema.Table)
	return t, err
}

func (s *session) mustLookup(name string) *schema.Table {
	s.c.t.Helper()
	t, err := s.lookup(name)
	if err != nil || t == nil {
		s.c.t.Fatalf("lookup %s: %v, %v", name, t, err)
	}
	return t
}

func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// create makes a table with one column.
func (c *cluster) create(n kvapi.NodeID, name string) schema.DescID {
	c.t.Helper()
	s := c.begin(n)
	c.must(s.r.BeginChange(c.ctx))
	id, err := c.nodes[n].NewID(c.ctx)
	c.must(err)
	s.r.Put(&schema.Table{Header: schema.Header{ID: id, Name: name, DatabaseID: 100, SchemaID: 101},
		Columns: []schema.Column{{ID: 1, Name: "a", Type: schema.Type{OID: 23, Mod: -1}}}, NextColumnID: 2})
	s.r.Bind(101, name, id, 0)
	s.r.RequireSame(101)
	c.must(s.commit())
	return id
}

// addColumn is a change of an existing table.
func (c *cluster) addColumn(n kvapi.NodeID, id schema.DescID, col string) error {
	s := c.begin(n)
	err := s.addColumn(id, col)
	if err != nil {
		s.r.Finish(c.ctx, false)
		return err
	}
	return s.commit()
}

func (s *session) addColumn(id schema.DescID, col string) error {
	ctx := s.c.ctx
	s.c.must(s.r.BeginChange(ctx))
	if err := s.r.Hold(ctx, "ALTER TABLE", id); err != nil {
		return err
	}
	t, err := s.r.Table(ctx, id)
	if err != nil {
		return err
	}
	t = t.Clone()
	t.Columns = append(t.Columns, schema.Column{ID: t.NextColumnID, Name: col})
	t.NextColumnID++
	s.r.Put(t)
	return nil
}

// bubble runs a test on virtual time.
func bubble(t *testing.T, nodes int, fn func(c *cluster)) {
	synctest.Test(t, func(t *testing.T) { fn(newCluster(t, nodes)) })
}

func TestCreatedTableIsFoundOnEveryNode(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		if tab, err := c.begin(2).lookup("t"); tab != nil || err != nil {
			t.Fatal(tab, err)
		}
		id := c.create(1, "t")
		s := c.begin(2)
		if got := s.mustLookup("t"); got.ID != id || got.Version != 1 {
			t.Errorf("got %+v", got.Header)
		}
		s.r.Release()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() { _ = c.nodes[1].RunRanges(ctx) }()
		synctest.Wait()
		if len(c.store.Splits) != 1 {
			t.Error("the table has no range of its own")
		}
	})
}

// When a change returns, every node that answers has it, idle or busy, and has not
// waited for anything: no time of the clock has passed.
func TestAChangeIsKnownEverywhereWhenItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		id := c.create(1, "t")
		for n := range c.nodes { // all have read the catalog
			c.must(func() error { s := c.begin(n); s.mustLookup("t"); return s.commit() }())
		}
		time.Sleep(time.Minute) // node 2 has been idle since
		busy := c.begin(3)
		busy.mustLookup("t") // node 3 is using the table
		begun := time.Now()
		s := c.begin(1)
		c.must(s.r.BeginChange(c.ctx))
		s.r.PutRole(&schema.Role{OID: 900, Name: "ada", Login: true})
		c.must(s.commit())
		step := c.nodes[1].Step(c.ctx, "ALTER TABLE", id, func(_ context.Context, r *schema.Resolver, _ schema.Txn, tab *schema.Table) error {
			tab.ACL, tab.ACLSet = []schema.Grant{{Role: "ada"}}, true
			r.Publish(tab)
			return nil
		})
		c.must(step)
		for n, cat := range c.nodes {
			before := c.store.Begins()
			snap, err := cat.Snapshot(c.ctx)
			c.must(err)
			if snap.Role("ada") == nil || len(snap.Table(id).ACL) != 1 || c.store.Begins() != before {
				t.Errorf("node %d has not heard of it, or had to read", n)
			}
		}
		if d := time.Since(begun); d > time.Second {
			t.Errorf("it took %s", d)
		}
		c.must(busy.commit())
	})
}

func TestChangeWaitsForRunningTransactionsOnOtherNodes(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		id := c.create(1, "t")
		user := c.begin(2)
		user.mustLookup("t")
		start := time.Now()
		done := make(chan error, 1)
		go func() { done <- c.addColumn(1, id, "b") }()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatal("change did not wait", err)
		default:
		}
		// The user goes on with its version, also in later statements.
		if got := user.mustLookup("t"); len(got.Columns) != 1 {
			t.Errorf("user sees %d columns", len(got.Columns))
		}
		c.must(user.t.Put(c.ctx, kvapi.Key("\x10row"), nil))
		c.must(user.commit())
		c.must(<-done)
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("change took %s", d)
		}
		after := c.begin(2)
		if got := after.mustLookup("t"); len(got.Columns) != 2 || got.Version != 3 {
			t.Errorf("after the change: %+v", got)
		}
		after.r.Release()
	})
}

func TestNewTransactionWaitsWhileTableIsHeld(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		id := c.create(1, "t")
		ddl := c.begin(1)
		c.must(ddl.addColumn(id, "b"))
		got := make(chan *schema.Table, 1)
		go func() {
			s := c.begin(2)
			got <- s.mustLookup("t")
			s.r.Release()
		}()
		time.Sleep(time.Minute + time.Second) // much longer than a mark lives unrenewed
		if len(got) != 0 {
			t.Fatal("held table was used")
		}
		c.must(ddl.commit())
		if tab := <-got; len(tab.Columns) != 2 {
			t.Errorf("waiter saw the old version")
		}
	})
}

func TestRolledBackChangeFreesTheTable(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		id := c.create(1, "t")
		ddl := c.begin(1)
		c.must(ddl.addColumn(id, "b"))
		ddl.r.Finish(c.ctx, false)
		s := c.begin(2)
		if tab := s.mustLookup("t"); len(tab.Columns) != 1 {
			t.Error("rolled back change is visible")
		}
		s.r.Release()
	})
}

func TestDeadNodeIsWaitedOutOnce(t *testing.T) {
	bubble(t, 3, func(c *cluster) {
		id := c.create(1, "t")
		lost := c.begin(3)
		lost.mustLookup("t")
		c.must(lost.t.Put(c.ctx, kvapi.Key("\x10row"), nil))
		c.dead[3] = true
		start := time.Now()
		c.must(c.addColumn(1, id, "b"))
		if d := time.Since(start); d < schema.LeaseDuration || d > schema.LeaseDuration+2*time.Second {
			t.Errorf("first change took %s", d)
		}
		// The dead node was only cut off; its transaction must not commit.
		c.dead[3] = false
		if err := lost.commit(); err == nil {
			t.Error("a transaction committed with a version that was replaced")
		}
		c.dead[3] = true
		time.Sleep(schema.LeaseDuration + time.Second)
		start = time.Now()
		c.must(c.addColumn(2, id, "c"))
		if d := time.Since(start); d < schema.LeaseDuration {
			t.Errorf("node 3 has a newer lease, but the change took only %s", d)
		}
		start = time.Now()
		c.must(c.addColumn(2, id, "d"))
		if d := time.Since(start); d > 4*time.Second {
			t.Errorf("change right after a node was found dead took %s", d)
		}
		start = time.Now()
		c.must(c.addColumn(2, id, "e"))
		if d := time.Since(start); d > 10*time.Millisecond {
			t.Errorf("change long after a node was found dead took %s", d)
		}
	})
}

func TestTransactionThatOutstaysADrainFails(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		id := c.create(1, "t")
		slow := c.begin(2)
		slow.mustLookup("t")
		c.must(slow.t.Put(c.ctx, kvapi.Key("\x10row"), nil))
		c.must(c.addColumn(1, id, "b"))
		err := slow.commit()
		var stale *schema.StaleError
		if !errors.As(err, &stale) {
			t.Errorf("commit: %v", err)
		}
		if c.begin(2).r.Check(c.ctx) != nil {
			t.Error("an unused resolver is stale")
		}
	})
}

// TestAbandonedMarkIsTakenAway: a table whose change was left half-way by a gateway
// that died is in use again within the time of a fail-over.
func TestAbandonedMarkIsTakenAway(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		id := c.create(1, "t")
		ddl := c.begin(1)
		c.must(ddl.addColumn(id, "b"))
		ddl.r.StopRenewal()
		s := c.begin(2)
		start := time.Now()
		s.mustLookup("t")
		s.r.Release()
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("waited %s", d)
		}
		if err := ddl.commit(); err == nil {
			t.Error("a change committed that had lost its mark")
		}
	})
}

func TestConflictingChangesOneFails(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		a, b := c.begin(1), c.begin(2)
		for i, s := range []*session{a, b} {
			c.must(s.r.BeginChange(c.ctx))
			id, err := c.nodes[1].NewID(c.ctx)
			c.must(err)
			s.r.Put(&schema.Table{Header: schema.Header{ID: id, Name: "t", DatabaseID: 100, SchemaID: 101,
				Owner: string(rune('a' + i))}})
			s.r.Bind(101, "t", id, 0)
		}
		c.must(a.commit())
		if err := b.commit(); err == nil {
			t.Error("two tables of one name")
		}
	})
}

func TestTwoChangesOfOneTableQueue(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		id := c.create(1, "t")
		done := make(chan error, 2)
		go func() { done <- c.addColumn(1, id, "b") }()
		go func() { done <- c.addColumn(2, id, "c") }()
		for range 2 {
			c.must(<-done)
		}
		s := c.begin(1)
		if tab := s.mustLookup("t"); len(tab.Columns) != 3 {
			t.Errorf("%d columns", len(tab.Columns))
		}
		s.r.Release()
	})
}

func TestDroppedDataIsClearedLater(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		id := c.create(1, "t")
		s := c.begin(1)
		c.must(s.r.BeginChange(c.ctx))
		c.must(s.r.Hold(c.ctx, "DROP TABLE", id))
		s.r.Remove(id)
		s.r.Unbind(101, "t")
		s.r.DropData(id, 0)
		c.must(s.commit())
		c.must(c.nodes[1].SweepDropped(c.ctx))
		if len(c.store.Cleared) != 0 {
			t.Fatal("cleared at once")
		}
		time.Sleep(3 * time.Minute)
		c.must(c.nodes[1].SweepDropped(c.ctx))
		c.must(c.nodes[1].SweepDropped(c.ctx))
		if len(c.store.Cleared) != 1 {
			t.Errorf("cleared %d times", len(c.store.Cleared))
		}
	})
}

func TestSequence(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		seq := &schema.Sequence{Header: schema.Header{ID: 77, Name: "s"}, Start: 1, Increment: 2, Min: 1, Max: 7}
		var got []int64
		var err error
		for err == nil {
			var v int64
			if v, err = c.nodes[1].Nextval(c.ctx, seq); err == nil {
				got = append(got, v)
			}
		}
		if len(got) != 4 || got[3] != 7 || err.Error() != `nextval: reached maximum value of sequence "s" (7)` {
			t.Errorf("%v, %v", got, err)
		}
		c.must(c.nodes[1].Setval(c.ctx, seq, 3, true))
		if v, err := c.nodes[1].Nextval(c.ctx, seq); v != 5 || err != nil {
			t.Error(v, err)
		}
	})
}

func TestPlanOfAnOldVersionIsFoundOut(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		id := c.create(1, "t")
		s := c.begin(2)
		if ok, err := s.r.Use(c.ctx, id, 1); !ok || err != nil {
			t.Fatal(ok, err)
		}
		done := make(chan error, 1)
		go func() { done <- c.addColumn(1, id, "b") }()
		time.Sleep(time.Second)
		// The transaction keeps its version, also for binding.
		if ok, err := s.r.Use(c.ctx, id, 1); !ok || err != nil {
			t.Error("a version in use was taken away", ok, err)
		}
		snap, err := s.r.Snapshot(c.ctx)
		c.must(err)
		if v := snap.Table(id).Version; v != 1 {
			t.Errorf("statements are bound against version %d", v)
		}
		c.must(s.commit())
		c.must(<-done)
		s = c.begin(2)
		if ok, err := s.r.Use(c.ctx, id, 1); ok || err != nil {
			t.Error("a plan of an old version is used", ok, err)
		}
		s.r.Release()
	})
}

func TestUseCostsNoReadingWhileTheSnapshotIsGood(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		id := c.create(1, "t")
		s := c.begin(1)
		for range 3 {
			if ok, err := s.r.Use(c.ctx, id, 1); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		before := c.store.Begins()
		for range 3 {
			u := c.begin(1)
			u.r.Use(c.ctx, id, 1)
			u.r.Release()
		}
		if n := c.store.Begins() - before; n != 3 { // the three of begin itself
			t.Errorf("%d transactions", n)
		}
		s.r.Release()
	})
}

func BenchmarkUse(b *testing.B) {
	clock := hlc.NewClock(hlc.SystemClock{}, 500*time.Millisecond)
	store := schematest.New(clock)
	cat := schema.NewCatalog(schema.Config{Store: store, Clock: clock, NodeID: 1})
	r := cat.Resolver(store.Begin())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Object(b.Context(), 100); err != nil {
			b.Fatal(err)
		}
		r.Release()
	}
}
