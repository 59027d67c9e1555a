package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/lease"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// threeLeaders is three with leases that stand on store liveness.
func threeLeaders(t *testing.T, knobs TestingKnobs) *cluster {
	return threeLeadersWith(t, knobs, 0)
}

func threeLeadersWith(t *testing.T, knobs TestingKnobs, support time.Duration) *cluster {
	c := newClusterWith(t, 3, knobs, func(c *Config) { c.Leases, c.Support = LeaderLeases, support })
	c.replicateEverywhere()
	return c
}

func (c *cluster) allAsleep() error {
	for id := range c.nodes {
		if n := c.up(id); n != nil {
			for _, r := range n.store.RangeInfos() {
				if r.Awake {
					return fmt.Errorf("%s of %s is awake", r.Desc.RangeID, id)
				}
			}
		}
	}
	return nil
}

// messages counts the messages of Raft and the commands for leases.
func (c *cluster) messages() (raft, leases int64) {
	for _, n := range c.nodes {
		raft += n.store.metrics.MessagesReceived.Load()
		leases += n.store.metrics.LeaseRequests.Load()
	}
	return raft, leases
}

func TestIdleRangesSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Old versions of ranges that were written to are collected until they are
		// gone, which wakes a range some times in the next two TTLs; and once a day
		// it is checked.
		knobs := collecting
		knobs.DisableCheckLoop = true
		c := threeLeaders(t, knobs)
		c.mustPut("a", "1")
		c.eventually("all sleep", 5*time.Second, c.allAsleep)
		c.checkConsistency()
		leader := c.nodes[c.leader(tkey("a"))]
		before := leader.store.replicas.lookup(tkey("a")).leaseSequence()
		raft, leases := c.messages()
		time.Sleep(time.Hour)
		if r, l := c.messages(); r != raft || l != leases {
			t.Errorf("%d messages and %d commands for leases in an idle hour", r-raft, l-leases)
		}
		began := time.Now()
		c.mustPut("a", "2")
		c.mustGet("a", "2")
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("the first write after an idle hour took %s", took)
		}
		if now := leader.store.replicas.lookup(tkey("a")).leaseSequence(); now != before {
			t.Errorf("lease %d became %d", before, now)
		}
		c.eventually("all sleep again", 5*time.Second, c.allAsleep)
		c.checkConsistency()
	})
}

// A node dies while all ranges sleep.
func TestFailover(t *testing.T) {
	for _, c := range []struct{ support, within time.Duration }{
		{3 * time.Second, 4 * time.Second},
		{time.Second, 2 * time.Second},
	} {
		t.Run(c.support.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := threeLeadersWith(t, quiet, c.support)
				cl.mustPut("a", "1")
				cl.eventually("all sleep", 5*time.Second, cl.allAsleep)
				cl.nodes[cl.leader(tkey("a"))].stopNode()
				began := time.Now()
				cl.mustGet("a", "1")
				if took := time.Since(began); took > c.within {
					t.Errorf("a read had to wait for %s", took)
				}
				cl.mustPut("a", "2")
				cl.checkConsistency()
			})
		})
	}
}

// A leader that sleeps does not notice by Raft that a follower died; it hands
// its ranges to one that lives all the same.
func TestASleepingLeaderTransfersToALivingNode(t *testing.T) {
	for _, first := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := threeLeaders(t, quiet)
			c.mustPut("a", "1")
			c.eventually("all sleep", 5*time.Second, c.allAsleep)
			id, dead := c.leader(tkey("a")), c.followerOf(tkey("a"))
			lives := 6 - id - dead
			if !first {
				dead, lives = lives, dead
			}
			c.nodes[dead].stopNode()
			time.Sleep(time.Minute)
			r := c.nodes[id].store.replicas.lookup(tkey("a"))
			if err := r.transferAway(context.Background(), 0); err != nil {
				t.Error(err)
			}
			if now := c.leader(tkey("a")); now != lives {
				t.Errorf("node %d leads, %d lives", now, lives)
			}
			c.mustPut("a", "2")
		})
	}
}

// As TestFailover, with the fallback: the lease ends by itself, and an election
// takes its time.
func TestFailoverOfExpirationLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClusterWith(t, 3, quiet, func(c *Config) { c.Leases = ExpirationLeases })
		c.replicateEverywhere()
		c.mustPut("a", "1")
		r := c.nodes[c.leader(tkey("a"))].store.replicas.lookup(tkey("a"))
		if st := r.leaseStatus(noTimestamp); st.Lease.Kind != kvapi.ExpirationLease {
			t.Fatalf("%s", st)
		}
		c.nodes[c.leader(tkey("a"))].stopNode()
		began := time.Now()
		c.mustGet("a", "1")
		if took := time.Since(began); took > 2*lease.Duration {
			t.Errorf("a read had to wait for %s", took)
		}
		c.mustPut("a", "2")
		c.checkConsistency()
	})
}

// A leader that a quorum holds up is not deposed by a follower that does not
// hear it, and goes on serving.
func TestCutOffFollowerDoesNotDepose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := threeLeaders(t, quiet)
		c.mustPut("a", "1")
		id := c.leader(tkey("a"))
		deaf := c.followerOf(tkey("a"))
		c.mu.Lock()
		c.cut[[2]kvapi.NodeID{id, deaf}], c.cut[[2]kvapi.NodeID{deaf, id}] = true, true
		c.mu.Unlock()
		r := c.nodes[id].store.replicas.lookup(tkey("a"))
		seq := r.leaseSequence()
		for range 300 {
			time.Sleep(100 * time.Millisecond)
			if st := r.leaseStatus(noTimestamp); !st.IsValid() {
				t.Fatalf("%s", st)
			}
		}
		if now := r.leaseSequence(); now != seq {
			t.Errorf("lease %d became %d", seq, now)
		}
		c.isolate(deaf, false)
		c.eventually("all sleep", 10*time.Second, c.allAsleep)
		c.checkConsistency()
	})
}

// deposedWhileValid has a follower forget what it promised, by a restart, while
// its leader still counts on that; then another campaigns. It reports whether
// that is elected while the leader finds its lease valid.
func deposedWhileValid(t *testing.T, knobs TestingKnobs) bool {
	c := threeLeaders(t, knobs)
	c.mustPut("a", "1")
	id, other := c.leader(tkey("a")), c.followerOf(tkey("a"))
	forgetful := 6 - id - other
	c.eventually("all sleep", 5*time.Second, c.allAsleep)
	old := c.nodes[id].store.replicas.lookup(tkey("a"))
	// The leader is cut off from the one that will campaign. To the other goes
	// nothing but store liveness.
	c.mu.Lock()
	c.cut[[2]kvapi.NodeID{id, other}], c.cut[[2]kvapi.NodeID{other, id}] = true, true
	c.lose = func(e raftgroup.Envelope) bool { return e.From.NodeID == id || e.To.NodeID == id }
	c.loseAsks = func(from, to kvapi.NodeID) bool { return from == id || to == id }
	c.mu.Unlock()
	c.nodes[forgetful].stopNode()
	c.nodes[forgetful].restart()
	for range 200 {
		time.Sleep(50 * time.Millisecond)
		for _, n := range []kvapi.NodeID{other, forgetful} {
			if c.nodes[n].store.replicas.lookup(tkey("a")).isLeading() {
				return old.leaseStatus(noTimestamp).IsValid()
			}
		}
	}
	if !old.leaseStatus(noTimestamp).IsValid() {
		t.Error("the leader was let down")
	}
	return false
}

func TestRestartedFollowerKeepsItsPromise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if deposedWhileValid(t, quiet) {
			t.Error("a leader was elected while the lease of the one before was valid")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		broken := quiet
		broken.IgnorePromises = true
		if !deposedWhileValid(t, broken) {
			t.Error("the broken build elected nobody")
		}
	})
}

// Once a transfer has begun, the leader lease of that term is dead, also when
// the transfer fails: followers let the successor be elected, however late.
func TestFailedTransferEndsTheLeaderLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := threeLeaders(t, quiet)
		c.mustPut("a", "1")
		id, to := c.leader(tkey("a")), c.followerOf(tkey("a"))
		var late []raftgroup.Envelope
		c.mu.Lock()
		c.lose = func(e raftgroup.Envelope) bool {
			if e.Message.Type() == raftgroup.MsgTimeoutNow {
				late = append(late, e)
				return true
			}
			return false
		}
		c.mu.Unlock()
		r := c.nodes[id].store.replicas.lookup(tkey("a"))
		if err := r.transferAway(context.Background(), to); err == nil {
			t.Fatal("the transfer went through without its message")
		}
		c.mustPut("a", "2")
		st := r.leaseStatus(noTimestamp)
		if !st.IsValid() || st.Lease.Kind != kvapi.ExpirationLease {
			t.Errorf("after the transfer failed: %s", st)
		}
		c.mu.Lock()
		c.lose = nil
		c.mu.Unlock()
		c.nodes[to].store.HandleRaft(late)
		c.eventually("the successor is elected after all", 2*time.Second, func() error {
			if !c.nodes[to].store.replicas.lookup(tkey("a")).isLeading() {
				return errors.New("it is not")
			}
			return nil
		})
		c.mustPut("a", "3")
		n := c.nodes[to].store.replicas.lookup(tkey("a"))
		if now := n.leaseStatus(noTimestamp); !now.IsValid() || now.Lease.Start.Less(st.Lease.Expiration) {
			t.Errorf("%s follows %s", &now.Lease, &st.Lease)
		}
	})
}

// A leader whose node restarts leads nothing any more, and says so to those who
// still wait for it.
func TestRestartedLeaderIsReplacedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := threeLeaders(t, quiet)
		c.mustPut("a", "1")
		c.eventually("all sleep", 5*time.Second, c.allAsleep)
		id := c.leader(tkey("a"))
		c.nodes[id].stopNode()
		c.nodes[id].restart()
		began := time.Now()
		c.mustGet("a", "1")
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
		c.eventually("all sleep", 10*time.Second, c.allAsleep)
		c.checkConsistency()
	})
}

func TestLeadSupport(t *testing.T) {
	type replicas = []kvapi.ReplicaDescriptor
	v, in, out, learner, demoted := kvapi.Voter, kvapi.VoterIncoming, kvapi.VoterOutgoing, kvapi.Learner, kvapi.VoterDemotingLearner
	// Replica n is on node n and holds up until n seconds, replica 1 leads.
	rep := func(n int, t kvapi.ReplicaType) kvapi.ReplicaDescriptor {
		return kvapi.ReplicaDescriptor{NodeID: kvapi.NodeID(n), ReplicaID: kvapi.ReplicaID(n), Type: t}
	}
	const forEver = -1
	for _, c := range []struct {
		name string
		of   replicas
		want int64
	}{
		{"alone", replicas{rep(1, v)}, forEver},
		{"two: both are needed", replicas{rep(1, v), rep(5, v)}, 5},
		{"three: the best of the others", replicas{rep(1, v), rep(5, v), rep(3, v)}, 5},
		{"five: the second best", replicas{rep(1, v), rep(5, v), rep(3, v), rep(9, v), rep(2, v)}, 5},
		{"learners do not count", replicas{rep(1, v), rep(5, v), rep(9, learner)}, 5},
		{"joint: the worse of both halves", replicas{rep(1, v), rep(9, out), rep(5, in)}, 5},
		{"joint: the worse of both halves, the other way round", replicas{rep(1, v), rep(5, out), rep(9, in)}, 5},
		{"joint: one to be demoted counts before", replicas{rep(1, v), rep(5, demoted), rep(3, v), rep(9, in)}, 5},
		{"a leader that is on its way out", replicas{rep(1, out), rep(5, v), rep(3, v)}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := leadSupportUntil(&kvapi.RangeDescriptor{Replicas: c.of}, func(r *kvapi.ReplicaDescriptor) hlc.Timestamp {
				if r.ReplicaID == 1 {
					return hlc.MaxTimestamp
				}
				return hlc.Timestamp{WallTime: int64(r.ReplicaID)}
			})
			want := hlc.Timestamp{WallTime: c.want}
			if c.want == forEver {
				want = hlc.MaxTimestamp
			}
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

// A replica without data votes for the leader of a split's right side, and
// promises it its vote, before the split comes to its store. What takes its
// place there owes that, too.
func TestSplitKeepsPromises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := threeLeaders(t, quiet)
		c.mustPut("a", "1")
		c.mustPut("z", "1")
		left := c.nodes[c.leader(tkey("a"))].store.replicas.lookup(tkey("a")).rangeID
		late := c.followerOf(tkey("a"))
		loseTo := func(lost func(kvapi.RangeID) bool) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.lose = func(e raftgroup.Envelope) bool { return e.To.NodeID == late && lost(e.RangeID) }
		}
		loseTo(func(id kvapi.RangeID) bool { return id == left })
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey("m")}); err != nil {
			t.Fatal(err)
		}
		right := c.nodes[c.leader(tkey("z"))].store.replicas.lookup(tkey("z")).rangeID
		var before *Replica
		c.eventually("a replica without data promises its vote", 5*time.Second, func() error {
			before = c.nodes[late].store.replicas.get(right)
			if before == nil || before.promise.Load() == nil {
				return errors.New("it has not")
			}
			return nil
		})
		if before.Desc().IsInitialized() {
			t.Fatal("the split is there already")
		}
		loseTo(func(id kvapi.RangeID) bool { return id == right })
		var after *Replica
		c.eventually("the split arrives", 10*time.Second, func() error {
			if after = c.nodes[late].store.replicas.get(right); after == before {
				return errors.New("it has not")
			}
			return nil
		})
		if p := after.promise.Load(); p == nil || *p != *before.promise.Load() {
			t.Errorf("promised %+v, now %+v", before.promise.Load(), p)
		}
		loseTo(func(kvapi.RangeID) bool { return false })
		c.eventually("all sleep", 10*time.Second, c.allAsleep)
		c.checkConsistency()
	})
}
