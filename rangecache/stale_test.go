package rangecache_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/rangecache"
)

// oldAddresses answers look-ups with what they found first, as addressing
// records do while the intents of a split on them are not resolved.
type oldAddresses struct {
	*cluster
	first *kvapi.BatchResponse
}

func (o *oldAddresses) Send(ctx context.Context, node kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	isLookup := ba.Requests[0].Key.Less(keys.MetaMax)
	if isLookup && o.first != nil {
		return o.first, nil
	}
	br, err := o.Cluster.Send(ctx, node, ba)
	if isLookup && err == nil {
		o.first = br
	}
	return br, err
}

// TestAddressesOlderThanCache: the cache has heard of one half of a split, the
// addressing records of none. Both halves are found nevertheless.
func TestAddressesOlderThanCache(t *testing.T) {
	for _, half := range []int{10, 40} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster()
			c.put(t, 10, 40)
			old := &oldAddresses{cluster: c}
			s := c.newSender(old)
			mustGet(t, s, 10) // remembers the addresses
			c.Cluster.Split(key(30))
			s.Cache().Clear()
			for _, info := range c.Cluster.Ranges() {
				if info.Desc.ContainsKey(key(half)) {
					s.Cache().Insert(info)
				}
			}
			began := time.Now()
			mustGet(t, s, 50-half)
			mustGet(t, s, half)
			ba := &kvapi.BatchRequest{}
			ba.Add(kvapi.Request{Kind: kvapi.Scan, Key: key(0), EndKey: key(60)})
			if br, err := s.Send(t.Context(), ba); err != nil || len(br.Responses[0].Rows) != 2 {
				t.Errorf("scan: %v, %v", br, err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("knowing the half of %d, it took %s", half, took)
			}
		})
	}
}

func mustGet(t *testing.T, s *rangecache.Sender, i int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ba := &kvapi.BatchRequest{}
	ba.Add(kvapi.Request{Kind: kvapi.Get, Key: key(i)})
	if br, err := s.Send(ctx, ba); err != nil || !br.Responses[0].Exists {
		t.Fatalf("get %d: %v", i, err)
	}
}
