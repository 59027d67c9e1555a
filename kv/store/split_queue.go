package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// Ranges that outgrow Config.RangeBytesMax split by themselves:
//
//	command applied ─▶ noteSize: larger than the limit? ─▶ splitQueue
//	splitLoop: leaseholder here? followers caught up? ─▶ halfKey ─▶ adminSplit
//	   larger than crowdedFactor times the limit ─▶ writes of new data wait
//
// Every replica notices that its range is too large; its leaseholder acts. A
// store splits one range at a time: each costs reading half a range's keys,
// twice (halfKey, and the right side's statistics under latches).
//
// Back-pressure. Where splits do not keep up, or fail, a range would grow
// without bound, and everything that is done with whole ranges would get slower
// with it. So a batch that brings new data to such a range waits, before it has
// a latch, for a split or for crowdedWait. Nothing that makes room waits, and
// nothing that a split needs: deletes, resolution, transactions' ends, system
// keys. What waits may hold locks; a split waits for no lock. So there is no
// circle.
//
// A range of one row cannot split. It is then left alone until it has grown by
// unsplittableGrowth, and its writes do not wait: they could wait for ever.

// splitQueue are the ranges to look at.
type splitQueue struct {
	mu struct {
		sync.Mutex
		dirty map[kvapi.RangeID]struct{}
		// retries are ranges whose split failed, or has to wait.
		retries map[kvapi.RangeID]splitRetry
	}
	wake chan struct{}
}

// splitRetry is when a range is looked at again, and the pause before that.
type splitRetry struct {
	at    time.Time
	pause time.Duration
}

func newSplitQueue() *splitQueue {
	q := &splitQueue{wake: make(chan struct{}, 1)}
	q.mu.dirty = map[kvapi.RangeID]struct{}{}
	q.mu.retries = map[kvapi.RangeID]splitRetry{}
	return q
}

// add asks for a look at a range.
func (q *splitQueue) add(id kvapi.RangeID) {
	q.mu.Lock()
	q.mu.dirty[id] = struct{}{}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take empties the queue but for those whose time has not come.
func (q *splitQueue) take(now time.Time) []kvapi.RangeID {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []kvapi.RangeID
	for id := range q.mu.dirty {
		if now.Before(q.mu.retries[id].at) {
			continue
		}
		out = append(out, id)
		delete(q.mu.dirty, id)
	}
	return out
}

// done notes how a look ended: a failure brings the range back after a pause.
func (q *splitQueue) done(id kvapi.RangeID, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil {
		delete(q.mu.retries, id)
		return
	}
	pause := min(max(2*q.mu.retries[id].pause, splitRetryMin), splitRetryMax)
	q.mu.retries[id] = splitRetry{at: time.Now().Add(pause), pause: pause}
	q.mu.dirty[id] = struct{}{}
}

// splitLoop splits ranges that are too large. It looks at all, in turns: a lease may
// have come here since the range grew.
func (s *Store) splitLoop() {
	retry, scan := time.NewTicker(splitRetryMin), time.NewTicker(splitScanEvery)
	defer retry.Stop()
	defer scan.Stop()
	looked, trimmed := time.Now(), time.Now()
	var scanned turns
	for {
		select {
		case <-s.stopping:
			return
		case <-s.splits.wake:
		case <-retry.C:
		case <-scan.C:
			s.lookAtLoads(time.Since(looked))
			looked = time.Now()
			for _, r := range s.frozen.all() {
				r.maybeSettleFreeze()
			}
			// Whatever applies looks at its size; here only a lease counts that came
			// since.
			for _, r := range scanned.next(s.replicas, splitScanMax) {
				r.size.queued.Store(false)
				r.noteSize()
			}
			s.maybeTrimRangeLog(&trimmed)
		}
		for _, id := range s.splits.take(time.Now()) {
			if s.isStopping() {
				return
			}
			if r := s.replicas.get(id); r != nil {
				s.splits.done(id, s.maybeSplit(r))
			} else {
				s.splits.done(id, nil)
			}
		}
	}
}

// maybeSplit splits a range if it is too large and this is its leaseholder.
func (s *Store) maybeSplit(r *Replica) error {
	size, over := r.isTooLarge()
	if !over || !r.leaseStatus(noTimestamp).IsValid() {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, splitTimeout)
	defer cancel()
	err := r.splitBySize(ctx, size)
	switch {
	case err == nil:
		// It may still be too large, and so may its right half, which says so
		// when it applies something.
		r.size.queued.Store(false)
		r.noteSize()
	case errors.Is(err, errDescriptorChanged), errors.Is(err, errFollowersBehind):
		s.cfg.Log.Debug("a split has to wait", "range", r.rangeID, "err", err)
	case !s.isStopping():
		s.cfg.Log.Info("a range that is too large could not be split", "range", r.rangeID, "size", megabytes(uint64(size)), "err", err)
	}
	return err
}

// errFollowersBehind puts a split off: a follower that is being sent a snapshot
// of the whole range would need two of its halves.
var errFollowersBehind = errors.New("a follower is catching up")

func (r *Replica) splitBySize(ctx context.Context, size int64) error {
	limit := r.store.cfg.RangeBytesMax
	if size < crowdedFactor*limit && r.followerCatchesUp() {
		return errFollowersBehind
	}
	desc := r.Desc()
	view := r.store.cfg.Engine.NewView()
	key, ok, err := halfKey(view, desc, size, r.store.cfg.RowStart)
	if e := view.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("split key: %w", err)
	}
	if !ok {
		r.size.unsplittable.Store(size)
		r.noteCrowd()
		r.store.cfg.Log.Warn("a range is too large and has one row only: it cannot be split", "range", r.rangeID,
			"size", megabytes(uint64(size)), "limit", megabytes(uint64(limit)), "row", key)
		return nil
	}
	why := fmt.Sprintf("size: %s, more than %s", megabytes(uint64(size)), megabytes(uint64(limit)))
	if err := r.adminSplit(ctx, key, splitReason{why: why}); err != nil {
		return err
	}
	r.store.metrics.SizeSplits.Add(1)
	r.store.cfg.Log.Info("range split", "range", r.rangeID, "at", key, "why", why)
	return nil
}

// followerCatchesUp reports whether a live voter gets a snapshot.
func (r *Replica) followerCatchesUp() (behind bool) {
	r.raftMu.Lock()
	defer r.raftMu.Unlock()
	if r.raftMu.group == nil || !r.raftMu.group.Status().IsLeader() {
		return false
	}
	r.raftMu.group.VisitProgress(func(p raftgroup.Progress) {
		behind = behind || (p.State == raftgroup.Snapshotting && p.RecentActive)
	})
	return behind
}

// sizeGate is a replica's view of its range's size.
type sizeGate struct {
	// queued says that the split queue knows of it.
	queued atomic.Bool
	// unsplittable is the size at which no split key was found, 0 if none was
	// sought in vain.
	unsplittable atomic.Int64
	// crowded says that writes of new data wait.
	crowded atomic.Bool
	mu      sync.Mutex
	// opened is closed when they need not wait any more.
	opened chan struct{}
}

// isTooLarge returns the range's size, and whether it should split.
func (r *Replica) isTooLarge() (size int64, over bool) {
	r.mu.RLock()
	size = rangeBytes(&r.mu.applied.Stats)
	r.mu.RUnlock()
	return size, size > r.sizeMax()
}

// sizeMax is the limit of the range: what is configured, or what a range that
// could not be split may grow to before it is tried again.
func (r *Replica) sizeMax() int64 {
	if at := r.size.unsplittable.Load(); at > 0 {
		return max(r.store.cfg.RangeBytesMax, at*unsplittableGrowth)
	}
	return r.store.cfg.RangeBytesMax
}

// noteSize looks at the range's size after it changed. It is called for every
// batch of commands that applies, and costs a comparison or two.
func (r *Replica) noteSize() {
	if r.rangeID == firstRangeID {
		return // does not split
	}
	size, over := r.isTooLarge()
	if over && !r.size.queued.Swap(true) {
		r.store.splits.add(r.rangeID)
	}
	if at := r.size.unsplittable.Load(); at > 0 && size < at/2 {
		r.size.unsplittable.Store(0) // a split by hand, or deletes
	}
	if over || r.size.crowded.Load() {
		r.noteCrowd()
	}
}

// noteCrowd lets writes of new data wait, or go on.
func (r *Replica) noteCrowd() {
	g := &r.size
	g.mu.Lock()
	defer g.mu.Unlock()
	size, _ := r.isTooLarge()
	crowded := size > crowdedFactor*r.sizeMax()
	switch {
	case crowded == g.crowded.Swap(crowded):
	case crowded:
		g.opened = make(chan struct{})
	default:
		close(g.opened)
	}
}

// waitForRoom lets a batch of new data wait while the range is crowded. No
// latch is held.
func (r *Replica) waitForRoom(ctx context.Context, ba *kvapi.BatchRequest) *kvapi.Error {
	if !r.size.crowded.Load() || !bringsData(ba) {
		return nil
	}
	r.store.metrics.CrowdedWaits.Add(1)
	t := time.NewTimer(crowdedWait)
	defer t.Stop()
	for {
		r.size.mu.Lock()
		crowded, opened := r.size.crowded.Load(), r.size.opened
		r.size.mu.Unlock()
		if !crowded {
			return nil
		}
		select {
		case <-opened:
		case <-t.C:
			size, _ := r.isTooLarge()
			return kvapi.NewError(kvapi.ErrOverloaded, "%s holds %s, the limit is %s, and its split is not done after %s: new data are refused until it is",
				r.rangeID, megabytes(uint64(size)), megabytes(uint64(r.store.cfg.RangeBytesMax)), crowdedWait)
		case <-r.store.stopping:
			return kvapi.NewError(kvapi.ErrUnavailable, "the node is stopping")
		case <-ctx.Done():
			return kvapi.NewError(kvapi.ErrCanceled, "%s: waiting for a split: %v", r.rangeID, ctx.Err())
		}
	}
}
