package store

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// TestIdleCost measures what an idle cluster of three stores and 40 ranges
// costs, in real time; CAIRN_IDLE=1 runs it.
func TestIdleCost(t *testing.T) {
	if os.Getenv("CAIRN_IDLE") == "" {
		t.Skip("CAIRN_IDLE is not set")
	}
	c := newCluster(t, 3, TestingKnobs{})
	c.replicateEverywhere()
	for i := range 37 {
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey(fmt.Sprintf("s%02d", i))}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(3 * time.Second)
	before := cpu()
	msgs := c.nodes[1].store.metrics.MessagesReceived.Load()
	const idle = 10 * time.Second
	time.Sleep(idle)
	t.Logf("%.2f %% of one core, %d messages/s to n1", 100*float64(cpu()-before)/float64(idle),
		(c.nodes[1].store.metrics.MessagesReceived.Load()-msgs)/10)
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
