package store

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// A range is best led where its requests come from: a call to another node
// costs more than evaluating a point read. So a leaseholder counts its batches
// by gateway, and hands the range to the node that has sent most of them,
// steadily, if a voter there is up to date:
//
//	window        node 1   node 2   node 3
//	0-5 s             12     4031       40     node 2 sent more than followShare
//	5-10 s             3     3987       12     and again: transfer to node 2
//
// Two windows in a row, each busy, keep a range from being passed around by
// chance; requests that come from everywhere leave it where it is.
//
// The simpler idea, a lease at the node of the first request, would fail with
// the first client that reconnects elsewhere.

// gateways counts a range's batches by the node that sent them.
type gateways struct {
	mu     sync.Mutex
	counts map[kvapi.NodeID]int64
	// favourite is who sent most of them in the last window, 0 for nobody.
	favourite kvapi.NodeID
	// rate is the batches a second of the last window.
	rate float64
}

// note counts a batch.
func (g *gateways) note(from kvapi.NodeID) {
	if from == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.counts == nil {
		g.counts = make(map[kvapi.NodeID]int64)
	}
	g.counts[from]++
}

// endWindow returns the node that sent most batches in this window and in the
// one before, 0 if there is none, and begins the next one.
func (g *gateways) endWindow() kvapi.NodeID {
	g.mu.Lock()
	defer g.mu.Unlock()
	var top kvapi.NodeID
	var total int64
	for n, c := range g.counts {
		total += c
		if top == 0 || c > g.counts[top] || c == g.counts[top] && n < top {
			top = n
		}
	}
	if total < followBatchesMin || float64(g.counts[top]) < followShare*float64(total) {
		top = 0
	}
	before := g.favourite
	g.counts, g.favourite, g.rate = nil, top, float64(total)/followWindow.Seconds()
	if top != before {
		return 0
	}
	return top
}

// load returns the batches a second of the last window, and who sent most of
// them.
func (g *gateways) load() (perSecond float64, near kvapi.NodeID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rate, g.favourite
}

// followLoop moves leases to where requests come from.
func (s *Store) followLoop() {
	t := time.NewTicker(followWindow)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.FollowOnce(s.ctx)
		case <-s.stopping:
			return
		}
	}
}

// FollowOnce ends a window for every range that was asked for anything.
func (s *Store) FollowOnce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, followWindow)
	defer cancel()
	for _, r := range s.asked.all() {
		to := r.gateways.endWindow()
		if to == 0 || to == s.ident.NodeID || ctx.Err() != nil || s.isStopping() || !s.mayFollow(r, to) {
			continue
		}
		if err := r.transferAway(ctx, to); err != nil {
			s.cfg.Log.Debug("the lease could not follow its requests", "range", r.rangeID, "to", to, "err", err)
			continue
		}
		s.metrics.LeasesFollowed.Add(1)
		s.cfg.Log.Info("lease moved to where the requests come from", slog.Any("range", r.rangeID), slog.Any("to", to))
	}
}

// mayFollow reports whether a node can take the lease of a range.
func (s *Store) mayFollow(r *Replica, to kvapi.NodeID) bool {
	desc := r.Desc()
	rep, ok := desc.Replica(to)
	return ok && rep.Type == kvapi.Voter && holdsTables(desc) && !s.isFull(to) && r.leaseStatus(noTimestamp).IsValid()
}
