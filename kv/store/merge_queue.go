package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Small ranges that nobody uses are merged by themselves: tables are dropped,
// rows deleted, and what was busy once is so no more. A range swallows its right
// neighbour when for mergeScans looks in a row, mergeScanEvery apart,
//
//	both together are smaller than a mergeFraction of what a range may be
//	both are asked for less than a mergeRateMax
//	nobody keeps the boundary: not Config.KeepBoundary (the start of a table that
//	exists), not who split there (RangeDescriptor.StickyUntil)
//	both have their voters on the same nodes, this one among them
//
// Between a merge and the next split lies a factor of mergeFraction in size and
// of LoadSplitRate/mergeRateMax in load; without such a gap a range at the limit
// would be split and merged for ever.
//
// Neighbours on different nodes are left alone: to bring them together is the
// work of whoever moves replicas.

// mergeLoop looks for neighbours to merge.
func (s *Store) mergeLoop() {
	t := time.NewTicker(mergeScanEvery)
	defer t.Stop()
	for {
		select {
		case <-s.stopping:
			return
		case <-t.C:
		}
		s.MergeOnce(s.ctx)
	}
}

// MergeOnce looks once at every range whose lease is here, and merges
// mergesPerScan of them at most: a long table that was emptied is no emergency.
func (s *Store) MergeOnce(ctx context.Context) {
	merged := 0
	for _, r := range s.replicas.all() {
		if s.isStopping() || merged == mergesPerScan {
			return
		}
		why, ok := s.shouldMerge(ctx, r)
		if !ok {
			r.mergeSeen = 0
			continue
		}
		if r.mergeSeen++; r.mergeSeen < mergeScans {
			continue
		}
		r.mergeSeen = 0
		boundary := r.Desc().EndKey
		switch err := r.adminMerge(ctx, boundary, why); {
		case err == nil:
			merged++
			s.metrics.QueueMerges.Add(1)
			s.cfg.Log.Info("ranges merged", "range", r.rangeID, "at", boundary, "why", why)
		case errors.Is(err, errFollowersBehind), errors.Is(err, errDescriptorChanged), errors.Is(err, errMergeAgain):
			s.cfg.Log.Debug("a merge has to wait", "range", r.rangeID, "at", boundary, "err", err)
		case !s.isStopping():
			s.cfg.Log.Info("two small ranges could not be merged", "range", r.rangeID, "at", boundary, "err", err)
		}
	}
}

// shouldMerge says why a range should swallow its right neighbour, if it should.
func (s *Store) shouldMerge(ctx context.Context, r *Replica) (why string, ok bool) {
	left := r.Desc()
	if left.StartKey.Less(keys.TablePrefix) || !left.IsInitialized() || !r.leaseStatus(noTimestamp).IsValid() || mayMergeAt(left, left.EndKey) != nil {
		return "", false
	}
	rr := s.replicas.lookup(left.EndKey)
	if rr == nil {
		return "", false
	}
	right := rr.Desc()
	now := s.cfg.Clock.Now().Timestamp()
	leftSize, _ := r.isTooLarge()
	rightSize, _ := rr.isTooLarge()
	rightRate, known := s.rateOf(ctx, rr)
	switch {
	case !sameReplicas(left, right), now.Less(right.StickyUntil), !known,
		leftSize+rightSize > s.cfg.RangeBytesMax/mergeFraction,
		r.load.rate() > mergeRateMax, rightRate > mergeRateMax,
		s.cfg.KeepBoundary != nil && s.cfg.KeepBoundary(ctx, left.EndKey):
		return "", false
	}
	return fmt.Sprintf("small and quiet: %s and %s, %.1f batches a second", megabytes(uint64(leftSize)),
		megabytes(uint64(rightSize)), r.load.rate()+rightRate), true
}

// rateOf returns what a range's leaseholder says it is asked for.
func (s *Store) rateOf(ctx context.Context, r *Replica) (rate float64, known bool) {
	if r.leaseStatus(noTimestamp).IsValid() {
		return r.load.rate(), true
	}
	ctx, cancel := context.WithTimeout(ctx, rateTimeout)
	defer cancel()
	br, err := s.cfg.Sender.Send(ctx, (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.RangeStats, Key: r.Desc().StartKey}))
	if err != nil {
		return 0, false
	}
	return br.Responses[0].Rate, true
}
