package intents

import (
	"context"
	"fmt"

	"github.com/cairndb/cairn/kv/kvapi"
)

// ResolveIntents resolves in batches and returns when all are resolved. A
// point is resolved by one request, a span page by page.
func (r *Resolver) ResolveIntents(ctx context.Context, updates []kvapi.LockUpdate) *kvapi.Error {
	return r.resolve(ctx, updates, false)
}

// resolve is ResolveIntents. Deferrable batches may be held back by their
// ranges: fewer consensus rounds, and a later return.
func (r *Resolver) resolve(ctx context.Context, updates []kvapi.LockUpdate, deferrable bool) *kvapi.Error {
	var points, spans []kvapi.LockUpdate
	for i := range updates {
		if !updates[i].Span.IsPoint() {
			points, spans = split(updates)
			break
		}
	}
	if spans == nil {
		points = updates
	}
	err := inBatches(ctx, points, func(ctx context.Context, part []kvapi.LockUpdate) error {
		return r.resolvePoints(ctx, part, deferrable)
	})
	if err != nil {
		return err
	}
	for i := range spans {
		if err := r.resolveSpan(ctx, &spans[i]); err != nil {
			return err
		}
	}
	return nil
}

func split(updates []kvapi.LockUpdate) (points, spans []kvapi.LockUpdate) {
	for _, u := range updates {
		if u.Span.IsPoint() {
			points = append(points, u)
		} else {
			spans = append(spans, u)
		}
	}
	return points, spans
}

func (r *Resolver) resolvePoints(ctx context.Context, part []kvapi.LockUpdate, deferrable bool) error {
	ba := r.newBatch()
	ba.Deferrable = deferrable
	ba.Requests = make([]kvapi.Request, 0, len(part))
	for i := range part {
		ba.Add(resolveRequest(kvapi.ResolveIntent, &part[i], part[i].Span))
	}
	_, err := r.cfg.Sender.Send(ctx, ba)
	if err == nil {
		r.resolved.Add(int64(len(part)))
	}
	return err.AsError()
}

func (r *Resolver) resolveSpan(ctx context.Context, u *kvapi.LockUpdate) *kvapi.Error {
	for span := u.Span; ; {
		ba := r.newBatch().Add(resolveRequest(kvapi.ResolveIntentRange, u, span))
		ba.MaxKeys = rangeKeysMax
		br, err := r.cfg.Sender.Send(ctx, ba)
		if err != nil {
			return err
		}
		r.resolved.Add(br.Responses[0].Keys)
		next := br.Responses[0].Resume
		if next == nil {
			return nil
		}
		if !span.Key.Less(next.Key) {
			return kvapi.NewError(kvapi.ErrInternal, "resolution of %s resumes without progress at %s", span, next)
		}
		span = *next
	}
}

func resolveRequest(kind kvapi.Kind, u *kvapi.LockUpdate, span kvapi.Span) kvapi.Request {
	if u.Status == kvapi.Staging {
		panic(fmt.Sprintf("intents: transaction %s is undecided, its lock at %s cannot be resolved", u.Txn.ID, span))
	}
	return kvapi.Request{Kind: kind, Key: span.Key, EndKey: span.EndKey, Resolve: u}
}
