package acceptance

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cairndb/cairn/acceptance/cluster"
	"github.com/cairndb/cairn/acceptance/link"
)

// TestAFarGatewayGetsThrough: clients of two nodes count in a table, each by
// reading the highest number and inserting the next; one of a node 20 ms from them
// does so, too, and is not overtaken for ever (kv/concurrency's turns).
func TestAFarGatewayGetsThrough(t *testing.T) {
	if !*long {
		t.Skip("takes a minute: -args -long")
	}
	c := cluster.New(t, *cairn, 3)
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes {
		n.Launch()
	}
	c.Init()
	for _, n := range c.Nodes {
		n.WaitReady()
	}
	first := connect(t, c.Nodes[0].URL())
	mustExec(t, first, "create table counted (n int primary key, by text, at timestamptz default clock_timestamp())")
	mustExec(t, first, "insert into counted values (0, '')")
	for _, o := range c.Nodes[:2] {
		c.Links.Shape(link.Shape{Delay: 20 * time.Millisecond}, link.Way{From: o.Name, To: "n3"}, link.Way{From: "n3", To: o.Name})
	}
	for _, how := range []struct {
		name string
		once func(context.Context, *pgx.Conn, string) error
	}{
		{"one statement", func(ctx context.Context, conn *pgx.Conn, by string) error {
			_, err := conn.Exec(ctx, "insert into counted select max(n) + 1, $1 from counted", by)
			return err
		}},
		{"a transaction", func(ctx context.Context, conn *pgx.Conn, by string) error {
			return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
				var n int
				if err := tx.QueryRow(ctx, "select max(n) + 1 from counted").Scan(&n); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, "insert into counted values ($1, $2)", n, by)
				return err
			})
		}},
	} {
		t.Run(how.name, func(t *testing.T) {
			const lasts = 20 * time.Second
			var done, again [3]atomic.Int64
			var clients sync.WaitGroup
			end := time.Now().Add(lasts)
			for i, n := range c.Nodes {
				conn := connect(t, n.URL())
				clients.Go(func() {
					for time.Now().Before(end) {
						err := how.once(t.Context(), conn, n.Name)
						var e *pgconn.PgError
						switch {
						case err == nil:
							done[i].Add(1)
						case errors.As(err, &e) && e.Code == "40001":
							again[i].Add(1)
						default:
							t.Errorf("%s: %v", n.Name, err)
							return
						}
					}
				})
			}
			clients.Wait()
			t.Logf("n1 %d, n2 %d, n3, which is far, %d; told to try again: %d, %d, %d", done[0].Load(), done[1].Load(), done[2].Load(),
				again[0].Load(), again[1].Load(), again[2].Load())
			if done[2].Load() < 5 {
				t.Errorf("the far client got %d done", done[2].Load())
			}
		})
	}
	if n := one[int](t, first, "select count(*) from (select n, row_number() over (order by n) - 1 as i from counted) x where n <> i"); n > 0 {
		t.Errorf("%d numbers are not where they should be", n)
	}
}
