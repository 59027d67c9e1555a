package store

import (
	"context"
	"fmt"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// lookAtLoads takes in what ranges were asked for since the last look, and
// splits those that are asked for more than Config.LoadSplitRate where that
// divides the load. A half may then be led by another node; on a node that is
// alone a split would gain nothing.
func (s *Store) lookAtLoads(elapsed time.Duration) {
	hot, quiet := s.cfg.LoadSplitRate, s.quietRate()
	if s.cfg.Nodes == nil || len(s.cfg.Nodes.LiveNodes()) < 2 {
		hot = 0
	}
	for _, r := range s.asked.all() {
		r.load.look(elapsed, hot, quiet)
		r.maybeForgetAsked()
		if sm := r.load.sampler.Load(); sm != nil && r.load.rate() > hot && holdsTables(r.Desc()) && r.holdsLease() {
			s.judgeLoad(r, sm)
		}
	}
}

func (s *Store) judgeLoad(r *Replica, sm *sampler) {
	v, ready := sm.judge(r.Desc(), s.cfg.RowStart, r.load.rate() > overloadFactor*s.cfg.LoadSplitRate)
	if !ready {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, splitTimeout)
	defer cancel()
	r.load.sampler.Store(newSampler())
	switch {
	case len(v.key) > 0:
		why := fmt.Sprintf("load: %.0f batches a second, of which %.0f%% stay together", r.load.rate(), 100*v.share)
		sticky := s.cfg.Clock.Now().Timestamp().AddNanos(int64(loadSplitSticky))
		if err := r.adminSplit(ctx, v.key, splitReason{why: why, stickyUntil: sticky}); err != nil {
			s.cfg.Log.Info("a busy range could not be split", "range", r.rangeID, "at", v.key, "err", err)
			return
		}
		s.metrics.LoadSplits.Add(1)
		s.cfg.Log.Info("range split", "range", r.rangeID, "at", v.key, "why", why)
		// Each half has about half of it; the next look will tell.
		r.load.sampler.Store(nil)
	case len(v.hot) > 0 && time.Since(r.saidHot) > hotKeySayEvery:
		r.saidHot = time.Now()
		why := fmt.Sprintf("%.0f batches a second, most of them for one key: no split can divide that", r.load.rate())
		s.cfg.Log.Warn("a range is busy with one key", "range", r.rangeID, "key", v.hot, "why", why)
		err := s.cfg.Txns.RunTxn(ctx, "range log", func(ctx context.Context, txn Txn) error {
			return s.logEvent(ctx, txn, kvapi.RangeEvent{RangeID: r.rangeID, Kind: kvapi.EventHotKey, Key: v.hot, Why: why})
		})
		if err != nil {
			s.cfg.Log.Debug("the range log was not written", "err", err)
		}
	}
}
