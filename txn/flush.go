package txn

import (
	"context"

	"github.com/cairndb/cairn/kv/kvapi"
)

// flush sends the whole buffer as intents and waits until each is there, so
// that the commit need not prove them. From then on the transaction's own
// reads find them on the servers, and are taken back otherwise (savepoint.go).
// Keys that nobody else can know of are written aside instead (private.go).
//
// The batches go side by side, so that one is evaluated while another is
// replicated. What a batch checks (ReadAt, conditions) its own intents guard
// from there on, so that none needs the timestamp of another. The flush waits
// for all: unproved batches would need to be remembered and queried again
// before the commit.
func (t *Txn) flush(ctx context.Context) error {
	if err := t.committer.checkConditions(ctx); err != nil {
		return t.breakOff(ctx, err)
	}
	t.db.metrics.Flushes.Add(1)
	t.stats.Flushes++
	t.flushedBytes += t.buf.bytes
	t.replaced.noteBuffer(&t.buf)
	// Intents are on disk: once there, they need no check.
	t.held.set(t.held.without(&t.buf))
	reqs, err := t.flushPrivate(ctx, t.refresher.readAt(t.buf.requests()))
	if err != nil {
		return t.breakOff(ctx, err)
	}
	if len(reqs) > 0 {
		t.flushedSeq = t.seq
		t.update(func(p *kvapi.Transaction) { p.HasFlushed = true })
	}
	t.sign(reqs)
	var batches []*kvapi.BatchRequest
	for len(reqs) > 0 {
		n := batchOf(reqs, flushBatchMaxBytes)
		batches = append(batches, &kvapi.BatchRequest{Requests: reqs[:n:n]})
		reqs = reqs[n:]
	}
	for i, out := range t.refresher.next.sendAll(ctx, batches) {
		br, err := t.refresher.settle(ctx, batches[i], out.br, out.err)
		if err != nil {
			return t.breakOff(ctx, t.fail(ctx, err))
		}
		t.replaced.note(batches[i].Requests, br.Responses)
	}
	t.buf.reset()
	return nil
}

// breakOff makes an error in the middle of a flush final: what was sent
// cannot be told from what was not.
func (t *Txn) breakOff(_ context.Context, err error) error {
	if t.failed == nil {
		t.failed = err
	}
	return err
}

// batchOf returns how many of reqs make one batch.
func batchOf(reqs []kvapi.Request, maxBytes int64) int {
	var bytes int64
	for i := range reqs {
		bytes += int64(len(reqs[i].Key) + len(reqs[i].Value))
		if i > 0 && (bytes > maxBytes || i == flushBatchMaxKeys) {
			return i
		}
	}
	return len(reqs)
}
