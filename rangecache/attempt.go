package rangecache

import (
	"context"
	"slices"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// verdict is what an attempt's error means for the part.
type verdict uint8

const (
	// final: the caller gets the error.
	final verdict = iota
	// nextReplica: try another replica.
	nextReplica
	// follow: try the leaseholder that the error named.
	follow
	// redivide: the range is not what the cache thought.
	redivide
)

// sendPart sends a batch that the cache believes to lie in e's range. The
// replicas are tried in rounds: the leaseholder first, then the others; a
// round without success is followed by a pause and a fresh look-up.
//
// The first pause is left out when a replica told of a newer range, for then
// the look-up finds that. Only the first: a replica may know the half of a
// split that the batch does not want, while the addressing records still show
// the whole (see lookup), and so each round ends as the one before.
func (s *Sender) sendPart(ctx context.Context, e *entry, ba *kvapi.BatchRequest, f fate) (*kvapi.BatchResponse, *kvapi.Error) {
	var b backoff
	for rounds := 0; ; rounds++ {
		br, err, v := s.round(ctx, e, ba, &f)
		switch {
		case err == nil:
			return br, nil
		case v == final:
			return nil, s.giveUp(f, err)
		case ctx.Err() != nil:
			return nil, s.giveUp(f, kvapi.NewError(kvapi.ErrCanceled, "%v (%v)", context.Cause(ctx), err))
		case err.Kind == kvapi.ErrRangeUnavailable && b.total > brokenPatience:
			return nil, s.giveUp(f, err)
		case b.total > patience:
			return nil, s.giveUp(f, kvapi.NewError(kvapi.ErrUnavailable, "%s: no replica served the request: %v", e.desc.RangeID, err))
		}
		s.metrics.Rounds.Add(1)
		s.cache.evict(e)
		if v != redivide || rounds > 0 || !s.cache.heardNewer(e) {
			if werr := b.wait(ctx); werr != nil {
				return nil, s.giveUp(f, kvapi.NewError(kvapi.ErrCanceled, "%v (%v)", werr, err))
			}
		}
		var lerr error
		if e, lerr = s.relookup(ctx, ba); lerr != nil {
			return nil, s.giveUp(f, lookupError(ctx, lerr))
		}
		if e == nil {
			return s.send(ctx, ba, f)
		}
	}
}

// relookup finds the range of ba anew, nil if it needs several now.
func (s *Sender) relookup(ctx context.Context, ba *kvapi.BatchRequest) (*entry, error) {
	bd, err := boundsOf(ba)
	if err != nil {
		return nil, err
	}
	e, err := s.lookup(ctx, bd.first, false)
	if err != nil || !bd.within(&e.desc) {
		return nil, err
	}
	return e, nil
}

// heardNewer reports whether the cache has something newer where e was.
func (c *Cache) heardNewer(e *entry) bool {
	cur := c.get(e.desc.StartKey, false)
	return cur != nil && (cur.desc.Generation > e.desc.Generation || cur.desc.RangeID != e.desc.RangeID)
}

// round tries the replicas of e once each, plus the leaseholders they name.
func (s *Sender) round(ctx context.Context, e *entry, ba *kvapi.BatchRequest, f *fate) (*kvapi.BatchResponse, *kvapi.Error, verdict) {
	var last, broken *kvapi.Error
	hopeless := true
	order := s.order(e)
	if s.mayFollow(ba) {
		order = s.nearestFirst(e, order)
	}
	for hints, i := 0, 0; i < len(order); i++ {
		node := order[i]
		br, err := s.attempt(ctx, e, node, ba, f)
		if err == nil {
			if br.FollowerReads == 0 {
				e.hint.Store(uint32(node))
			}
			return br, nil, final
		}
		v := s.judge(ctx, e, node, err, f)
		if err.Kind == kvapi.ErrRangeUnavailable {
			broken = err
		}
		hopeless = hopeless && v != follow
		switch v {
		case final, redivide:
			return nil, err, v
		case follow:
			if to := holderIn(err, e); to != 0 && to != node && hints < leaseHintsMax {
				hints++
				order = append(slices.Clone(order[:i+1]), moveFirst(order[i+1:], to)...)
			}
		case nextReplica:
			e.hint.CompareAndSwap(uint32(node), 0)
		}
		last = err
		if ctx.Err() != nil {
			break
		}
	}
	if last == nil {
		last = kvapi.NewError(kvapi.ErrUnavailable, "%s has no voters", &e.desc)
	}
	if broken != nil && hopeless {
		last = broken // it says why; the others only are not there
	}
	return nil, last, nextReplica
}

// moveFirst returns rest with node in front, adding it if need be.
func moveFirst(rest []kvapi.NodeID, node kvapi.NodeID) []kvapi.NodeID {
	out := []kvapi.NodeID{node}
	for _, n := range rest {
		if n != node {
			out = append(out, n)
		}
	}
	return out
}

// holderIn returns the leaseholder that err names for e's range.
func holderIn(err *kvapi.Error, e *entry) kvapi.NodeID {
	for i := range err.Infos {
		if err.Infos[i].Desc.RangeID == e.desc.RangeID {
			return err.Infos[i].Lease.Holder.NodeID
		}
	}
	return 0
}

// order lists the nodes to try: the hint, this node, live ones, the rest, and
// last those that gave no answer.
func (s *Sender) order(e *entry) []kvapi.NodeID {
	out := make([]kvapi.NodeID, 0, len(e.desc.Replicas)+1)
	hint := kvapi.NodeID(e.hint.Load())
	for _, r := range e.desc.Replicas {
		if r.Type != kvapi.Learner {
			out = append(out, r.NodeID)
		}
	}
	rank := func(n kvapi.NodeID) int {
		switch {
		case s.suspects.has(n):
			return 4
		case n == hint:
			return 0
		case s.cfg.Alive != nil && !s.cfg.Alive(n):
			return 3
		case n == s.cfg.NodeID:
			return 1
		}
		return 2
	}
	if i := slices.Index(out, hint); i >= 0 && !s.suspects.has(hint) {
		// The usual case: the rest is a fallback, whose order may be rough.
		out[0], out[i] = out[i], out[0]
		return out
	}
	slices.SortStableFunc(out, func(a, b kvapi.NodeID) int { return rank(a) - rank(b) })
	return out
}

// attempt sends the part to one node.
func (s *Sender) attempt(ctx context.Context, e *entry, node kvapi.NodeID, ba *kvapi.BatchRequest, f *fate) (*kvapi.BatchResponse, *kvapi.Error) {
	s.metrics.Attempts.Add(1)
	out := *ba
	out.RangeID, out.Generation = e.desc.RangeID, e.desc.Generation
	if out.Gateway == 0 {
		out.Gateway = s.cfg.NodeID
	}
	out.AmbiguousReplay = out.AmbiguousReplay || (f.once && f.ambiguous != nil)
	own := node == s.cfg.NodeID
	if s.cfg.Clock != nil && !own {
		out.Now = s.cfg.Clock.Now()
	}
	w := s.watch(ctx, e, node)
	br, err := s.cfg.Transport.Send(w, node, &out)
	if s.stop(w) && err != nil && ctx.Err() == nil {
		// The watch gave the attempt up. It may have been evaluated.
		err = kvapi.NewError(kvapi.ErrNodeUnreachable, "%s hangs: %v", node, err)
		err.MaybeApplied = true
	}
	if err != nil && err.Kind == kvapi.ErrNodeUnreachable {
		s.suspects.add(node)
	} else if err == nil || err.Kind != kvapi.ErrCanceled {
		s.suspects.clear(node)
	}
	s.learn(br, err, own)
	return br, err
}

// learn takes in ranges and clock readings from an answer. This node's own
// readings are of the same clock, which has them.
func (s *Sender) learn(br *kvapi.BatchResponse, err *kvapi.Error, own bool) {
	var infos []kvapi.RangeInfo
	var now hlc.ClockTimestamp
	if err != nil {
		infos, now = err.Infos, err.Now
	} else {
		infos, now = br.Infos, br.Now
	}
	for i := range infos {
		s.cache.Insert(infos[i])
	}
	if s.cfg.Clock != nil && !own && now != (hlc.ClockTimestamp{}) {
		// A reading too far ahead is refused here and reported by the
		// connection's own check; the answer itself is still good.
		_ = s.cfg.Clock.Update(now)
	}
}

// judge says what to do after err, and remembers in f when the attempt may
// have had effects.
func (s *Sender) judge(ctx context.Context, e *entry, node kvapi.NodeID, err *kvapi.Error, f *fate) verdict {
	switch err.Kind {
	case kvapi.ErrNotLeaseholder:
		s.metrics.NotLeaseholder.Add(1)
		e.hint.CompareAndSwap(uint32(node), 0)
		return follow
	case kvapi.ErrRangeMismatch:
		s.metrics.Mismatches.Add(1)
		return redivide
	case kvapi.ErrRangeNotFound:
		return nextReplica
	case kvapi.ErrRangeUnavailable:
		e.hint.CompareAndSwap(uint32(node), 0)
		return nextReplica
	case kvapi.ErrNodeUnreachable, kvapi.ErrUnavailable, kvapi.ErrCanceled, kvapi.ErrAmbiguous:
		return s.judgeLost(ctx, err, f)
	}
	return final
}

// judgeLost handles an attempt without an answer from the range. A part with
// effects that must not happen twice ends here, unless a second attempt is
// recognised as one.
func (s *Sender) judgeLost(ctx context.Context, err *kvapi.Error, f *fate) verdict {
	s.metrics.Unreachable.Add(1)
	if err.Kind == kvapi.ErrAmbiguous && f.once && f.ambiguous != nil {
		// The range has seen that this is a second attempt and cannot tell what
		// became of the first. It will not know better the third time.
		return final
	}
	maybe := err.MaybeApplied || err.Kind == kvapi.ErrAmbiguous || err.Kind == kvapi.ErrCanceled
	if maybe && f.effects && f.ambiguous == nil && !s.cfg.Knobs.BlindRetry {
		f.ambiguous = err
	}
	if ctx.Err() != nil || (maybe && !f.resend && !s.cfg.Knobs.BlindRetry) {
		return final
	}
	return nextReplica
}
