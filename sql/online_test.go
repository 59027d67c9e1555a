package sql

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/testkit/memkv"
	"github.com/cairndb/cairn/kv/intents"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/rangecache"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/ddl"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// ddlGateways are the SQL layers of three nodes over one store in memory. Each can
// be killed: from then on nothing that it sends arrives, and it answers nobody.
type ddlGateways struct {
	t     *testing.T
	nodes []*gateway
}

type gateway struct {
	id   kvapi.NodeID
	send kvapi.Sender
	db   *txn.DB
	cat  *schema.Catalog
	srv  *Server
	dead atomic.Bool
	// killAt is the number of the batch with which the node dies, 0 never.
	killAt, sent atomic.Int64
	// delayMax, if not 0, is the longest that a batch is on its way.
	delayMax atomic.Int64
	// pauseAt is the number of the batch with which the node stops for pauseFor, 0
	// never: what it was about to send is sent afterwards, and what comes for it waits.
	pauseAt     atomic.Int64
	pausedUntil atomic.Int64
}

// pauseFor is longer than a session's right to use what it has read of the catalog, and
// than the claim of a job.
const pauseFor = 40 * time.Second

// awaitResume waits while the node is paused.
func (g *gateway) awaitResume() {
	if until := g.pausedUntil.Load(); until != 0 {
		time.Sleep(time.Until(time.Unix(0, until)))
	}
}

var errDead = kvapi.NewError(kvapi.ErrNodeUnreachable, "the node is dead")

// Send implements kvapi.Sender. The batch with which the node dies arrives, but
// its answer does not.
func (g *gateway) Send(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	if g.dead.Load() {
		return nil, errDead
	}
	if d := g.delayMax.Load(); d > 0 {
		time.Sleep(rand.N(time.Duration(d)))
	}
	n := g.sent.Add(1)
	last := n == g.killAt.Load()
	if last {
		g.dead.Store(true)
	}
	if n == g.pauseAt.Load() {
		g.pausedUntil.Store(time.Now().Add(pauseFor).UnixNano())
	}
	g.awaitResume()
	br, err := g.send.Send(ctx, ba)
	g.awaitResume()
	if last || g.dead.Load() {
		lost := kvapi.NewError(kvapi.ErrAmbiguous, "the node died before it heard")
		lost.MaybeApplied = true
		return nil, lost
	}
	return br, err
}

func newDDLGateways(t *testing.T) *ddlGateways {
	clock := hlc.NewClock(hlc.SystemClock{}, 250*time.Millisecond)
	c := memkv.New(clock, 3)
	gs := &ddlGateways{t: t}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("CAIRN_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	for i := range 3 {
		g := &gateway{id: kvapi.NodeID(i + 1)}
		g.send = rangecache.NewSender(rangecache.Config{NodeID: g.id, Clock: clock, Transport: c, FirstRange: c})
		r := intents.New(intents.Config{Sender: g, Clock: clock, NodeID: g.id})
		g.db = txn.NewDB(txn.Config{Sender: g, Clock: clock, NodeID: g.id, Recoverer: r})
		g.cat = schema.NewCatalog(schema.Config{Store: schema.NewStore(g.db), Clock: clock, NodeID: g.id, Peers: gs})
		g.srv = NewServer(Config{DB: g.db, Catalog: g.cat, NodeID: g.id, Logger: log})
		// Jobs rest as they do beside users, and so can be met on their way.
		g.srv.quiet.busy, g.srv.quiet.looked = true, time.Now().AddDate(1, 0, 0)
		gs.nodes = append(gs.nodes, g)
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { g.srv.RunJobs(ctx) })
		wg.Go(func() { _ = g.cat.Run(ctx) })
		t.Cleanup(func() {
			stop()
			wg.Wait()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := g.db.Close(ctx); err != nil && !g.dead.Load() {
				t.Error("closing a DB:", err)
			}
			r.Close()
		})
	}
	err := schema.NewStore(gs.nodes[0].db).Run(t.Context(), "catalog", func(ctx context.Context, tx schema.Txn) error {
		for _, kv := range schema.InitialKeyValues() {
			if err := tx.Put(ctx, kv.Key, kv.Value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return gs
}

// Drain implements schema.Peers.
func (gs *ddlGateways) Drain(ctx context.Context, n kvapi.NodeID, req schema.DrainRequest) error {
	g := gs.nodes[n-1]
	if g.dead.Load() {
		return errors.New("the node is dead")
	}
	g.awaitResume()
	if err := ctx.Err(); err != nil {
		return err
	}
	return g.cat.Drain(ctx, req)
}

// session opens one; it is closed with the test.
func (g *gateway) session(t testing.TB) *Session {
	s, err := g.srv.NewSession(t.Context(), SessionArgs{User: "root", Database: "defaultdb", BackendPID: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// checkTable compares every index of a table with its rows, entry by entry, as
// the table was at one time. It returns the number of rows.
func checkTable(t testing.TB, g *gateway, name string) int {
	t.Helper()
	snap, err := g.cat.Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var tab *schema.Table
	for _, x := range snap.Tables(100) {
		if x.Name == name {
			tab = x
		}
	}
	if tab.Rewriting != nil {
		t.Errorf("table %s is being rewritten: %+v", name, tab.Rewriting)
		return 0
	}
	codec := tablekv.NewCodec(tab)
	virtual := virtualColumns(t, g, tab)
	at := make([]int, len(tab.Columns))
	for i := range at {
		at[i] = i
	}
	dec := codec.Primary.NewDecoder(at)
	var rows []types.Row
	entries := map[schema.IndexID]map[string][]byte{}
	err = g.db.Run(t.Context(), txn.Options{}, func(ctx context.Context, tx *txn.Txn) error {
		rows = nil
		for _, ix := range tab.AllIndexes() {
			got, _, err := tx.Scan(ctx, prefixSpan(tab.IndexPrefix(ix.ID)), txn.ScanOptions{})
			if err != nil {
				return err
			}
			if ix.ID == tab.Primary.ID {
				for _, kv := range got {
					row := make(types.Row, len(at))
					if err := dec.Decode(kv.Key, kv.Value, row); err != nil {
						return err
					}
					virtual(row)
					rows = append(rows, row)
				}
				continue
			}
			entries[ix.ID] = map[string][]byte{}
			for _, kv := range got {
				entries[ix.ID][string(kv.Key)] = kv.Value
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range tab.Columns {
		c := &tab.Columns[i]
		if c.Filling || c.Replaces != 0 {
			t.Errorf("column %s is being filled", c.Name)
		}
		if c.NotNull && slices.ContainsFunc(rows, func(row types.Row) bool { return row[i].IsNull() }) {
			t.Errorf("column %s contains null values", c.Name)
		}
	}
	for i := range codec.Indexes {
		ic := &codec.Indexes[i]
		if !ic.Index.IsPublic() {
			t.Errorf("index %s is in state %d", ic.Index.Name, ic.Index.State)
		}
		there := entries[ic.Index.ID]
		for _, row := range rows {
			if !ic.Holds(row) {
				continue
			}
			key, _, err := ic.Key(row)
			if err != nil {
				t.Fatal(err)
			}
			v, ok := there[string(key)]
			if !ok || !bytes.Equal(v, ic.Value(row)) {
				t.Errorf("index %s: row %v has entry %q, %v", ic.Index.Name, row, v, ok)
			}
			delete(there, string(key))
		}
		for k := range there {
			t.Errorf("index %s has entry %q of no row", ic.Index.Name, k)
		}
	}
	return len(rows)
}

// virtualColumns computes those of a row.
func virtualColumns(t testing.TB, g *gateway, tab *schema.Table) func(types.Row) {
	s := g.session(t)
	snap, err := g.cat.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	evals := map[int]ddl.Eval{}
	for i := range tab.Columns {
		c := &tab.Columns[i]
		if !c.Virtual {
			continue
		}
		stmts, err := parser.Parse("select " + c.Default)
		if err != nil {
			t.Fatal(err)
		}
		n := stmts[0].Tree.GetSelectStmt().TargetList[0].GetResTarget().Val
		e, err := bind.BindStored(s.bindEnv(snap), n, stmts[0].Query, tab, bind.UseIndex, c)
		if err != nil {
			t.Fatal(err)
		}
		if evals[i], err = (engine{s}).Compile(e); err != nil {
			t.Fatal(err)
		}
	}
	return func(row types.Row) {
		for i, f := range evals {
			d, err := f(t.Context(), row)
			if err != nil {
				t.Fatal(err)
			}
			row[i] = d
		}
	}
}

func prefixSpan(p kvapi.Key) kvapi.Span { return kvapi.Span{Key: p, EndKey: p.PrefixEnd()} }

const onlineTable = "create table t (id int primary key, k int, u int, s text)"

// fillTable makes rows 1 to n; u is unique.
func fillTable(t *testing.T, s *Session, n int) {
	t.Helper()
	mustShow(t, s, onlineTable, "CREATE TABLE")
	mustShow(t, s, fmt.Sprintf("insert into t select g, g %% 50, g, 'x' from generate_series(1, %d) g", n), fmt.Sprintf("INSERT 0 %d", n))
}

func TestALargeTableIsIndexedByAJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newDDLGateways(t)
		a := gs.nodes[0].session(t)
		fillTable(t, a, 3000)
		mustRun(t, a, "create index t_k on t (k) include (s)")
		mustRun(t, a, "create unique index on t (u desc)")
		checkTable(t, gs.nodes[1], "t")
		mustShow(t, gs.nodes[2].session(t), "select job_type, description, status, fraction_completed, rows_done, error from cairn.jobs order by job_id",
			"CREATE INDEX|create index t_k on t (k) include (s)|succeeded|1|3000|NULL "+
				"CREATE INDEX|create unique index on t (u desc)|succeeded|1|3000|NULL SELECT 2")
		mustShow(t, a, "select count(*) from t where k = 7", "60 SELECT 1")
		wantError(t, a, "alter system set cairn.backfill_share = 0", sqlerr.InvalidParameterValue)
		mustShow(t, a, "alter system set cairn.backfill_share = '100%'", "ALTER SYSTEM")
		if n := gs.nodes[0].srv.backfillShare(t.Context()); n != 100 {
			t.Errorf("the share is %d", n)
		}
	})
}

// mustRun runs a statement and does not look at what it says.
func mustRun(t testing.TB, s *Session, q string) {
	t.Helper()
	w := &textWriter{s: s}
	if err := s.ExecSimple(t.Context(), q, w); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
}

func TestAnIndexThatCannotBeUniqueIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newDDLGateways(t)
		a := gs.nodes[0].session(t)
		fillTable(t, a, 2000)
		mustShow(t, a, "update t set u = 1990 where id = 17", "UPDATE 1")
		_, err := query(t, a, "create unique index t_u on t (u)")
		e := sqlerr.From(err)
		if e.Code != sqlerr.UniqueViolation || e.Message != `could not create unique index "t_u"` || e.Detail != "Key (u)=(1990) is duplicated." {
			t.Errorf("%v %q", err, e.Detail)
		}
		mustShow(t, a, "select count(*) from pg_index where indrelid = 't'::regclass", "1 SELECT 1")
		mustShow(t, a, "select status, error_code from cairn.jobs", "failed|23505 SELECT 1")
		mustShow(t, a, "update t set u = 17 where id = 17", "UPDATE 1")
		mustRun(t, a, "create unique index t_u on t (u)")
		checkTable(t, gs.nodes[1], "t")
	})
}

// atPhase waits until a job is at a phase.
func atPhase(t *testing.T, g *gateway, phase uint8) *jobs.Record {
	t.Helper()
	for {
		recs, err := g.srv.jobs.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			if !r.State.Ended() && r.Phase >= phase {
				return r
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestAJobIsPausedResumedAndCanceledFromAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newDDLGateways(t)
		a, b := gs.nodes[0].session(t), gs.nodes[1].session(t)
		fillTable(t, a, 5000)
		// A transaction that uses the table keeps the job from going on.
		c := gs.nodes[2].session(t)
		begin := func() {
			mustShow(t, c, "begin", "BEGIN")
			mustShow(t, c, "select count(*) from t where id = 1", "1 SELECT 1")
		}
		run := func(q string) chan error {
			done := make(chan error, 1)
			go func() { _, err := query(t, a, q); done <- err }()
			return done
		}
		begin()
		done := run("create index t_k on t (k)")
		id := atPhase(t, gs.nodes[1], 0).ID
		mustShow(t, b, fmt.Sprintf("select cairn.pause_job(%d)", id), "t SELECT 1")
		mustShow(t, b, "select status, running_status from cairn.jobs", "pause-requested|waiting until all nodes know the index SELECT 1")
		mustShow(t, c, "commit", "COMMIT")
		if err := <-done; sqlerr.From(err).Code != sqlerr.ObjectNotInPrerequisiteState {
			t.Errorf("paused: %v", err)
		}
		mustShow(t, b, "select status from cairn.jobs", "paused SELECT 1")
		mustShow(t, b, "insert into t values (0, 0, 0, 'x'); delete from t where id = 5", "INSERT 0 1 DELETE 1")
		mustShow(t, b, fmt.Sprintf("select cairn.resume_job(%d)", id), "t SELECT 1")
		if r, err := gs.nodes[2].srv.jobs.Wait(t.Context(), id); err != nil || r.State != jobs.Succeeded || r.Resumed != 1 {
			t.Errorf("resumed: %+v, %v", r, err)
		}
		checkTable(t, gs.nodes[1], "t")
		_, err := query(t, b, fmt.Sprintf("select cairn.cancel_job(%d)", id))
		if e := sqlerr.From(err); e.Code != sqlerr.ObjectNotInPrerequisiteState || e.Detail != "Its status is \"succeeded\"." {
			t.Errorf("a job that has ended: %+v", e)
		}
		wantError(t, b, "select cairn.cancel_job(7)", sqlerr.UndefinedObject)

		begin()
		done = run("create unique index t_u on t (u)")
		id = atPhase(t, gs.nodes[1], 0).ID
		mustShow(t, b, fmt.Sprintf("select cairn.cancel_job(%d)", id), "t SELECT 1")
		mustShow(t, c, "commit", "COMMIT")
		if err := <-done; sqlerr.From(err).Code != sqlerr.QueryCanceled {
			t.Errorf("canceled: %v", err)
		}
		if r, err := gs.nodes[2].srv.jobs.Wait(t.Context(), id); err != nil || r.State != jobs.Canceled {
			t.Errorf("canceled: %+v, %v", r, err)
		}
		mustShow(t, b, "select count(*) from pg_class where relname = 't_u'", "0 SELECT 1")

		begin()
		done = run("create unique index t_u on t (u)")
		atPhase(t, gs.nodes[1], 0)
		a.Cancel()
		mustShow(t, c, "commit", "COMMIT")
		if err := <-done; sqlerr.From(err).Code != sqlerr.QueryCanceled {
			t.Errorf("canceled by the user: %v", err)
		}
		mustShow(t, b, "select status from cairn.jobs order by job_id desc limit 1", "canceled SELECT 1")
		checkTable(t, gs.nodes[1], "t")
	})
}

// TestIndexBuildsUnderLoadAndKills builds indexes, plain and unique ones, while
// sessions on three gateways insert, update and delete, and the node that builds
// dies at some batch: another goes on. Afterwards table and indexes agree.
func TestIndexBuildsUnderLoadAndKills(t *testing.T) {
	for seed := range seedCount(16) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { buildUnderLoad(t, uint64(seed)) })
		})
	}
}

// seedCount is how many seeds a test tries: CAIRN_TEST_SEEDS, or some.
func seedCount(some int) int {
	if n, err := strconv.Atoi(os.Getenv("CAIRN_TEST_SEEDS")); err == nil {
		return n
	}
	return some
}

func buildUnderLoad(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 11))
	gs := newDDLGateways(t)
	builder := gs.nodes[0]
	a := builder.session(t)
	const n = 1500
	fillTable(t, a, n)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var committed atomic.Int64
	for w := range 6 {
		g, rng := gs.nodes[w%3], rand.New(rand.NewPCG(seed, uint64(100+w)))
		s := g.session(t)
		wg.Go(func() {
			for ctx.Err() == nil && !g.dead.Load() {
				if oneChange(ctx, t, s, rng, n) {
					committed.Add(1)
				}
				think := 10
				if builder.dead.Load() { // it takes half a minute
					think = 400
				}
				time.Sleep(time.Duration(rng.IntN(think)) * time.Millisecond)
			}
		})
	}
	for _, g := range gs.nodes {
		g.delayMax.Store(int64(4 * time.Millisecond))
	}
	time.Sleep(50 * time.Millisecond)
	// The builder dies with one of the batches that it sends from now on, its
	// sessions' too; sometimes not at all.
	if seed%4 != 0 {
		builder.killAt.Store(builder.sent.Load() + 1 + rng.Int64N(250))
	}
	stmt := []string{"create index t_k on t (k, s)", "create unique index t_u on t (u) include (s)",
		"create index concurrently t_k on t (k desc)", "alter table t add constraint t_u unique (u)",
		"create index t_k on t ((k / 2), s) where k % 3 < 2", "create unique index t_u on t ((u * 2)) where u > 100"}[rng.IntN(6)]
	_, err := query(t, a, stmt)
	if err != nil && !builder.dead.Load() {
		t.Errorf("%s: %v", stmt, err)
	}
	recs := awaitJobs(t, gs.nodes[1])
	time.Sleep(300 * time.Millisecond) // writers go on with the index
	stop()
	wg.Wait()
	rows := checkTable(t, gs.nodes[1], "t")
	t.Logf("%d rows, %d changes, killed %v, %d jobs", rows, committed.Load(), builder.dead.Load(), len(recs))
	for _, r := range recs {
		if r.State != jobs.Succeeded {
			t.Errorf("job %+v", r)
		}
	}
	if len(recs) > 0 && committed.Load() < 20 {
		t.Error("there was no load")
	}
}

func TestASchemaChangeIsExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newDDLGateways(t)
		a := gs.nodes[0].session(t)
		fillTable(t, a, 1500)
		mustShow(t, a, "create table p (id int primary key)", "CREATE TABLE")
		lines := func(stmt string) string {
			out, err := query(t, a, "select cairn.explain_change($$"+stmt+"$$)")
			if err != nil {
				return err.Error()
			}
			return out
		}
		for _, c := range []struct{ stmt, want string }{
			{"create index t_k on t (k)", "CREATE INDEX   ->  publish index t_k, of which writers only remove entries; t is in use all the while " +
				"  ->  when no transaction is older than that: publish it again, and all writers keep it up " +
				"  ->  when no transaction is older than that, job: read all rows of t in chunks, and write an entry for each " +
				"  ->  publish it for readers; if the job fails or is canceled, take it back"},
			{"alter table t add column n int default 1", "ALTER TABLE   ->  wait for the transactions that use t; who comes later waits until the next commit " +
				"  ->  read and write no rows   ->  commit the new definitions"},
			{"alter table t alter column u type text", "ALTER TABLE   ->  publish a second copy of the rows, of which writers only remove entries; t is in use all the while " +
				"  ->  when no transaction is older than that: publish it again, and all writers keep it up " +
				"  ->  when no transaction is older than that, job: read all rows of t in chunks, convert and check each, and write it anew " +
				"  ->  wait for the transactions that use t; who comes later waits until the copy is the table " +
				"  ->  publish that it is; if the job fails or is canceled, that there is no copy"},
			{"alter table t alter column u type timestamp using '2020-01-01'::timestamp + u * interval '1 s'", "ALTER TABLE   ->  publish a second copy of the rows, of which writers only remove entries; t is in use all the while " +
				"  ->  when no transaction is older than that: publish it again, and all writers keep it up " +
				"  ->  when no transaction is older than that, job: read all rows of t in chunks, convert and check each, and write it anew " +
				"  ->  wait for the transactions that use t; who comes later waits until the copy is the table " +
				"  ->  publish that it is; if the job fails or is canceled, that there is no copy"},
			{"alter table t alter column u type text using random()", "ALTER TABLE   ->  wait for the transactions that use t; who comes later waits until the next commit " +
				"  ->  t is out of use all the while. The new values of column u depend on more than the row: on a function that a user made, a sequence or chance. " +
				"  ->  read all rows of t: write them anew   ->  commit the new definitions"},
			{"alter table t drop constraint t_pkey", "ALTER TABLE   ->  publish a second copy of the rows, of which writers only remove entries; t is in use all the while " +
				"  ->  when no transaction is older than that, job: read all rows of t in chunks, and give the rows a hidden key " +
				"  ->  when no transaction is older than that: publish it again, and all writers keep it up " +
				"  ->  when no transaction is older than that, job: read all rows of t in chunks, convert and check each, and write it anew " +
				"  ->  wait for the transactions that use t; who comes later waits until the copy is the table " +
				"  ->  publish that it is; if the job fails or is canceled, that there is no copy"},
			{"alter table t add foreign key (k) references p", "ALTER TABLE   ->  wait for the transactions that use t, p; who comes later waits until the next commit " +
				"  ->  commit the constraint, NOT VALID: from here on all writers keep it, and the table is in use " +
				"  ->  job: read all rows of t in chunks, and check each " +
				"  ->  publish that the constraint holds; if a row breaks it, or the job is canceled, it is taken back"},
			{"drop table p", "DROP TABLE   ->  wait for the transactions that use p; who comes later waits until the next commit " +
				"  ->  read and write no rows   ->  commit the new definitions"},
			{"create index on t (nix)", "column \"nix\" does not exist"},
			{"select 1", "explaining this statement is not supported"},
		} {
			if got := strings.TrimSuffix(lines(c.stmt), fmt.Sprintf(" SELECT %d", 1+strings.Count(c.want, "->"))); got != c.want {
				t.Errorf("%s:\n%s\nwant\n%s", c.stmt, got, c.want)
			}
		}
		mustShow(t, a, "select count(*) from pg_class where relname = 't_k'", "0 SELECT 1") // nothing has happened
		mustShow(t, a, "select count(*) from p", "0 SELECT 1")
		mustShow(t, a, "select version from cairn.descriptors where name = 't'", "1 SELECT 1")
	})
}

func TestConstraintsAreProvenByJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newDDLGateways(t)
		a, b := gs.nodes[0].session(t), gs.nodes[1].session(t)
		fillTable(t, a, 2000)
		mustShow(t, a, "create table p (id int primary key)", "CREATE TABLE")
		mustShow(t, a, "insert into p select g from generate_series(0, 49) g", "INSERT 0 50")
		for _, c := range []struct{ stmt, bad, good, code, message string }{
			{"alter table t add constraint small check (k < 50)", "update t set k = 50 where id = 1500", "update t set k = 1 where id = 1500",
				"23514", `check constraint "small" of relation "t" is violated by some row`},
			{"alter table t alter column u set not null", "update t set u = null where id = 1999", "update t set u = 1999 where id = 1999",
				"23502", `column "u" of relation "t" contains null values`},
			{"alter table t add constraint to_p foreign key (k) references p", "update t set k = -1 where id = 1000", "update t set k = 7 where id = 1000",
				"23503", `insert or update on table "t" violates foreign key constraint "to_p"`},
		} {
			mustRun(t, b, c.bad)
			_, err := query(t, a, c.stmt)
			if e := sqlerr.From(err); err == nil || string(e.Code) != c.code || e.Message != c.message {
				t.Fatalf("%s: %v", c.stmt, err)
			}
			mustRun(t, b, c.bad) // it is not there
			mustRun(t, b, c.good)
			mustRun(t, a, c.stmt)
			wantError(t, b, c.bad, sqlerr.Code(c.code))
		}
		mustShow(t, b, "select conname, convalidated from pg_constraint where conrelid = 't'::regclass order by 1", "small|t t_pkey|t to_p|t SELECT 3")
		mustShow(t, b, "select attnotnull from pg_attribute where attrelid = 't'::regclass and attname = 'u'", "t SELECT 1")
		wantError(t, b, "delete from p where id = 7", "23503")
		mustShow(t, b, "select job_type, status, count(*) from cairn.jobs group by 1, 2 order by 2",
			"VALIDATE CONSTRAINT|failed|3 VALIDATE CONSTRAINT|succeeded|3 SELECT 2")

		mustRun(t, a, "alter table t add constraint odd check (id <> 1234) not valid")
		wantError(t, a, "alter table t validate constraint odd", "23514")
		mustShow(t, b, "select convalidated from pg_constraint where conname = 'odd'", "f SELECT 1")
		mustShow(t, b, "delete from t where id = 1234", "DELETE 1")
		mustRun(t, a, "alter table t validate constraint odd")
		mustShow(t, b, "select convalidated from pg_constraint where conname = 'odd'", "t SELECT 1")
	})
}

// TestConstraintsHoldAfterLoadAndKills adds constraints while sessions write rows
// that break them, as long as they may, and the node that looks at the rows dies:
// in the end there is the constraint and no such row, or no constraint.
func TestConstraintsHoldAfterLoadAndKills(t *testing.T) {
	for seed := range seedCount(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { proveUnderLoad(t, uint64(seed)) })
		})
	}
}

func proveUnderLoad(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 12))
	gs := newDDLGateways(t)
	builder := gs.nodes[0]
	a := builder.session(t)
	const n = 1500
	fillTable(t, a, n)
	mustShow(t, a, "create table p (id int primary key)", "CREATE TABLE")
	mustShow(t, a, "insert into p select g from generate_series(0, 49) g", "INSERT 0 50")
	c := []struct{ stmt, bad, left, name string }{
		{"alter table t add constraint c check (k < 50)", "update t set k = 50 where id = %d", "select count(*) from t where k >= 50", "c"},
		{"alter table t alter column k set not null", "update t set k = null where id = %d", "select count(*) from t where k is null", ""},
		{"alter table t add constraint c foreign key (k) references p", "update t set k = 77 where id = %d",
			"select count(*) from t left join p on p.id = t.k where p.id is null and t.k is not null", "c"},
	}[rng.IntN(3)]
	for _, g := range gs.nodes {
		g.delayMax.Store(int64(4 * time.Millisecond))
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	repair := rng.IntN(2) == 0
	for w := range 6 {
		g, rng := gs.nodes[w%3], rand.New(rand.NewPCG(seed, uint64(100+w)))
		s := g.session(t)
		wg.Go(func() {
			for ctx.Err() == nil && !g.dead.Load() {
				q := fmt.Sprintf(c.bad, 1+rng.IntN(n))
				if repair || rng.IntN(3) > 0 { // most seeds break nothing for long
					q = fmt.Sprintf("begin; %s; select 1; update t set k = 3 where id = %d; commit", q, 1+rng.IntN(n))
					if repair {
						q = fmt.Sprintf("update t set k = %d where id = %d", rng.IntN(50), 1+rng.IntN(n))
					}
				}
				if s.ExecSimple(ctx, q, &textWriter{s: s}) != nil && s.TxnStatus() != TxnIdle {
					_ = s.ExecSimple(ctx, "rollback", &textWriter{s: s})
				}
				time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
			}
		})
	}
	if rng.IntN(3) > 0 {
		builder.killAt.Store(builder.sent.Load() + 1 + rng.Int64N(150))
	}
	_, err := query(t, a, c.stmt)
	recs := awaitJobs(t, gs.nodes[1])
	time.Sleep(300 * time.Millisecond)
	stop()
	wg.Wait()
	checkTable(t, gs.nodes[1], "t") // and the node has the latest catalog, of which a dead one did not tell it
	b := gs.nodes[1].session(t)
	there := "select count(*) from pg_constraint where conname = 'c' and convalidated"
	none := "select count(*) from pg_constraint where conname = 'c'"
	if c.name == "" {
		there = "select count(*) from pg_attribute where attrelid = 't'::regclass and attname = 'k' and attnotnull"
		none = "select count(*) from pg_constraint where conname like '%not_null'"
	}
	left, _ := query(t, b, c.left)
	proven, _ := query(t, b, there)
	t.Logf("%s: %v; killed %v; proven %s, rows that break it %s", c.stmt, err, builder.dead.Load(), proven, left)
	for _, r := range recs {
		t.Logf("job %+v", r)
	}
	switch proven {
	case "1 SELECT 1":
		if left != "0 SELECT 1" {
			t.Error("rows break a constraint that is there")
		}
	default:
		if err == nil {
			t.Error("the statement succeeded without effect")
		}
		mustShow(t, b, none, "0 SELECT 1")
	}
}

// awaitJobs waits until no job is left to do and returns all.
func awaitJobs(t *testing.T, g *gateway) []*jobs.Record {
	for {
		recs, err := g.srv.jobs.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		open := 0
		for _, r := range recs {
			if !r.State.Ended() {
				open++
			}
		}
		if open == 0 {
			return recs
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// oneChange changes some rows, so that u stays unique: a row's u is its id, or
// its id and 100000 times a number.
func oneChange(ctx context.Context, t *testing.T, s *Session, rng *rand.Rand, n int) bool {
	id := 1 + rng.IntN(n+n/4)
	if rng.IntN(2) == 0 { // some rows are changed by everybody
		id = 1 + rng.IntN(25)
	}
	var q string
	if rng.IntN(4) == 0 { // a transaction that uses the table for a while before it writes
		if s.ExecSimple(ctx, fmt.Sprintf("begin; select k from t where id = %d", id), &textWriter{s: s}) != nil {
			return false
		}
		time.Sleep(time.Duration(rng.IntN(120)) * time.Millisecond)
	}
	switch rng.IntN(8) {
	case 0, 1:
		q = fmt.Sprintf("insert into t values (%d, %d, %d, 'new') on conflict do nothing", id, rng.IntN(50), id)
	case 2:
		q = fmt.Sprintf("delete from t where id = %d", id)
	case 3:
		q = fmt.Sprintf("update t set u = id + 100000 * %d where id between %d and %d", rng.IntN(5), id, id+5)
	case 4:
		q = fmt.Sprintf("update t set s = 'v%d' where id = %d", rng.IntN(9), id)
	case 5:
		q = fmt.Sprintf("begin; update t set k = k + 1 where id = %d; delete from t where id = %d; "+
			"insert into t values (%d, %d, %d, 'again') on conflict (id) do update set k = excluded.k; commit", id, id+1, id+1, rng.IntN(50), id+1)
	case 6:
		q = fmt.Sprintf("begin; update t set k = %d where id = %d; update t set u = null where id = %d; rollback", rng.IntN(50), id, id+1)
	default:
		q = fmt.Sprintf("update t set k = %d where k = %d and id < %d", rng.IntN(50), rng.IntN(50), id)
	}
	if s.TxnStatus() == TxnOpen {
		q = strings.TrimPrefix(q, "begin; ")
		if !strings.Contains(q, "commit") && !strings.Contains(q, "rollback") {
			q += "; commit"
		}
	}
	w := &textWriter{s: s}
	err := s.ExecSimple(ctx, q, w)
	if err != nil && s.TxnStatus() != TxnIdle {
		_ = s.ExecSimple(ctx, "rollback", &textWriter{s: s})
	}
	if e := sqlerr.From(err); err != nil && ctx.Err() == nil && !strings.HasPrefix(string(e.Code), "40") && !strings.HasPrefix(string(e.Code), "08") &&
		!strings.HasPrefix(string(e.Code), "58") {
		t.Logf("%s: %v", q, err)
	}
	return err == nil
}
