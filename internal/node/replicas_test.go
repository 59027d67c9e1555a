package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cairndb/cairn/internal/rpc/rpcpb"
	"github.com/cairndb/cairn/kv/store"
	"github.com/cairndb/cairn/sql/builtins"
)

// The past is read on any node without asking another, and says so; the replicas
// that answer are checked when asked.
func TestReplicasAnswerForThePastAndAreChecked(t *testing.T) {
	if builtins.FollowerReadLag <= store.FollowerReadLag {
		t.Fatalf("cairn.follower_read_timestamp() is %s old, followers answer after %s", builtins.FollowerReadLag, store.FollowerReadLag)
	}
	c := startCluster(t, 3)
	s := c.client(0)
	s.exec("CREATE TABLE t (id int PRIMARY KEY)")
	s.exec("INSERT INTO t VALUES (1)")
	written := s.rows("SELECT clock_timestamp()")

	admin := adminService{n: c.nodes[1]}
	ranges, err := admin.Ranges(context.Background(), &rpcpb.RangesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	last := ranges.Ranges[len(ranges.Ranges)-1].RangeId
	var resp *rpcpb.CheckRangeResponse
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		// The table has just been given its range, which may not be on all nodes yet.
		resp, err = admin.CheckRange(context.Background(), &rpcpb.CheckRangeRequest{RangeId: last})
		if err != nil || resp.Outcome != "incomplete" || time.Now().After(deadline) {
			break
		}
	}
	if err != nil || resp.Outcome != "good" {
		t.Errorf("%v, %v", resp, err)
	}
	if got := s.rows(fmt.Sprintf("SELECT outcome, proven_at IS NOT NULL FROM cairn.integrity WHERE range_id = %d", last)); !strings.Contains(got, "good") {
		t.Errorf("cairn.integrity has %q", got)
	}
	if _, err := admin.CheckRange(context.Background(), &rpcpb.CheckRangeRequest{RangeId: 99999}); err == nil {
		t.Error("a range that is not was checked")
	}

	// Every node has a replica; one of the three clients is at the leaseholder.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		told := 0
		for i := range c.nodes {
			s := c.client(i)
			s.exec(fmt.Sprintf("SET cairn.read_as_of = '%s'", written))
			if got := s.rows("EXPLAIN (ANALYZE) SELECT * FROM t"); strings.Contains(got, "Follower Reads: ") {
				told++
			}
			if got := s.rows("SELECT * FROM t"); got != "1" {
				t.Fatalf("node %d reads %q", i+1, got)
			}
		}
		if told == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d nodes answer from their own replicas", told)
		}
	}
	if got := c.client(2).rows("BEGIN; SELECT cairn.as_of(cairn.follower_read_timestamp()) < now() - '5 s'::interval; COMMIT"); !strings.Contains(got, "t") {
		t.Errorf("%q", got)
	}
}
