package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

const testRangeBytes = 128 << 10

// pairRow makes rows of two keys, k/1 and k/2.
func pairRow(k kvapi.Key) kvapi.Key {
	if i := bytes.IndexByte(k, '/'); i >= 0 {
		return k[:i]
	}
	return k
}

// smallRanges are stores whose ranges split at testRangeBytes.
func smallRanges(t *testing.T, n int, more func(*Config)) *cluster {
	c := newClusterWith(t, n, quiet, func(cfg *Config) {
		cfg.RangeBytesMax = testRangeBytes
		if more != nil {
			more(cfg)
		}
	})
	c.replicateEverywhere()
	return c
}

// tiles asserts that the ranges, as their leaseholders know them, cover the
// keyspace once, and returns them in key order.
func (c *cluster) tiles() []kvapi.RangeDescriptor {
	c.t.Helper()
	var out []kvapi.RangeDescriptor
	for k := kvapi.Key("\x02"); !k.Equal(kvapi.Key("\xff\xff")); {
		id := c.leader(k)
		d := c.nodes[id].store.replicas.lookup(k).Desc()
		if !d.StartKey.Equal(k) {
			c.t.Fatalf("%s does not begin at %s", d, k)
		}
		out = append(out, *d)
		k = d.EndKey
	}
	return out
}

func TestLargeRangesSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := smallRanges(t, 3, func(cfg *Config) { cfg.RowStart = pairRow })
		value := strings.Repeat("x", 2<<10)
		const rows = 400 // 1.6 MiB
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := w; i < rows; i += 4 {
					for _, part := range "12" {
						if err := c.put(fmt.Sprintf("%04d/%c", i, part), value); err != nil {
							t.Errorf("row %d: %v", i, err)
						}
					}
				}
			})
		}
		wg.Wait()
		c.eventually("no range is too large", 20*time.Second, func() error {
			for _, d := range c.tiles() {
				r := c.nodes[c.leader(d.StartKey)].store.replicas.lookup(d.StartKey)
				if size, over := r.isTooLarge(); over {
					return fmt.Errorf("%s has %d bytes", &d, size)
				}
			}
			return nil
		})
		ranges := c.tiles()
		if n := len(ranges); n < 1600<<10/testRangeBytes || n > 45 {
			t.Errorf("%d ranges for 1.6 MiB", n)
		}
		for _, d := range ranges {
			if bytes.IndexByte(d.StartKey, '/') >= 0 {
				t.Errorf("%s begins within a row", &d)
			}
		}
		for i := range rows {
			c.mustGet(fmt.Sprintf("%04d/2", i), value)
		}
		if got := c.splitsLogged(); len(got) != len(ranges)-3 || !strings.HasPrefix(got[0].Why, "size: ") {
			t.Errorf("%d entries in the range log for %d splits: %+v", len(got), len(ranges)-3, got)
		}
		c.checkConsistency()
	})
}

// A range of one row cannot be split. That is no reason to refuse its writes,
// nor to read it all again and again.
func TestARangeOfOneRowIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := smallRanges(t, 1, nil)
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey("one")}); err != nil {
			t.Fatal(err)
		}
		if err := c.admin(kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey("onf")}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for i := range 400 {
			c.mustPut("one", strings.Repeat(fmt.Sprint(i%10), 2<<10))
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("the writes took %s", took)
		}
		s := c.nodes[1].store
		if s.metrics.SizeSplits.Load() != 0 {
			t.Error("it was split")
		}
		r := s.replicas.lookup(tkey("one"))
		if size, over := r.isTooLarge(); over || size < 4*testRangeBytes {
			t.Errorf("a range of %d bytes is still being split", size)
		}
	})
}

// stubbornTxns refuses to split while told so.
type stubbornTxns struct {
	TxnRunner
	refuse *atomic.Bool
}

func (s stubbornTxns) RunTxn(ctx context.Context, name string, fn func(context.Context, Txn) error) error {
	if name == "split" && s.refuse.Load() {
		return errors.New("not now")
	}
	return s.TxnRunner.RunTxn(ctx, name, fn)
}

// A range that cannot be split for the moment takes no more than twice what it
// may hold; what makes room goes on, and once it is split so does the rest.
func TestWritesWaitForASplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refuse atomic.Bool
		c := smallRanges(t, 3, func(cfg *Config) { cfg.Txns = stubbornTxns{cfg.Txns, &refuse} })
		refuse.Store(true)
		value := strings.Repeat("x", 4<<10)
		var refused error
		n := 0
		for ; refused == nil && n < 1000; n++ {
			refused = c.put(fmt.Sprintf("%04d", n), value)
		}
		var e *kvapi.Error
		if !errors.As(refused, &e) || e.Kind != kvapi.ErrOverloaded || e.MaybeApplied {
			t.Fatalf("after %d rows: %v", n, refused)
		}
		if n < 2*testRangeBytes/(4<<10) || n > 2*testRangeBytes/(4<<10)+4 {
			t.Errorf("%d rows were taken", n)
		}
		began := time.Now()
		if err := c.delete("0001"); err != nil {
			t.Error(err)
		}
		c.mustGet("0002", value)
		if took := time.Since(began); took > time.Second {
			t.Errorf("a delete and a read took %s", took)
		}
		waiting := make(chan error, 1)
		go func() { waiting <- c.put("9999", value) }()
		time.Sleep(time.Second)
		select {
		case err := <-waiting:
			t.Errorf("a write did not wait: %v", err)
		default:
		}
		refuse.Store(false)
		// The pause after failures is what is left to wait for.
		c.eventually("the range splits", 2*splitRetryMax, func() error {
			if c.nodes[c.leader(tkey("0002"))].store.metrics.SizeSplits.Load() == 0 {
				return errors.New("not yet")
			}
			return nil
		})
		<-waiting
		c.mustPut("9999", value)
		c.checkConsistency()
	})
}

// The key that divides a range is found from its bytes, not its keys, and
// always between rows.
func TestHalfKeyHalves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(20) {
			rng := rand.New(rand.NewPCG(seed, 7))
			c := newCluster(t, 1, quiet)
			sizes := map[string]int{}
			total := 0
			for range 1 + rng.IntN(60) {
				row, n := fmt.Sprintf("%03d", rng.IntN(40)), rng.IntN(1+rng.IntN(4000))
				c.mustPut(fmt.Sprintf("%s/%d", row, rng.IntN(3)), strings.Repeat("v", n))
				sizes[row] += n + 20
				total += n + 20
			}
			r := c.nodes[1].store.replicas.lookup(tkey("0"))
			size, _ := r.isTooLarge()
			key, ok, err := halfKey(r.store.cfg.Engine, r.Desc(), size, pairRow)
			switch {
			case err != nil:
				t.Fatal(err)
			case !ok:
				// All of it may be one row, whose start is not the range's.
				t.Errorf("seed %d: no key in %v", seed, sizes)
				continue
			case !r.Desc().ContainsKey(key) || key.Equal(r.Desc().StartKey) || bytes.IndexByte(key, '/') >= 0:
				t.Fatalf("seed %d: %s in %s", seed, key, r.Desc())
			}
			left, largest := 0, 0
			for row, n := range sizes {
				if tkey(row).Less(key) {
					left += n
				}
				largest = max(largest, n)
			}
			if off := left - total/2; max(off, -off) > largest/2+total/10+100 {
				t.Errorf("seed %d: %d of %d bytes are left of %s; the largest row has %d", seed, left, total, key, largest)
			}
		}
	})
}

// splitsLogged returns the entries about splits.
func (c *cluster) splitsLogged() []kvapi.RangeEvent {
	return slices.DeleteFunc(c.rangeLog(), func(e kvapi.RangeEvent) bool { return e.Kind != kvapi.EventSplit })
}

// cutLog returns what the range log says of how the keyspace is cut: without
// replicas and leases that moved.
func (c *cluster) cutLog() []kvapi.RangeEvent {
	return slices.DeleteFunc(c.rangeLog(), func(e kvapi.RangeEvent) bool {
		return e.Kind == kvapi.EventLearner || e.Kind == kvapi.EventVoters || e.Kind == kvapi.EventLease
	})
}

// rangeLog returns the entries of the range log, oldest first.
func (c *cluster) rangeLog() (out []kvapi.RangeEvent) {
	c.t.Helper()
	p := kvapi.Key("\x04rangelog/")
	br, err := c.Send(context.Background(), (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.Scan, Key: p, EndKey: p.PrefixEnd()}))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, row := range br.Responses[0].Rows {
		var e kvapi.RangeEvent
		if err := e.UnmarshalWire(row.Value); err != nil {
			c.t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}
