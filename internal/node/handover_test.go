package node

import (
	"fmt"
	"testing"
	"time"
)

// Transactions that are open while every range's lease moves, and moves on,
// commit what they have written and read, at each level; none of their clients
// hears of it. They have drawn what cannot be drawn again, so that the gateway
// could not run them anew unseen.
func TestOpenTransactionsSurviveTheMoveOfLeases(t *testing.T) {
	c := startCluster(t, 3)
	c.awaitReplicas()
	first := c.client(0)
	tables := []string{"m0", "m1", "m2"}
	for _, name := range tables {
		first.exec("CREATE TABLE " + name + " (id int PRIMARY KEY, v int)")
		first.exec("INSERT INTO " + name + " SELECT g, 0 FROM generate_series(1, 20) g")
	}
	c.spread(tables...)
	levels := []string{"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"}
	const rounds = 2
	for round := range rounds {
		var open []*client
		for i := range 3 * len(levels) {
			s := c.client(i % 3)
			s.exec("BEGIN ISOLATION LEVEL " + levels[i/3])
			s.exec("SELECT pg_sleep(0)") // the gateway cannot run this again unseen
			s.exec(fmt.Sprintf("SELECT v FROM m0 WHERE id = %d", i+1))
			s.exec(fmt.Sprintf("UPDATE m1 SET v = v + 1 WHERE id = %d", i+1))
			s.exec(fmt.Sprintf("INSERT INTO m2 VALUES (%d, 1)", 100+100*round+i))
			open = append(open, s)
		}
		moved := time.Now()
		c.moveAll()
		for i, s := range open {
			s.exec(fmt.Sprintf("UPDATE m0 SET v = v + 1 WHERE id = %d", i+1))
			s.exec(fmt.Sprintf("UPDATE m1 SET v = v + 1 WHERE id = %d", i+1))
		}
		c.moveAll()
		for _, s := range open {
			s.exec("COMMIT")
		}
		t.Logf("round %d: %s", round, time.Since(moved))
	}
	for q, want := range map[string]int{
		"SELECT sum(v)::int FROM m0":                 rounds * 9,
		"SELECT sum(v)::int FROM m1":                 rounds * 18,
		"SELECT count(*)::int FROM m2 WHERE id > 99": rounds * 9,
	} {
		var got int
		if err := first.conn.QueryRow(t.Context(), q).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", q, got, err, want)
		}
	}
}
