package memkv

import (
	"context"
	"testing"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// A message of an epoch that its transaction has left may arrive at any time;
// it changes nothing.
func TestLateMessagesOfAnEarlierEpochAreRefused(t *testing.T) {
	clock := hlc.NewClock(hlc.SystemClock{}, 0)
	c := New(clock, 1)
	key := kvapi.Key("\x10a")
	now := clock.Now().Timestamp()
	send := func(epoch kvapi.Epoch, value string) *kvapi.Error {
		txn := &kvapi.Transaction{TxnMeta: kvapi.TxnMeta{ID: kvapi.TxnID{1}, AnchorKey: key, Epoch: epoch,
			WriteTimestamp: now, MinTimestamp: now}, ReadTimestamp: now}
		ba := &kvapi.BatchRequest{Header: kvapi.Header{Txn: txn, RangeID: 2}}
		ba.Add(kvapi.Request{Kind: kvapi.Put, Key: key, Value: []byte(value), Seq: 1})
		ba.Add(kvapi.Request{Kind: kvapi.EndTxn, Key: key, EndTxn: &kvapi.EndTxnArgs{Commit: true,
			LockSpans: []kvapi.Span{{Key: key}}, InFlightWrites: []kvapi.SequencedWrite{{Key: key, Seq: 1}, {Key: key, Seq: 2}}}})
		_, err := c.Send(context.Background(), 1, ba)
		return err
	}
	if err := send(1, "new"); err != nil {
		t.Fatal(err)
	}
	if err := send(0, "old"); err == nil || err.Kind != kvapi.ErrTxnRetry {
		t.Errorf("a batch of the earlier epoch: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if in := c.cellAt(key).intent; in == nil || string(in.value) != "new" {
		t.Errorf("the intent is %v", in)
	}
	if rec := c.mu.records[kvapi.TxnID{1}]; rec == nil || rec.Epoch != 1 {
		t.Errorf("the record is %v", rec)
	}
}
