package node

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TestNotificationsReachAllNodes: also a client that does nothing but wait, in the order of commits,
// and who hears of a row sees it.
func TestNotificationsReachAllNodes(t *testing.T) {
	c := startCluster(t, 3)
	c.awaitReplicas()
	a, b, d := c.client(0), c.client(1), c.client(2)
	a.exec("CREATE TABLE jobs (id int PRIMARY KEY)")
	b.exec("LISTEN jobs")
	d.exec("LISTEN jobs")
	for i := range 20 {
		a.exec(fmt.Sprintf("BEGIN; INSERT INTO jobs VALUES (%d); NOTIFY jobs, '%d'; COMMIT", i, i))
	}
	a.exec("BEGIN; NOTIFY jobs, 'never'; ROLLBACK")
	d.exec("NOTIFY jobs, 'last'")
	for _, l := range []*client{b, d} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		next, last := 0, false
		for next < 20 || !last {
			n, err := l.conn.WaitForNotification(ctx)
			if err != nil {
				t.Fatalf("after %d notifications: %v", next, err)
			}
			if n.Channel != "jobs" {
				t.Fatalf("channel %q", n.Channel)
			}
			if n.Payload == "last" { // it comes from another node: anywhere among the others
				last = true
				continue
			}
			if n.Payload != fmt.Sprint(next) {
				t.Fatalf("got %q, want %d", n.Payload, next)
			}
			var seen bool
			if err := l.conn.QueryRow(ctx, "SELECT count(*) > 0 FROM jobs WHERE id = $1::int", next).Scan(&seen); err != nil || !seen {
				t.Fatalf("row %d: %v, %v", next, seen, err)
			}
			next++
		}
		cancel()
	}
}
