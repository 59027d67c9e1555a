package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestAskingForTheOutcomeAbortsATransactionThatStillRuns(t *testing.T) {
	c := startCluster(t, 3)
	c.awaitReplicas()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	open := func(n int) scriptClient {
		conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://root@%s/defaultdb?sslmode=disable", c.nodes[n].Addresses().SQL))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.Background()) })
		return scriptClient{conn}
	}
	a, b := open(0), open(1)
	want := func(s scriptClient, q, want string) {
		t.Helper()
		if got, _ := s.Exec(ctx, q); got != want {
			t.Fatalf("%s: %s, want %s", q, got, want)
		}
	}
	want(a, "create table t (a int primary key)", "CREATE TABLE")
	want(a, "begin", "BEGIN")
	want(a, "set local cairn.idempotency_key = 'k'", "SET")
	want(a, "insert into t values (1)", "INSERT 0 1")
	want(b, "select cairn.transaction_outcome('k')", "aborted")
	want(a, "commit", "ERROR 40001")
	want(a, "begin", "BEGIN")
	want(a, "set local cairn.idempotency_key = 'k'", "ERROR IK002")
	want(a, "rollback", "ROLLBACK")
	want(b, "select count(*) from t", "0")

	// A second attempt waits for the first, and is told of it.
	want(a, "begin", "BEGIN")
	want(a, "set local cairn.idempotency_key = 'k2'", "SET")
	want(a, "insert into t values (1)", "INSERT 0 1")
	want(b, "begin", "BEGIN")
	answer := make(chan string, 1)
	go func() {
		got, _ := b.Exec(ctx, "set local cairn.idempotency_key = 'k2'")
		answer <- got
	}()
	want(a, "commit", "COMMIT")
	if got := <-answer; got != "ERROR IK001" {
		t.Errorf("the second attempt got %s", got)
	}
}
