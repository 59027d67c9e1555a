package rangecache_test

import (
	"context"
	"testing"
	"time"

	"github.com/cairndb/cairn/internal/testkit/memkv"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/rangecache"
)

// TestReadsOfThePastGoToTheNearestReplica: and reads of the present to the
// leaseholder, also afterwards.
func TestReadsOfThePastGoToTheNearestReplica(t *testing.T) {
	c := newCluster()
	c.put(t, 1)
	c.MoveLease(key(1), 2)
	far := map[kvapi.NodeID]int{1: 7, 2: 7, 3: 7}
	var asked []kvapi.NodeID
	c.SetOnSend(func(_ context.Context, n kvapi.NodeID, ba *kvapi.BatchRequest) memkv.Fault {
		if ba.Requests[0].Kind == kvapi.Get {
			asked = append(asked, n)
		}
		return memkv.Fault{}
	})
	sender := func(self kvapi.NodeID) *rangecache.Sender {
		return rangecache.NewSender(rangecache.Config{NodeID: self, Clock: c.clock, Transport: c.Cluster, FirstRange: c.Cluster,
			FollowerReadLag: time.Second, Distance: func(n kvapi.NodeID) int { return far[n] }})
	}
	read := func(s *rangecache.Sender, ago time.Duration) []kvapi.NodeID {
		t.Helper()
		asked = nil
		at := c.clock.Now().Timestamp().AddNanos(-int64(ago))
		txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), WriteTimestamp: at, MinTimestamp: at},
			ReadTimestamp: at, GlobalUncertaintyLimit: at}
		ba := (&kvapi.BatchRequest{Header: kvapi.Header{Txn: txn}}).Add(kvapi.Request{Kind: kvapi.Get, Key: key(1)})
		if _, err := s.Send(context.Background(), ba); err != nil {
			t.Fatal(err)
		}
		return asked
	}
	same := func(what string, got []kvapi.NodeID, want ...kvapi.NodeID) {
		t.Helper()
		if len(got) != len(want) {
			t.Errorf("%s: asked %v, want %v", what, got, want)
			return
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: asked %v, want %v", what, got, want)
			}
		}
	}
	// These replicas follow nobody: each detour ends at the leaseholder.
	on3 := sender(3)
	read(on3, 0) // learns who leads
	same("the present", read(on3, 0), 2)
	same("the past, at a node with a replica", read(on3, time.Minute), 3, 2)
	same("the present after that", read(on3, 0), 2)
	away := sender(9)
	read(away, 0)
	same("the past, from where all are as far", read(away, time.Minute), 2)
	far[1] = 3
	same("the past, from nearer to 1", read(away, time.Minute), 1, 2)
	same("not old enough", read(away, time.Second/2), 2)
}
