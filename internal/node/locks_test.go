package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cairndb/cairn/kv/kvapi"
)

// client is a SQL session on a node.
type client struct {
	t    testing.TB
	conn *pgx.Conn
}

func (c *cluster) client(i int) *client {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), "postgres://root@"+c.nodes[i].Addresses().SQL+"/defaultdb?sslmode=disable")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &client{t: c.t, conn: conn}
}

func (c *client) exec(sql string) {
	c.t.Helper()
	if _, err := c.conn.Exec(c.t.Context(), sql); err != nil {
		c.t.Fatalf("%s: %v", sql, err)
	}
}

// fails runs a statement that must fail with a code.
func (c *client) fails(code, sql string) *pgconn.PgError {
	c.t.Helper()
	_, err := c.conn.Exec(c.t.Context(), sql)
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != code {
		c.t.Fatalf("%s: %v, want code %s", sql, err, code)
	}
	return e
}

// moveAll hands every range's lease from its holder to another node.
func (c *cluster) moveAll() {
	c.t.Helper()
	ranges, err := c.nodes[0].Core().ClusterRanges(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range ranges {
		to := r.Lease.Holder.NodeID%kvapi.NodeID(len(c.nodes)) + 1
		ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: r.Desc.StartKey, Target: to})
		if _, err := c.nodes[0].Core().DB.Send(c.t.Context(), ba); err != nil {
			c.t.Fatalf("%s to %s: %v", &r.Desc, to, err)
		}
	}
}

func TestForUpdateSurvivesTheMoveOfItsLease(t *testing.T) {
	c := startCluster(t, 3)
	c.awaitReplicas()
	a, b := c.client(0), c.client(1)
	a.exec("CREATE TABLE mutex (id int PRIMARY KEY, v int)")
	a.exec("INSERT INTO mutex VALUES (1, 0), (2, 0)")
	a.exec("BEGIN")
	a.exec("SELECT * FROM mutex WHERE id = 1 FOR UPDATE")
	c.moveAll()
	if e := b.fails("55P03", "SELECT * FROM mutex WHERE id = 1 FOR KEY SHARE NOWAIT"); e.Message != `could not obtain lock on row in relation "mutex"` {
		t.Error(e)
	}
	b.exec("SET lock_timeout = '50ms'")
	if e := b.fails("55P03", "UPDATE mutex SET v = 1 WHERE id = 1"); e.Message != "canceling statement due to lock timeout" {
		t.Error(e)
	}
	b.exec("RESET lock_timeout")
	b.exec("UPDATE mutex SET v = 1 WHERE id = 2")
	done := make(chan error, 1)
	go func() {
		_, err := b.conn.Exec(t.Context(), "UPDATE mutex SET v = v + 10 WHERE id = 1")
		done <- err
	}()
	a.exec("UPDATE mutex SET v = v + 1 WHERE id = 1")
	a.exec("COMMIT")
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the lock was not released")
	}
	var v int
	if err := a.conn.QueryRow(t.Context(), "SELECT v FROM mutex WHERE id = 1").Scan(&v); err != nil || v != 11 {
		t.Errorf("v is %d, %v", v, err)
	}
}

// advisory calls an advisory lock function.
func (c *client) advisory(call string) bool {
	c.t.Helper()
	var got bool
	if err := c.conn.QueryRow(c.t.Context(), "SELECT "+call).Scan(&got); err != nil {
		c.t.Fatalf("%s: %v", call, err)
	}
	return got
}

func TestAdvisoryLocksHoldOnEveryGatewayUntilTheirSessionEnds(t *testing.T) {
	c := startCluster(t, 3)
	c.awaitReplicas()
	a, b := c.client(0), c.client(1)
	a.exec("SELECT pg_advisory_lock(1), pg_advisory_lock_shared(2, 3)")
	if b.advisory("pg_try_advisory_lock(1)") || b.advisory("pg_try_advisory_lock(2, 3)") || !b.advisory("pg_try_advisory_lock_shared(2, 3)") {
		t.Error("another gateway does not see the locks")
	}
	c.moveAll()
	if b.advisory("pg_try_advisory_lock(1)") {
		t.Error("the lock went with the lease")
	}
	var first, second int64
	if err := a.conn.QueryRow(t.Context(), "SELECT cairn.advisory_lock_token(1)").Scan(&first); err != nil {
		t.Fatal(err)
	}
	b.exec("SET lock_timeout = '50ms'")
	b.fails("55P03", "SELECT pg_advisory_lock(1)")
	b.exec("SET lock_timeout = 0")
	done := make(chan error, 1)
	go func() {
		_, err := b.conn.Exec(t.Context(), "SELECT pg_advisory_lock(1)")
		done <- err
	}()
	if err := a.conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := b.conn.QueryRow(t.Context(), "SELECT cairn.advisory_lock_token(1)").Scan(&second); err != nil || second <= first {
		t.Errorf("token %d after %d, %v", second, first, err)
	}
}
