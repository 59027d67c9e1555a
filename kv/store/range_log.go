package store

import (
	"context"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// logEvent writes an entry of the range log in the transaction that does what
// the entry says.
func (s *Store) logEvent(ctx context.Context, txn Txn, e kvapi.RangeEvent) error {
	now := s.cfg.Clock.Now().Timestamp()
	e.WallNanos, e.NodeID = now.WallTime, s.ident.NodeID
	return txn.Put(ctx, keys.RangeLog(now, e.RangeID), e.AppendWire(nil))
}

// trimRangeLog forgets entries older than kept, on the node that leads the range
// they are in.
func (s *Store) trimRangeLog(ctx context.Context, kept time.Duration) error {
	r := s.replicas.lookup(keys.RangeLogPrefix)
	if r == nil || s.cfg.Sender == nil || !r.leaseStatus(noTimestamp).IsValid() {
		return nil
	}
	until := s.cfg.Clock.Now().Timestamp().AddNanos(-int64(kept))
	ba := &kvapi.BatchRequest{Header: kvapi.Header{MaxKeys: rangeLogTrimMax}}
	ba.Add(kvapi.Request{Kind: kvapi.DeleteRange, Key: keys.RangeLogPrefix, EndKey: keys.RangeLog(until, 0)})
	_, err := s.cfg.Sender.Send(ctx, ba)
	return err.AsError()
}

// maybeTrimRangeLog trims every rangeLogTrimEvery; the split loop calls it.
func (s *Store) maybeTrimRangeLog(last *time.Time) {
	if time.Since(*last) < rangeLogTrimEvery {
		return
	}
	*last = time.Now()
	ctx, cancel := context.WithTimeout(s.ctx, splitTimeout)
	defer cancel()
	if err := s.trimRangeLog(ctx, rangeLogKept); err != nil && !s.isStopping() {
		s.cfg.Log.Info("old entries of the range log stay for now", "err", err)
	}
}
