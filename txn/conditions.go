package txn

import (
	"context"

	"github.com/cairndb/cairn/kv/kvapi"
)

// ProveConditions asks the servers whether the conditions of buffered writes
// hold, and locks their keys, so that neither a flush nor the commit can fail
// for one of them. It is for the end of a statement after which the
// transaction goes on: what PutIfAbsent finds out later would be the error of
// another statement. The error is that of the first key, in key order, whose
// condition does not hold.
func (t *Txn) ProveConditions(ctx context.Context) error {
	if err := t.usable(); err != nil {
		return err
	}
	open := t.buf.conditional()
	for len(open) > 0 {
		n := min(len(open), proveBatchMaxKeys)
		if err := t.prove(ctx, open[:n]); err != nil {
			return err
		}
		open = open[n:]
	}
	return nil
}

func (t *Txn) prove(ctx context.Context, es []*buffered) error {
	ba := &kvapi.BatchRequest{Requests: make([]kvapi.Request, 0, len(es))}
	for _, e := range es {
		ba.Add(kvapi.Request{Kind: kvapi.Get, Key: e.key, Lock: t.lockFor(kvapi.Span{Key: e.key}, kvapi.LockExclusive)})
	}
	br, err := t.refresher.send(ctx, ba)
	if err != nil {
		return t.fail(ctx, err)
	}
	for i, e := range es {
		if err := e.versions[0].cond.checkServer(e.key, &br.Responses[i]); err != nil {
			return err
		}
		e.versions[0].cond = nil
	}
	return nil
}

// checkServer decides the condition against what a server has.
func (c condition) checkServer(key kvapi.Key, r *kvapi.Response) error {
	base := version{value: r.Value, tombstone: !exists(r)}
	return c.check(&buffered{key: key, versions: []version{base}})
}
