package store

import (
	"context"
	"fmt"
	"testing"

	"github.com/cairndb/cairn/kv/kvapi"
)

// leaderStore returns a store with all leases of a one- or three-node cluster.
func benchCluster(b *testing.B, nodes int) (*cluster, *Store) {
	c := newCluster(b, nodes, quiet)
	if nodes > 1 {
		c.replicateEverywhere()
	}
	if err := c.put("a", "1"); err != nil {
		b.Fatal(err)
	}
	return c, c.nodes[c.leader(tkey("a"))].store
}

func BenchmarkPut(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		for _, clients := range []int{1, 16} {
			b.Run(fmt.Sprintf("nodes=%d/clients=%d", nodes, clients), func(b *testing.B) {
				_, s := benchCluster(b, nodes)
				b.SetParallelism((clients + 1) / 2)
				b.ReportAllocs()
				b.ResetTimer()
				if clients == 1 {
					for i := range b.N {
						benchPut(b, s, i)
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					for i := 0; pb.Next(); i++ {
						benchPut(b, s, i)
					}
				})
			})
		}
	}
}

func benchPut(b *testing.B, s *Store, i int) {
	ba := &kvapi.BatchRequest{}
	ba.RangeID = 3
	ba.Add(kvapi.Request{Kind: kvapi.Put, Key: tkey(fmt.Sprintf("k%04d", i%1000)), Value: make([]byte, 100)})
	for {
		_, err := s.Send(context.Background(), ba)
		if err == nil {
			return
		}
		if err.Kind != kvapi.ErrWriteTooOld {
			b.Error(err)
			return
		}
	}
}

func BenchmarkGet(b *testing.B) {
	_, s := benchCluster(b, 1)
	ba := &kvapi.BatchRequest{}
	ba.RangeID = 3
	ba.Add(kvapi.Request{Kind: kvapi.Get, Key: tkey("a")})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Send(context.Background(), ba); err != nil {
			b.Fatal(err)
		}
	}
}
