package sql

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/txn/txntest"
)

// TestAFarGatewayIsNotOvertakenForEver: clients near the data want the rows that a far one wants,
// all the time. It gets them in about as many attempts as it would alone.
func TestAFarGatewayIsNotOvertakenForEver(t *testing.T) {
	for _, c := range []struct {
		name, setUp, stmt string
		// restartsMax bounds what a statement of the far client is begun anew.
		restartsMax int64
	}{
		{"jobs are taken out", "create table j (id int primary key, state text)",
			"delete from j where id = (select id from j order by id limit 1 for update skip locked)", 0},
		{"jobs are marked", "create table j (id int primary key, state text); create index on j (state, id)",
			"update j set state = 'done' where id = (select id from j where state is null order by id limit 1 for update skip locked)", 0},
		{"rows are found by a scan", "create table j (id int primary key, state text)",
			"update j set state = coalesce(state, '') || '.' where id > 0 and id < 3", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				env, _ := newTestServerEnv(t)
				var dbs []*txntest.Env
				var sessions []*Session
				for i, away := range []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond, 20 * time.Millisecond} {
					e := txntest.Far(t, env.Cluster, env.Clock, away)
					cat := schema.NewCatalog(schema.Config{Store: schema.NewStore(e.DB), Clock: env.Clock, NodeID: kvapi.NodeID(i + 2)})
					dbs, sessions = append(dbs, e), append(sessions, newTestSession(t, NewServer(Config{DB: e.DB, Catalog: cat})))
				}
				far := sessions[3]
				for _, q := range strings.Split(c.setUp, "; ") {
					if _, err := query(t, far, q); err != nil {
						t.Fatal(err)
					}
				}
				const jobs = 5000
				mustShow(t, far, fmt.Sprintf("insert into j select g from generate_series(1, %d) g", jobs), fmt.Sprintf("INSERT 0 %d", jobs))
				var ended atomic.Bool
				var done atomic.Int64
				var near sync.WaitGroup
				for _, s := range sessions[:3] {
					near.Go(func() {
						for !ended.Load() {
							if out, err := query(t, s, c.stmt); err != nil || strings.HasSuffix(out, " 0") {
								t.Errorf("near: %s, %v", out, err)
								return
							}
							done.Add(1)
						}
					})
				}
				const statements = 4
				for range statements {
					before, began := dbs[3].DB.Metrics().Restarts.Load(), time.Now()
					out, err := query(t, far, c.stmt)
					if err != nil || strings.HasSuffix(out, " 0") {
						t.Errorf("far: %s, %v", out, err)
					}
					if n := dbs[3].DB.Metrics().Restarts.Load() - before; n > c.restartsMax {
						t.Errorf("%d restarts in %s, while others ran %d", n, time.Since(began), done.Load())
					}
				}
				ended.Store(true)
				near.Wait()
				if done.Load() < 5*statements {
					t.Errorf("only %d statements were in the way", done.Load())
				}
			})
		})
	}
}
