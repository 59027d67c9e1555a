package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// cpuTime is the processor time this process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// costs are what the cluster has spent so far.
type costs struct{ rounds, rpcs, batches, syncs, cpu int64 }

func (c *cluster) costs(b *testing.B) (s costs) {
	for _, n := range c.nodes {
		s.rounds += n.Core().Store.Metrics().Proposals.Load()
		s.rpcs += n.network.Stats.Calls.Load()
		s.batches += n.network.Stats.Batches.Load()
		s.syncs += n.Core().Store.Engine().Syncs()
	}
	s.cpu = int64(cpuTime(b))
	return s
}

// report divides the costs of a benchmark by its operations: consensus rounds,
// calls and batches of messages between nodes, syncs of write-ahead logs, and
// processor time over all three nodes.
func (c *cluster) report(b *testing.B, before costs) {
	after := c.costs(b)
	n := float64(b.N)
	b.ReportMetric(float64(after.rounds-before.rounds)/n, "rounds/op")
	b.ReportMetric(float64(after.rpcs-before.rpcs)/n, "rpcs/op")
	b.ReportMetric(float64(after.batches-before.batches)/n, "batches/op")
	b.ReportMetric(float64(after.syncs-before.syncs)/n, "syncs/op")
	b.ReportMetric(float64(after.cpu-before.cpu)/n/1e3, "cpu-us/op")
}

func rowKey(table, id uint32) kvapi.Key {
	return binary.BigEndian.AppendUint32(keys.Index(table, 1), id)
}

// BenchmarkKV runs transactions of the key-value layer on three nodes with
// real disks and sockets, from all three gateways.
func BenchmarkKV(b *testing.B) {
	c := startCluster(b, 3)
	c.awaitReplicas()
	ctx := context.Background()
	for table := uint32(101); table <= 104; table++ {
		if err := c.nodes[0].Core().DB.Split(ctx, keys.Table(table)); err != nil {
			b.Fatal(err)
		}
	}
	const accounts = 10_000
	load(b, c, accounts)
	value := make([]byte, 100)
	var next atomic.Uint32
	run := func(name string, clients int, fn func(ctx context.Context, t *txn.Txn, r *rand.Rand) error) {
		b.Run(fmt.Sprintf("%s/clients=%d", name, clients), func(b *testing.B) {
			before := c.costs(b)
			b.ReportAllocs()
			b.SetParallelism(max(1, clients/2))
			b.RunParallel(func(pb *testing.PB) {
				worker := next.Add(1)
				n := c.nodes[int(worker)%len(c.nodes)]
				r := rand.New(rand.NewPCG(1, uint64(worker)))
				for pb.Next() {
					if err := n.Core().DB.Run(ctx, txn.Options{Name: name}, func(ctx context.Context, t *txn.Txn) error {
						return fn(ctx, t, r)
					}); err != nil {
						b.Error(err)
						return
					}
				}
			})
			c.report(b, before)
		})
	}
	for _, clients := range []int{1, 16} {
		run("point-read", clients, func(ctx context.Context, t *txn.Txn, r *rand.Rand) error {
			_, _, err := t.Get(ctx, rowKey(101, r.Uint32N(accounts)), txn.GetOptions{})
			return err
		})
		run("insert", clients, func(ctx context.Context, t *txn.Txn, r *rand.Rand) error {
			// 64 bits: of 32 some tens of thousand would meet.
			return t.PutIfAbsent(ctx, binary.BigEndian.AppendUint32(rowKey(104, r.Uint32()), r.Uint32()), value)
		})
		run("update", clients, func(ctx context.Context, t *txn.Txn, r *rand.Rand) error {
			return update(ctx, t, rowKey(101, r.Uint32N(accounts)), value)
		})
		run("two-ranges", clients, func(ctx context.Context, t *txn.Txn, r *rand.Rand) error {
			if err := t.Put(ctx, rowKey(101, r.Uint32N(accounts)), value); err != nil {
				return err
			}
			return t.Put(ctx, rowKey(104, r.Uint32()), value)
		})
		run("tpcb", clients, func(ctx context.Context, t *txn.Txn, r *rand.Rand) error {
			for _, k := range []kvapi.Key{rowKey(101, r.Uint32N(accounts)), rowKey(102, r.Uint32N(100)), rowKey(103, r.Uint32N(10))} {
				if err := update(ctx, t, k, value); err != nil {
					return err
				}
			}
			return t.Put(ctx, rowKey(104, r.Uint32()), value)
		})
	}
}

func update(ctx context.Context, t *txn.Txn, k kvapi.Key, v []byte) error {
	if _, _, err := t.Get(ctx, k, txn.GetOptions{Lock: kvapi.LockExclusive}); err != nil {
		return err
	}
	return t.Put(ctx, k, v)
}

func load(b *testing.B, c *cluster, accounts uint32) {
	for table, rows := range map[uint32]uint32{101: accounts, 102: 100, 103: 10} {
		for lo := uint32(0); lo < rows; lo += 1000 {
			err := c.nodes[0].Core().DB.Run(context.Background(), txn.Options{Name: "load"}, func(ctx context.Context, t *txn.Txn) error {
				for i := lo; i < min(rows, lo+1000); i++ {
					if err := t.Put(ctx, rowKey(table, i), make([]byte, 100)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
