package node

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/txn"
)

// A gateway that dies between the commit of a change of settings or catalog and
// telling the others of it: they learn of it all the same, long before they would
// have looked by themselves (every 30 s, and when a snapshot in use is renewed, which
// does not raise the version heard of).
func TestChangesAreLearntThoughTheirGatewayDies(t *testing.T) {
	c := startCluster(t, 3)
	c.awaitReplicas()
	ctx := t.Context()
	gateway := c.nodes[0]
	before := c.nodes[1].Core().Catalog.Heard()
	var version uint64
	err := gateway.Core().DB.Run(ctx, txn.Options{Name: "unannounced"}, func(ctx context.Context, t *txn.Txn) error {
		b, _, err := t.Get(ctx, schema.VersionSpan().Key, txn.GetOptions{})
		if err != nil {
			return err
		}
		version = binary.BigEndian.Uint64(b) + 1
		if err := t.Put(ctx, schema.VersionSpan().Key, binary.BigEndian.AppendUint64(nil, version)); err != nil {
			return err
		}
		return t.Put(ctx, append(keys.SettingPrefix.Clone(), "statement_timeout"...), []byte("12345"))
	})
	if err != nil {
		t.Fatal(err)
	}
	gateway.Close()
	c.nodes[0] = nil
	if uint64(before) >= version {
		t.Fatalf("version %d was heard of before it was", before)
	}
	deadline := time.Now().Add(20 * time.Second)
	for i := 1; i < 3; {
		heard := uint64(c.nodes[i].Core().Catalog.Heard())
		var timeout string
		s := c.client(i)
		if err := s.conn.QueryRow(ctx, "SHOW statement_timeout").Scan(&timeout); err != nil {
			t.Fatal(err)
		}
		_ = s.conn.Close(ctx)
		switch {
		case heard >= version && timeout == "12345":
			i++
		case time.Now().After(deadline):
			t.Fatalf("node %d has heard of version %d, not %d; statement_timeout is %s", i+1, heard, version, timeout)
		default:
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// A change arrives at every node within the time that a commit takes to be applied
// everywhere; how long that was is printed, not judged.
func TestAChangeArrives(t *testing.T) {
	c := startCluster(t, 3)
	c.awaitReplicas()
	for _, n := range c.nodes {
		arrived := make(chan byte, 1000)
		n.Core().wg.Go(func() {
			span := kvapi.Span{Key: tableKey("w"), EndKey: tableKey("x")}
			n.Core().watch(span, func(e *kvapi.FeedEvent) {
				if e != nil {
					arrived <- e.Key[len(e.Key)-1]
				}
			})
		})
		// The first tells that the watch has begun.
		for began := false; !began; {
			if err := put(t.Context(), c.nodes[0], "w0", "v"); err != nil {
				t.Fatal(err)
			}
			select {
			case <-arrived:
				began = true
			case <-time.After(50 * time.Millisecond):
			}
		}
		if err := put(t.Context(), c.nodes[0], "w1", "v"); err != nil {
			t.Fatal(err)
		}
		committed, deadline := time.Now(), time.After(20*time.Second)
		for which := byte(0); which != '1'; {
			select {
			case which = <-arrived:
			case <-deadline:
				t.Fatalf("%s learnt of nothing", n.Core().Ident.NodeID)
			}
		}
		t.Logf("%s learnt of a change %s after its commit", n.Core().Ident.NodeID, time.Since(committed))
	}
}
