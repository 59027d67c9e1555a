package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// BenchmarkSQL runs statements through pgx and the wire protocol against three
// nodes with real disks and sockets, and prints what each cost: consensus
// rounds, calls between nodes, syncs of write-ahead logs, processor time over
// all nodes and the client, and allocations likewise. Sessions are on the node
// with the leases, as in a first benchmark of a new cluster.
func BenchmarkSQL(b *testing.B) {
	c := startCluster(b, 3)
	c.awaitReplicas()
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://root@"+c.nodes[0].Addresses().SQL+"/defaultdb?sslmode=disable&pool_max_conns=16")
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	exec := func(sql string, args ...any) {
		if _, err := pool.Exec(ctx, sql, args...); err != nil {
			b.Fatalf("%s: %v", sql, err)
		}
	}
	const rows = 10_000
	exec("CREATE TABLE a (id int PRIMARY KEY, v int NOT NULL, pad char(80) DEFAULT '')")
	exec("CREATE TABLE b (id int PRIMARY KEY, v int NOT NULL)")
	exec("CREATE TABLE plain (id bigint PRIMARY KEY, v text)")
	exec("CREATE TABLE indexed (id bigint PRIMARY KEY, v bigint)")
	exec("CREATE INDEX ON indexed (v)")
	exec("INSERT INTO a SELECT i, 0 FROM generate_series(1, $1) i", rows)
	exec("INSERT INTO b SELECT i, 0 FROM generate_series(1, $1) i", rows)

	one := func() int { return 1 + rand.IntN(rows) }
	statements := []struct {
		name string
		run  func() error
	}{
		{"select-by-key", func() error {
			var v int
			return pool.QueryRow(ctx, "SELECT v FROM a WHERE id = $1", one()).Scan(&v)
		}},
		{"insert", func() error {
			_, err := pool.Exec(ctx, "INSERT INTO plain VALUES ($1, 'x')", rand.Int64())
			return err
		}},
		{"insert-with-index", func() error {
			_, err := pool.Exec(ctx, "INSERT INTO indexed VALUES ($1, $2)", rand.Int64(), rand.Int64())
			return err
		}},
		{"update-by-key", func() error {
			_, err := pool.Exec(ctx, "UPDATE a SET v = v + 1 WHERE id = $1", one())
			return err
		}},
		{"two-ranges", func() error {
			tx, err := pool.Begin(ctx)
			if err != nil {
				return err
			}
			defer tx.Rollback(ctx)
			if _, err := tx.Exec(ctx, "INSERT INTO plain VALUES ($1, 'x')", rand.Int64()); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "INSERT INTO indexed VALUES ($1, $2)", rand.Int64(), rand.Int64()); err != nil {
				return err
			}
			return tx.Commit(ctx)
		}},
	}
	for _, s := range statements {
		for _, clients := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/clients=%d", s.name, clients), func(b *testing.B) {
				before := c.costs(b)
				b.ReportAllocs()
				b.SetParallelism(max(1, clients/runtime.GOMAXPROCS(0)))
				loop := func() {
					if err := s.run(); err != nil {
						b.Error(err)
					}
				}
				if clients == 1 {
					for b.Loop() {
						loop()
					}
				} else {
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							loop()
						}
					})
				}
				c.report(b, before)
			})
		}
	}
}
