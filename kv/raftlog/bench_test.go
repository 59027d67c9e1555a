package raftlog

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
)

// BenchmarkAppend writes one 256-byte entry per append on a real disk; every
// range has one append under way, so that more ranges share each sync.
func BenchmarkAppend(b *testing.B) {
	for _, ranges := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("ranges=%d", ranges), func(b *testing.B) {
			dir := b.TempDir()
			eng, err := storage.Open(storage.Options{FS: vfs.Default, Dir: dir})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = os.RemoveAll(dir) }()
			w := NewWriter(eng, Options{})
			b.ReportAllocs()
			b.ResetTimer()
			appendAll(b, eng, w, ranges)
			b.StopTimer()
			w.Stop()
			if err := eng.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func appendAll(b *testing.B, eng *storage.Engine, w *Writer, ranges int) {
	cache := NewCache(0)
	data := make([]byte, 256)
	var wg sync.WaitGroup
	for r := range ranges {
		n := b.N / ranges
		if r < b.N%ranges {
			n++
		}
		wg.Go(func() {
			l, err := Load(eng, cache, kvapi.RangeID(r+1))
			if err != nil {
				b.Error(err)
				return
			}
			durable := make(chan struct{}, 1)
			done := func([]raftgroup.Message) { durable <- struct{}{} }
			for i := range n {
				a := &raftgroup.StorageAppend{
					Entries:   []raftgroup.Entry{{Index: kvapi.LogIndex(i + 1), Term: 1, Kind: raftgroup.EntryCommand, Data: data}},
					Responses: make([]raftgroup.Message, 1),
				}
				if err := w.Append(context.Background(), l, a, done); err != nil {
					b.Error(err)
					return
				}
				<-durable
			}
		})
	}
	wg.Wait()
}

// BenchmarkProposal takes a 256-byte command through three groups with logs,
// writers and codec in memory, until the leader applies it.
func BenchmarkProposal(b *testing.B) {
	c, err := newCluster(1, Knobs{})
	if err != nil {
		b.Fatal(err)
	}
	round := func() {
		for _, n := range c.nodes {
			if err := n.w.Barrier(context.Background()); err != nil {
				b.Fatal(err)
			}
			if err := n.turn(); err != nil {
				b.Fatal(err)
			}
		}
		for len(c.net) > 0 {
			if err := c.carry(0); err != nil {
				b.Fatal(err)
			}
		}
	}
	leader := c.nodes[0]
	if err := leader.group.Campaign(); err != nil {
		b.Fatal(err)
	}
	for !leader.group.Status().IsLeader() {
		round()
	}
	data := make([]byte, 256)
	b.ReportAllocs()
	for b.Loop() {
		if err := leader.group.Propose([][]byte{data}); err != nil {
			b.Fatal(err)
		}
		for at := leader.applied; leader.applied == at; {
			round()
		}
	}
}
