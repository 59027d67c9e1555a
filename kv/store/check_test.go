package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// check checks the range of a key, at its leaseholder.
func (c *cluster) check(key string) kvapi.IntegrityRecord {
	c.t.Helper()
	br, err := c.Send(context.Background(), (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.AdminCheckRange, Key: tkey(key)}))
	if err != nil {
		c.t.Fatal(err)
	}
	return *br.Responses[0].Check
}

// flipBit changes one bit of the newest value of a key on one node's disk,
// behind everybody's back.
func (c *cluster) flipBit(id kvapi.NodeID, key string) {
	c.t.Helper()
	eng := c.nodes[id].engine
	sp := kvapi.Span{Key: tkey(key), EndKey: tkey(key).Next()}
	flipped := false
	err := eachPair(eng, sp, func(k, v []byte) error {
		if flipped || len(v) == 0 {
			return nil
		}
		flipped = true
		bad := append([]byte(nil), v...)
		bad[len(bad)-1] ^= 1
		b := eng.NewBatch()
		defer b.Close()
		if err := b.SetRaw(append([]byte(nil), k...), bad); err != nil {
			return err
		}
		return eng.Commit(b, true)
	})
	if err != nil || !flipped {
		c.t.Fatalf("no bit flipped of %s on %s: %v", key, id, err)
	}
}

// integrity reads the record of the range with a key.
func (c *cluster) integrity(key string) (rec kvapi.IntegrityRecord) {
	c.t.Helper()
	id := c.nodes[c.leader(tkey(key))].store.replicas.lookup(tkey(key)).rangeID
	br, err := c.Send(context.Background(), (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Get, Key: keys.RangeIntegrity(id)}))
	if err != nil || rec.UnmarshalWire(br.Responses[0].Value) != nil {
		c.t.Fatalf("record of %s: %v", id, err)
	}
	return rec
}

func (c *cluster) isQuarantined(id kvapi.NodeID, key string) bool {
	r := c.nodes[id].store.replicas.lookup(tkey(key))
	return r != nil && r.quarantined.Load() != nil
}

// replaceQuarantined does what the loops of a store do, until a node's replica
// is a new one.
func (c *cluster) replaceQuarantined(id kvapi.NodeID, key string, old kvapi.ReplicaID) {
	c.t.Helper()
	c.eventually("a quarantined replica is replaced", 5*time.Minute, func() error {
		for _, n := range c.nodes {
			n.store.collectPass(context.Background(), n.store.replicas.all())
			n.store.ReplicateOnce(context.Background())
		}
		r := c.nodes[id].store.replicas.lookup(tkey(key))
		if r == nil || r.replicaID == old || len(r.Desc().Replicas) != len(c.nodes) || r.own(r.Desc()).Type != kvapi.Voter {
			return fmt.Errorf("%s has not got its new replica", id)
		}
		return nil
	})
}

func TestAReplicaThatDiffersIsQuarantinedAndReplaced(t *testing.T) {
	for _, victim := range []string{"follower", "leader"} {
		t.Run(victim, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := three(t)
				for i := range 20 {
					c.mustPut(fmt.Sprintf("k%02d", i), "value")
				}
				if rec := c.check("k"); rec.Outcome != kvapi.CheckGood {
					t.Fatalf("%+v", rec)
				}
				proven := c.integrity("k").ProvenNanos
				if proven == 0 {
					t.Error("nothing is proven")
				}
				bad := c.leader(tkey("k"))
				if victim == "follower" {
					bad = c.followerOf(tkey("k"))
				}
				old := c.nodes[bad].store.replicas.lookup(tkey("k")).replicaID
				c.flipBit(bad, "k07")
				time.Sleep(time.Second)
				rec := c.check("k")
				if rec.Outcome != kvapi.CheckDiverged || !strings.Contains(rec.Detail, fmt.Sprintf("(%s,%d)", bad, old)) {
					t.Errorf("%+v", rec)
				}
				if !c.isQuarantined(bad, "k") {
					t.Fatal("it is in use")
				}
				// It is there, and stays out of use, also after a restart.
				c.nodes[bad].stopNode()
				c.nodes[bad].restart()
				if !c.isQuarantined(bad, "k") {
					t.Fatal("it is in use after a restart")
				}
				get := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Get, Key: tkey("k07")})
				if br, err := c.nodes[bad].store.Send(context.Background(), get); err == nil || err.Kind != kvapi.ErrRangeNotFound {
					t.Errorf("it answers: %v, %v", br, err)
				}
				c.mustGet("k07", "value")
				if got := c.integrity("k"); got.Outcome != kvapi.CheckDiverged || got.ProvenNanos != proven {
					t.Errorf("recorded: %+v", got)
				}
				c.replaceQuarantined(bad, "k", old)
				c.mustPut("k07", "again")
				c.checkConsistency()
				if rec := c.check("k"); rec.Outcome != kvapi.CheckGood {
					t.Errorf("%+v", rec)
				}
				if got := c.integrity("k"); got.ProvenNanos <= proven {
					t.Errorf("recorded: %+v", got)
				}
			})
		})
	}
}

// Without a majority nobody is taken away: one of two may be the last good one.
func TestWithoutAMajorityNobodyIsQuarantined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2, quiet)
		c.replicateEverywhere()
		c.mustPut("k", "value")
		c.checkConsistency()
		c.flipBit(c.followerOf(tkey("k")), "k")
		time.Sleep(time.Second)
		rec := c.check("k")
		if rec.Outcome != kvapi.CheckDiverged || !strings.Contains(rec.Detail, "no majority") {
			t.Errorf("%+v", rec)
		}
		for id := range c.nodes {
			if c.isQuarantined(id, "k") {
				t.Errorf("%s is out of use", id)
			}
		}
	})
}

func TestWrongStatisticsArePutRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		c.mustPut("k", "value")
		leader := c.leader(tkey("k"))
		r := c.nodes[leader].store.replicas.lookup(tkey("k"))
		if err := r.correctStatistics(context.Background(), kvapi.RangeStatistics{LiveBytes: 7, KeyCount: -1}); err != nil {
			t.Fatal(err)
		}
		if rec := c.check("k"); rec.Outcome != kvapi.CheckRepaired {
			t.Errorf("%+v", rec)
		}
		if rec := c.check("k"); rec.Outcome != kvapi.CheckGood {
			t.Errorf("%+v", rec)
		}
		c.checkConsistency()
	})
}

// A range is checked by itself, once in an interval, whoever has its lease; one
// that could not be checked as a whole soon again, also where others wait in vain
// before it.
func TestRangesAreCheckedByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every = 20 * time.Minute
		c := newClusterWith(t, 3, quiet, func(cfg *Config) { cfg.CheckInterval = every })
		c.replicateEverywhere()
		c.mustPut("k", "value")
		checked := func() (n int64) {
			for _, n2 := range c.nodes {
				n += n2.store.metrics.RangesChecked.Load()
			}
			return n
		}
		time.Sleep(every/checkNewShare + 3*every/checkLooks)
		ranges := int64(len(c.tiles()))
		if n := checked(); n != ranges {
			t.Fatalf("%d checks of %d ranges", n, ranges)
		}
		first := c.integrity("k")
		if first.Outcome != kvapi.CheckGood {
			t.Errorf("%+v", first)
		}
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("k"), Target: c.followerOf(tkey("k"))}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(every / 2)
		if n := checked(); n != ranges {
			t.Errorf("%d checks of %d ranges in one interval", n, ranges)
		}
		away := c.followerOf(tkey("k"))
		c.isolate(away, true)
		time.Sleep(every)
		if rec := c.integrity("k"); rec.Outcome != kvapi.CheckIncomplete || rec.ProvenNanos != first.ProvenNanos {
			t.Errorf("%+v", rec)
		}
		c.isolate(away, false)
		time.Sleep(every / 4)
		if rec := c.integrity("k"); rec.Outcome != kvapi.CheckGood || rec.ProvenNanos <= first.ProvenNanos {
			t.Errorf("%+v", rec)
		}
	})
}

func TestWhoIsRight(t *testing.T) {
	voter := func(n kvapi.NodeID) kvapi.ReplicaDescriptor {
		return kvapi.ReplicaDescriptor{NodeID: n, ReplicaID: kvapi.ReplicaID(n)}
	}
	learner := kvapi.ReplicaDescriptor{NodeID: 9, ReplicaID: 9, Type: kvapi.Learner}
	has := func(r kvapi.ReplicaDescriptor, sum string) checkAnswer {
		return checkAnswer{replica: r, sum: &kvapi.ReplicaChecksum{Sum: []byte(sum)}}
	}
	silent := func(r kvapi.ReplicaDescriptor) checkAnswer { return checkAnswer{replica: r, why: "down"} }
	broken := func(r kvapi.ReplicaDescriptor) checkAnswer {
		return checkAnswer{replica: r, sum: &kvapi.ReplicaChecksum{Unreadable: "bad block"}}
	}
	for _, tc := range []struct {
		name    string
		answers []checkAnswer
		want    kvapi.IntegrityOutcome
		bad     string
	}{
		{"all equal", []checkAnswer{has(voter(1), "a"), has(voter(2), "a"), has(voter(3), "a")}, kvapi.CheckGood, ""},
		{"alone", []checkAnswer{has(voter(1), "a")}, kvapi.CheckGood, ""},
		{"one is down", []checkAnswer{has(voter(1), "a"), has(voter(2), "a"), silent(voter(3))}, kvapi.CheckIncomplete, ""},
		{"two are down", []checkAnswer{has(voter(1), "a"), silent(voter(2)), silent(voter(3))}, kvapi.CheckIncomplete, ""},
		{"one differs", []checkAnswer{has(voter(1), "a"), has(voter(2), "b"), has(voter(3), "a")}, kvapi.CheckDiverged, "2"},
		{"one differs, one is down", []checkAnswer{has(voter(1), "a"), has(voter(2), "b"), silent(voter(3))}, kvapi.CheckDiverged, ""},
		{"all differ", []checkAnswer{has(voter(1), "a"), has(voter(2), "b"), has(voter(3), "c")}, kvapi.CheckDiverged, ""},
		{"two of five differ", []checkAnswer{has(voter(1), "a"), has(voter(2), "b"), has(voter(3), "a"), has(voter(4), "c"), has(voter(5), "a")},
			kvapi.CheckDiverged, "2 4"},
		{"a learner differs", []checkAnswer{has(voter(1), "a"), has(voter(2), "a"), has(learner, "b")}, kvapi.CheckDiverged, "9"},
		{"learners are no majority", []checkAnswer{has(voter(1), "a"), has(voter(2), "b"), has(learner, "b")}, kvapi.CheckDiverged, ""},
		{"a voter and a learner agree, the other voter is down", []checkAnswer{has(voter(1), "a"), has(learner, "a"), silent(voter(2))}, kvapi.CheckIncomplete, ""},
		{"one cannot be read", []checkAnswer{has(voter(1), "a"), broken(voter(2)), has(voter(3), "a")}, kvapi.CheckDiverged, "2"},
		{"the only one cannot be read", []checkAnswer{broken(voter(1))}, kvapi.CheckDiverged, ""},
	} {
		v := judgeCheck(tc.answers)
		var bad []string
		for _, b := range v.bad {
			bad = append(bad, fmt.Sprint(b.ReplicaID))
		}
		if v.outcome != tc.want || strings.Join(bad, " ") != tc.bad {
			t.Errorf("%s: %s, bad %q (%s)", tc.name, v.outcome, bad, v.detail)
		}
	}
}

// A merge does not take in what is out of use: the replica that would goes the
// same way.
func TestAMergeWithAQuarantinedReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		knobs := quiet
		var right *Replica
		knobs.AfterAdmit = func(ba *kvapi.BatchRequest) {
			// By now every replica has said that it has applied the freeze.
			if et := ba.EndTxnRequest(); et == nil || et.Merge == nil || !et.Commit || right.quarantined.Load() != nil {
				return
			}
			right.raftMu.Lock()
			defer right.raftMu.Unlock()
			if err := right.quarantine("for the test"); err != nil {
				t.Error(err)
			}
		}
		c := newCluster(t, 3, knobs)
		c.replicateEverywhere()
		if err := c.split("m"); err != nil {
			t.Fatal(err)
		}
		c.mustPut("a", "left")
		c.mustPut("n", "right")
		c.checkConsistency()
		bad := c.followerOf(tkey("a"))
		right = c.nodes[bad].store.replicas.lookup(tkey("n"))
		old := c.nodes[bad].store.replicas.lookup(tkey("a")).replicaID
		c.mergeSoon("m")
		c.eventually("both are out of use", time.Minute, func() error {
			if !c.isQuarantined(bad, "a") || !c.isQuarantined(bad, "n") {
				return errors.New("one is in use")
			}
			return nil
		})
		c.replaceQuarantined(bad, "a", old)
		c.mustGet("a", "left")
		c.mustGet("n", "right")
		c.checkConsistency()
	})
}
