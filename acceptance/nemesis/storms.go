package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// storms do by SQL and by the command line, again and again, what a cluster does
// seldom.
func storms() []Nemesis {
	return []Nemesis{
		{Name: "lease-storm", Does: "leases of the workloads' ranges move from node to node without pause", HoldMin: 2 * time.Second,
			Strike: storm("leases move", leaseMoves)},
		{Name: "split-storm", Does: "ranges of the workloads' tables are split and merged without pause", HoldMin: 2 * time.Second,
			Strike: storm("splits and merges", splitsAndMerges)},
		{Name: "schema-change", Does: "indexes and columns come and go on the workloads' tables", HoldMin: 4 * time.Second, HoldMax: 10 * time.Second,
			Strike: storm("schema changes", schemaChanges)},
		{Name: "tiny-gc", Does: "old versions are collected after two seconds",
			HoldMin: 13 * time.Second, HoldMax: 15 * time.Second, Strike: tinyGC},
		{Name: "overload", Does: "a hundred sessions with large sorts and writes", HoldMin: 2 * time.Second, Strike: overload},
	}
}

// storm returns a Strike that repeats what next does until it is healed. next
// reports whether the act went through: that it may not is the point of a storm.
func storm(what string, next func(ctx context.Context, e *Env, conn *pgx.Conn, rng *rand.Rand) error) func(context.Context, *Env, *rand.Rand) (*Wound, error) {
	return func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
		ctx, cancel := context.WithCancel(context.Background())
		var went, failed atomic.Int64
		done := make(chan struct{})
		var last atomic.Pointer[string]
		inner := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
		go func() {
			defer close(done)
			var conn *pgx.Conn
			for ctx.Err() == nil {
				if conn == nil || conn.IsClosed() {
					conn = anyConnection(ctx, e, inner)
				}
				if conn == nil {
					continue
				}
				act, stop := context.WithTimeout(ctx, 10*time.Second)
				if err := next(act, e, conn, inner); err != nil {
					failed.Add(1)
					text := err.Error()
					last.Store(&text)
				} else {
					went.Add(1)
				}
				stop()
			}
			if conn != nil {
				conn.Close(context.Background())
			}
		}()
		return &Wound{What: what,
			Bite: func() (string, bool) {
				text := fmt.Sprintf("%d went through, %d did not", went.Load(), failed.Load())
				if e := last.Load(); e != nil {
					text += ", the last because: " + *e
				}
				return text, went.Load() > 0
			},
			Heal: func(context.Context) error {
				cancel()
				<-done
				return nil
			}}, nil
	}
}

// anyConnection connects to a random node, or returns nil after a while.
func anyConnection(ctx context.Context, e *Env, rng *rand.Rand) *pgx.Conn {
	nodes := e.Cluster.Nodes
	attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(attempt, nodes[rng.IntN(len(nodes))].URL()+"&search_path="+e.Schema)
	if err != nil {
		pause(ctx, 50*time.Millisecond)
		return nil
	}
	return conn
}

// table draws one of the workloads' tables: its name, id, the id of an index of
// it, and its first column.
func table(ctx context.Context, e *Env, conn *pgx.Conn, rng *rand.Rand) (name string, oid, index uint32, column string, err error) {
	rows, err := conn.Query(ctx, `SELECT c.relname::text, c.oid, i.indexrelid, a.attname::text FROM pg_class c
		JOIN pg_index i ON i.indrelid = c.oid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1
		JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'
		AND c.relname NOT LIKE 'nemesis%'`, e.Schema)
	if err != nil {
		return "", 0, 0, "", err
	}
	type row struct {
		Name       string
		OID, Index uint32
		Column     string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return "", 0, 0, "", err
	}
	if len(all) == 0 {
		return "", 0, 0, "", fmt.Errorf("there are no tables in %s", e.Schema)
	}
	r := all[rng.IntN(len(all))]
	return r.Name, r.OID, r.Index, r.Column, nil
}

func leaseMoves(ctx context.Context, e *Env, conn *pgx.Conn, rng *rand.Rand) error {
	_, oid, index, _, err := table(ctx, e, conn, rng)
	if err != nil {
		return err
	}
	to := fmt.Sprint(1 + rng.IntN(len(e.Cluster.Nodes)))
	return e.cairn(ctx, rng, "range", "lease", fmt.Sprintf("/table/%d/%d/=%d", oid, index, rng.IntN(40)), to)
}

// cairn runs a command of the command line at any node.
func (e *Env) cairn(ctx context.Context, rng *rand.Rand, args ...string) error {
	nodes := e.Cluster.Nodes
	return e.Cluster.Try(ctx, append(args, "--host", nodes[rng.IntN(len(nodes))].Told())...)
}

func splitsAndMerges(ctx context.Context, e *Env, conn *pgx.Conn, rng *rand.Rand) error {
	_, oid, index, _, err := table(ctx, e, conn, rng)
	if err != nil {
		return err
	}
	verb := "split"
	if rng.IntN(2) == 0 {
		verb = "merge"
	}
	return e.cairn(ctx, rng, "range", verb, fmt.Sprintf("/table/%d/%d/=%d", oid, index, rng.IntN(40)))
}

func schemaChanges(ctx context.Context, e *Env, conn *pgx.Conn, rng *rand.Rand) error {
	name, _, _, column, err := table(ctx, e, conn, rng)
	if err != nil {
		return err
	}
	changes := []string{
		"CREATE INDEX IF NOT EXISTS nemesis_@T ON @T (@C)", "DROP INDEX IF EXISTS nemesis_@T",
		"ALTER TABLE @T ADD COLUMN IF NOT EXISTS nemesis int DEFAULT 7", "ALTER TABLE @T DROP COLUMN IF EXISTS nemesis",
		"CREATE TABLE IF NOT EXISTS nemesis_of_@T (k int PRIMARY KEY, v text)", "DROP TABLE IF EXISTS nemesis_of_@T",
	}
	if name == "indexed" {
		column = "b" // package load compares it
	}
	stmt := strings.NewReplacer("@T", name, "@C", column).Replace(changes[rng.IntN(len(changes))])
	if _, err := conn.Exec(ctx, stmt); err != nil {
		return fmt.Errorf("%s: %w", stmt, err)
	}
	pause(ctx, time.Duration(rng.IntN(200))*time.Millisecond)
	return nil
}

// tinyGC lasts longer than a store's pause between two looks for ranges to
// collect from, which is ten seconds (kv/store/limits.go). It is undone at the end: what was collected is gone, and nobody may miss it.
func tinyGC(ctx context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
	if err := e.exec(ctx, rng, "ALTER SYSTEM SET cairn.gc_ttl = '2s'"); err != nil {
		if ctx.Err() != nil {
			return nil, nil
		}
		return nil, err
	}
	before := collected(e)
	return &Wound{What: "cairn.gc_ttl = 2s",
		Bite: func() (string, bool) {
			n := collected(e) - before
			return fmt.Sprintf("%.0f old versions were collected", n), n > 0
		},
		Heal: func(ctx context.Context) error { return e.exec(ctx, rng, "ALTER SYSTEM RESET cairn.gc_ttl") }}, nil
}

// exec runs a statement on any node, until one has done it.
func (e *Env) exec(ctx context.Context, rng *rand.Rand, stmt string) error {
	err := context.Cause(ctx)
	for ctx.Err() == nil {
		conn := anyConnection(ctx, e, rng)
		if conn == nil {
			continue
		}
		_, err = conn.Exec(ctx, stmt)
		conn.Close(context.Background())
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", stmt, err)
}

// collected counts the versions that the nodes have collected since they started.
func collected(e *Env) float64 { return e.sum("gc_versions_total") }

// sum adds up a counter of all nodes that answer.
func (e *Env) sum(counter string) (sum float64) {
	for _, n := range e.Cluster.Nodes {
		if v, err := n.Metric(counter); err == nil {
			sum += v
		}
	}
	return sum
}

// overloadSessions is more than a small machine serves at once.
const overloadSessions = 60

func overload(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
	ctx, cancel := context.WithCancel(context.Background())
	var went atomic.Int64
	done := make(chan struct{}, overloadSessions)
	for range overloadSessions {
		inner := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
		go func() {
			defer func() { done <- struct{}{} }()
			conn := anyConnection(ctx, e, inner)
			if conn == nil {
				return
			}
			defer conn.Close(context.Background())
			for ctx.Err() == nil && !conn.IsClosed() {
				if _, err := conn.Exec(ctx, "SELECT g % 7, count(*), max(md5(g::text)) FROM generate_series(1, 20000) AS g GROUP BY 1 ORDER BY 3"); err == nil {
					went.Add(1)
				}
			}
		}()
	}
	return &Wound{What: fmt.Sprintf("%d sessions", overloadSessions),
		Bite: func() (string, bool) { return fmt.Sprintf("%d heavy statements", went.Load()), went.Load() > 0 },
		Heal: func(context.Context) error {
			cancel()
			for range overloadSessions {
				<-done
			}
			return nil
		}}, nil
}
