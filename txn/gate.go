package txn

import (
	"context"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/rangecache"
)

// gate is the lowest layer: it puts the transaction on a batch, counts, and
// takes in what servers made of the transaction. It stands at the bottom so
// that every attempt of the layers above carries the newest timestamps.
type gate struct{ t *Txn }

func (g *gate) send(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	t := g.t
	if t.recordAborted() {
		return nil, kvapi.NewError(kvapi.ErrTxnAborted, "the transaction was aborted")
	}
	out := &kvapi.BatchRequest{Header: ba.Header, Requests: ba.Requests}
	out.Txn = t.current()
	out.Gateway = t.db.cfg.NodeID
	out.LockTimeout = t.lockTimeout
	out.Turn = t.standing.turn
	out.CanForwardReadTimestamp = t.movesFreely()
	br, err := g.call(ctx, out)
	g.learn(out.Txn, br, err)
	return br, err
}

// call sends a batch as it is. Batches of a flush go side by side.
func (g *gate) call(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	g.t.db.metrics.Batches.Add(1)
	br, err := g.t.db.cfg.Sender.Send(ctx, ba)
	g.t.mu.Lock()
	defer g.t.mu.Unlock()
	g.t.stats.Batches++
	if br != nil {
		g.t.stats.FollowerReads += int64(br.FollowerReads)
	}
	return br, err
}

// movesFreely reports whether the read timestamp may rise without a refresh.
func (t *Txn) movesFreely() bool { return !t.fixed() && t.refresher.isClean() }

// current is the transaction for the next batch: once there are intents, its
// sequence is that of the last write; and while nothing was read its
// timestamps agree for free.
func (t *Txn) current() *kvapi.Transaction {
	p := t.snapshot()
	pushed := p.ReadTimestamp.Less(p.WriteTimestamp) && t.movesFreely()
	if (p.Seq == t.seq || !p.HasFlushed) && !pushed {
		return p
	}
	return t.update(func(p *kvapi.Transaction) {
		p.Seq = t.seq
		if pushed {
			p.ReadTimestamp = p.WriteTimestamp
		}
	})
}

// learn takes in the transaction of an answer to a batch of sent. An aborted
// status counts whatever its epoch: a deadlock's victim may have been chosen
// by what was seen of an earlier one.
func (g *gate) learn(sent *kvapi.Transaction, br *kvapi.BatchResponse, err *kvapi.Error) {
	t := g.t
	var server *kvapi.Transaction
	if err != nil {
		server = err.Txn
	} else {
		server = br.Txn
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil && (err.Kind == kvapi.ErrTxnAborted || err.Kind == kvapi.ErrDeadlock && !t.outlives) {
		t.mu.aborted = true
	}
	if server == nil || server == sent || server.ID != t.mu.proto.ID {
		return
	}
	if server.Epoch == t.mu.proto.Epoch && isNews(t.mu.proto, server) {
		read := t.mu.proto.ReadTimestamp
		t.mu.proto = rangecache.MergeTxn(t.mu.proto, server)
		if err != nil {
			// Only a success has read at a forwarded timestamp.
			t.mu.proto.ReadTimestamp = read
		}
	}
}

// isNews reports whether server knows more than p; mostly it does not, and a
// copy is saved.
func isNews(p, server *kvapi.Transaction) bool {
	return p.WriteTimestamp.Less(server.WriteTimestamp) || p.ReadTimestamp.Less(server.ReadTimestamp) ||
		len(server.ObservedTimestamps) > len(p.ObservedTimestamps)
}
