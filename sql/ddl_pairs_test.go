package sql

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// The pairs: any two changes of one table at once, through two gateways, while sessions
// on all three write and read it, and something goes wrong with the first of them:
//
//	none           nothing does
//	fail once      its job fails at a point between two steps, and goes on
//	fail for good  its job fails there, and goes back
//	die            its node does, with some batch
//	pause          its node stops with some batch, for longer than what it had read of the
//	               catalog was good for, and then goes on as if nothing had been
//
// What must hold, besides what holds in the matrix of single changes (the table and its
// mirror are the same at any time, and so are rows and indexes in the end):
//
//   - the table's definition in the end is what one of the changes after the other makes
//     of it, those that said that they succeeded and no others. It is found by running
//     them one after the other on a small table, whose rows no job looks at;
//   - a change is told of no other error than it is in one of the two orders, or that it
//     met another;
//   - a statement is told of a missing table or column only if a change takes one away;
//   - every constraint that says that it holds does.

// pairChanges are changes of the table of pairTables. Those of several statements are
// one transaction.
var pairChanges = []string{
	"create index t_s on t (s, k)",
	"create index t_p on t ((k + 1)) where k < 40",
	"create unique index t_uk on t (u, k)",
	"drop index t_k",
	"alter index t_k rename to t_kk",
	"alter table t add unique (u)",
	"alter table t add column n bigserial",
	"alter table t add column n int generated always as (k + u) stored",
	"alter table t add column n int not null default 5",
	"alter table t drop column k",
	"alter table t drop column e",
	"alter table t rename column k to kk",
	"alter table t alter column k set not null",
	"alter table t alter column u drop not null",
	"alter table t alter column e set default 6",
	"alter table t alter column k type bigint",
	"alter table t alter column k type text",
	"alter table t alter column s type varchar(40)",
	"alter table t alter column u type numeric using u * 1.0",
	"alter table t drop constraint t_pkey",
	"alter table t drop constraint t_pkey, add primary key (u, id)",
	"alter table t add check (k < 1000)",
	"alter table t validate constraint nv",
	"alter table t drop constraint nv",
	"alter table t add foreign key (k) references p",
	"create table r (id int primary key, u int references t (u))",
	"create view v as select id, s from t",
	"alter table t rename to t2",
	"alter table t set schema other",
	"truncate t, m",
	"drop table t",
	"drop table t; create table t as select id, k, u, s from m",
	"begin; alter table t add column n int; create index t_n on t (n, k); update t set n = id where id < 10; commit",
	"grant select on t to app",
	"comment on column t.k is 'of the row'",
}

const pairTables = "create role app; create schema other; create table p (id int primary key); insert into p select generate_series(0, 60); " +
	"create table t (id int primary key, k int, u int not null, s text, e int default 5, constraint c0 check (k <> 999)); " +
	"insert into t select g, g %% 50, g, 'x' from generate_series(1, %d) g; " +
	"create index t_k on t (k desc) include (s); create unique index t_u on t (u); create index t_e2 on t ((e + 1)) where id > 10; " +
	"alter table t add constraint nv check (k < 500) not valid; " +
	"create table m (id int primary key, k int, u int, s text); insert into m select id, k, u, s from t"

// takesAway reports whether whoever uses the table may find it, or a column, gone.
func takesAway(change string) bool {
	return strings.Contains(change, "drop column") || strings.Contains(change, "drop table") || strings.Contains(change, "rename to t2") ||
		strings.Contains(change, "rename column") || strings.Contains(change, "set schema")
}

// pairFault is what goes wrong with the first change of a pair.
type pairFault int

const (
	faultNone pairFault = iota
	faultOnce
	faultForGood
	faultDies
	faultPauses
	pairFaults
)

// With CAIRN_TEST_SEEDS=n: n rounds of all pairs, each with every fault, which take half an
// hour. Else each change with some others and a fault each.
func TestPairsOfChanges(t *testing.T) {
	n := len(pairChanges)
	run := func(i int, f pairFault, seed uint64) {
		t.Run(fmt.Sprintf("%d/%d/%d", i, f, seed), func(t *testing.T) {
			pairUnderLoad(t, pairChanges[i/n], pairChanges[i%n], f, seed)
		})
	}
	rounds := seedCount(0)
	if rounds == 0 {
		for i, p := range pairsFound {
			t.Run(fmt.Sprintf("found/%d", i), func(t *testing.T) { pairUnderLoad(t, p.first, p.second, p.fault, p.seed) })
		}
		for i, k := 0, 0; i < n*n; i, k = i+pairStride, k+1 {
			run(i, pairFault(k)%pairFaults, uint64(i))
		}
	}
	part, parts := seedPart()
	for round := range rounds {
		for i := part; i < n*n; i += parts {
			for f := range pairFaults {
				run(i, f, uint64(round*10_000+i))
			}
		}
	}
}

// pairsFound are those that were wrong once.
var pairsFound = []struct {
	first, second string
	fault         pairFault
	seed          uint64
}{
	// The job that filled the column knew nothing of the copy, from which rows with another value were not deleted.
	{"alter table t add column n bigserial", "alter table t drop constraint t_pkey, add primary key (u, id)", faultNone, 230},
	// The copy lost the constraint of an index that was ready meanwhile.
	{"alter table t add unique (u)", "alter table t alter column u type numeric using u * 1.0", faultNone, 193},
	// The job of the second proved the constraint of the first.
	{"alter table t add foreign key (k) references p", "alter table t add check (k < 1000)", faultNone, 861},
	// What came while the table was being taken out of use was not looked for.
	{"alter table t add foreign key (k) references p", "drop table t; create table t as select id, k, u, s from m", faultNone, 871},
	{"create table r (id int primary key, u int references t (u))", "drop table t", faultNone, 905},
	// Another table had the name already.
	{"create index t_p on t ((k + 1)) where k < 40", "drop table t; create table t as select id, k, u, s from m", faultForGood, 66},
	// The view kept the type that the column had.
	{"alter table t alter column s type varchar(40)", "create view v as select id, s from t", faultNone, 621},
	// The copy made public an index that was still built, so that the job could not take it back.
	{"create index t_s on t (s, k)", "alter table t drop constraint t_pkey, add primary key (u, id)", faultForGood, 20},
	// The index was gone, or had another number, when the table was out of use.
	{"alter table t drop column k", "drop index t_k", faultNone, 318},
	// The table that came to refer to it was not in the older catalog of the second.
	{"create table r (id int primary key, u int references t (u))", "truncate t, m", faultNone, 904},
	{"create table r (id int primary key, u int references t (u))",
		"begin; alter table t add column n int; create index t_n on t (n, k); update t set n = id where id < 10; commit", faultNone, 907},
	// The table was still found by the name that it had, and the key was named for the other.
	{"alter table t rename to t2", "alter table t drop constraint t_pkey, add primary key (u, id)", faultOnce, 965},
	// Both made up the same name for what stands for NOT NULL until it is proven.
	{"alter table t alter column k set not null", "alter table t alter column k set not null", faultOnce, 432},
}

// seedPart is which of how many parts of a long test are to run: CAIRN_TEST_PART=2/8.
func seedPart() (part, parts int) {
	if _, err := fmt.Sscanf(os.Getenv("CAIRN_TEST_PART"), "%d/%d", &part, &parts); err != nil || part < 0 || parts < 1 {
		return 0, 1
	}
	return part, parts
}

// pairStride takes some of the pairs: it divides neither the number of changes nor that of pairs.
const pairStride = 23

// ending is what has become of a pair of changes.
type ending struct {
	// codes are those of their errors, "" for success.
	codes [2]sqlerr.Code
	// defs is what the catalog shows of all tables.
	defs string
}

// serially are the endings of changes that ran one after the other.
var serially struct {
	sync.Mutex
	endings map[[2]string]ending
}

// inOrder runs changes one after the other, with nothing else at work; "" is none.
func inOrder(t *testing.T, first, second string) ending {
	serially.Lock()
	defer serially.Unlock()
	key := [2]string{first, second}
	if e, ok := serially.endings[key]; ok {
		return e
	}
	var e ending
	synctest.Test(t, func(t *testing.T) {
		untilRowIDs()
		s := newDDLGateways(t).nodes[0].session(t)
		mustRun(t, s, fmt.Sprintf(pairTables, 20))
		for i, change := range key {
			if change == "" {
				continue
			}
			if _, err := query(t, s, change); err != nil {
				e.codes[i] = sqlerr.From(err).Code
				if s.TxnStatus() != TxnIdle {
					mustRun(t, s, "rollback")
				}
			}
		}
		e.defs = definitions(t, s)
	})
	if serially.endings == nil {
		serially.endings = map[[2]string]ending{}
	}
	serially.endings[key] = e
	return e
}

// definitions is all that the catalog shows of the tables that changes may make or change.
func definitions(t *testing.T, s *Session) string {
	t.Helper()
	out, err := query(t, s, `
		select nspname, relname, relkind, attname, atttypid::regtype, atttypmod, attnotnull, pg_get_expr(adbin, adrelid), col_description(c.oid, attnum)
			from pg_class c join pg_namespace n on n.oid = relnamespace left join pg_attribute a on attrelid = c.oid and attnum > 0 and not attisdropped
			left join pg_attrdef on adrelid = c.oid and adnum = attnum
			where nspname in ('public', 'other') order by nspname, relname, attnum;
		select indexrelid::regclass, pg_get_indexdef(indexrelid), indisvalid from pg_index join pg_class c on c.oid = indrelid
			join pg_namespace n on n.oid = relnamespace where nspname in ('public', 'other') order by 1::text;
		select conrelid::regclass, conname, convalidated, pg_get_constraintdef(oid) from pg_constraint order by 1::text, 2;
		select relname, relacl from pg_class where relacl is not null and relnamespace = 'public'::regnamespace order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// possible are the definitions that two changes may leave, of which it is known that they
// succeeded or failed, or neither.
func possible(t *testing.T, a, b string, did [2][]bool) (defs []string) {
	for _, doA := range did[0] {
		for _, doB := range did[1] {
			switch {
			case doA && doB:
				if e := inOrder(t, a, b); e.codes == [2]sqlerr.Code{} {
					defs = append(defs, e.defs)
				}
				if e := inOrder(t, b, a); e.codes == [2]sqlerr.Code{} {
					defs = append(defs, e.defs)
				}
			case doA:
				defs = append(defs, inOrder(t, a, "").defs)
			case doB:
				defs = append(defs, inOrder(t, b, "").defs)
			default:
				defs = append(defs, inOrder(t, "", "").defs)
			}
		}
	}
	return defs
}

func pairUnderLoad(t *testing.T, first, second string, f pairFault, seed uint64) {
	var errs [2]error
	var after string
	synctest.Test(t, func(t *testing.T) { errs, after = runPair(t, first, second, f, seed) })
	if t.Failed() {
		return
	}
	told := [2][]sqlerr.Code{
		{inOrder(t, first, second).codes[0], inOrder(t, second, first).codes[1]},
		{inOrder(t, first, second).codes[1], inOrder(t, second, first).codes[0]},
	}
	var did [2][]bool
	for i, err := range errs {
		if err == nil {
			did[i] = []bool{true}
			continue
		}
		switch code := sqlerr.From(err).Code; {
		case i == 0 && f == faultDies, i == 0 && f == faultPauses && strings.HasPrefix(string(code), "40003"):
			did[i] = []bool{true, false}
			continue
		case (i == 0 || first == second) && f == faultForGood && code == sqlerr.InternalError,
			code == sqlerr.SerializationFailure, code == sqlerr.ObjectInUse,
			code == sqlerr.UndefinedObject && strings.Contains(first+second, "drop"),
			slices.Contains(told[i], code):
		default:
			t.Errorf("change %d: %v, which is neither of %q", i, err, told[i])
		}
		did[i] = []bool{false}
	}
	want := possible(t, first, second, did)
	if !slices.Contains(want, after) {
		t.Errorf("%s: %v\n%s: %v\nlead to\n%s\nand not to\n%s", first, errs[0], second, errs[1], after, strings.Join(want, "\nor\n"))
	}
}

func runPair(t *testing.T, first, second string, f pairFault, seed uint64) (errs [2]error, after string) {
	untilRowIDs()
	rng := rand.New(rand.NewPCG(seed, uint64(f)))
	gs := newDDLGateways(t)
	a, b, c := gs.nodes[0].session(t), gs.nodes[1].session(t), gs.nodes[2].session(t)
	mustRun(t, a, fmt.Sprintf(pairTables, 1200))
	var points atomic.Int64
	at := int64(1 + rng.IntN(8))
	for _, g := range gs.nodes {
		g.delayMax.Store(int64(3 * time.Millisecond))
		g.srv.jobFault = func(r *jobs.Record) error {
			if r.Description != first {
				return nil
			}
			switch n := points.Add(1); {
			case f == faultForGood && n >= at && r.State == jobs.Running:
				return sqlerr.New(sqlerr.InternalError, "injected")
			case f == faultOnce && n == at, f == faultForGood && n == at+1: // and once more on the way back
				return errInjected
			}
			return nil
		}
	}
	gone := takesAway(first) || takesAway(second)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var written, read atomic.Int64
	for w := range 4 {
		g, rng := gs.nodes[w%3], rand.New(rand.NewPCG(seed, uint64(100+w)))
		s := g.session(t)
		wg.Go(func() {
			for ctx.Err() == nil && !g.dead.Load() {
				think := 20
				switch {
				case w%2 == 1:
					think = 80
					comparePair(ctx, t, s, rng, pairLoad{gone, &g.dead}, &read)
				case writePair(ctx, t, s, rng, pairLoad{gone, &g.dead}):
					written.Add(1)
				}
				if gs.nodes[0].dead.Load() || gs.nodes[0].pausedUntil.Load() != 0 { // it takes half a minute
					think *= 20
				}
				time.Sleep(time.Duration(rng.IntN(think)) * time.Millisecond)
			}
		})
	}
	time.Sleep(30 * time.Millisecond)
	switch n := gs.nodes[0].sent.Load() + 1 + rng.Int64N(150); f {
	case faultDies:
		gs.nodes[0].killAt.Store(n)
	case faultPauses:
		gs.nodes[0].pauseAt.Store(n)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, errs[0] = query(t, a, first); errs[0] != nil && a.TxnStatus() != TxnIdle {
			_ = a.ExecSimple(t.Context(), "rollback", &textWriter{s: a})
		}
	}()
	time.Sleep(time.Duration(rng.IntN(120)) * time.Millisecond)
	if _, errs[1] = query(t, b, second); errs[1] != nil && b.TxnStatus() != TxnIdle {
		mustRun(t, b, "rollback")
	}
	<-done
	recs := awaitJobs(t, gs.nodes[1])
	if f == faultPauses { // what it had begun comes in
		time.Sleep(pauseFor)
	}
	time.Sleep(50 * time.Millisecond)
	stop()
	wg.Wait()
	t.Logf("%s: %v; %s: %v; fault %d at %d of %d points, dead %v, paused %v; %d jobs, %d transactions wrote, %d read", first, errs[0], second, errs[1],
		f, at, points.Load(), gs.nodes[0].dead.Load(), gs.nodes[0].pausedUntil.Load() != 0, len(recs), written.Load(), read.Load())
	for _, g := range gs.nodes[1:] {
		if _, err := g.cat.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	checkAll(t, gs.nodes[2], c)
	comparePair(t.Context(), t, c, rng, pairLoad{gone, &gs.nodes[2].dead}, &read)
	if read.Load() == 0 || written.Load() == 0 {
		t.Error("there was no load")
	}
	return errs, definitions(t, c)
}

// checkAll looks at every table, index and constraint.
func checkAll(t *testing.T, g *gateway, s *Session) {
	t.Helper()
	snap, err := g.cat.Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tab := range snap.Tables(100) { // whoever uses a table takes away what a dead node held it by
		mustRun(t, s, fmt.Sprintf("select 1 from %s.%s limit 1", snap.Object(tab.SchemaID).Head().Name, tab.Name))
	}
	if snap, err = g.cat.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tab := range snap.Tables(100) {
		if tab.Change != nil {
			t.Errorf("table %s is held", tab.Name)
		}
		checkTable(t, g, tab.Name)
		name := snap.Object(tab.SchemaID).Head().Name + "." + tab.Name
		for _, c := range tab.Checks {
			if c.NotValid {
				continue
			}
			out, err := query(t, s, fmt.Sprintf("select count(*) from %s where not (%s)", name, c.Expr))
			if err != nil || out != "0 SELECT 1" {
				t.Errorf("constraint %s of %s is broken by %s, %v", c.Name, name, out, err)
			}
		}
		for i := range tab.ForeignKeys {
			fk := &tab.ForeignKeys[i]
			p := snap.Table(fk.Target)
			if p == nil || !slices.Contains(p.ReferencedBy, tab.ID) || p.IndexByOID(fk.TargetIndex) == nil {
				t.Errorf("constraint %s of %s refers to %v", fk.Name, name, p)
				continue
			}
			column, key := tab.ColumnByID(fk.Columns[0]).Name, p.ColumnByID(fk.TargetColumns[0]).Name
			out, err := query(t, s, fmt.Sprintf("select count(*) from %s where %s not in (select %s from %s.%s)", name, column, key, snap.Object(p.SchemaID).Head().Name, p.Name))
			if err != nil || out != "0 SELECT 1" {
				t.Errorf("constraint %s of %s is broken by %s, %v", fk.Name, name, out, err)
			}
		}
		for _, id := range tab.ReferencedBy {
			if snap.Table(id) == nil {
				t.Errorf("table %s is referred to by %d, which is not there", name, id)
			}
		}
	}
}

// writePair changes the table and its mirror in one transaction.
func writePair(ctx context.Context, t *testing.T, s *Session, rng *rand.Rand, l pairLoad) bool {
	id := 1 + rng.IntN(1300)
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
	}[rng.IntN(7)]
	err := s.ExecSimple(ctx, "begin; "+fmt.Sprintf(q, "t")+"; "+fmt.Sprintf(q, "m")+"; commit", &textWriter{s: s})
	if err != nil && s.TxnStatus() != TxnIdle {
		_ = s.ExecSimple(ctx, "rollback", &textWriter{s: s})
	}
	if err != nil && ctx.Err() == nil && !l.due(err) && !sqlerr.HasCode(err, sqlerr.UniqueViolation) {
		t.Errorf("%s: %v", q, err)
	}
	return err == nil
}

// pairLoad is what statements of a pair's load may meet: that a table or column is gone, and
// that their node dies.
type pairLoad struct {
	gone bool
	dead *atomic.Bool
}

// due reports whether a statement may be told of an error while a table is changed.
func (l pairLoad) due(err error) bool {
	switch c := sqlerr.From(err).Code; {
	case c[:2] == "40": // to be run again
		return true
	case c == sqlerr.UndefinedTable || c == sqlerr.UndefinedColumn:
		return l.gone
	default:
		return l.dead.Load()
	}
}

// comparePair reads the table and its mirror at one time, by their keys and by an index.
func comparePair(ctx context.Context, t *testing.T, s *Session, rng *rand.Rand, l pairLoad, read *atomic.Int64) {
	const joined = "select m.id, m.k, m.u, m.s, t.* from m full join t on t.id::text = m.id::text " +
		"where t.u::int is distinct from m.u or t.s::text is distinct from m.s or (t.id is null) <> (m.id is null)"
	for _, q := range []string{
		joined + " or t.k::text is distinct from m.k::text limit 3",
		joined + " limit 3", // k may be gone
		fmt.Sprintf("select * from (select count(*) n, sum(u) from t where k = '%d') x full join (select count(*) n, sum(u) from m where k = '%[1]d') y "+
			"on x = y where x is null or y is null", rng.IntN(50)),
	} {
		w := &textWriter{s: s}
		err := s.ExecSimple(ctx, q, w)
		switch {
		case err == nil && strings.TrimSpace(w.out.String()) != "SELECT 0":
			t.Errorf("the tables differ: %s", w.out.String())
		case err == nil:
			read.Add(1)
		case ctx.Err() == nil && !l.due(err):
			t.Errorf("comparing: %v", err)
		}
	}
}
