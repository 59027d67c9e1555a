package sql

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// The matrix: every change that a job makes, on a table that sessions on three
// gateways write and read all the while, with a failure of the job at every point
// between two of its steps or chunks.
//
//	fail once     the job goes on, and the change is made
//	fail for good the job goes back, and everything is as it was
//	die           the node of the job does; another goes on, and the change is made
//
// A second table, which nobody changes, gets the same rows in the same transactions.
// So it is known at any time what every statement must see: whatever a change does to
// the table, the two have the same rows.

// matrixChanges are changes of the table of matrixTables.
var matrixChanges = []string{
	"alter table t alter column s type varchar(40)",
	"alter table t alter column k type text",
	"alter table t alter column u type numeric using u * 1.0",
	"alter table t alter column id type numeric, alter column e type bigint using e * 2",
	"alter table t drop constraint t_pkey, add primary key (u, id)",
	"alter table t drop constraint t_pkey, add constraint t_key primary key (u)",
	"alter table h add primary key (id)",
	"alter table t drop constraint t_pkey",
	"alter table t alter column s type mood using s::mood",
	"alter table f alter column k type smallint, drop constraint f_pkey",
	"alter table p alter column id type numeric",
	"create index t_s on t (s, k)",
	"create unique index t_e on t (id, (k / 2)) where k > 20",
	"alter table t add constraint t_id_key unique (id)",
	"alter table t add column n bigserial",
	"alter table t add column n text generated always as (s || u::text) stored",
	"alter table t add constraint c check (k < 1000)",
	"alter table t alter column k set not null",
	"alter table t add foreign key (k) references p",
}

const matrixTables = "create table p (id int primary key); insert into p select generate_series(0, 1200); " +
	"create table t (id int primary key, k int, u int not null, s text, e int default 5); " +
	"insert into t select g, g % 50, g, 'x' from generate_series(1, 1400) g; " +
	"create index t_k on t (k desc) include (s); create unique index t_u on t (u); create index t_e2 on t ((u + 1)) where id > 10; " +
	"create type mood as enum ('w', 'x', 'new', 'v0', 'v1', 'v2', 'v3', 'v4', 'v5', 'v6', 'v7', 'v8'); " +
	"create table f (id int primary key, k int references p, u int not null unique, s text, e int default 5); insert into f select * from t; " +
	"create table h as select * from t; create index h_id on h (id); " +
	"create table m (id int primary key, k int, u int, s text); insert into m select id, k, u, s from t"

// With CAIRN_TEST_SEEDS=n: n rounds of every change with every failure, else one round
// with some.
func TestChangesUnderLoadWithFailures(t *testing.T) {
	for i, change := range matrixChanges {
		run := func(f failure) (points int) {
			t.Run(fmt.Sprintf("%d/%d/%d/%v/%v", i, f.seed, f.at, f.forGood, f.dies), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { points = changeUnderLoad(t, change, f) })
			})
			return points
		}
		rounds := seedCount(0)
		if rounds == 0 {
			if strings.HasPrefix(change, "alter") || i%2 == 0 {
				run(failure{at: 1 + i*3%10, forGood: true, seed: uint64(i)})
			}
			if i < 6 || i%2 == 1 {
				run(failure{at: 1 + i*5%9, seed: uint64(i)})
			}
			run(failure{at: 1 + i*7%11, dies: true, seed: uint64(i)})
		}
		for round := range rounds {
			points := run(failure{seed: uint64(round*100 + i)})
			for p := 1; p <= points; p++ {
				run(failure{at: p, seed: uint64(round*100 + i)})
				run(failure{at: p, forGood: true, seed: uint64(round*100 + i)})
				run(failure{at: p, dies: true, seed: uint64(round*100 + i)})
			}
		}
	}
}

// failure is what goes wrong with a job: at which of its points, counted from 1.
type failure struct {
	at      int
	forGood bool
	// dies: with the point, the node does that the job runs on and its statement.
	dies bool
	seed uint64
}

var errInjected = errors.New("injected")

// changeUnderLoad makes a change and returns how many points its job has.
func changeUnderLoad(t *testing.T, change string, f failure) int {
	untilRowIDs()
	gs := newDDLGateways(t)
	a, b := gs.nodes[0].session(t), gs.nodes[1].session(t)
	mustRun(t, a, matrixTables)
	table := strings.Fields(change)[2]
	if strings.HasPrefix(change, "create") {
		table = "t"
	}
	var points atomic.Int64
	for _, g := range gs.nodes {
		g.delayMax.Store(int64(3 * time.Millisecond))
		g.srv.jobFault = func(r *jobs.Record) error {
			switch n := int(points.Add(1)); {
			case f.at == 0 || n < f.at:
			case f.dies && n == f.at:
				g.dead.Store(true)
				return errors.New("the node is dead")
			case f.forGood && r.State == jobs.Running:
				return sqlerr.New(sqlerr.InternalError, "injected")
			case n == f.at, f.forGood && n == f.at+1: // and once more on the way back
				return errInjected
			}
			return nil
		}
	}
	before := definition(t, b, table)
	changed := table
	if table == "p" { // to which the other refers
		table = "f"
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var written, read atomic.Int64
	for w := range 6 {
		g, rng := gs.nodes[w%3], rand.New(rand.NewPCG(f.seed, uint64(w)))
		if f.dies {
			g = gs.nodes[1+w%2]
		}
		s := g.session(t)
		wg.Go(func() {
			for ctx.Err() == nil {
				think := 20
				switch {
				case w >= 3:
					think = 80
					compareMirror(ctx, t, s, table, &read)
				case writeBoth(ctx, t, s, rng, table):
					written.Add(1)
				}
				if gs.nodes[0].dead.Load() { // until it is known to be takes half a minute
					think *= 20
				}
				time.Sleep(time.Duration(rng.IntN(think)) * time.Millisecond)
			}
		})
	}
	time.Sleep(30 * time.Millisecond)
	_, err := query(t, a, change)
	if gs.nodes[0].dead.Load() {
		err = nil
		for _, r := range awaitJobs(t, gs.nodes[1]) {
			if r.State != jobs.Succeeded {
				t.Errorf("job %+v", r)
			}
		}
	}
	time.Sleep(100 * time.Millisecond)
	stop()
	wg.Wait()
	t.Logf("%s: %v; failed at %d of %d, for good %v; %d transactions wrote, %d read", change, err, f.at, points.Load(), f.forGood, written.Load(), read.Load())
	after := definition(t, b, changed)
	failed := f.forGood && int(points.Load()) >= f.at
	switch {
	case !failed && (err != nil || after == before):
		t.Errorf("%s: %v\n%s", change, err, after)
	case failed && (!sqlerr.HasCode(err, sqlerr.InternalError) || after != before):
		t.Errorf("%s: %v\n%s\nwas\n%s", change, err, after, before)
	}
	checkTable(t, gs.nodes[2], changed)
	checkTable(t, gs.nodes[2], table)
	if !compareMirror(t.Context(), t, b, table, &read) {
		t.Error("the tables cannot be compared")
	}
	if written.Load() < 3 || read.Load() < 2 {
		t.Error("there was no load")
	}
	return int(points.Load())
}

// definition is all that the catalog shows of a table.
func definition(t *testing.T, s *Session, table string) string {
	t.Helper()
	out, err := query(t, s, fmt.Sprintf("select attname, atttypid::regtype, atttypmod, attnotnull, attnum from pg_attribute where attrelid = '%[1]s'::regclass order by attnum; "+
		"select indexdef from pg_indexes where tablename = '%[1]s' order by 1; "+
		"select conname, convalidated, pg_get_constraintdef(oid) from pg_constraint where conrelid = '%[1]s'::regclass order by 1; "+
		"select relname from pg_class where relkind = 'S'", table))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// writeBoth changes the table and its mirror in one transaction.
func writeBoth(ctx context.Context, t *testing.T, s *Session, rng *rand.Rand, table string) bool {
	id := 1 + rng.IntN(1500)
	if rng.IntN(3) == 0 { // some rows are changed by everybody
		id = 1 + rng.IntN(20)
	}
	q := []string{
		fmt.Sprintf("insert into %%[1]s (id, k, u, s) values ('%d', '%d', '%d', 'new')", id, rng.IntN(50), id),
		fmt.Sprintf("delete from %%[1]s where id = '%d'", id),
		fmt.Sprintf("update %%[1]s set k = '%d' where id = '%d'", rng.IntN(50), id),
		fmt.Sprintf("update %%[1]s set s = 'v%d' where id = '%d'", rng.IntN(9), id),
		fmt.Sprintf("update %%[1]s set u = '%d' where id = '%d'", id+2000*rng.IntN(3), id),
		fmt.Sprintf("update %%[1]s set id = '%d', u = '%[1]d' where id = '%d'", id+5000, id),
		fmt.Sprintf("update %%[1]s set id = '%d', u = '%[1]d' where id = '%d'", id, id+5000),
		fmt.Sprintf("update %%[1]s set id = '%d' where id = '%d'", id+5000, id),
		fmt.Sprintf("update %%[1]s set id = '%d' where id = '%d'", id, id+5000),
	}[rng.IntN(9)]
	if strings.HasPrefix(q, "insert") && table == "h" { // which has no key yet
		q = fmt.Sprintf("update %%[1]s set s = 'w' where id = '%d'", id)
	}
	if table == "h" && strings.Contains(q, "set id") {
		q = fmt.Sprintf("update %%[1]s set s = null where id = '%d'", id)
	}
	err := s.ExecSimple(ctx, "begin; "+fmt.Sprintf(q, table)+"; "+fmt.Sprintf(q, "m")+"; commit", &textWriter{s: s})
	if err != nil && s.TxnStatus() != TxnIdle {
		_ = s.ExecSimple(ctx, "rollback", &textWriter{s: s})
	}
	if err == nil || ctx.Err() != nil {
		return err == nil
	}
	if c := sqlerr.From(err).Code; c != sqlerr.UniqueViolation && c[:2] != "40" {
		t.Errorf("%s: %v", q, err)
	}
	return false
}

// compareMirror reads the table and its mirror at one time.
func compareMirror(ctx context.Context, t *testing.T, s *Session, table string, read *atomic.Int64) bool {
	w := &textWriter{s: s}
	err := s.ExecSimple(ctx, fmt.Sprintf("select m.id, m.k, m.u, m.s, t.* from m full join %s t on t.id::text = m.id::text "+
		"where t.k::text is distinct from m.k::text or t.u::int is distinct from m.u or t.s::text is distinct from m.s or (t.id is null) <> (m.id is null) limit 3", table), w)
	switch c := sqlerr.From(err); {
	case err == nil && strings.TrimSpace(w.out.String()) != "SELECT 0":
		t.Errorf("the tables differ: %s", w.out.String())
	case err == nil:
		read.Add(1)
		return true
	case ctx.Err() == nil && c.Code[:2] != "40":
		t.Errorf("comparing: %v", err)
	}
	return false
}
