package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// testTxns is a transaction coordinator of the simplest kind: intents for every
// write, at once; an explicit commit; synchronous resolution.
type testTxns struct{ c *cluster }

func (r testTxns) RunTxn(ctx context.Context, name string, fn func(context.Context, Txn) error) error {
	var err error
	for attempt := 0; attempt < 20; attempt++ {
		if err = r.runOnce(ctx, name, fn); err == nil {
			return nil
		}
		var e *kvapi.Error
		if !errors.As(err, &e) {
			return err
		}
		switch e.Kind {
		case kvapi.ErrTxnRetry, kvapi.ErrWriteTooOld, kvapi.ErrUncertain, kvapi.ErrTxnAborted, kvapi.ErrDeadlock:
			continue
		}
		return err
	}
	return err
}

func (r testTxns) runOnce(ctx context.Context, name string, fn func(context.Context, Txn) error) error {
	now := r.c.nodes[1].clock.Now().Timestamp()
	txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), WriteTimestamp: now, MinTimestamp: now,
		Priority: kvapi.PriorityNormal}, ReadTimestamp: now, Name: name,
		GlobalUncertaintyLimit: now.AddNanos(int64(testMaxOffset))}
	t := &testTxn{c: r.c, txn: txn}
	err := fn(ctx, t)
	return t.finish(ctx, err)
}

type testTxn struct {
	c      *cluster
	txn    *kvapi.Transaction
	writes []kvapi.Request
	end    kvapi.EndTxnArgs
	anchor kvapi.Key
}

func (t *testTxn) Get(ctx context.Context, key kvapi.Key) ([]byte, bool, error) {
	br, err := t.send(ctx, kvapi.Request{Kind: kvapi.Get, Key: key})
	if err != nil {
		return nil, false, err
	}
	v := br.Responses[0].Value
	return v, v != nil, nil
}

func (t *testTxn) Put(_ context.Context, key kvapi.Key, value []byte) error {
	t.writes = append(t.writes, kvapi.Request{Kind: kvapi.Put, Key: key, Value: value})
	return nil
}

func (t *testTxn) Delete(_ context.Context, key kvapi.Key) error {
	t.writes = append(t.writes, kvapi.Request{Kind: kvapi.Delete, Key: key})
	return nil
}

func (t *testTxn) SetSplitTrigger(anchor kvapi.Key, s *kvapi.SplitTrigger) {
	t.anchor, t.end.Split = anchor, s
}

func (t *testTxn) SetChangeReplicasTrigger(anchor kvapi.Key, s *kvapi.ChangeReplicasTrigger) {
	t.anchor, t.end.ChangeReplicas = anchor, s
}

func (t *testTxn) SetMergeTrigger(anchor kvapi.Key, m *kvapi.MergeTrigger) {
	c := *m
	t.anchor, t.end.Merge = anchor, &c
}

func (t *testTxn) Flush(ctx context.Context) (kvapi.TxnMeta, error) {
	err := t.write(ctx)
	return t.txn.TxnMeta, err
}

func (t *testTxn) send(ctx context.Context, q kvapi.Request) (*kvapi.BatchResponse, error) {
	ba := &kvapi.BatchRequest{}
	ba.Txn = t.txn.Clone()
	br, err := t.c.Send(ctx, ba.Add(q))
	if err != nil {
		return nil, err
	}
	if br.Txn != nil {
		t.txn.WriteTimestamp.Forward(br.Txn.WriteTimestamp)
		t.txn.Status = br.Txn.Status
	}
	return br, nil
}

func (t *testTxn) finish(ctx context.Context, err error) error {
	if len(t.writes) == 0 && len(t.end.LockSpans) == 0 {
		return err
	}
	if err == nil {
		err = t.write(ctx)
	}
	t.end.Commit = err == nil
	if err == nil && t.txn.ReadTimestamp != t.txn.WriteTimestamp {
		err, t.end.Commit = fmt.Errorf("pushed: %w", kvapi.NewError(kvapi.ErrTxnRetry, "")), false
	}
	if !t.end.Commit {
		t.end.Split, t.end.ChangeReplicas, t.end.Merge = nil, nil, nil
	}
	t.txn.Seq++
	end := t.end
	_, endErr := t.send(ctx, kvapi.Request{Kind: kvapi.EndTxn, Key: t.anchor, Seq: t.txn.Seq, EndTxn: &end})
	if t.end.Commit && endErr != nil {
		return endErr
	}
	t.resolve(ctx)
	return err
}

// write sends what was put since the last time.
func (t *testTxn) write(ctx context.Context) (err error) {
	if len(t.writes) == 0 {
		return nil
	}
	if t.anchor == nil {
		t.anchor, _ = keys.Addr(t.writes[0].Key)
	}
	t.txn.AnchorKey = t.anchor
	for i := range t.writes {
		t.txn.Seq++
		t.writes[i].Seq = t.txn.Seq
		t.end.LockSpans = append(t.end.LockSpans, kvapi.Span{Key: t.writes[i].Key})
		if _, err = t.send(ctx, t.writes[i]); err != nil {
			break
		}
	}
	t.writes = nil
	return err
}

func (t *testTxn) resolve(ctx context.Context) {
	status := kvapi.Aborted
	if t.end.Commit {
		status = kvapi.Committed
	}
	for _, sp := range t.end.LockSpans {
		ba := &kvapi.BatchRequest{}
		ba.Add(kvapi.Request{Kind: kvapi.ResolveIntent, Key: sp.Key,
			Resolve: &kvapi.LockUpdate{Span: sp, Txn: t.txn.TxnMeta, Status: status}})
		_, _ = t.c.Send(ctx, ba)
	}
}
