package tpch

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Load makes the tables anew and fills them, indexes last, and has the server look at them.
func Load(ctx context.Context, conn *pgconn.PgConn, scale float64, progress func(string)) error {
	for i := range Tables {
		t := &Tables[i]
		start := time.Now()
		if err := exec(ctx, conn, fmt.Sprintf("DROP TABLE IF EXISTS %s; CREATE TABLE %[1]s (%s)", t.Name, t.Columns)); err != nil {
			return err
		}
		rows, err := copyIn(ctx, conn, t, scale)
		if err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
		for _, cols := range t.Indexes {
			if err := exec(ctx, conn, fmt.Sprintf("CREATE INDEX ON %s (%s)", t.Name, cols)); err != nil {
				return err
			}
		}
		if err := exec(ctx, conn, "ANALYZE "+t.Name); err != nil {
			return err
		}
		progress(fmt.Sprintf("%-8s %8d rows  %.2f s", t.Name, rows, time.Since(start).Seconds()))
	}
	return nil
}

func exec(ctx context.Context, conn *pgconn.PgConn, text string) error {
	_, err := conn.Exec(ctx, text).ReadAll()
	return err
}

func copyIn(ctx context.Context, conn *pgconn.PgConn, t *Table, scale float64) (int64, error) {
	r, w := io.Pipe()
	go func() {
		w.CloseWithError(t.Rows(scale, func(b []byte) error {
			_, err := w.Write(b)
			return err
		}))
	}()
	defer r.Close()
	tag, err := conn.CopyFrom(ctx, r, "COPY "+t.Name+" FROM STDIN")
	return tag.RowsAffected(), err
}

// Result is what a query gave.
type Result struct {
	Rows []string // values joined by |
	Took time.Duration
}

// Run runs one query.
func Run(ctx context.Context, conn *pgconn.PgConn, n int, scale float64) (Result, error) {
	start := time.Now()
	results, err := conn.Exec(ctx, Query(n, scale)).ReadAll()
	out := Result{Took: time.Since(start)}
	if err != nil {
		return out, err
	}
	for _, row := range results[0].Rows {
		vals := make([]string, len(row))
		for i, v := range row {
			vals[i] = "NULL"
			if v != nil {
				vals[i] = string(v)
			}
		}
		out.Rows = append(out.Rows, strings.Join(vals, "|"))
	}
	return out, nil
}

// Same compares two servers' rows, and names the first that only one has. Rows that a query's
// ORDER BY leaves equal may stand in any order.
func Same(a, b Result) error {
	x, y := slices.Sorted(slices.Values(a.Rows)), slices.Sorted(slices.Values(b.Rows))
	for i := range max(len(x), len(y)) {
		switch {
		case i >= len(x):
			return fmt.Errorf("%d rows against %d: only the second has %s", len(x), len(y), y[i])
		case i >= len(y):
			return fmt.Errorf("%d rows against %d: only the first has %s", len(x), len(y), x[i])
		case x[i] != y[i]:
			return fmt.Errorf("%d rows against %d: %s is not %s", len(x), len(y), x[i], y[i])
		}
	}
	return nil
}
