package concurrency

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/spanset"
)

func lockRequest(txn *kvapi.Transaction, key string) Request {
	q := Request{Txn: txn}
	q.Spans.Latch(spanset.Write, span(key), hlc.Timestamp{WallTime: 5})
	q.Spans.Lock(spanset.LockSpan{Span: span(key), Strength: kvapi.LockExclusive, Timestamp: hlc.Timestamp{WallTime: 5}})
	return q
}

// TestExclusion: eight clients lock two or three of four keys in random order,
// so they deadlock all the time. Everybody gets through, nobody ever shares a
// key, and nothing is left behind.
func TestExclusion(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) { runExclusion(t, seed) })
	}
}

func runExclusion(t *testing.T, seed uint64) {
	w := newWorld(t)
	// owners is not synchronised on purpose: the locks must do that, and the
	// race detector watches.
	var owners [4]string
	var wg sync.WaitGroup
	var committed, victims atomic.Int64
	for client := range 8 {
		rng := rand.New(rand.NewPCG(seed, uint64(client)))
		wg.Go(func() {
			for n := 0; n < 10; {
				name := fmt.Sprintf("c%d/%d/%d", client, n, victims.Load())
				w.mu.Lock()
				w.txn([]string{name})
				txn := w.txns[name]
				w.mu.Unlock()
				var mine []int
				var failed *kvapi.Error
				for _, k := range rng.Perm(4)[:2+rng.IntN(2)] {
					g, err := w.m.SequenceRequest(w.ctx, lockRequest(txn, string(rune('a'+k))))
					if err != nil {
						failed = err
						break
					}
					if owners[k] != "" {
						t.Errorf("seed %d: %s and %s hold %d", seed, owners[k], name, k)
					}
					owners[k] = name
					mine = append(mine, k)
					w.m.OnLockAcquired(kvapi.Lock{Key: kvapi.Key{'a' + byte(k)}, Txn: txn.TxnMeta, Strength: kvapi.LockExclusive})
					w.m.Finish(g)
					time.Sleep(time.Duration(rng.IntN(10)) * time.Millisecond)
				}
				for _, k := range mine {
					owners[k] = ""
				}
				status := kvapi.Committed
				if failed != nil {
					status = kvapi.Aborted
					if failed.Kind != kvapi.ErrDeadlock && failed.Kind != kvapi.ErrTxnAborted {
						t.Errorf("seed %d: %v", seed, failed)
						return
					}
				}
				w.mu.Lock()
				end := w.txns[name].Clone()
				w.mu.Unlock()
				if end.Status == kvapi.Aborted {
					status = kvapi.Aborted // force-aborted between two requests
				}
				end.Status = status
				w.setTxn(end)
				if status == kvapi.Committed {
					committed.Add(1)
					n++
				} else {
					victims.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := committed.Load(); n != 80 {
		t.Errorf("seed %d: %d committed", seed, n)
	}
	w.close()
	if s := w.m.Metrics(); s.Locks != 0 {
		t.Errorf("seed %d: %+v", seed, s)
	}
}

// TestOnePushForManyIntents: a scan over 10,000 intents of a dead coordinator,
// found a thousand at a time, costs one push and ten resolutions.
func TestOnePushForManyIntents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.txn([]string{"dead"})
		w.txn([]string{"reader"})
		w.dead[w.txns["dead"].ID] = true
		q := Request{Txn: w.txns["reader"]}
		q.Spans.Lock(spanset.LockSpan{Span: span("a-b"), Timestamp: hlc.Timestamp{WallTime: 9}})
		start := time.Now()
		g, _ := w.m.SequenceRequest(w.ctx, q)
		for page := range 10 {
			var locks []kvapi.Lock
			for i := range 1000 {
				locks = append(locks, kvapi.Lock{Key: kvapi.Key(fmt.Sprintf("a%05d", page*1000+i)), Txn: w.txns["dead"].TxnMeta, Strength: kvapi.LockIntent})
			}
			if err := w.m.HandleLockConflict(w.ctx, g, 1, locks); err != nil {
				t.Fatal(err)
			}
		}
		w.m.Finish(g)
		if s := w.m.Metrics(); s.Pushes != 1 || len(w.events) != 12 || time.Since(start) > 100*time.Millisecond {
			t.Errorf("%d pushes, %d events, %s", s.Pushes, len(w.events), time.Since(start))
		}
		w.close()
	})
}

// BenchmarkHandOver: 16 clients take turns at one hot lock; an operation is a
// transaction that locks and commits.
func BenchmarkHandOver(b *testing.B) {
	m := New(Config{Clock: hlc.NewClock(hlc.SystemClock{}, 0)})
	m.OnLeaseChanged(true, 1)
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			txn := &kvapi.Transaction{}
			txn.ID = kvapi.NewTxnID()
			g, err := m.SequenceRequest(context.Background(), lockRequest(txn, "k"))
			if err != nil {
				b.Error(err)
				return
			}
			m.OnLockAcquired(kvapi.Lock{Key: kvapi.Key("k"), Txn: txn.TxnMeta, Strength: kvapi.LockExclusive})
			m.Finish(g)
			done := txn.Clone()
			done.Status = kvapi.Committed
			m.OnTxnUpdated(done)
		}
	})
	s := m.Metrics()
	b.ReportMetric(float64(s.LockWaits)/float64(b.N), "waits/op")
	b.ReportMetric(float64(s.Pushes), "pushes")
}

// BenchmarkUncontended: a write in a range where others hold locks.
func BenchmarkUncontended(b *testing.B) {
	m := New(Config{Clock: hlc.NewClock(hlc.SystemClock{}, 0)})
	m.OnLeaseChanged(true, 1)
	other := kvapi.TxnMeta{ID: kvapi.TxnID{1}}
	m.OnLockAcquired(kvapi.Lock{Key: kvapi.Key("x"), Txn: other, Strength: kvapi.LockExclusive})
	q := lockRequest(&kvapi.Transaction{}, "k")
	b.ReportAllocs()
	for b.Loop() {
		g, _ := m.SequenceRequest(context.Background(), q)
		m.Finish(g)
	}
}
