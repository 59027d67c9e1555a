package simulation

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/store"
	"github.com/cairndb/cairn/txn"
)

// stopMax bounds the end of a node: what looks for a range gives up before.
const stopMax = 40 * time.Second

// A node that is told to stop when the others have gone stops, though what it has
// begun looks for ranges, and at the clock, for longer than the clock's bound is
// ahead.
func TestTheLastNodeStops(t *testing.T) {
	if *seedFlag != 0 || *workloadFlag != "" {
		t.Skip("TestSimulation runs what the flags ask for")
	}
	synctest.Test(t, func(t *testing.T) {
		c, err := NewCluster(t.Context(), 1, 3, store.LeaderLeases, time.Hour, store.TestingKnobs{}, slog.New(slog.DiscardHandler))
		defer c.Stop()
		if err != nil {
			t.Fatal(err)
		}
		c.nodes[1].Crash()
		c.nodes[2].Crash()
		time.Sleep(10 * time.Second) // until no lease is left
		core := c.nodes[0].Core()
		core.Sender.Cache().Clear()
		read := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), stopMax)
			defer cancel()
			read <- core.DB.Run(ctx, txn.Options{Name: "late"}, func(ctx context.Context, x *txn.Txn) error {
				_, _, err := x.Scan(ctx, kvapi.Span{Key: keys.SystemMax, EndKey: keys.Max}, txn.ScanOptions{})
				return err
			})
		}()
		time.Sleep(time.Second)
		stopped := make(chan struct{})
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			core.Stop(ctx)
			close(stopped)
		}()
		select {
		case <-stopped:
		case <-time.After(stopMax):
			t.Fatal("the node has not stopped")
		}
		if err := <-read; err == nil {
			t.Error("a range without a quorum was read")
		}
	})
}
