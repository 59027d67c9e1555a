package simulation

import (
	"context"
	"encoding/binary"
	"flag"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/internal/rpc/memnet"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/store"
	"github.com/cairndb/cairn/txn"
)

var starveForFlag = flag.Duration("starve-for", 10*time.Second, "how long TestAFarGatewayIsNotStarved goes on, in virtual time")

// TestAFarGatewayIsNotStarved: clients at nodes beside each other read the
// highest key and insert the next, all the time. One at a node far from them
// does the same, is always too late, and yet gets through every now and then:
// what it has read becomes its turn (kv/concurrency's turns). Without, it does not.
func TestAFarGatewayIsNotStarved(t *testing.T) {
	for _, c := range []struct {
		name string
		away time.Duration
		// locking clients lock the key that they insert before they commit, as
		// an explicit SQL transaction does.
		locking bool
		off     bool
		// doneMin is what the far client must get done, doneMax what it may.
		doneMin, doneMax int64
	}{
		{"20 ms", 20 * time.Millisecond, false, false, 8, 1000},
		{"60 ms", 60 * time.Millisecond, false, false, 3, 1000},
		{"20 ms, locking", 20 * time.Millisecond, true, false, 4, 1000},
		{"60 ms, locking", 60 * time.Millisecond, true, false, 2, 1000},
		{"20 ms, no turns", 20 * time.Millisecond, false, true, 0, 2}, // the last, when the others end
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				cl, err := NewCluster(ctx, 1, 4, store.LeaderLeases, time.Hour, store.TestingKnobs{NoTurns: c.off}, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				defer cl.Stop()
				w := &counting{span: kvapi.Span{Key: kvapi.Key("\x10count/"), EndKey: kvapi.Key("\x10count0")}, locking: c.locking}
				far := cl.farFrom(t, w.span.Key)
				far.setLinks(memnet.Faults{DelayMin: c.away, DelayMax: c.away + time.Millisecond})
				time.Sleep(time.Second)
				var ended atomic.Bool
				var clients sync.WaitGroup
				done := make([]int64, len(cl.nodes))
				for i, n := range cl.nodes {
					db := n.Core().DB
					clients.Go(func() {
						for !ended.Load() {
							if err := db.Run(ctx, txn.Options{}, w.next); err != nil {
								t.Errorf("%s: %v", n, err)
								return
							}
							done[i]++
						}
					})
				}
				time.Sleep(*starveForFlag)
				ended.Store(true)
				clients.Wait()
				m := far.Core().DB.Metrics()
				t.Logf("done %v, the far one of them %d with %d restarts", done, done[far.id-1], m.Restarts.Load())
				if got := done[far.id-1]; got < c.doneMin || got > c.doneMax {
					t.Errorf("the far client got %d done, and not %d to %d", got, c.doneMin, c.doneMax)
				}
			})
		})
	}
}

// counting inserts the number after the highest.
type counting struct {
	span    kvapi.Span
	locking bool
}

func (w *counting) next(ctx context.Context, t *txn.Txn) error {
	rows, _, err := t.Scan(ctx, w.span, txn.ScanOptions{Reverse: true, MaxKeys: 1})
	if err != nil {
		return err
	}
	var n uint64
	if len(rows) > 0 {
		n = binary.BigEndian.Uint64(rows[0].Key[len(w.span.Key):]) + 1
	}
	key := binary.BigEndian.AppendUint64(append(kvapi.Key(nil), w.span.Key...), n)
	if w.locking {
		if _, _, err := t.Get(ctx, key, txn.GetOptions{Lock: kvapi.LockExclusive}); err != nil {
			return err
		}
	}
	return t.PutIfAbsent(ctx, key, []byte("x"))
}

// farFrom is a node without a replica of a key's range, or at least without its lease.
func (c *Cluster) farFrom(t *testing.T, key kvapi.Key) *Node {
	ranges, err := c.ranges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range ranges {
		if !r.Desc.ContainsKey(key) {
			continue
		}
		for _, n := range c.nodes {
			if _, has := r.Desc.Replica(n.id); !has {
				return n
			}
		}
	}
	t.Fatal("every node has a replica")
	return nil
}
