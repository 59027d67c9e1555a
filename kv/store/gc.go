package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/batcheval"
	"github.com/cairndb/cairn/kv/gc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
	"github.com/cairndb/cairn/kv/storage"
)

// Old versions are collected by leaseholders, a range at a time:
//
//	look    at the statistics of every led range, each gcInterval: which is
//	        due (gc.Due)? An idle range without garbage costs nothing.
//	raise   the range's threshold, by a command of its own. Reads at or below
//	        it are refused from its application on.
//	find    keys with garbage, in the engine, without latches, some thousand at
//	        a time
//	remove  it, in commands of bounded size that latch these keys alone, and
//	        not against reads; what is garbage is decided there
//	rest    for longer than the work took, so that clients have most of the
//	        node
//
// A read below the new threshold may be under way when it applies: it was
// admitted before, and looks at the engine after. So evaluation asks for the
// threshold again when it is done (checkStill), and since a threshold shows in
// memory before any command that makes use of it can apply, an answer that was
// read from an engine without some versions is never given. No latches are
// needed for that; a latch over the range, the alternative, would stop every
// client for a round of consensus.
//
// A command that removes versions is checked again where it applies, on every
// replica (checkRemoval): the keys must be in the range as it is then, and the
// versions below its threshold as it is then. Latches rule out that they are
// not; but what a wrong command of this kind removes is gone (CockroachDB
// #162085 removed beyond a split).
//
// Cases: the lease moves, or the range is split, in the middle of a pass: the
// next command is refused, the pass ends, and the new leaseholder begins its own
// when it is due. A crash is the same. A threshold outlives all that: it is in
// snapshots, and both halves of a split have it.

// GCPolicy tells what to keep; internal/node fills it in.
type GCPolicy interface {
	// TTL is how long what was overwritten in a span stays readable.
	TTL(ctx context.Context, sp kvapi.Span) (time.Duration, error)
}

// gcLoop collects old versions until the store stops.
func (s *Store) gcLoop() {
	t := time.NewTicker(s.cfg.GCInterval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-s.stopping:
			return
		}
		s.CollectGarbage(s.ctx)
	}
}

// errNoPolicy ends a round: what is to be kept cannot be told now, for any range.
var errNoPolicy = errors.New("it is not known what to keep")

// gcRound is one look at all ranges.
type gcRound struct {
	s           *Store
	read        bool
	protections []gc.Protection
	asOf        hlc.Timestamp
}

// CollectGarbage looks once at every range whose lease is here.
func (s *Store) CollectGarbage(ctx context.Context) {
	round := &gcRound{s: s}
	for _, r := range s.replicas.all() {
		if s.isStopping() || ctx.Err() != nil {
			return
		}
		switch err := round.look(ctx, r); {
		case errors.Is(err, errNoPolicy):
			s.cfg.Log.Debug("garbage collection", "err", err)
			return
		case err != nil:
			s.cfg.Log.Debug("garbage collection", "range", r.rangeID, "err", err)
		}
	}
}

func (g *gcRound) look(ctx context.Context, r *Replica) error {
	if !r.leading.Load() {
		return nil
	}
	r.mu.RLock()
	stats, desc, threshold := r.mu.applied.Stats, r.mu.desc, r.mu.gcThreshold
	r.mu.RUnlock()
	if stats.GarbageBytes() <= 0 || !r.holdsLease() {
		return nil
	}
	ttl := g.s.cfg.GCTTL
	if p := g.s.cfg.GCPolicy; p != nil {
		var err error
		if ttl, err = p.TTL(ctx, desc.Span()); err != nil {
			return fmt.Errorf("%w: %w", errNoPolicy, err)
		}
	}
	// Without protections first: most looks end here.
	now := g.s.cfg.Clock.Now().Timestamp()
	if !gc.Due(&stats, threshold, gc.Target(now, ttl, desc.Span(), nil), ttl) {
		return nil
	}
	if err := g.readProtections(ctx); err != nil {
		return fmt.Errorf("%w: %w", errNoPolicy, err)
	}
	target := gc.Target(g.asOf, ttl, desc.Span(), g.protections)
	if !gc.Due(&stats, threshold, target, ttl) {
		return nil
	}
	return r.collectGarbage(ctx, target, g.asOf)
}

// readProtections reads them once a round.
func (g *gcRound) readProtections(ctx context.Context) (err error) {
	if g.read {
		return nil
	}
	if g.s.cfg.Sender == nil {
		g.asOf = g.s.cfg.Clock.Now().Timestamp()
	} else {
		g.protections, g.asOf, err = gc.Protector{Sender: untilStop{g.s}, Clock: g.s.cfg.Clock}.Protections(ctx)
	}
	g.read = err == nil
	return err
}

// collectGarbage is a pass over a range.
func (r *Replica) collectGarbage(ctx context.Context, threshold, asOf hlc.Timestamp) error {
	desc := r.Desc()
	raise := kvapi.Request{Kind: kvapi.RaiseGCThreshold, Key: desc.StartKey,
		GC: &kvapi.GCArgs{Threshold: threshold, ProtectedAsOf: asOf}}
	if _, err := r.sendGC(ctx, []kvapi.Request{raise}, 0); err != nil {
		return err.AsError()
	}
	r.store.metrics.GCPasses.Add(1)
	start, end := keys.RangeLocalSpan(desc.StartKey, desc.EndKey)
	for _, sp := range []kvapi.Span{{Key: start, EndKey: end}, desc.Span()} {
		for rest := &sp; rest != nil; {
			began := time.Now()
			found, next, err := mvcc.FindGarbage(r.store.cfg.Engine, *rest, r.gcThreshold(), gcKeysMax, gcStepsMax)
			if err != nil {
				return err
			}
			rest = next
			if err := r.store.restAfter(ctx, began); err != nil {
				return err
			}
			if err := r.removeGarbage(ctx, found); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeGarbage removes what is garbage of the keys, which are in order.
func (r *Replica) removeGarbage(ctx context.Context, found []kvapi.Key) error {
	for len(found) > 0 {
		began := time.Now()
		reqs := make([]kvapi.Request, len(found))
		for i, k := range found {
			reqs[i] = kvapi.Request{Kind: kvapi.CollectGarbage, Key: k}
		}
		br, err := r.sendGC(ctx, reqs, gcVersionsMax)
		if err != nil {
			return err.AsError()
		}
		left := found[:0]
		for i := range br.Responses {
			r.store.metrics.VersionsCollected.Add(br.Responses[i].Keys)
			if br.Responses[i].Resume != nil {
				left = append(left, found[i])
			}
		}
		found = left
		if err := r.store.restAfter(ctx, began); err != nil {
			return err
		}
	}
	return nil
}

func (r *Replica) sendGC(ctx context.Context, reqs []kvapi.Request, maxKeys int64) (*kvapi.BatchResponse, *kvapi.Error) {
	ctx, cancel := context.WithTimeout(ctx, gcTimeout)
	defer cancel()
	ba := &kvapi.BatchRequest{Requests: reqs}
	ba.Gateway, ba.MaxKeys = r.store.ident.NodeID, maxKeys
	return r.Send(ctx, ba)
}

// restAfter waits, after work that began at a time, for gcRest times what it
// took.
func (s *Store) restAfter(ctx context.Context, began time.Time) error {
	t := time.NewTimer(max(gcRestMin, gcRest*time.Since(began)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopping:
		return errors.New("the store is stopping")
	}
}

func (r *Replica) gcThreshold() hlc.Timestamp {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.mu.gcThreshold
}

// protectedAsOf is the highest timestamp of a record of protection that this
// store has been asked about. It is the store's and not a range's, so that a
// split has nothing to hand on. Who takes over keys without a lease that began
// since, as by a merge, must note what the former leaseholder may have answered.
func (s *Store) protectedAsOf() hlc.Timestamp {
	if ts := s.protected.Load(); ts != nil {
		return *ts
	}
	return hlc.Timestamp{}
}

func (s *Store) noteProtected(asOf hlc.Timestamp) {
	for !asOf.IsEmpty() {
		old := s.protected.Load()
		if old != nil && asOf.LessEq(*old) || s.protected.CompareAndSwap(old, &asOf) {
			return
		}
	}
}

// stillAbove reports the error of a batch that was evaluated while the threshold
// rose above what it read.
func (r *Replica) stillAbove(a *admission, ba *kvapi.BatchRequest) *kvapi.Error {
	threshold := r.gcThreshold()
	if threshold == a.gc {
		return nil
	}
	return batcheval.BelowThreshold(ba, batcheval.ReadTimestamp(ba), threshold)
}

// errUnfitRemoval says that a command would remove what it must not. It has no
// effect then, on any replica.
var errUnfitRemoval = errors.New("store: a command would remove what it must not")

// checkRemoval checks that a command which removes versions, if it is one, fits
// the range as applied: it removes nothing outside of the span it declares, which
// is in the range, and no versions above its threshold.
func checkRemoval(h *commandHeader, repr []byte, desc *kvapi.RangeDescriptor, threshold hlc.Timestamp) error {
	sp := h.Removes
	if sp == nil {
		return nil
	}
	if !desc.ContainsSpan(*sp) {
		return fmt.Errorf("%w: of %s in %s", errUnfitRemoval, sp, desc)
	}
	check := func(op storage.Op) error { return checkClear(op, sp) }
	if !h.RemovesUpTo.IsEmpty() {
		if threshold.Less(h.RemovesUpTo) {
			return fmt.Errorf("%w: versions up to %s, the threshold is %s", errUnfitRemoval, h.RemovesUpTo, threshold)
		}
		check = func(op storage.Op) error { return checkCollect(op, sp, h.RemovesUpTo) }
	}
	return storage.EachOp(repr, check)
}

// checkClear checks a part of a ClearRange: its keys, or the locks on them.
func checkClear(op storage.Op, sp *kvapi.Span) error {
	lockStart, lockEnd := keys.LockTableSpan(sp.Key, sp.EndKey)
	for _, whole := range []kvapi.Span{*sp, {Key: lockStart, EndKey: lockEnd}} {
		if bytes.Equal(op.Key, storage.EncodeKey(nil, whole.Key)) && bytes.Equal(op.End, storage.EncodeKey(nil, whole.EndKey)) {
			return nil
		}
	}
	return fmt.Errorf("%w: [%x, %x) to clear %s", errUnfitRemoval, op.Key, op.End, sp)
}

// checkCollect checks the removal of a version, or of a run of versions of one
// key.
func checkCollect(op storage.Op, sp *kvapi.Span, upTo hlc.Timestamp) error {
	key, at, err := storage.DecodeMVCCKey(op.Key)
	if err != nil {
		return err
	}
	addr, err := keys.Addr(key)
	if err != nil {
		return err
	}
	if op.Set || !sp.Contains(addr) || at.IsEmpty() || upTo.Less(at) {
		return fmt.Errorf("%w: %s at %s, in %s up to %s", errUnfitRemoval, key, at, sp, upTo)
	}
	if op.End == nil || bytes.Equal(op.End, storage.EncodeKey(nil, key.Next())) {
		return nil
	}
	if last, end, err := storage.DecodeMVCCKey(op.End); err != nil || !last.Equal(key) || !end.Less(at) || end.IsEmpty() {
		return fmt.Errorf("%w: [%x, %x)", errUnfitRemoval, op.Key, op.End)
	}
	return nil
}
