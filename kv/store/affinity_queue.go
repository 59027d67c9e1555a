package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Ranges that transactions commit in together are merged, also while they are
// busy: a transaction of one range commits in one phase, which costs less than
// half of what it costs over two. So a table may start with a range of its own,
// whose lease can be anywhere, and tables that are written together come to lie
// in one. A boundary goes when for joinLooks looks in a row
//
//	at least Config.JoinRate commits a second, and a joinShare of those of the
//	range that their anchors are in, wrote across it
//
// and then
//
//	both ranges together have at most a joinedShare of what a range may have
//	they are asked for no more than half of what would split them again (mayBear)
//	nobody keeps the boundary: not Config.KeepBoundary, not who split there
//	(RangeDescriptor.StickyUntil), which load does for loadSplitSticky
//	their nodes are up, and stay
//
// The leaseholder of the anchors' range sees the commits and decides. It
// swallows its right neighbour; its left one it asks to swallow it.
//
// What keeps splits and merges from undoing each other
// (TestJoinsAndSplitsDoNotOscillate): by size, a third of growth; by load,
// a factor of two in what the ranges are asked for, or of 1.5 in the part of it that
// are commits across the boundary, and loadSplitSticky after a split. A quiet range is
// none that commits much.
//
// A merge stops both ranges for a moment: the right one from its freeze on until
// the merge has applied, some rounds of consensus and a sync on each node. What was
// under way finds its range again as after any merge. Locks in memory move on with
// their keys (concurrency.Manager.OnMerge).
//
// Neighbours only: tables with others between them in the keyspace stay apart,
// until those in between join one of them, or are quiet.

// joinLoop looks for neighbours that commit together.
func (s *Store) joinLoop() {
	t := time.NewTicker(joinLook)
	defer t.Stop()
	looked := time.Now()
	for {
		select {
		case <-s.stopping:
			return
		case <-t.C:
		}
		elapsed := time.Since(looked)
		looked = time.Now()
		s.lookAtCommits(s.ctx, elapsed)
	}
}

// lookAtCommits looks once at every range that was asked for anything. Most commit
// nothing: they cost a load or two.
func (s *Store) lookAtCommits(ctx context.Context, elapsed time.Duration) {
	learnt := 0
	for _, r := range s.asked.all() {
		a := &r.affinity
		if !a.isBusy() {
			continue
		}
		if s.isStopping() {
			return
		}
		commits, to := a.look(elapsed)
		desc := r.Desc()
		if commits < s.cfg.JoinRate || !holdsTables(desc) || !r.leaseStatus(noTimestamp).IsValid() {
			a.crossed.Store(nil)
			a.sides[leftSide].looks, a.sides[rightSide].looks = 0, 0
			continue
		}
		if c := a.crossed.Load(); c == nil || c.generation != desc.Generation || time.Since(c.born) > crossingsFor {
			if learnt++; learnt <= crossingsLearntMax {
				a.crossed.Store(s.newCrossings(ctx, desc))
			}
			if c == nil || c.generation != desc.Generation {
				continue
			}
		}
		s.judgeCommits(ctx, r, desc, commits, to)
	}
}

// newCrossings finds out between which neighbours a range lies. Of one that
// cannot be found nothing is counted.
func (s *Store) newCrossings(ctx context.Context, desc *kvapi.RangeDescriptor) *crossings {
	c := &crossings{start: desc.StartKey, end: desc.EndKey, generation: desc.Generation, born: time.Now()}
	if left, err := s.leftOf(ctx, desc); err == nil && mayJoin(left, desc) {
		c.before = left.StartKey
	}
	if mayMergeAt(desc, desc.EndKey) != nil {
		return c
	}
	if right, err := s.askNeighbour(ctx, desc.EndKey); err == nil && mayJoin(desc, right.desc) {
		c.beyond = right.desc.EndKey
	}
	return c
}

// mayJoin reports whether two ranges are neighbours that may be merged.
func mayJoin(left, right *kvapi.RangeDescriptor) bool {
	return left.IsInitialized() && left.EndKey.Equal(right.StartKey) && !left.StartKey.Less(keys.TablePrefix) &&
		mayMergeAt(left, left.EndKey) == nil
}

// leftOf returns the left neighbour of a range, as the addressing records have it:
// they are found by where ranges end.
func (s *Store) leftOf(ctx context.Context, desc *kvapi.RangeDescriptor) (left *kvapi.RangeDescriptor, err error) {
	if r := s.replicas.endingAt(desc.StartKey); r != nil {
		return r.Desc(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, rateTimeout)
	defer cancel()
	left = &kvapi.RangeDescriptor{}
	err = s.cfg.Txns.RunTxn(ctx, "left neighbour", func(ctx context.Context, txn Txn) error {
		b, ok, err := txn.Get(ctx, keys.RangeMetaKey(desc.StartKey))
		if err != nil {
			return err
		}
		if !ok {
			return errDescriptorChanged
		}
		return left.UnmarshalWire(b)
	})
	return left, err
}

// judgeCommits merges what commits together.
func (s *Store) judgeCommits(ctx context.Context, r *Replica, desc *kvapi.RangeDescriptor, commits float64, to [2]float64) {
	for _, sd := range []side{rightSide, leftSide} {
		m := &r.affinity.sides[sd]
		if to[sd] < s.cfg.JoinRate || to[sd] < joinShare*commits {
			m.looks = 0
			continue
		}
		boundary := desc.EndKey
		if sd == leftSide {
			boundary = desc.StartKey
		}
		if m.boundary.Equal(boundary) && time.Now().Before(m.until) {
			continue
		}
		if m.looks++; m.looks < joinLooks {
			continue
		}
		m.looks = 0
		s.join(ctx, r, sd, boundary, commits, to[sd])
		if s.isStopping() || r.Desc() != desc {
			return // the other side is looked at anew
		}
	}
}

// join merges a range with a neighbour, if that may be.
func (s *Store) join(ctx context.Context, r *Replica, sd side, boundary kvapi.Key, commits, crossing float64) {
	a := &r.affinity
	n, why, err := s.shouldJoin(ctx, r, sd, boundary, commits, crossing)
	switch {
	case err != nil:
		s.cfg.Log.Debug("ranges that commit together are not merged", "range", r.rangeID, "at", boundary, "why", err)
		a.leave(sd, boundary, joinKept)
		return
	case s.cfg.Knobs.MayMerge != nil && !s.cfg.Knobs.MayMerge():
		return
	}
	if sd == rightSide {
		err = s.swallow(ctx, r, r.Desc(), why)
	} else {
		q := kvapi.Request{Kind: kvapi.AdminMerge, Key: n.desc.StartKey, Value: boundary, Why: why}
		if _, kerr := s.cfg.Sender.Send(ctx, (&kvapi.BatchRequest{}).Add(q)); kerr != nil {
			err = kerr
		}
	}
	switch {
	case err == nil:
		s.metrics.CommitMerges.Add(1)
		s.cfg.Log.Info("ranges merged", "range", r.rangeID, "at", boundary, "why", why)
	case errors.Is(err, errFollowersBehind), errors.Is(err, errDescriptorChanged), errors.Is(err, errMergeAgain):
		s.cfg.Log.Debug("a merge has to wait", "range", r.rangeID, "at", boundary, "err", err)
		a.failed(sd, boundary)
	case !s.isStopping():
		s.cfg.Log.Info("ranges that commit together could not be merged", "range", r.rangeID, "at", boundary, "err", err)
		a.failed(sd, boundary)
	}
}

// shouldJoin says why a range should be merged with a neighbour, or, by the
// error, why not.
func (s *Store) shouldJoin(ctx context.Context, r *Replica, sd side, boundary kvapi.Key, commits, crossing float64) (n neighbour, why string, err error) {
	at := boundary
	if sd == leftSide {
		left, err := s.leftOf(ctx, r.Desc())
		if err != nil {
			return n, "", fmt.Errorf("its left neighbour is not known: %w", err)
		}
		at = left.StartKey
	}
	if n, err = s.askNeighbour(ctx, at); err != nil {
		return n, "", fmt.Errorf("its neighbour does not say how it is: %w", err)
	}
	left, right := r.Desc(), n.desc
	if sd == leftSide {
		left, right = right, left
	}
	size, _ := r.isTooLarge()
	well := s.wellNodes()
	switch {
	case !mayJoin(left, right) || !right.StartKey.Equal(boundary):
		return n, "", errDescriptorChanged
	case s.cfg.Clock.Now().Timestamp().Less(right.StickyUntil):
		return n, "", errors.New("the boundary is kept, since somebody, or load, has split there")
	case float64(size+n.bytes) > joinedShare*float64(s.cfg.RangeBytesMax):
		return n, "", fmt.Errorf("together they have %s", megabytes(uint64(size+n.bytes)))
	case !s.mayBear(r.load.peak()+n.rate, crossing):
		return n, "", fmt.Errorf("together they are asked for %.0f batches a second", r.load.peak()+n.rate)
	case !areWell(left, well) || !areWell(right, well):
		return n, "", errors.New("not all of their nodes are well")
	case s.cfg.KeepBoundary != nil && s.cfg.KeepBoundary(ctx, boundary):
		return n, "", errors.New("the table keeps its boundary")
	}
	return n, fmt.Sprintf("commits across the boundary: %.0f of %.0f a second, %s and %s", crossing, commits,
		megabytes(uint64(size)), megabytes(uint64(n.bytes))), nil
}

// mayBear reports whether a range that is asked for rate batches a second, of
// which crossing commit what now are two ranges, would be left whole by
// judgeLoad, also if it were busier. In one phase they are fewer batches than now.
func (s *Store) mayBear(rate, crossing float64) bool {
	split := s.cfg.LoadSplitRate
	return rate <= split/2 || rate <= overloadFactor*split/2 && crossing >= joinCommitsMin*rate
}
