package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/gc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/kv/storage/storagetest"
)

// collecting are knobs of a cluster that collects when the test says so.
var collecting = TestingKnobs{DisableReplicateLoop: true, DisableGCLoop: true}

func keepFor(ttl time.Duration) func(*Config) {
	return func(c *Config) { c.GCTTL, c.GCInterval = ttl, 200*time.Millisecond }
}

// write puts a value, or with nil deletes, and returns where.
func (c *cluster) write(key string, value []byte) (hlc.Timestamp, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	q := kvapi.Request{Kind: kvapi.Put, Key: tkey(key), Value: value}
	if value == nil {
		q = kvapi.Request{Kind: kvapi.Delete, Key: tkey(key)}
	}
	br, err := c.Send(ctx, (&kvapi.BatchRequest{}).Add(q))
	if err != nil {
		return hlc.Timestamp{}, err
	}
	return br.Timestamp, nil
}

func (c *cluster) mustWrite(key string, value []byte) hlc.Timestamp {
	c.t.Helper()
	ts, err := c.write(key, value)
	if err != nil {
		c.t.Fatalf("write %s: %v", key, err)
	}
	return ts
}

// readAt reads the past, as a read-only transaction does.
func (c *cluster) readAt(key string, at hlc.Timestamp) (string, *kvapi.Error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ba := &kvapi.BatchRequest{}
	ba.Txn = &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), WriteTimestamp: at, MinTimestamp: at}, ReadTimestamp: at}
	br, err := c.Send(ctx, ba.Add(kvapi.Request{Kind: kvapi.Get, Key: tkey(key)}))
	if err != nil {
		return "", err
	}
	return string(br.Responses[0].Value), nil
}

func (c *cluster) mustReadAt(key string, at hlc.Timestamp, want string) {
	c.t.Helper()
	if got, err := c.readAt(key, at); err != nil || got != want {
		c.t.Fatalf("%s at %s: %q, %v; want %q", key, at, got, err, want)
	}
}

// mustBeGone waits until a version is below the threshold wherever it is asked
// for: a follower that answers reads of the past learns of the threshold after
// the leaseholder.
func (c *cluster) mustBeGone(key string, at hlc.Timestamp) {
	c.t.Helper()
	c.eventually("below the threshold", 10*time.Second, func() error {
		got, err := c.readAt(key, at)
		if err == nil || err.Kind != kvapi.ErrBelowGCThreshold {
			return fmt.Errorf("%s at %s: %q, %v", key, at, got, err)
		}
		return nil
	})
}

// collect has every node look once.
func (c *cluster) collect() {
	for id := kvapi.NodeID(1); int(id) <= len(c.nodes); id++ {
		if n := c.up(id); n != nil {
			n.store.CollectGarbage(context.Background())
		}
	}
}

// stats are those of the range of a key, as its leaseholder has them.
func (c *cluster) stats(key string) kvapi.RangeStatistics {
	c.t.Helper()
	br, err := c.Send(context.Background(), (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.RangeStats, Key: tkey(key)}))
	if err != nil {
		c.t.Fatal(err)
	}
	return *br.Responses[0].Stats
}

func TestOldVersionsAreCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClusterWith(t, 3, collecting, keepFor(time.Minute))
		c.replicateEverywhere()
		var at []hlc.Timestamp
		for i := range 200 {
			at = append(at, c.mustWrite("hot", []byte(fmt.Sprint(i))))
			time.Sleep(10 * time.Millisecond)
		}
		c.mustWrite("gone", []byte("x"))
		gone := c.mustWrite("gone", nil)
		c.mustWrite("stays", []byte("y"))
		c.collect()
		c.mustReadAt("hot", at[0], "0")
		if n := c.stats("hot").ValCount; n != 203 {
			t.Fatalf("%d versions", n)
		}
		time.Sleep(2 * time.Minute)
		young := c.mustWrite("hot", []byte("young"))
		c.collect()
		if s := c.stats("hot"); s.ValCount != 3 || s.KeyCount != 2 || s.GarbageBytes() != s.KeyBytes+s.ValBytes-s.LiveBytes {
			t.Errorf("%+v", s)
		}
		c.mustBeGone("hot", at[0])
		c.mustBeGone("gone", gone.Prev())
		c.mustReadAt("hot", young.Prev(), "199")
		c.mustReadAt("hot", young, "young")
		c.mustGet("gone", "")
		c.mustGet("stays", "y")
		// Two TTLs later nothing is left to do, and nothing is done.
		time.Sleep(2 * time.Minute)
		c.collect()
		if s := c.stats("hot"); s.GarbageBytes() != 0 {
			t.Errorf("%+v", s)
		}
		passes := c.gcPasses()
		time.Sleep(time.Hour)
		c.collect()
		if n := c.gcPasses() - passes; n > 2 { // the ranges of addressing and of system keys may have some
			t.Errorf("%d passes over idle ranges", n)
		}
		c.checkConsistency()
	})
}

func (c *cluster) gcPasses() (n int64) {
	for _, node := range c.nodes {
		n += node.store.metrics.GCPasses.Load()
	}
	return n
}

// The threshold is part of the range's state: who has the range has it.
func TestTheThresholdStays(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(c *cluster)
	}{
		{"when the lease moves", func(c *cluster) {
			if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("a"), Target: c.followerOf(tkey("a"))}); err != nil {
				c.t.Fatal(err)
			}
		}},
		{"in both halves of a split", func(c *cluster) {
			if err := c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey("m")}); err != nil {
				c.t.Fatal(err)
			}
		}},
		{"over a power cut of all nodes", func(c *cluster) {
			rng := rand.New(rand.NewPCG(1, 1))
			for _, n := range c.nodes {
				n.crash(rng, 0)
			}
			for _, n := range c.nodes {
				n.restart()
			}
		}},
		{"in a snapshot", func(c *cluster) {
			id := c.followerOf(tkey("a"))
			for _, add := range []kvapi.ReplicaChange{{Remove: []kvapi.NodeID{id}}, {Add: []kvapi.NodeID{id}}} {
				c.eventually("the replica is replaced", 30*time.Second, func() error {
					return c.admin(kvapi.Request{Kind: kvapi.AdminChangeReplicas, Key: tkey("a"), Change: &add})
				})
				time.Sleep(time.Second)
			}
			if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("a"), Target: id}); err != nil {
				c.t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClusterWith(t, 3, collecting, keepFor(time.Minute))
				c.replicateEverywhere()
				old := map[string]hlc.Timestamp{}
				for _, k := range []string{"a", "z"} {
					old[k] = c.mustWrite(k, []byte("1"))
					c.mustWrite(k, []byte("2"))
				}
				time.Sleep(2 * time.Minute)
				c.collect()
				test.do(c)
				for k, at := range old {
					c.mustGet(k, "2")
					c.mustBeGone(k, at)
				}
				c.checkConsistency()
			})
		})
	}
}

// overtaken reads a value that is collected between the read's admission and its
// look at the engine.
func overtaken(t *testing.T, knobs TestingKnobs) (string, *kvapi.Error) {
	var c *cluster
	var reader kvapi.TxnID
	admitted, collected := make(chan struct{}), make(chan struct{})
	knobs.AfterAdmit = func(ba *kvapi.BatchRequest) {
		if ba.Txn != nil && ba.Txn.Name == "overtaken" && reader == (kvapi.TxnID{}) {
			reader = ba.Txn.ID
			close(admitted)
			<-collected
		}
	}
	c = newClusterWith(t, 1, knobs, keepFor(time.Second))
	old := c.mustWrite("a", []byte("old"))
	c.mustWrite("a", []byte("new"))
	type answer struct {
		value string
		err   *kvapi.Error
	}
	answers := make(chan answer)
	go func() {
		ba := &kvapi.BatchRequest{}
		ba.Txn = &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), WriteTimestamp: old, MinTimestamp: old}, ReadTimestamp: old, Name: "overtaken"}
		br, err := c.Send(t.Context(), ba.Add(kvapi.Request{Kind: kvapi.Get, Key: tkey("a")}))
		if err != nil {
			answers <- answer{err: err}
			return
		}
		answers <- answer{value: string(br.Responses[0].Value)}
	}()
	<-admitted
	time.Sleep(2 * time.Second)
	c.collect() // is not held up by the read's latch
	close(collected)
	a := <-answers
	return a.value, a.err
}

func TestAReadThatTheThresholdOvertakesFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if v, err := overtaken(t, collecting); err == nil || err.Kind != kvapi.ErrBelowGCThreshold {
			t.Errorf("%q, %v", v, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		broken := collecting
		broken.ForgetThreshold = true
		if v, err := overtaken(t, broken); err != nil || v != "" {
			t.Errorf("the broken build reads %q, %v, not the absence of what was there", v, err)
		}
	})
}

// raise asks for a threshold as a collection does that read the protections at
// asOf.
func (c *cluster) raise(key string, to, asOf hlc.Timestamp) *kvapi.Error {
	r := c.nodes[c.leader(tkey(key))].store.replicas.lookup(tkey(key))
	_, err := r.sendGC(context.Background(), []kvapi.Request{{Kind: kvapi.RaiseGCThreshold, Key: r.Desc().StartKey,
		GC: &kvapi.GCArgs{Threshold: to, ProtectedAsOf: asOf}}}, 0)
	return err
}

func (c *cluster) protector() gc.Protector {
	return gc.Protector{Sender: c, Clock: c.nodes[1].clock}
}

func protectAt(ts hlc.Timestamp) gc.Protection {
	return gc.Protection{Span: kvapi.Span{Key: tkey("m"), EndKey: keys.Table(101)}, Timestamp: ts, For: "a test"}
}

// The steps of a protection (write the record, ask the range) and of a collection
// (read the records, raise the threshold) in all orders: either the protection
// fails, or the threshold is not raised over it.
func TestProtectionOrCollection(t *testing.T) {
	orders := []string{"WQRT", "WRQT", "WRTQ", "RWQT", "RWTQ", "RTWQ"}
	for _, order := range orders {
		t.Run(order, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClusterWith(t, 1, collecting, keepFor(time.Second))
				old := c.mustWrite("z", []byte("old"))
				c.mustWrite("z", []byte("new"))
				time.Sleep(time.Minute)
				want := protectAt(old)
				var records []gc.Protection
				var wrote, read hlc.Timestamp
				protected, raised := false, false
				for _, step := range order {
					time.Sleep(time.Millisecond)
					switch step {
					case 'W':
						ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Put, Key: append(keys.ProtectionPrefix.Clone(), "0123456789abcdef"...), Value: want.AppendWire(nil)})
						br, err := c.Send(t.Context(), ba)
						if err != nil {
							t.Fatal(err)
						}
						wrote = br.Timestamp
					case 'Q':
						ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.CheckProtection, Key: want.Span.Key, EndKey: want.Span.EndKey,
							GC: &kvapi.GCArgs{Threshold: old, ProtectedAsOf: wrote}})
						_, err := c.Send(t.Context(), ba)
						protected = err == nil
					case 'R':
						var err error
						if records, read, err = c.protector().Protections(t.Context()); err != nil {
							t.Fatal(err)
						}
					case 'T':
						to := gc.Target(read, time.Second, want.Span, records)
						raised = c.raise("z", to, read) == nil && old.LessEq(to)
					}
				}
				if protected && raised {
					t.Error("it is protected, and the threshold was raised over it")
				}
				if wants := map[string]bool{"WQRT": true, "WRQT": true, "WRTQ": true, "RWQT": true}; protected != wants[order] {
					t.Errorf("protected: %t", protected)
				}
				if protected {
					time.Sleep(time.Minute)
					c.collect()
					c.mustReadAt("z", old, "old")
				}
			})
		})
	}
}

// What a leaseholder was told of a protection is good for its successors, and
// for what is split off.
func TestProtectionSurvivesLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClusterWith(t, 3, collecting, keepFor(time.Second))
		c.replicateEverywhere()
		old := c.mustWrite("z", []byte("old"))
		c.mustWrite("z", []byte("new"))
		time.Sleep(time.Minute)
		before, read, err := c.protector().Protections(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		id, err := c.protector().Protect(t.Context(), protectAt(old))
		if err != nil {
			t.Fatal(err)
		}
		late := gc.Target(read, time.Second, protectAt(old).Span, before)
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey("m")}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := c.raise("z", late, read); err == nil {
				t.Fatal("a collection from before the protection went over it")
			}
			if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("z"), Target: c.followerOf(tkey("z"))}); err != nil {
				t.Fatal(err)
			}
			c.mustReadAt("z", old, "old")
		}
		c.collect()
		c.mustReadAt("z", old, "old")
		if err := c.protector().Release(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		c.collect()
		c.mustBeGone("z", old)
		if _, err := c.protector().Protect(t.Context(), protectAt(old)); !isBelowThreshold(err) {
			t.Errorf("what is gone was protected: %v", err)
		}
		if left, _, err := c.protector().Protections(t.Context()); err != nil || len(left) != 0 {
			t.Errorf("%v are left, %v", left, err)
		}
		expiring := protectAt(c.clockNow().AddNanos(-1))
		expiring.Expires = c.clockNow().AddNanos(int64(10 * time.Second))
		c.mustWrite("z", []byte("newer"))
		if _, err := c.protector().Protect(t.Context(), expiring); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		c.collect()
		c.mustReadAt("z", expiring.Timestamp, "new")
		time.Sleep(10 * time.Second)
		c.collect()
		c.mustBeGone("z", expiring.Timestamp)
	})
}

func isBelowThreshold(err error) bool {
	var e *kvapi.Error
	return errors.As(err, &e) && e.Kind == kvapi.ErrBelowGCThreshold
}

// A transaction whose read may have been followed by a deletion that is
// collected by now must not believe that nothing was written.
func TestNothingIsProvedByWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClusterWith(t, 1, collecting, keepFor(time.Second))
		read := c.mustWrite("a", []byte("1"))
		c.mustWrite("a", nil)
		time.Sleep(time.Minute)
		c.collect()
		now := c.clockNow()
		txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), AnchorKey: tkey("a"), WriteTimestamp: now, MinTimestamp: read}, ReadTimestamp: now}
		for _, q := range []kvapi.Request{
			{Kind: kvapi.Refresh, Key: tkey("a"), RefreshFrom: read},
			{Kind: kvapi.RefreshRange, Key: tkey("a"), EndKey: tkey("b"), RefreshFrom: read},
			{Kind: kvapi.Put, Key: tkey("a"), Value: []byte("2"), ReadAt: read, Seq: 1},
		} {
			ba := &kvapi.BatchRequest{}
			ba.Txn = txn
			if _, err := c.Send(t.Context(), ba.Add(q)); err == nil || err.Kind != kvapi.ErrRefreshFailed {
				t.Errorf("%s: %v", q.Kind, err)
			}
		}
	})
}

// A command that removes what it must not has no effect.
func TestUnfitRemovalsAreRefused(t *testing.T) {
	desc := &kvapi.RangeDescriptor{RangeID: 7, StartKey: kvapi.Key("b"), EndKey: kvapi.Key("m")}
	sp := func(a, b string) *kvapi.Span { return &kvapi.Span{Key: kvapi.Key(a), EndKey: kvapi.Key(b)} }
	at := func(k string, wall int64) []byte {
		return storage.EncodeMVCCKey(nil, kvapi.Key(k), hlc.Timestamp{WallTime: wall})
	}
	eng := storagetest.Open(t)
	for _, c := range []struct {
		name    string
		removes *kvapi.Span
		upTo    int64
		write   func(b *storage.Batch) error
		fits    bool
	}{
		{"a version", sp("c", "d"), 30, func(b *storage.Batch) error { return b.DeleteRaw(at("c", 30)) }, true},
		{"one above the threshold", sp("c", "d"), 30, func(b *storage.Batch) error { return b.DeleteRaw(at("c", 31)) }, false},
		{"up to above the range's threshold", sp("c", "d"), 51, func(b *storage.Batch) error { return b.DeleteRaw(at("c", 30)) }, false},
		{"a key that was not declared", sp("c", "d"), 30, func(b *storage.Batch) error { return b.DeleteRaw(at("d", 30)) }, false},
		{"a key of another range", sp("c", "n"), 30, func(b *storage.Batch) error { return b.DeleteRaw(at("mm", 30)) }, false},
		{"a record", sp("c", "d"), 30, func(b *storage.Batch) error {
			return b.DeleteRaw(storage.EncodeKey(nil, keys.TxnRecord(kvapi.Key("c"), kvapi.TxnID{1})))
		}, false},
		{"a version of a descriptor", sp("c", "d"), 30, func(b *storage.Batch) error {
			return b.DeleteRaw(storage.EncodeMVCCKey(nil, keys.RangeDescriptor(kvapi.Key("c")), hlc.Timestamp{WallTime: 20}))
		}, true},
		{"a value is set", sp("c", "d"), 30, func(b *storage.Batch) error { return b.SetRaw(at("c", 30), []byte("x")) }, false},
		{"a run of versions", sp("c", "d"), 30, func(b *storage.Batch) error { return b.DeleteRangeRaw(at("c", 30), at("c", 10)) }, true},
		{"all versions from one", sp("c", "d"), 30, func(b *storage.Batch) error {
			return b.DeleteRangeRaw(at("c", 30), storage.EncodeKey(nil, kvapi.Key("c").Next()))
		}, true},
		{"a run over two keys", sp("c", "e"), 30, func(b *storage.Batch) error { return b.DeleteRangeRaw(at("c", 30), at("d", 10)) }, false},
		{"a span", sp("c", "d"), 0, func(b *storage.Batch) error {
			return mvcc.ClearRange(overEngine{eng, b}, *sp("c", "d"), &kvapi.RangeStatistics{})
		}, true},
		{"a longer span than declared", sp("c", "d"), 0, func(b *storage.Batch) error {
			return mvcc.ClearRange(overEngine{eng, b}, *sp("c", "da"), &kvapi.RangeStatistics{})
		}, false},
		{"a span beyond the range", sp("c", "n"), 0, func(b *storage.Batch) error {
			return mvcc.ClearRange(overEngine{eng, b}, *sp("c", "n"), &kvapi.RangeStatistics{})
		}, false},
	} {
		b := eng.NewBatch()
		if err := c.write(b); err != nil {
			t.Fatal(err)
		}
		h := &commandHeader{Removes: c.removes}
		if c.upTo > 0 {
			h.RemovesUpTo = hlc.Timestamp{WallTime: c.upTo}
		}
		err := checkRemoval(h, b.Repr(), desc, hlc.Timestamp{WallTime: 50})
		if (err == nil) != c.fits || err != nil && !errors.Is(err, errUnfitRemoval) {
			t.Errorf("%s: %v", c.name, err)
		}
		_ = b.Close()
	}
}

// overEngine reads the engine and writes a batch.
type overEngine struct {
	*storage.Engine
	b *storage.Batch
}

func (o overEngine) SetRaw(k, v []byte) error             { return o.b.SetRaw(k, v) }
func (o overEngine) DeleteRaw(k []byte) error             { return o.b.DeleteRaw(k) }
func (o overEngine) DeleteRangeRaw(from, to []byte) error { return o.b.DeleteRangeRaw(from, to) }

// TestCollectionUnderFaults writes, collects and disturbs at random, and compares
// what is read, at all times, with what was written.
func TestCollectionUnderFaults(t *testing.T) {
	for seed := range crashSeeds() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testCollectionUnderFaults(t, rand.New(rand.NewPCG(seed, 11))) })
		})
	}
}

// written is an acknowledged write of a key that has one writer.
type written struct {
	at    hlc.Timestamp
	value []byte
}

func testCollectionUnderFaults(t *testing.T, rng *rand.Rand) {
	ttl := time.Duration(1+rng.IntN(3)) * time.Second
	c := newClusterWith(t, 3, quiet, keepFor(ttl))
	c.replicateEverywhere()
	const writers = 3
	var wg sync.WaitGroup
	stop := make(chan struct{})
	histories := make([][]written, writers)
	var refused, read int
	for w := range writers {
		own := rand.New(rand.NewPCG(rng.Uint64(), 3))
		wg.Go(func() {
			key := fmt.Sprintf("w%d", w)
			var h []written
			for i := 1; ; i++ {
				select {
				case <-stop:
					histories[w] = h
					return
				default:
				}
				value := []byte(fmt.Sprint(i))
				if own.IntN(4) == 0 {
					value = nil
				}
				ts, err := c.write(key, value)
				if err != nil {
					// Whether it is there is not known: begin anew above it.
					h = nil
					for err != nil {
						time.Sleep(100 * time.Millisecond)
						ts, err = c.write(key, value)
					}
				}
				h = append(h, written{ts, value})
				at := h[own.IntN(len(h))].at
				if own.IntN(2) == 0 {
					at = at.AddNanos(own.Int64N(int64(50 * time.Millisecond)))
				}
				if last := h[len(h)-1].at; last.Less(at) {
					at = last
				}
				n, _ := slices.BinarySearchFunc(h, at, func(v written, ts hlc.Timestamp) int {
					if v.at.LessEq(ts) {
						return -1
					}
					return 1
				})
				got, rerr := c.readAt(key, at)
				switch {
				case rerr != nil && rerr.Kind == kvapi.ErrBelowGCThreshold:
					if w == 0 {
						refused++
					}
					if age := time.Duration(c.nodes[1].clock.Now().WallTime - at.WallTime); age < ttl {
						t.Errorf("%s at %s, %s ago, is refused", key, at, age)
					}
				case rerr == nil && got != string(h[n-1].value):
					t.Errorf("%s at %s: %q, want %q", key, at, got, h[n-1].value)
				case rerr == nil && w == 0:
					read++
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	for round := range 4 {
		time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
		c.disturb(rng, round)
	}
	close(stop)
	wg.Wait()
	if refused == 0 || read == 0 {
		t.Errorf("%d reads were answered, %d refused: the test tests nothing", read, refused)
	}
	for w, h := range histories {
		c.mustGet(fmt.Sprintf("w%d", w), string(h[len(h)-1].value))
	}
	c.checkConsistency()
	for w := range writers {
		key := fmt.Sprintf("w%d", w)
		c.eventually("the garbage of "+key+" goes", 2*time.Minute, func() error {
			if n := bytes.Count([]byte(c.versionsOf(key)), []byte("\n")); n > 1 {
				return fmt.Errorf("%d versions", n)
			}
			return nil
		})
	}
	for _, n := range c.nodes {
		if m := n.store.metrics.RemovalsRefused.Load(); m != 0 {
			t.Errorf("%s refused %d removals", n.id, m)
		}
	}
	c.checkConsistency()
}

// versionsOf lists the versions of a key where it is served, a line each.
func (c *cluster) versionsOf(key string) (out string) {
	eng := c.nodes[c.leader(tkey(key))].engine
	_ = mvcc.EachVersion(eng, kvapi.Span{Key: tkey(key), EndKey: tkey(key).Next()}, func(_ kvapi.Key, at hlc.Timestamp, v []byte, tombstone bool) {
		out += fmt.Sprintf("%s %q %t\n", at, v, tombstone)
	})
	return out
}
