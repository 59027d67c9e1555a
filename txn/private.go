package txn

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// private is a span that nobody but the transaction can know of before its
// commit: the rows of a table that it creates, of an index with a new number.
//
// What is written there needs no intents. The commit of what leads to the
// span, a descriptor, makes all of it visible at once, and without that
// commit it is garbage. So a flush writes such keys as committed values, at
// once and in any number of commands, and moves the transaction's timestamps
// above them:
//
//	side writes @5 @6 @7 ──► transaction moves to @8 ──► descriptor commits @9
//
// As intents, a million rows would be written, looked up and resolved again
// one by one, and every one of them would be a lock that readers meet.
//
//	P1  Nobody else reads or writes the span before the commit. The caller
//	    says so (SetPrivate).
//	P2  The transaction reads above all that it wrote there (moveAbove), and
//	    so commits above it: whoever sees the descriptor sees the rows.
//	P3  The span is announced, durably, before its first key is written, so
//	    that it is cleared if the commit never comes (announce).
//	P4  The transaction has no intent in the span when it writes aside: it
//	    would wait for itself. Before the commit only flushes leave intents;
//	    the first that leaves some there ends private writing (privateOff),
//	    and reads take no locks there.
//
// A write aside whose fate is unknown ends the attempt: the same transaction
// may begin anew with another span, and the old one is cleared late enough
// for stragglers.
type private struct {
	span      kvapi.Span
	announce  func(context.Context) error
	announced bool
}

// SetPrivate says that nobody else reads or writes a span before the commit,
// and that its keys are of no use without it. announce is called before the
// first of them is written ahead of the commit. The transaction must not have
// read or written the span yet. It is forgotten by PrepareForRetry.
func (t *Txn) SetPrivate(span kvapi.Span, announce func(context.Context) error) {
	t.privates = append(t.privates, &private{span: span, announce: announce})
}

// privateOf returns the private span that holds all of sp, or nil.
func (t *Txn) privateOf(sp kvapi.Span) *private {
	for _, p := range t.privates {
		if covers(p.span, sp) {
			return p
		}
	}
	return nil
}

// lockFor is the lock that a read of sp takes: none where nobody else is.
func (t *Txn) lockFor(sp kvapi.Span, lock kvapi.LockStrength) kvapi.LockStrength {
	if lock != kvapi.LockNone && t.privateOf(sp) != nil {
		return kvapi.LockNone
	}
	return lock
}

// flushPrivate writes those of reqs that may be written aside, and returns
// the others.
func (t *Txn) flushPrivate(ctx context.Context, reqs []kvapi.Request) ([]kvapi.Request, error) {
	if len(t.privates) == 0 || t.privateOff {
		return reqs, nil
	}
	var aside, rest []kvapi.Request
	var used []*private
	for i := range reqs {
		p := t.privateOf(kvapi.Span{Key: reqs[i].Key})
		if p == nil {
			rest = append(rest, reqs[i])
			continue
		}
		aside = append(aside, reqs[i])
		if len(used) == 0 || used[len(used)-1] != p {
			used = append(used, p)
		}
	}
	if len(aside) == 0 {
		return rest, nil
	}
	if t.privateOff = t.refresher.readsMuch(); t.privateOff {
		return reqs, nil
	}
	if err := announceAll(ctx, used); err != nil {
		return nil, err
	}
	t.asideSeq = t.seq
	at, err := t.writeAside(ctx, aside)
	if err != nil {
		return nil, err
	}
	return rest, t.moveAbove(ctx, at)
}

// readsMuch reports whether the transaction has read more than single keys.
// Moving it up would then be refused often, while intents do not need it to
// move.
func (r *refresher) readsMuch() bool {
	for _, sp := range r.reads.spans {
		if !sp.IsPoint() {
			return true
		}
	}
	return false
}

func announceAll(ctx context.Context, ps []*private) error {
	for _, p := range ps {
		if p.announced {
			continue
		}
		if err := p.announce(ctx); err != nil {
			return err
		}
		p.announced = true
	}
	return nil
}

// writeAside writes requests outside of the transaction and returns the
// highest timestamp of what was written.
func (t *Txn) writeAside(ctx context.Context, reqs []kvapi.Request) (top hlc.Timestamp, err error) {
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(asideParallelMax)
	for len(reqs) > 0 && gctx.Err() == nil {
		n := batchOf(reqs, asideBatchMaxBytes)
		part := reqs[:n:n]
		reqs = reqs[n:]
		g.Go(func() error {
			at, err := t.sendAside(gctx, part)
			mu.Lock()
			top.Forward(at)
			mu.Unlock()
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return top, err
	}
	if err := ctx.Err(); err != nil {
		return top, &CanceledError{Cause: context.Cause(ctx)}
	}
	return top, nil
}

func (t *Txn) sendAside(ctx context.Context, reqs []kvapi.Request) (hlc.Timestamp, error) {
	ba := &kvapi.BatchRequest{Requests: reqs}
	for i := range reqs {
		reqs[i].Seq = 0
	}
	ba.Gateway = t.db.cfg.NodeID
	ba.Now = t.db.cfg.Clock.Now()
	t.db.metrics.Aside.Add(1)
	br, err := t.db.cfg.Sender.Send(ctx, ba)
	switch {
	case err == nil:
		return br.Timestamp, nil
	case err.Kind == kvapi.ErrAmbiguous:
		return hlc.Timestamp{}, &RetryError{Reason: "what became of a part of its writes is unknown", Key: err.Key, Kind: err.Kind}
	}
	return hlc.Timestamp{}, wrapError(ctx, err)
}

// moveAbove moves the transaction above what it wrote aside (P2).
func (t *Txn) moveAbove(ctx context.Context, at hlc.Timestamp) error {
	return t.AdvanceTo(ctx, at.Next())
}

// AdvanceTo has the transaction read at ts, if it reads below. It fails with
// a RetryError if what it has read was written since, and with a FixedError if
// the user has chosen where it reads.
func (t *Txn) AdvanceTo(ctx context.Context, ts hlc.Timestamp) error {
	if err := t.usable(); err != nil {
		return err
	}
	if ts.LessEq(t.ReadTimestamp()) {
		return nil
	}
	if t.fixed() {
		return FixedError{}
	}
	if err := t.refresher.refresh(ctx, ts, nil); err != nil {
		return t.fail(ctx, err)
	}
	return nil
}
