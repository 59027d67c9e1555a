package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// scanOn reads a span as of a timestamp, on one node and nowhere else.
func (c *cluster) scanOn(id kvapi.NodeID, from, to string, at hlc.Timestamp) (*kvapi.BatchResponse, *kvapi.Error) {
	txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), WriteTimestamp: at, MinTimestamp: at},
		ReadTimestamp: at, GlobalUncertaintyLimit: at}
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: txn}}
	return c.nodes[id].store.Send(context.Background(), ba.Add(kvapi.Request{Kind: kvapi.Scan, Key: tkey(from), EndKey: tkey(to)}))
}

func rowsOf(br *kvapi.BatchResponse) map[string]string {
	out := map[string]string{}
	for _, r := range br.Responses[0].Rows {
		out[string(r.Key)] = string(r.Value)
	}
	return out
}

func TestFollowersAnswerForThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("a", "1")
		time.Sleep(time.Second)
		then := c.now()
		time.Sleep(time.Second)
		c.mustPut("a", "2")
		follower := c.followerOf(tkey("a"))
		// Not yet, and it says who can.
		if _, err := c.scanOn(follower, "a", "b", then); err == nil || err.Kind != kvapi.ErrNotLeaseholder {
			t.Errorf("%v", err)
		}
		time.Sleep(FollowerReadLag)
		for id := range c.nodes {
			br, err := c.scanOn(id, "a", "b", then)
			if err != nil || rowsOf(br)[string(tkey("a"))] != "1" {
				t.Fatalf("%s: %v, %v", id, br, err)
			}
			if want := int32(1); id == c.leader(tkey("a")) && br.FollowerReads != 0 || id != c.leader(tkey("a")) && br.FollowerReads != want {
				t.Errorf("%s answers as a follower: %d", id, br.FollowerReads)
			}
		}
		// Without a quorum, too; but not for what came later.
		for id := range c.nodes {
			if id != follower {
				c.nodes[id].stopNode()
			}
		}
		time.Sleep(time.Minute)
		if br, err := c.scanOn(follower, "a", "b", then); err != nil || rowsOf(br)[string(tkey("a"))] != "1" {
			t.Errorf("%v, %v", br, err)
		}
		if _, err := c.scanOn(follower, "a", "b", c.now().AddNanos(-int64(10*time.Second))); err == nil {
			t.Error("it answers for a time that nobody has closed")
		}
		for id := range c.nodes {
			if id != follower {
				c.nodes[id].restart()
			}
		}
	})
}

// TestFollowersAgreeWithTheLeaseholder reads the past on all nodes while ranges
// split, merge and move: whoever answers says the same, at any time.
func TestFollowersAgreeWithTheLeaseholder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		rng := rand.New(rand.NewPCG(1, 2))
		answered := 0
		for round := range 120 {
			c.mustPut(fmt.Sprintf("k%d", rng.IntN(8)), fmt.Sprint(round))
			switch rng.IntN(10) {
			case 0:
				_ = c.split("k4")
			case 1:
				_ = c.merge("k4")
			case 2:
				to := kvapi.NodeID(1 + rng.IntN(3))
				_ = c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("k0"), Target: to})
			}
			time.Sleep(time.Duration(rng.IntN(500)) * time.Millisecond)
			at := c.now().AddNanos(-int64(time.Second) - rng.Int64N(int64(2*FollowerReadLag)))
			for _, span := range [][2]string{{"k0", "k4"}, {"k4", "k9"}} {
				want, err := c.scanOn(c.leader(tkey(span[0])), span[0], span[1], at)
				if err != nil {
					continue
				}
				for id := range c.nodes {
					got, err := c.scanOn(id, span[0], span[1], at)
					if err != nil || got.FollowerReads == 0 {
						continue
					}
					answered++
					if !reflect.DeepEqual(rowsOf(got), rowsOf(want)) {
						t.Fatalf("round %d: as of %s %s has %v, the leaseholder %v", round, at, id, rowsOf(got), rowsOf(want))
					}
				}
			}
		}
		if answered < 100 {
			t.Errorf("followers answered %d times", answered)
		}
		c.checkConsistency()
	})
}
