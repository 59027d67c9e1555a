package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
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

// leaveIntents writes count intents of a transaction whose coordinator has been
// silent for longer than others wait.
func (c *cluster) leaveIntents(prefix string, count int) {
	c.t.Helper()
	db := c.nodes[0].Core().DB
	now := db.Clock().Now().Timestamp()
	txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), AnchorKey: tableKey(prefix), WriteTimestamp: now,
		MinTimestamp: now.AddNanos(-int64(time.Minute)), Priority: kvapi.PriorityNormal}, ReadTimestamp: now,
		GlobalUncertaintyLimit: now, HasFlushed: true}
	const batch = 1000
	for at := 0; at < count; at += batch {
		ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: txn}}
		for i := at; i < at+batch; i++ {
			ba.Add(kvapi.Request{Kind: kvapi.Put, Key: tableKey(fmt.Sprintf("%s%06d", prefix, i)), Value: []byte("dead"), Seq: kvapi.TxnSeq(i + 1)})
		}
		if _, err := db.Send(c.t.Context(), ba); err != nil {
			c.t.Fatal(err)
		}
	}
}

// BenchmarkScanOverDeadIntents is a scan that meets 10,000 intents of a dead
// coordinator, on three nodes with real disks. It must stay below 2 s.
func BenchmarkScanOverDeadIntents(b *testing.B) {
	c := startCluster(b, 3)
	c.awaitReplicas()
	const count = 10_000
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		prefix := fmt.Sprintf("dead%d/", n)
		c.leaveIntents(prefix, count)
		b.StartTimer()
		err := c.nodes[0].Core().DB.Run(b.Context(), txn.Options{Name: "scan"}, func(ctx context.Context, t *txn.Txn) error {
			rows, _, err := t.Scan(ctx, kvapi.Span{Key: tableKey(prefix), EndKey: tableKey(prefix).PrefixEnd()}, txn.ScanOptions{})
			if len(rows) != 0 {
				b.Errorf("%d rows of an aborted transaction", len(rows))
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// Two transactions on two gateways, each waiting for a row of the other: one is
// told so, with what both were doing, and the other goes on.
func TestDeadlockAcrossGatewaysNamesBothStatements(t *testing.T) {
	c := startCluster(t, 3)
	c.awaitReplicas()
	sessions := []*client{c.client(0), c.client(1)}
	sessions[0].exec("CREATE TABLE d (id int PRIMARY KEY, v int)")
	sessions[0].exec("INSERT INTO d VALUES (1, 0), (2, 0)")
	for i, s := range sessions {
		s.exec("BEGIN")
		s.exec("SELECT pg_sleep(0)") // the gateway cannot run this again unseen
		s.exec(fmt.Sprintf("UPDATE d SET v = 1 WHERE id = %d", i+1))
	}
	errs := make(chan error, 2)
	var wg sync.WaitGroup
	for i, s := range sessions {
		wg.Go(func() {
			_, err := s.conn.Exec(t.Context(), fmt.Sprintf("UPDATE d SET v = 2 WHERE id = %d", 2-i))
			errs <- err
			if err != nil {
				_, _ = s.conn.Exec(t.Context(), "ROLLBACK")
			}
		})
	}
	t.Cleanup(wg.Wait) // before the sessions are closed
	var e *pgconn.PgError
	if err := <-errs; !errors.As(err, &e) || e.Code != "40P01" || e.Message != "deadlock detected" {
		t.Fatalf("the victim was told %v", err)
	}
	for _, part := range []string{"waits for transaction", "UPDATE d SET v = 2 WHERE id = 1", "UPDATE d SET v = 2 WHERE id = 2"} {
		if !strings.Contains(e.Detail, part) {
			t.Errorf("%q is not in the detail:\n%s", part, e.Detail)
		}
	}
	if err := <-errs; err != nil {
		t.Errorf("the other did not go on: %v", err)
	}
}

// spread makes each table's rows a range of their own, led by one node after
// the other.
func (c *cluster) spread(tables ...string) {
	c.t.Helper()
	ctx, db := c.t.Context(), c.nodes[0].Core().DB
	for i, name := range tables {
		var oid uint32
		if err := c.client(0).conn.QueryRow(ctx, "SELECT '"+name+"'::regclass::oid").Scan(&oid); err != nil {
			c.t.Fatal(err)
		}
		key := kvapi.Key(binary.BigEndian.AppendUint32(keys.TablePrefix.Clone(), oid))
		if err := db.Split(ctx, key); err != nil {
			c.t.Fatal(err)
		}
		ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: key, Target: kvapi.NodeID(i%len(c.nodes) + 1)})
		if _, err := db.Send(ctx, ba); err != nil {
			c.t.Fatal(err)
		}
	}
}

// Rings of three to five transactions, on all gateways, over ranges of all
// nodes: each time one of them is told, and the others go on.
func TestDeadlocksOfManyHaveOneVictim(t *testing.T) {
	c := startCluster(t, 3)
	c.awaitReplicas()
	tables := []string{"r0", "r1", "r2", "r3", "r4"}
	first := c.client(0)
	for _, name := range tables {
		first.exec("CREATE TABLE " + name + " (id int PRIMARY KEY, v int)")
		first.exec("INSERT INTO " + name + " VALUES (1, 0)")
	}
	c.spread(tables...)
	for n := 3; n <= len(tables); n++ {
		sessions := make([]*client, n)
		for i := range sessions {
			sessions[i] = c.client(i % len(c.nodes))
			sessions[i].exec("BEGIN")
			sessions[i].exec("SELECT pg_sleep(0)") // the gateway cannot run this again unseen
			sessions[i].exec("UPDATE " + tables[i] + " SET v = v + 1 WHERE id = 1")
		}
		began := time.Now()
		errs := make(chan error, n)
		for i, s := range sessions {
			go func() {
				_, err := s.conn.Exec(t.Context(), "UPDATE "+tables[(i+1)%n]+" SET v = v + 1 WHERE id = 1")
				if err != nil {
					_, _ = s.conn.Exec(t.Context(), "ROLLBACK")
				} else {
					_, err = s.conn.Exec(t.Context(), "COMMIT")
				}
				errs <- err
			}()
		}
		victims := 0
		for range n {
			err := <-errs
			var e *pgconn.PgError
			switch {
			case errors.As(err, &e) && e.Code == "40P01":
				if victims++; victims == 1 {
					t.Logf("a deadlock of %d was found after %v", n, time.Since(began).Round(time.Millisecond))
				}
			case e != nil:
				t.Errorf("ring of %d: %v %s %s", n, err, e.Detail, e.Hint)
			case err != nil:
				t.Errorf("ring of %d: %v", n, err)
			}
		}
		if victims != 1 {
			t.Errorf("ring of %d: %d victims", n, victims)
		}
	}
}
