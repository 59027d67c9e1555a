package rangecache_test

import (
	"context"
	"slices"
	"sync/atomic"
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
	// resolved says that the records are up to date from now on.
	resolved atomic.Bool
}

func (o *oldAddresses) Send(ctx context.Context, node kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	isLookup := ba.Requests[0].Key.Less(keys.MetaMax)
	if isLookup && o.first != nil && !o.resolved.Load() {
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

// secretive is a transport whose replicas do not tell of one range.
type secretive struct {
	*oldAddresses
	secret kvapi.Key
	// asked counts batches. So many without a pause are a busy loop, which
	// would stop a bubble's time.
	asked int
}

const busy = 1000

func (s *secretive) Send(ctx context.Context, node kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	if s.asked++; s.asked > busy {
		return nil, kvapi.NewError(kvapi.ErrInternal, "asked %d times", s.asked)
	}
	br, err := s.oldAddresses.Send(ctx, node, ba)
	if err != nil {
		err.Infos = slices.DeleteFunc(err.Infos, func(i kvapi.RangeInfo) bool { return i.Desc.ContainsKey(s.secret) })
	}
	return br, err
}

// TestOtherHalfUnknownForAWhile: addressing records show the range before its
// split, and its replicas know their half only, the other having moved away.
// Until the records are resolved the sender waits, and keeps no core busy.
func TestOtherHalfUnknownForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.put(t, 10, 40)
		old := &secretive{oldAddresses: &oldAddresses{cluster: c}, secret: key(40)}
		s := c.newSender(old)
		mustGet(t, s, 10) // remembers the addresses
		c.Cluster.Split(key(30))
		s.Cache().Clear()
		began := time.Now()
		time.AfterFunc(time.Second, func() { old.resolved.Store(true) })
		mustGet(t, s, 40)
		if took := time.Since(began); took > 2*time.Second || old.asked > 100 {
			t.Errorf("it took %s and %d batches", took, old.asked)
		}
	})
}

// halfResolved hides an addressing record from look-ups, as that of a new range
// is while the intent on it has not been resolved, until somebody reads it.
type halfResolved struct {
	*cluster
	record kvapi.Key
	// read counts reads of the record that wait for its intent.
	read atomic.Int64
}

func (h *halfResolved) Send(ctx context.Context, node kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	if r := &ba.Requests[0]; r.Kind == kvapi.Get && r.Key.Equal(h.record) && !ba.Inconsistent {
		h.read.Add(1)
	}
	br, err := h.Cluster.Send(ctx, node, ba)
	if err != nil || !ba.Inconsistent || ba.Requests[0].Kind != kvapi.Scan || h.read.Load() > 0 {
		return br, err
	}
	resp := &br.Responses[0]
	resp.Rows = slices.DeleteFunc(slices.Clone(resp.Rows), func(row kvapi.KeyValue) bool {
		hidden := row.Key.Equal(h.record)
		if hidden {
			resp.Provisional = append(resp.Provisional, row)
		}
		return hidden
	})
	return br, nil
}

// TestAddressOnlyInIntent: of a split's records, that of the left half is still
// an intent. No committed record holds the left half's keys, among which may be
// the record of the split's transaction: they are found by the intent, which is
// then resolved.
func TestAddressOnlyInIntent(t *testing.T) {
	for _, at := range []int{0, 10, 30} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster()
			c.put(t, 0, 10, 30, 40)
			c.Cluster.Split(key(30))
			h := &halfResolved{cluster: c, record: keys.RangeMetaKey(key(30))}
			s := c.newSender(h)
			began := time.Now()
			mustGet(t, s, at)
			if took := time.Since(began); took > 0 {
				t.Errorf("key %d was found after %s", at, took)
			}
			synctest.Wait()
			if got, want := h.read.Load() > 0, at < 30; got != want {
				t.Errorf("key %d: the intent was seen to: %t, want %t", at, got, want)
			}
			mustGet(t, s, at)
		})
	}
}
