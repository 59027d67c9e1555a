package sql

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// filledColumns are columns that a job fills, each with a query that finds rows
// without the right value.
var filledColumns = []struct{ def, wrong string }{
	{"n bigserial", "select count(*) - count(distinct n) from t"},
	{"n uuid not null default gen_random_uuid()", "select count(*) - count(distinct n) from t"},
	{"n int generated always as identity", "select count(*) - count(distinct n) from t"},
	{"n text generated always as (s || u::text) stored", "select count(*) from t where n is distinct from s || u::text"},
	{"n double precision default random()", "select count(*) from t where n is null"},
}

func TestAColumnIsFilledByAJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newDDLGateways(t)
		a, b := gs.nodes[0].session(t), gs.nodes[1].session(t)
		fillTable(t, a, 1500)
		mustRun(t, a, "alter table t add column kept int default 7") // rows hold nothing of it
		mustRun(t, a, "create sequence q")
		for _, c := range filledColumns {
			mustRun(t, a, "alter table t add column "+c.def)
			mustShow(t, b, c.wrong, "0 SELECT 1")
			mustShow(t, b, "insert into t (id, k, u, s) values (0, 0, 0, 'x'); update t set s = 'z' where id < 3", "INSERT 0 1 UPDATE 3")
			mustShow(t, b, c.wrong+"; delete from t where id = 0", "0 SELECT 1 DELETE 1")
			mustRun(t, a, "create index t_n on t (n)")
			checkTable(t, gs.nodes[1], "t")
			mustShow(t, a, "alter table t drop column n", "ALTER TABLE")
		}
		mustRun(t, a, "alter table t add column n int default nextval('q')")
		mustShow(t, b, "select count(distinct n), sum(kept) from t", "1500|10500 SELECT 1")
		mustRun(t, a, "alter table t drop column n")
		mustShow(t, b, "select job_type, status, count(*) from cairn.jobs where job_type <> 'CREATE INDEX' group by 1, 2",
			"ADD COLUMN|succeeded|6 SELECT 1")

		// What differs for no row, or is refused, is as without a job.
		mustRun(t, a, "alter table t add column at timestamptz default now()")
		wantError(t, a, "alter table t add column at serial", sqlerr.DuplicateColumn)
		mustRun(t, a, "alter table t add column if not exists at serial")
		wantError(t, a, "alter table t add column x int generated always as (nothing + 1) stored", sqlerr.UndefinedColumn)
		mustShow(t, b, "select count(*) from cairn.jobs where job_type = 'ADD COLUMN'", "6 SELECT 1")
	})
}

func TestAColumnThatCannotBeFilledIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newDDLGateways(t)
		a, b := gs.nodes[0].session(t), gs.nodes[1].session(t)
		fillTable(t, a, 1500)
		before := "id,k,u,s"
		columns := "select string_agg(attname, ',' order by attnum) from pg_attribute where attrelid = 't'::regclass and attnum > 0"
		for _, c := range []struct {
			def  string
			code sqlerr.Code
		}{
			{"n int generated always as (1 / (id - 1400)) stored", sqlerr.DivisionByZero},
			{"n int not null default nullif(floor(random() * 20), 3)", sqlerr.NotNullViolation},
			{"n smallint generated always as identity (maxvalue 1000)", "2200H"},
		} {
			wantError(t, a, "alter table t add column "+c.def, c.code)
			mustShow(t, b, columns, before+" SELECT 1")
			mustShow(t, b, "select count(*) from pg_class where relkind = 'S'", "0 SELECT 1")
			mustShow(t, b, "update t set k = 1 where id = 1400", "UPDATE 1")
		}
		mustRun(t, a, "alter table t add column n serial")
		mustShow(t, b, "select status, count(*) from cairn.jobs group by 1 order by 1", "failed|3 succeeded|1 SELECT 2")
	})
}

// While the column is filled nobody sees it, and it can be canceled.
func TestAColumnThatIsFilledIsHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newDDLGateways(t)
		a, b, c := gs.nodes[0].session(t), gs.nodes[1].session(t), gs.nodes[2].session(t)
		fillTable(t, a, 1500)
		begin := func() { // a transaction that uses the table keeps the job from going on
			mustShow(t, c, "begin", "BEGIN")
			mustShow(t, c, "select count(*) from t where id = 1", "1 SELECT 1")
		}
		begin()
		done := make(chan error, 1)
		run := func(q string) { go func() { _, err := query(t, a, q); done <- err }() }
		run("alter table t add column n serial")
		id := atPhase(t, gs.nodes[1], 1).ID
		mustShow(t, b, "select running_status from cairn.jobs", "waiting until all nodes fill the column SELECT 1")
		wantError(t, b, "select n from t", sqlerr.UndefinedColumn)
		wantError(t, b, "insert into t (id, n) values (-1, 1)", sqlerr.UndefinedColumn)
		wantError(t, b, "alter table t add column n int", sqlerr.DuplicateColumn)
		wantError(t, b, "alter table t rename column k to n", sqlerr.DuplicateColumn)
		mustShow(t, b, "insert into t values (-1, 1, 1, 'x') returning *", "-1|1|1|x INSERT 0 1")
		mustShow(t, b, "update t set s = 'y' where id = 5 returning *", "5|5|5|y UPDATE 1")
		mustShow(t, b, "insert into t values (6, 1, 1, 'x') on conflict (id) do update set s = excluded.s returning *", "6|6|6|x INSERT 0 1")
		mustShow(t, b, fmt.Sprintf("select cairn.cancel_job(%d)", id), "t SELECT 1")
		mustShow(t, c, "commit", "COMMIT")
		if err := <-done; sqlerr.From(err).Code != sqlerr.QueryCanceled {
			t.Errorf("canceled: %v", err)
		}
		mustShow(t, b, "select count(*) from pg_class where relkind = 'S'", "0 SELECT 1")

		begin()
		run("alter table t add column n serial")
		id = atPhase(t, gs.nodes[1], 1).ID
		mustShow(t, b, fmt.Sprintf("select cairn.pause_job(%d)", id), "t SELECT 1")
		mustShow(t, c, "commit", "COMMIT")
		if err := <-done; sqlerr.From(err).Code != sqlerr.ObjectNotInPrerequisiteState {
			t.Errorf("paused: %v", err)
		}
		_, err := query(t, b, "alter table t alter column k type text")
		if e := sqlerr.From(err); e.Code != sqlerr.ObjectInUse || !strings.Contains(e.Hint, fmt.Sprintf("cairn.resume_job(%d)", id)) {
			t.Errorf("a change that waits for a paused job: %+v", e)
		}
		mustShow(t, b, "truncate t; insert into t select g, 1, g from generate_series(1, 10) g", "TRUNCATE TABLE INSERT 0 10")
		mustShow(t, b, fmt.Sprintf("select cairn.resume_job(%d)", id), "t SELECT 1")
		if r, err := gs.nodes[2].srv.jobs.Wait(t.Context(), id); err != nil || r.State != jobs.Succeeded {
			t.Errorf("resumed: %+v, %v", r, err)
		}
		mustShow(t, b, "select count(distinct n) from t", "10 SELECT 1")
	})
}

// TestColumnsAreFilledUnderLoadAndKills adds columns while sessions on three gateways
// write, and the node that fills them dies. In the end every row has its value, or
// there is no column.
func TestColumnsAreFilledUnderLoadAndKills(t *testing.T) {
	for seed := range seedCount(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { fillUnderLoad(t, uint64(seed)) })
		})
	}
}

func fillUnderLoad(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 14))
	gs := newDDLGateways(t)
	builder := gs.nodes[0]
	a := builder.session(t)
	const n = 1500
	fillTable(t, a, n)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 6 {
		g, rng := gs.nodes[w%3], rand.New(rand.NewPCG(seed, uint64(100+w)))
		s := g.session(t)
		wg.Go(func() {
			for ctx.Err() == nil && !g.dead.Load() {
				oneChange(ctx, t, s, rng, n)
				think := 10
				if builder.dead.Load() {
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
	if seed%4 != 0 {
		builder.killAt.Store(builder.sent.Load() + 1 + rng.Int64N(250))
	}
	c := filledColumns[rng.IntN(len(filledColumns))]
	_, err := query(t, a, "alter table t add column "+c.def)
	if err != nil && !builder.dead.Load() {
		t.Errorf("%s: %v", c.def, err)
	}
	recs := awaitJobs(t, gs.nodes[1])
	time.Sleep(300 * time.Millisecond)
	stop()
	wg.Wait()
	rows := checkTable(t, gs.nodes[1], "t")
	t.Logf("%s: %d rows, killed %v, %d jobs", c.def, rows, builder.dead.Load(), len(recs))
	b := gs.nodes[1].session(t)
	if len(recs) == 0 { // killed before it began
		wantError(t, b, "select n from t", sqlerr.UndefinedColumn)
		return
	}
	if recs[0].State != jobs.Succeeded {
		t.Errorf("job %+v", recs[0])
	}
	if got, err := query(t, b, c.wrong); err != nil || !strings.HasPrefix(got, "0 ") {
		t.Errorf("rows without their value: %s, %v", got, err)
	}
}
