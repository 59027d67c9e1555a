package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Small ranges that nobody uses are merged by themselves: tables are dropped,
// rows deleted, and what was busy once is so no more. A range swallows its right
// neighbour when
//
//	both together are smaller than a mergeFraction of what a range may be
//	both have been asked for less than quietRate for Config.MergeAfter, as far as
//	their leaseholders remember: who gets a lease begins to count
//	nobody keeps the boundary: not Config.KeepBoundary (either end of a table that
//	keeps old versions for a time of its own), not who split there (RangeDescriptor.StickyUntil)
//	their nodes are up, and stay
//
// Between a merge and the next split lies a factor of mergeFraction in size and
// of mergeRateFraction/2 at least in load, and between a split by load and the
// next merge MergeAfter of quiet, so that neither a range at a limit nor one whose
// load pauses is split and merged to and fro (TestSplitsAndMergesDoNotOscillate).
//
// Neighbours on different nodes are brought together first (together.go); the
// allocator, which knows nothing of neighbours, may part them before the merge.
// Then it is tried again, later.
//
// A look costs a quiet range some comparisons. Only a small, quiet one whose
// neighbour is led elsewhere costs a message; a boundary that turns out to be
// kept is not asked about again for stickyTrust.

// mergeMemory is what the merge queue remembers of a range.
type mergeMemory struct {
	// boundary is left alone until a time: a merge has failed there, or it is kept.
	boundary kvapi.Key
	until    time.Time
}

// mergeLoop looks for neighbours to merge.
func (s *Store) mergeLoop() {
	t := time.NewTicker(s.cfg.MergeAfter / mergeLooks)
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
// mergesPerLook of them at most.
func (s *Store) MergeOnce(ctx context.Context) {
	well := s.wellNodes()
	merged := 0
	for _, r := range s.replicas.all() {
		if s.isStopping() || merged == mergesPerLook {
			return
		}
		if !r.leading.Load() {
			continue
		}
		left := r.Desc()
		if r.merge.boundary.Equal(left.EndKey) && time.Now().Before(r.merge.until) {
			continue
		}
		why, ok := s.shouldMerge(ctx, r, left, well)
		if !ok || s.cfg.Knobs.MayMerge != nil && !s.cfg.Knobs.MayMerge() {
			continue
		}
		switch err := s.swallow(ctx, r, left, why); {
		case err == nil:
			merged++
			s.metrics.QueueMerges.Add(1)
			s.cfg.Log.Info("ranges merged", "range", r.rangeID, "at", left.EndKey, "why", why)
			continue
		case errors.Is(err, errFollowersBehind), errors.Is(err, errDescriptorChanged), errors.Is(err, errMergeAgain):
			s.cfg.Log.Debug("a merge has to wait", "range", r.rangeID, "at", left.EndKey, "err", err)
		case !s.isStopping():
			s.cfg.Log.Info("two small ranges could not be merged", "range", r.rangeID, "at", left.EndKey, "err", err)
		}
		r.leaveBoundary(left.EndKey, mergeAgainLooks*s.cfg.MergeAfter/mergeLooks)
	}
}

// swallow makes a range swallow its right neighbour, wherever that is.
func (s *Store) swallow(ctx context.Context, r *Replica, left *kvapi.RangeDescriptor, why string) error {
	if err := s.bringTogether(ctx, left); err != nil {
		return err
	}
	return r.adminMerge(ctx, left.EndKey, why)
}

// leaveBoundary leaves the end of a range alone for a while.
func (r *Replica) leaveBoundary(boundary kvapi.Key, d time.Duration) {
	r.merge = mergeMemory{boundary: boundary, until: time.Now().Add(d)}
}

// quietRate is what a range may be asked for and count as quiet, in batches a
// second.
func (s *Store) quietRate() float64 {
	return min(mergeRateMax, s.cfg.LoadSplitRate/mergeRateFraction)
}

// wellNodes are the nodes that are up, and stay; nil if nobody knows.
func (s *Store) wellNodes() map[kvapi.NodeID]bool {
	if s.cfg.Nodes == nil {
		return nil
	}
	out := map[kvapi.NodeID]bool{}
	for _, n := range s.cfg.Nodes.Nodes() {
		if n.Liveness == allocator.Live && n.Membership == allocator.Member && !n.Draining && !n.DiskFull {
			out[n.ID] = true
		}
	}
	return out
}

// areWell reports whether all of a range's replicas vote, on nodes that are well.
func areWell(d *kvapi.RangeDescriptor, well map[kvapi.NodeID]bool) bool {
	for _, rep := range d.Replicas {
		if rep.Type != kvapi.Voter || well != nil && !well[rep.NodeID] {
			return false
		}
	}
	return true
}

// neighbour is a right neighbour, as this store or its leaseholder knows it.
type neighbour struct {
	desc  *kvapi.RangeDescriptor
	bytes int64
	rate  float64
	quiet time.Duration
}

// shouldMerge says why a range should swallow its right neighbour, if it should.
func (s *Store) shouldMerge(ctx context.Context, r *Replica, left *kvapi.RangeDescriptor, well map[kvapi.NodeID]bool) (why string, ok bool) {
	size, _ := r.isTooLarge()
	if size > s.mergedMax() || r.load.quietFor() < s.cfg.MergeAfter || !left.IsInitialized() || left.StartKey.Less(keys.TablePrefix) ||
		mayMergeAt(left, left.EndKey) != nil || !r.leaseStatus(noTimestamp).IsValid() || !areWell(left, well) {
		return "", false
	}
	now := s.cfg.Clock.Now().Timestamp()
	n := neighbour{quiet: s.cfg.MergeAfter}
	local := s.replicas.lookup(left.EndKey)
	if local != nil {
		n.desc = local.Desc()
		n.bytes, _ = local.isTooLarge()
		if local.leaseStatus(noTimestamp).IsValid() {
			n.rate, n.quiet = local.load.rate(), local.load.quietFor()
		}
		if !s.isFree(r, &n, now) || size+n.bytes > s.mergedMax() || n.quiet < s.cfg.MergeAfter {
			return "", false
		}
	}
	if s.cfg.KeepBoundary != nil && s.cfg.KeepBoundary(ctx, left.EndKey) {
		return "", false
	}
	if local == nil || !local.leaseStatus(noTimestamp).IsValid() {
		var err error
		if n, err = s.askNeighbour(ctx, left.EndKey); err != nil || !s.isFree(r, &n, now) || size+n.bytes > s.mergedMax() || n.quiet < s.cfg.MergeAfter {
			return "", false
		}
	}
	if !n.desc.StartKey.Equal(left.EndKey) || !areWell(n.desc, well) {
		return "", false
	}
	return fmt.Sprintf("small and quiet: %s and %s, %.1f batches a second", megabytes(uint64(size)),
		megabytes(uint64(n.bytes)), r.load.rate()+n.rate), true
}

// mergedMax is how large a range that is merged by itself may be.
func (s *Store) mergedMax() int64 { return s.cfg.RangeBytesMax / mergeFraction }

// isFree reports whether nobody keeps a neighbour's start. If somebody does for
// long, that is remembered.
func (s *Store) isFree(r *Replica, n *neighbour, now hlc.Timestamp) bool {
	if !now.Less(n.desc.StickyUntil) {
		return true
	}
	if now.AddNanos(int64(stickyTrust)).Less(n.desc.StickyUntil) {
		r.leaveBoundary(n.desc.StartKey, stickyTrust)
	}
	return false
}

// askNeighbour asks a range's leaseholder how it is.
func (s *Store) askNeighbour(ctx context.Context, at kvapi.Key) (n neighbour, err error) {
	ctx, cancel := context.WithTimeout(ctx, rateTimeout)
	defer cancel()
	br, kerr := s.cfg.Sender.Send(ctx, (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.RangeStats, Key: at}))
	if kerr != nil {
		return n, kerr
	}
	resp := &br.Responses[0]
	return neighbour{desc: &resp.Info.Desc, bytes: rangeBytes(resp.Stats), rate: resp.Rate, quiet: resp.QuietFor}, nil
}
