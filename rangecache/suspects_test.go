package rangecache_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/rangecache"
)

// lost makes a node unreachable, and counts who tries.
type lost struct {
	rangecache.Transport
	node  kvapi.NodeID
	tried int
}

func (l *lost) Send(ctx context.Context, to kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	if to != l.node {
		return l.Transport.Send(ctx, to, ba)
	}
	l.tried++
	e := kvapi.NewError(kvapi.ErrNodeUnreachable, "%s is lost", to)
	e.MaybeApplied = true
	return nil, e
}

// A node that was lost with one range is not asked first for the next one that
// it is thought to lead: it may be a commit that goes there.
func TestOneLostAnswerIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.Cluster.Split(key(30))
		c.MoveLease(key(10), 1)
		c.MoveLease(key(40), 1)
		net := &lost{Transport: c.Cluster}
		s := c.newSender(net)
		c.put(t, 10, 40)
		mustGet(t, s, 10)
		mustGet(t, s, 40)

		net.node = 1
		c.MoveLease(key(10), 2)
		c.MoveLease(key(40), 2)
		mustGet(t, s, 10)
		if net.tried != 1 {
			t.Fatalf("%d attempts reached the lost node, want 1", net.tried)
		}
		mustGet(t, s, 40)
		if net.tried != 1 {
			t.Errorf("the lost node was asked again, for another range")
		}

		// It is back, and leads: the others name it, and that clears it.
		net.node = 0
		c.MoveLease(key(40), 1)
		mustGet(t, s, 40)
		before := s.Metrics().Attempts.Load()
		mustGet(t, s, 40)
		if n := s.Metrics().Attempts.Load() - before; n != 1 {
			t.Errorf("%d attempts at a node that has answered, want 1", n)
		}
	})
}
