// Package txntest gives tests a transaction layer over a cluster in memory:
// the real coordinator and the real routing, over package memkv.
//
//	txntest.New(tb) ──▶ txn.DB ──▶ rangecache.Sender ──▶ memkv.Cluster
//
// What is not here: anything durable or replicated.
package txntest

import (
	"context"
	"testing"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/testkit/memkv"
	"github.com/cairndb/cairn/kv/intents"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/rangecache"
	"github.com/cairndb/cairn/txn"
)

// maxOffset of the one clock that all nodes share.
const maxOffset = 250 * time.Millisecond

// Env is a DB and what is below it.
type Env struct {
	DB      *txn.DB
	Sender  *rangecache.Sender
	Cluster *memkv.Cluster
	Clock   *hlc.Clock
}

// New returns a DB over three nodes. It is closed with the test.
func New(tb testing.TB) *Env {
	clock := hlc.NewClock(hlc.SystemClock{}, maxOffset)
	return Over(tb, memkv.New(clock, 3), clock)
}

// Over returns a DB, one of maybe several gateways, over a cluster.
func Over(tb testing.TB, c *memkv.Cluster, clock *hlc.Clock) *Env { return over(tb, c, c, clock) }

// Far is Over for a gateway that is so far, one way, from all nodes.
func Far(tb testing.TB, c *memkv.Cluster, clock *hlc.Clock, away time.Duration) *Env {
	return over(tb, c, far{c, away}, clock)
}

type far struct {
	*memkv.Cluster
	away time.Duration
}

// Send implements rangecache.Transport.
func (f far) Send(ctx context.Context, node kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	time.Sleep(f.away)
	br, err := f.Cluster.Send(ctx, node, ba)
	time.Sleep(f.away)
	return br, err
}

func over(tb testing.TB, c *memkv.Cluster, t rangecache.Transport, clock *hlc.Clock) *Env {
	s := rangecache.NewSender(rangecache.Config{NodeID: 1, Clock: clock, Transport: t, FirstRange: c})
	r := intents.New(intents.Config{Sender: s, Clock: clock, NodeID: 1})
	db := txn.NewDB(txn.Config{Sender: s, Clock: clock, NodeID: 1, Recoverer: r})
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := db.Close(ctx); err != nil {
			tb.Errorf("closing the DB: %v", err)
		}
		r.Close()
	})
	return &Env{DB: db, Sender: s, Cluster: c, Clock: clock}
}

// Key makes a table key of a short name.
func Key(s string) kvapi.Key { return kvapi.Key("\x10" + s) }
