package acceptance

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
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
