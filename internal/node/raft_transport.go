package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/internal/rpc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/store"
)

// raftTransport carries Raft messages and snapshots (store.RaftTransport).
type raftTransport struct {
	net  rpc.Transport
	next atomic.Uint64
}

type envelopes []raftgroup.Envelope

// AppendWire implements rpc.Appender.
func (e envelopes) AppendWire(b []byte) []byte { return raftgroup.AppendEnvelopes(b, e) }

// SendRaft implements store.RaftTransport.
func (t *raftTransport) SendRaft(to kvapi.NodeID, batch []raftgroup.Envelope) bool {
	return t.net.Send(to, rpc.Raft, methodRaft, envelopes(batch))
}

// SendLiveness implements store.RaftTransport. It goes with pings: neither logs
// nor requests may be in its way.
func (t *raftTransport) SendLiveness(to kvapi.NodeID, m *store.LivenessMessage) bool {
	return t.net.Send(to, rpc.System, methodLiveness, m)
}

// snapshotChunk is one call of a snapshot transfer. The receiver answers a
// chunk when it has been consumed, which paces the sender; the answer to the
// last one comes when the snapshot is applied.
type snapshotChunk struct {
	ID    uint64 `wire:"1"`
	Data  []byte `wire:"2"`
	First bool   `wire:"3"`
	Last  bool   `wire:"4"`
	Abort bool   `wire:"5"`
}

// SendSnapshot implements store.RaftTransport.
func (t *raftTransport) SendSnapshot(ctx context.Context, to kvapi.NodeID, fill func(send func(chunk []byte) error) error) error {
	id, first := t.next.Add(1), true
	call := func(c snapshotChunk) error {
		c.ID, c.First = id, first
		first = false
		_, err := t.net.Call(ctx, to, rpc.Bulk, methodSnapshot, &c)
		return err
	}
	if err := fill(func(chunk []byte) error { return call(snapshotChunk{Data: chunk}) }); err != nil {
		if !first {
			_ = call(snapshotChunk{Abort: true}) // the receiver also gives up by itself
		}
		return err
	}
	return call(snapshotChunk{Last: true})
}

// snapshotStore is the receiving side of package kv/store.
type snapshotStore interface {
	HandleSnapshot(ctx context.Context, next func() ([]byte, error)) error
}

// snapshotReceiver puts the calls of transfers together again.
type snapshotReceiver struct {
	store snapshotStore
	mu    sync.Mutex
	open  map[transferKey]*transfer
}

type transferKey struct {
	from kvapi.NodeID
	id   uint64
}

// transfersMax bounds the snapshots under way to one node.
const transfersMax = 16

// transferIdleMax is how long a sender may be silent within a transfer: longer
// than the pacing of the largest chunk takes, and no longer, for a sender that
// was cut off leaves its transfer in the way of all others: a node receives one
// at a time, and a range of two voters that waits for one has no quorum.
const transferIdleMax = 5 * time.Second

type transfer struct {
	// chunks is unbuffered, so that a chunk is answered when it is consumed.
	chunks chan []byte
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

func newSnapshotReceiver(s snapshotStore) *snapshotReceiver {
	return &snapshotReceiver{store: s, open: map[transferKey]*transfer{}}
}

var errSnapshotGone = errors.New("this snapshot transfer is not under way here")

// handle serves one call of a transfer.
func (r *snapshotReceiver) handle(ctx context.Context, from kvapi.NodeID, payload []byte) (rpc.Appender, error) {
	var c snapshotChunk
	if err := c.UnmarshalWire(payload); err != nil {
		return nil, err
	}
	k := transferKey{from, c.ID}
	t, err := r.transfer(k, c.First)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Abort:
		t.cancel()
		return nil, nil
	case c.Last:
		close(t.chunks)
	default:
		select {
		case t.chunks <- c.Data:
			return nil, nil
		case <-t.done:
			return nil, orGone(t.err)
		case <-ctx.Done():
			t.cancel()
			return nil, ctx.Err()
		}
	}
	select {
	case <-t.done:
		return nil, t.err
	case <-ctx.Done():
		t.cancel()
		return nil, ctx.Err()
	}
}

func orGone(err error) error {
	if err == nil {
		return errSnapshotGone
	}
	return err
}

// transfer returns the transfer of a call, and starts it with the first one.
func (r *snapshotReceiver) transfer(k transferKey, first bool) (*transfer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.open[k]; t != nil {
		return t, nil
	}
	if !first {
		return nil, errSnapshotGone
	}
	if len(r.open) >= transfersMax {
		return nil, fmt.Errorf("%d snapshots are being received here already", transfersMax)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &transfer{chunks: make(chan []byte), cancel: cancel, done: make(chan struct{})}
	r.open[k] = t
	go func() {
		defer cancel()
		t.err = r.store.HandleSnapshot(ctx, t.next(ctx))
		r.mu.Lock()
		delete(r.open, k)
		r.mu.Unlock()
		close(t.done)
	}()
	return t, nil
}

func (t *transfer) next(ctx context.Context) func() ([]byte, error) {
	return func() ([]byte, error) {
		select {
		case c, ok := <-t.chunks:
			if !ok {
				return nil, io.EOF
			}
			return c, nil
		case <-time.After(transferIdleMax):
			return nil, errors.New("the sender of the snapshot has gone silent")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// close cancels all transfers.
func (r *snapshotReceiver) close() {
	r.mu.Lock()
	var open []*transfer
	for _, t := range r.open {
		t.cancel()
		open = append(open, t)
	}
	r.mu.Unlock()
	for _, t := range open {
		<-t.done
	}
}
