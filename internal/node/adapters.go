package node

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/gossip"
	"github.com/cairndb/cairn/internal/rpc"
	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/kv/store"
	"github.com/cairndb/cairn/schema"
)

// lateSender is the store before there is one.
type lateSender struct {
	s atomic.Pointer[kvapi.Sender]
}

func (l *lateSender) set(s kvapi.Sender) { l.s.Store(&s) }

// Send implements kvapi.Sender.
func (l *lateSender) Send(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	if s := l.s.Load(); s != nil {
		return (*s).Send(ctx, ba)
	}
	return nil, kvapi.NewError(kvapi.ErrNodeUnreachable, "the store is starting")
}

// lateTransport is the transport before there is one: a node that is starting
// reaches nobody, and nobody reaches it, until its handlers are in place.
type lateTransport struct {
	t atomic.Pointer[rpc.Transport]
}

func (l *lateTransport) set(t rpc.Transport) { l.t.Store(&t) }

// Call implements rpc.Transport.
func (l *lateTransport) Call(ctx context.Context, to rpc.NodeID, c rpc.Class, m rpc.Method, req rpc.Appender) ([]byte, error) {
	if t := l.t.Load(); t != nil {
		return (*t).Call(ctx, to, c, m, req)
	}
	return nil, &rpc.Error{Kind: rpc.Unreachable, Peer: to, Message: "this node is starting"}
}

// Send implements rpc.Transport.
func (l *lateTransport) Send(to rpc.NodeID, c rpc.Class, m rpc.Method, msg rpc.Appender) bool {
	t := l.t.Load()
	return t != nil && (*t).Send(to, c, m, msg)
}

// Close implements rpc.Transport.
func (l *lateTransport) Close() {
	if t := l.t.Load(); t != nil {
		(*t).Close()
	}
}

// firstRange implements rangecache.FirstRangeProvider: what this node's own
// replica knows or, without one, gossip.
type firstRange struct{ c *Core }

// FirstRange implements rangecache.FirstRangeProvider.
func (f firstRange) FirstRange() (kvapi.RangeDescriptor, error) {
	info, ok := f.c.Gossip.FirstRange()
	if s := f.c.Store; s != nil {
		if mine, have := s.FirstRange(); have && (!ok || mine.Desc.Generation > info.Desc.Generation) {
			info, ok = mine, true
		}
	}
	if !ok {
		return kvapi.RangeDescriptor{}, errors.New("no node has told yet where the first range is")
	}
	return info.Desc, nil
}

// liveNodes implements store.NodeLister.
type liveNodes struct {
	g       *gossip.Gossip
	members *members
	// deadAfter is how long a node may be silent.
	deadAfter time.Duration
}

// Nodes implements store.NodeLister.
func (l liveNodes) Nodes() []store.NodeState {
	var out []store.NodeState
	for _, n := range l.g.Nodes() {
		out = append(out, store.NodeState{Node: l.node(&n), Heard: n.Heard})
	}
	return out
}

// node is a node as the allocator wants it.
func (l liveNodes) node(n *gossip.Node) allocator.Node {
	out := allocator.Node{ID: n.NodeID, Membership: l.members.of(n.NodeID), Draining: n.Draining, DiskFull: n.Capacity.DiskFull,
		Replicas: float64(n.Capacity.Ranges), Leases: float64(n.Capacity.Leases), QPS: float64(n.Capacity.BatchesPerSecond)}
	// It was checked by the node itself at its start.
	out.Locality, _ = allocator.ParseLocality(n.Locality)
	switch {
	case n.Live:
	case time.Since(n.Heard) < l.deadAfter:
		out.Liveness = allocator.Silent
	default:
		out.Liveness = allocator.Dead
	}
	return out
}

// LiveNodes implements store.NodeLister.
func (l liveNodes) LiveNodes() []kvapi.NodeID {
	var out []kvapi.NodeID
	for _, n := range l.g.Nodes() {
		if n.Live && !n.Draining {
			out = append(out, n.NodeID)
		}
	}
	return out
}

// FullNodes implements store.NodeLister.
func (l liveNodes) FullNodes() []kvapi.NodeID {
	var out []kvapi.NodeID
	for _, n := range l.g.Nodes() {
		if n.Live && n.Capacity.DiskFull {
			out = append(out, n.NodeID)
		}
	}
	return out
}

// drainPeers implements schema.Peers.
type drainPeers struct{ net rpc.Transport }

// Drain implements schema.Peers.
func (d drainPeers) Drain(ctx context.Context, node kvapi.NodeID, req schema.DrainRequest) error {
	_, err := d.net.Call(ctx, node, rpc.System, methodDrain, &req)
	return err
}

// boundStore keeps the clock's bound in the engine (hlc.BoundStore).
type boundStore struct{ eng *storage.Engine }

// ReadClockBound implements hlc.BoundStore.
func (b boundStore) ReadClockBound() (int64, error) {
	v, ok, err := storage.GetUnversioned(b.eng, keys.StoreClockBound)
	if err != nil || !ok {
		return 0, err
	}
	if len(v) != 8 {
		return 0, errors.New("the stored clock bound is malformed")
	}
	return int64(binary.BigEndian.Uint64(v)), nil
}

// WriteClockBound implements hlc.BoundStore.
func (b boundStore) WriteClockBound(wallNanos int64) error {
	batch := b.eng.NewBatch()
	defer batch.Close()
	if err := storage.PutUnversioned(batch, keys.StoreClockBound, binary.BigEndian.AppendUint64(nil, uint64(wallNanos))); err != nil {
		return err
	}
	return b.eng.Commit(batch, true)
}

func decodeEnvelopes(b []byte) ([]raftgroup.Envelope, error) { return raftgroup.DecodeEnvelopes(b) }
