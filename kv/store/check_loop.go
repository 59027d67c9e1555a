package store

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// checkLoop checks the ranges whose lease is here, each once in CheckInterval,
// one at a time, and rests in between for longer than it works. A check that
// waited in vain for a replica did not work all the time: resting for that, too,
// the checks of a store would take days while a node is away.
func (s *Store) checkLoop() {
	t := time.NewTicker(max(s.cfg.CheckInterval/checkLooks, checkLookMin))
	defer t.Stop()
	var trimmed time.Time
	for {
		select {
		case <-t.C:
		case <-s.stopping:
			return
		}
		s.checkDue(s.ctx)
		if time.Since(trimmed) > rangeLogTrimEvery {
			trimmed = time.Now()
			if err := s.trimIntegrity(s.ctx); err != nil && !s.isStopping() {
				s.cfg.Log.Info("old results of checks stay for now", "err", err)
			}
		}
	}
}

// checkDue checks the led ranges whose turn it is.
func (s *Store) checkDue(ctx context.Context) {
	for _, r := range s.replicas.all() {
		if s.isStopping() || ctx.Err() != nil {
			return
		}
		if !r.holdsLease() {
			continue
		}
		began := time.Now()
		switch due, err := r.checkIsDue(ctx); {
		case err != nil:
			s.cfg.Log.Debug("when a range was checked is not known", "range", r.rangeID, "err", err)
			continue
		case !due:
			continue
		}
		r.checkedAt = began
		rec, err := r.check(ctx)
		if err != nil {
			// It has its turn again, after the others.
			r.checkedAt = began.Add(s.againIn() - s.cfg.CheckInterval)
			if !s.isStopping() {
				s.cfg.Log.Info("a range was not checked", "range", r.rangeID, "err", err)
			}
		} else {
			r.checkedAt = began.Add(s.validFor(rec) - s.cfg.CheckInterval)
		}
		if err != nil || rec.Outcome == kvapi.CheckIncomplete {
			began = time.Now()
		}
		if s.restAfter(ctx, began) != nil {
			return
		}
	}
}

// checkIsDue asks the record of the last check when memory says that it is time:
// another node may have made one since.
func (r *Replica) checkIsDue(ctx context.Context) (bool, error) {
	s, every := r.store, r.store.cfg.CheckInterval
	if !r.checkedAt.IsZero() && time.Since(r.checkedAt) < every {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	var last kvapi.IntegrityRecord
	found := false
	err := s.cfg.Txns.RunTxn(ctx, "integrity", func(ctx context.Context, txn Txn) (err error) {
		last, found, err = lastCheck(ctx, txn, r.rangeID)
		return err
	})
	switch {
	case err != nil:
		return false, err
	case found:
		left := s.validFor(&last) - time.Duration(s.cfg.Clock.PhysicalNow()-last.CheckedNanos)
		r.checkedAt = time.Now().Add(left - every)
		return left <= 0, nil
	case r.checkedAt.IsZero():
		// A new range: not all halves of a storm of splits at one time.
		within := min(max(every/checkNewShare, time.Duration(s.leads.Load())*checkNewEach), every)
		r.checkedAt = time.Now().Add(-every + time.Duration(rand.Int64N(int64(within)+1)))
		return false, nil
	}
	return true, nil
}

// againIn is when a check that found out nothing is tried again.
func (s *Store) againIn() time.Duration { return s.cfg.CheckInterval / checkNewShare }

// validFor is how long the result of a check stands.
func (s *Store) validFor(rec *kvapi.IntegrityRecord) time.Duration {
	if rec.Outcome == kvapi.CheckIncomplete {
		return s.againIn()
	}
	return s.cfg.CheckInterval
}

// trimIntegrity forgets, where the records are, those of ranges that have not
// been checked for long: they are none any more.
func (s *Store) trimIntegrity(ctx context.Context) error {
	r := s.replicas.lookup(keys.IntegrityPrefix)
	if r == nil || s.cfg.Sender == nil || !r.holdsLease() {
		return nil
	}
	before := s.cfg.Clock.PhysicalNow() - int64(integrityKept)
	span := &kvapi.Span{Key: keys.IntegrityPrefix, EndKey: keys.IntegrityPrefix.PrefixEnd()}
	for span != nil {
		ba := &kvapi.BatchRequest{Header: kvapi.Header{MaxKeys: rangeLogTrimMax}}
		br, err := s.cfg.Sender.Send(ctx, ba.Add(kvapi.Request{Kind: kvapi.Scan, Key: span.Key, EndKey: span.EndKey}))
		if err != nil {
			return err
		}
		del := &kvapi.BatchRequest{}
		for _, row := range br.Responses[0].Rows {
			var rec kvapi.IntegrityRecord
			if rec.UnmarshalWire(row.Value) == nil && rec.CheckedNanos < before {
				del.Add(kvapi.Request{Kind: kvapi.Delete, Key: row.Key})
			}
		}
		if len(del.Requests) > 0 {
			if _, err := s.cfg.Sender.Send(ctx, del); err != nil {
				return err
			}
		}
		span = br.Responses[0].Resume
	}
	return nil
}
