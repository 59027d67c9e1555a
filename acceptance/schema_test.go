package acceptance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/acceptance/cluster"
)

// An index is built on a table that pgbench works on through two nodes; the node
// through which it was asked for, which builds it, dies on the way. Another goes
// on, the load goes on, and in the end index and table say the same.
func TestAnIndexIsBuiltUnderLoadThoughItsNodeDies(t *testing.T) {
	c := start(t, 3)
	initPgbench(t, c, 2)
	replicated(t, c)
	builder, others := c.Nodes[0], c.Nodes[1:]
	load := make(chan pgbenchRun, len(others))
	for _, n := range others {
		go func() { load <- pgbench(t, c, n, "-n", "-c", "2", "-T", "22", "--max-tries", "100") }()
	}
	conn, watch := connect(t, builder.URL()), connect(t, others[0].URL())
	mustExec(t, conn, "ALTER SYSTEM SET cairn.backfill_share = 80") // or it takes longer than a test may
	started := time.Now()
	go func() { _, _ = conn.Exec(t.Context(), "CREATE INDEX by_balance ON pgbench_accounts (abalance)") }()

	type job struct {
		status      string
		coordinator int
		done, again int64
	}
	look := func() (j job, err error) {
		err = watch.QueryRow(t.Context(), "SELECT status, coordinator_id, rows_done, resumed FROM cairn.jobs WHERE job_type = 'CREATE INDEX'").
			Scan(&j.status, &j.coordinator, &j.done, &j.again)
		if errors.Is(err, pgx.ErrNoRows) {
			err = errors.New("there is no job")
		}
		return j, err
	}
	eventually(t, 30*time.Second, "rows have been indexed", func() error {
		if j, err := look(); err != nil || j.done == 0 {
			return fmt.Errorf("%+v, %v", j, err)
		}
		return nil
	})
	builder.Kill9()
	t.Logf("%s was killed after %v", builder.Name, time.Since(started).Round(time.Millisecond))
	eventually(t, 2*time.Minute, "another node has finished the index", func() error {
		j, err := look()
		if err == nil && (j.status != "succeeded" || j.again == 0) {
			err = fmt.Errorf("%+v", j)
		}
		return err
	})
	t.Logf("the index was there after %v", time.Since(started).Round(time.Millisecond))
	for range others {
		if r := <-load; r.Code != 0 || r.Failed > 0 || r.Processed == 0 {
			t.Errorf("pgbench: %d, %d processed, %d failed\n%s", r.Code, r.Processed, r.Failed, notProgress(r.Stderr))
		} else {
			t.Logf("pgbench: %d transactions", r.Processed)
		}
	}
	const sums = "SELECT count(*)::text || ' ' || sum(aid)::text || ' ' || sum(abalance)::text || ' ' || sum(aid * (abalance + 1))::text FROM pgbench_accounts WHERE "
	byTable, byIndex := sums+"aid > 0", sums+"abalance > -2000000000"
	if plan := explain(t, watch, byIndex); !strings.Contains(plan, "by_balance") {
		t.Fatalf("the index is not read:\n%s", plan)
	}
	if a, b := one[string](t, watch, byTable), one[string](t, watch, byIndex); a != b {
		t.Errorf("the table says %s, its index %s", a, b)
	}
}

func explain(t *testing.T, conn *pgx.Conn, query string) string {
	t.Helper()
	rows, err := conn.Query(t.Context(), "EXPLAIN "+query)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// rewrites are changes of mirrored for which every row is written anew.
var rewrites = []string{
	"ALTER TABLE t ALTER COLUMN a TYPE numeric, DROP CONSTRAINT t_pkey",
	"ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (u)",
	"ALTER TABLE t ALTER COLUMN a TYPE text USING 'a' || a::text",
	"ALTER TABLE t ADD COLUMN n bigserial",
	"CREATE UNIQUE INDEX t_u2 ON t (u, a)",
}

const mirrored = `CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE, a int);
	INSERT INTO t SELECT g, g, 0 FROM generate_series(1, %d) g; CREATE INDEX t_a ON t (a) INCLUDE (u);
	CREATE TABLE m (id int PRIMARY KEY, u int UNIQUE, a int); INSERT INTO m TABLE t`

// The rows of a table are written anew while two nodes write and read it. The node that does
// the work is stopped for longer than its claim, so that another takes over, and then goes on
// where it was: in the end the table has the rows of its mirror, and every index has them too.
// At length: each change, and nodes that die as well.
func TestARewriteGoesOnThoughItsNodeIsPaused(t *testing.T) {
	c := start(t, 3)
	if !*long {
		rewriteCaughtUnderFaults(t, c, rewrites[0], false)
		return
	}
	for _, change := range rewrites {
		for _, dies := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", change, dies), func(t *testing.T) { rewriteCaughtUnderFaults(t, c, change, dies) })
		}
	}
}

// rewriteCaughtUnderFaults makes the table larger until the fault comes while the rows are
// written anew: how long that takes is the machine's affair.
func rewriteCaughtUnderFaults(t *testing.T, c *cluster.Cluster, change string, dies bool) {
	const rowsMin, rowsMax = 10_000, 80_000
	for rows := rowsMin; rows <= rowsMax; rows *= 2 {
		if rewriteUnderFaults(t, c, change, rows, dies) {
			return
		}
		t.Logf("%d rows had been written anew before the node was stopped: this tells nothing", rows)
	}
	t.Errorf("even %d rows were written anew before the node was stopped", rowsMax)
}

// rewriteUnderFaults reports whether the node was stopped before it had done the work.
func rewriteUnderFaults(t *testing.T, c *cluster.Cluster, change string, rows int, dies bool) (caught bool) {
	builder, others := c.Nodes[0], c.Nodes[1:]
	conn, watch := connect(t, builder.URL()), connect(t, others[0].URL())
	mustExec(t, conn, "DROP TABLE IF EXISTS t, m")
	mustExec(t, conn, fmt.Sprintf(mirrored, rows))
	mustExec(t, conn, "ALTER SYSTEM SET cairn.backfill_share = 5")
	replicated(t, c)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	var wrote atomic.Int64
	for i := range 4 {
		w := connect(t, others[i%2].URL())
		wg.Go(func() {
			for ctx.Err() == nil {
				if writeMirrored(ctx, w, rows) == nil {
					wrote.Add(1)
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	earlier := one[int64](t, watch, "SELECT coalesce(max(job_id), 0) FROM cairn.jobs")
	go func() { _, _ = conn.Exec(t.Context(), change) }()
	job := func() (status string, done, again int64, err error) {
		err = watch.QueryRow(t.Context(), "SELECT status, rows_done, resumed FROM cairn.jobs WHERE job_id > $1 ORDER BY job_id DESC LIMIT 1", earlier).
			Scan(&status, &done, &again)
		return status, done, again, err
	}
	eventually(t, 30*time.Second, "rows have been written anew", func() error {
		if _, done, _, err := job(); err != nil || done == 0 {
			return fmt.Errorf("%d, %w", done, err)
		}
		return nil
	})
	if builder.Pause(); dies {
		builder.Kill9()
	}
	stopped := time.Now()
	mustExec(t, watch, "ALTER SYSTEM SET cairn.backfill_share = 100")
	eventually(t, 2*time.Minute, "another node has done it", func() error {
		status, done, again, err := job()
		caught = again > 0
		if err == nil && status != "succeeded" {
			err = fmt.Errorf("%s at %d, taken over %d times", status, done, again)
		}
		return err
	})
	if !caught {
		back(builder, dies)
		return false
	}
	t.Logf("another node had done it %v after the first was stopped", time.Since(stopped).Round(time.Millisecond))
	back(builder, dies)
	again := connect(t, builder.URL())
	for _, conn := range []*pgx.Conn{again, watch} { // one that was stopped knows what has become of the table
		const differ = "SELECT count(*) FROM t FULL JOIN m USING (id) WHERE t.u IS DISTINCT FROM m.u OR ltrim(t.a::text, 'a') IS DISTINCT FROM m.a::text"
		if n := one[int](t, conn, differ); n != 0 {
			t.Errorf("%d rows differ from their mirror", n)
		}
	}
	time.Sleep(time.Second) // more is written, also by what the stopped node has left
	stop()
	wg.Wait()
	if out := one[string](t, again, "SELECT cairn.check_table('t')"); !strings.HasPrefix(out, "good:") {
		t.Error(out)
	}
	t.Logf("%d transactions wrote", wrote.Load())
	if wrote.Load() < 50 {
		t.Error("there was no load")
	}
	return true
}

// back lets a node go on that was stopped, or starts one that was killed.
func back(n *cluster.Node, killed bool) {
	if !killed {
		n.Resume()
		return
	}
	n.Launch()
	n.WaitReady()
}

// writeMirrored changes a row of some of many in both tables.
func writeMirrored(ctx context.Context, conn *pgx.Conn, rows int) error {
	id := 1 + rand.IntN(rows+rows/10)
	if rand.IntN(3) == 0 {
		id = 1 + rand.IntN(20)
	}
	n := rand.IntN(100)
	q := []string{
		fmt.Sprintf("UPDATE %%[1]s SET a = '%d' WHERE u = %d", n, id),
		fmt.Sprintf("DELETE FROM %%[1]s WHERE u = %d", id),
		fmt.Sprintf("INSERT INTO %%[1]s (id, u, a) SELECT %d, %[1]d, '%d' WHERE NOT EXISTS (SELECT FROM m WHERE u = %[1]d OR id = %[1]d)", id, n),
		fmt.Sprintf("UPDATE %%[1]s SET id = %d WHERE u = %d", -id, id),
		fmt.Sprintf("UPDATE %%[1]s SET id = %d WHERE u = %d", id, id),
	}[rand.IntN(5)]
	_, err := conn.Exec(ctx, "BEGIN; "+fmt.Sprintf(q, "t")+"; "+fmt.Sprintf(q, "m")+"; COMMIT")
	if err != nil {
		_, _ = conn.Exec(ctx, "ROLLBACK")
	}
	return err
}
