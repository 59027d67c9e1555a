package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

func TestWhichCommitsCross(t *testing.T) {
	c := &crossings{before: tkey("c"), start: tkey("e"), end: tkey("g"), beyond: tkey("m")}
	for _, x := range []struct {
		spans       string
		left, right int64
	}{
		{"e f", 0, 0},
		{"e g", 0, 1},
		{"e m", 0, 0}, // beyond the neighbour
		{"d e", 1, 0},
		{"b e", 0, 0},
		{"e d h", 1, 1},
		{"d-f", 1, 0},
		{"b-d", 1, 0}, // of what a span locked any key may be
		{"f-h", 0, 1},
		{"f-g", 0, 0},
		{"a-c e", 0, 0},
	} {
		var spans []kvapi.Span
		for _, f := range strings.Fields(x.spans) {
			from, to, isRange := strings.Cut(f, "-")
			sp := kvapi.Span{Key: tkey(from)}
			if isRange {
				sp.EndKey = tkey(to)
			}
			spans = append(spans, sp)
		}
		c.note(spans)
		if l, r := c.to[leftSide].Swap(0), c.to[rightSide].Swap(0); l != x.left || r != x.right {
			t.Errorf("%s: %d to the left, %d to the right, want %d and %d", x.spans, l, r, x.left, x.right)
		}
	}
	alone := &crossings{start: tkey("e"), end: tkey("g")}
	alone.note([]kvapi.Span{{Key: tkey("a")}, {Key: tkey("z")}})
	if alone.to[leftSide].Load()+alone.to[rightSide].Load() != 0 {
		t.Error("a commit crosses to a neighbour that there is not")
	}
}

// transact commits writes of all the keys in one transaction.
func (c *cluster) transact(keys ...string) error {
	return testTxns{c}.RunTxn(context.Background(), "writes", func(ctx context.Context, txn Txn) error {
		for _, k := range keys {
			if err := txn.Put(ctx, tkey(k), []byte("x")); err != nil {
				return err
			}
		}
		return nil
	})
}

// transactAtOnce is transact, in one phase where one range has all the keys.
func (c *cluster) transactAtOnce(keys ...string) error {
	now := c.nodes[1].clock.Now().Timestamp()
	txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), AnchorKey: tkey(keys[0]), WriteTimestamp: now,
		MinTimestamp: now, Priority: kvapi.PriorityNormal, Seq: kvapi.TxnSeq(len(keys) + 1)}, ReadTimestamp: now, GlobalUncertaintyLimit: now}
	ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: txn}}
	end := &kvapi.EndTxnArgs{Commit: true, CanCommitOnePhase: true}
	for i, k := range keys {
		ba.Add(kvapi.Request{Kind: kvapi.Put, Key: tkey(k), Value: []byte("x"), Seq: kvapi.TxnSeq(i + 1)})
		end.LockSpans = append(end.LockSpans, kvapi.Span{Key: tkey(k)})
	}
	ba.Add(kvapi.Request{Kind: kvapi.EndTxn, Key: txn.AnchorKey, Seq: txn.Seq, EndTxn: end})
	if _, err := c.nodes[c.leader(txn.AnchorKey)].store.Send(context.Background(), ba); err == nil {
		return nil
	}
	return c.transact(keys...)
}

// commits commits what draw says, perSecond times in a second of virtual time,
// for a while.
func (c *cluster) commits(perSecond int, within time.Duration, draw func(i int) []string) {
	c.t.Helper()
	for i, began := 0, time.Now(); time.Since(began) < within; i++ {
		if err := c.transact(draw(i)...); err != nil {
			c.t.Errorf("a transaction: %v", err)
			return
		}
		time.Sleep(time.Second / time.Duration(perSecond))
	}
}

// committing is a cluster with ranges that begin at the empty key, c, e, g and m,
// and are merged at four commits a second.
func committing(t *testing.T, configure func(*Config)) *cluster {
	c := newClusterWith(t, 3, quiet, func(cfg *Config) {
		cfg.JoinRate, cfg.MergeAfter = 4, time.Hour
		if configure != nil {
			configure(cfg)
		}
	})
	c.replicateEverywhere()
	for _, at := range strings.Split(" c e g m", " ") {
		if err := c.split(at); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// starts are where the ranges of the tests' keys begin.
func (c *cluster) starts() string {
	var out []string
	for _, d := range c.tiles() {
		if s, ok := strings.CutPrefix(string(d.StartKey), string(tkey(""))); ok {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

// merges are the entries of the range log that tell of merges.
func (c *cluster) merges() (out []kvapi.RangeEvent) {
	for _, e := range c.cutLog() {
		if e.Kind == kvapi.EventMerge {
			out = append(out, e)
		}
	}
	return out
}

func TestRangesThatCommitTogetherMerge(t *testing.T) {
	for _, x := range []struct {
		name string
		// keys are those of a transaction, the first of which is its anchor.
		keys func(i int) []string
		want string
	}{
		{"into the right neighbour", func(int) []string { return []string{"d", "f"} }, " c g m"},
		{"into the left neighbour", func(int) []string { return []string{"f", "d"} }, " c g m"},
		{"into three in a row", func(int) []string { return []string{"f", "d", "h"} }, " c m"},
		{"of a range alone", func(int) []string { return []string{"f", "e1"} }, " c e g m"},
		{"beyond the neighbour", func(int) []string { return []string{"d", "h"} }, " c e g m"},
		{"few of many", func(i int) []string {
			if i%6 == 0 {
				return []string{"d", "f"}
			}
			return []string{"d"}
		}, " c e g m"},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := committing(t, nil)
				c.commits(20, 13*time.Second, x.keys)
				if got := c.starts(); got != x.want {
					t.Errorf("ranges begin at %q, want %q", got, x.want)
				}
				for _, e := range c.merges() {
					if !strings.HasPrefix(e.Why, "commits across the boundary: ") {
						t.Errorf("range log: %+v", e)
					}
				}
				c.checkConsistency()
			})
		})
	}
}

// The leases of the two, and their replicas, may be on different nodes.
func TestRangesOfDifferentNodesThatCommitTogetherMerge(t *testing.T) {
	for anchor, other := range map[string]string{"d": "f", "f": "d"} {
		synctest.Test(t, func(t *testing.T) {
			c := committing(t, nil)
			if err := c.admin(kvapi.Request{Kind: kvapi.AdminTransferLease, Key: tkey("f"), Target: c.followerOf(tkey("d"))}); err != nil {
				t.Fatal(err)
			}
			c.commits(10, 15*time.Second, func(int) []string { return []string{anchor, other} })
			if got := c.starts(); got != " c g m" {
				t.Errorf("anchored at %s: ranges begin at %q", anchor, got)
			}
			c.checkConsistency()
		})
	}
}

// What somebody keeps, what would be too large, what would be too busy, and what
// is too seldom, stays.
func TestRangesThatCommitTogetherAndStay(t *testing.T) {
	for _, x := range []struct {
		name      string
		perSecond int
		configure func(*Config)
		before    func(*cluster)
	}{
		{"kept by who split there", 10, nil, func(c *cluster) {
			keep := kvapi.Request{Kind: kvapi.AdminSplit, Key: tkey("e"), StickyUntil: hlc.MaxTimestamp}
			if err := c.admin(keep); err != nil {
				c.t.Fatal(err)
			}
		}},
		{"kept by its table", 10, func(cfg *Config) {
			cfg.KeepBoundary = func(_ context.Context, k kvapi.Key) bool { return k.Equal(tkey("e")) }
		}, nil},
		{"too large", 10, func(cfg *Config) { cfg.RangeBytesMax = testRangeBytes }, func(c *cluster) {
			for i := range testRangeBytes * 7 / 8 / 2000 {
				c.mustPut(fmt.Sprintf("c%03d", i), strings.Repeat("x", 1000))
				c.mustPut(fmt.Sprintf("e%03d", i), strings.Repeat("x", 1000))
			}
		}},
		{"too busy", 10, func(cfg *Config) { cfg.LoadSplitRate = 10 }, nil},
		{"too seldom", 2, nil, nil},
		{"not wanted", 10, func(cfg *Config) { cfg.JoinRate = -1 }, nil},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := committing(t, x.configure)
				if x.before != nil {
					x.before(c)
				}
				c.commits(x.perSecond, 12*time.Second, func(int) []string { return []string{"d", "f"} })
				if got := c.merges(); len(got) > 0 {
					t.Errorf("range log: %+v", got)
				}
			})
		})
	}
}

// Transactions move an amount between accounts of three ranges while these are
// merged, split again, and merged: none is lost, none is taken twice.
func TestCommitsWhileTheirRangesMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := committing(t, nil)
		accounts := []string{"d", "f", "h"}
		for _, a := range accounts {
			c.mustPut(a, "1000")
		}
		var moved, stop atomic.Int64
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := w; stop.Load() == 0; i++ {
					from, to := accounts[i%3], accounts[(i+1+w%2)%3]
					err := testTxns{c}.RunTxn(context.Background(), "move", func(ctx context.Context, txn Txn) error {
						for _, a := range []struct {
							key string
							by  int
						}{{from, -1}, {to, 1}} {
							v, _, err := txn.Get(ctx, tkey(a.key))
							if err != nil {
								return err
							}
							n, err := strconv.Atoi(string(v))
							if err != nil {
								return err
							}
							if err := txn.Put(ctx, tkey(a.key), []byte(strconv.Itoa(n+a.by))); err != nil {
								return err
							}
						}
						return nil
					})
					if err == nil {
						moved.Add(1)
					}
					time.Sleep(50 * time.Millisecond)
				}
			})
		}
		for round := range 3 {
			c.eventually("the ranges are merged", 2*time.Minute, func() error {
				if got := c.starts(); got != " c m" {
					return fmt.Errorf("ranges begin at %q", got)
				}
				return nil
			})
			if round == 2 {
				break
			}
			for _, at := range []string{"e", "g"} {
				if err := c.split(at); err != nil {
					t.Fatal(err)
				}
			}
		}
		stop.Store(1)
		wg.Wait()
		sum := 0
		for _, a := range accounts {
			v, err := c.get(a)
			if err != nil {
				t.Fatal(err)
			}
			n, _ := strconv.Atoi(v)
			sum += n
		}
		if sum != 3000 || moved.Load() < 100 {
			t.Errorf("the accounts have %d after %d moves", sum, moved.Load())
		}
		c.checkConsistency()
	})
}

// A lock that is kept in memory only is held after a merge, wherever its key was.
func TestAMergeKeepsLocksInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)
		if err := c.split("m"); err != nil {
			t.Fatal(err)
		}
		c.mustPut("a", "1")
		c.mustPut("n", "1")
		left, right := c.lock("a", kvapi.LockExclusive, false), c.lock("n", kvapi.LockExclusive, false)
		c.heartbeat(left)
		c.heartbeat(right)
		c.mergeSoon("m")
		c.heartbeat(left)
		c.heartbeat(right)
		for _, k := range []string{"a", "n"} {
			if c.tryLock(k, kvapi.LockExclusive) {
				t.Errorf("another got the lock of %s", k)
			}
		}
	})
}

// What load has divided, and what it has not because of its commits, is not joined
// and divided in turns while the load stays as it is.
func TestJoinsAndSplitsDoNotOscillate(t *testing.T) {
	for _, x := range []struct {
		name string
		// reads are sent for each transaction, of keys of both sides.
		reads          int
		merges, splits int
	}{
		{"nearly all commits", 1, 1, 0},
		{"commits among so many reads that they count for little", 20, 0, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := committing(t, func(cfg *Config) { cfg.LoadSplitRate = 100 })
				before := len(c.cutLog())
				n := 0
				for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(100 * time.Millisecond) {
					if err := c.transactAtOnce("d", "f"); err != nil {
						t.Fatal(err)
					}
					for range x.reads {
						n++
						if _, err := c.get(fmt.Sprintf("%c", "df"[n%2])); err != nil {
							t.Fatal(err)
						}
					}
				}
				log := c.cutLog()[before:]
				splits := 0
				for _, e := range log {
					if e.Kind == kvapi.EventSplit {
						splits++
					}
				}
				if got := len(c.merges()); got != x.merges || splits > x.splits {
					t.Errorf("%d merges and %d splits: %+v", got, splits, log)
				}
			})
		})
	}
}

// Readers have a range split, and writers that come after them find it whole again
// soon.
func TestWhatReadersSplitWritersMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := committing(t, func(cfg *Config) { cfg.LoadSplitRate = 100 })
		whole := c.starts()
		n := 0
		c.busy(20*time.Second, func() string { n++; return fmt.Sprintf("%c%03d", 'h'+n%4, n/4%100) })
		if c.starts() == whole {
			t.Fatalf("load does not split the range: %+v", c.cutLog())
		}
		c.commits(10, loadSplitSticky+joinKept+5*time.Second, func(int) []string { return []string{"h", "k"} })
		if got := c.starts(); got != whole {
			t.Errorf("ranges begin at %q: %+v", got, c.cutLog())
		}
	})
}

func BenchmarkAffinityNote(b *testing.B) {
	for _, cold := range []bool{true, false} {
		b.Run(fmt.Sprintf("cold=%t", cold), func(b *testing.B) {
			var a affinity
			if !cold {
				a.crossed.Store(&crossings{before: tkey("c"), start: tkey("e"), end: tkey("g"), beyond: tkey("m")})
			}
			end := &kvapi.EndTxnArgs{Commit: true}
			for _, k := range []string{"d", "e", "f", "h"} {
				end.LockSpans = append(end.LockSpans, kvapi.Span{Key: tkey(k)})
			}
			b.ReportAllocs()
			for b.Loop() {
				a.note(end)
			}
		})
	}
}
