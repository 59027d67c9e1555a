package sql

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/contain"
	"github.com/cairndb/cairn/txn"
)

// A table's statistics are gathered again when enough of it has changed: each node counts the rows
// that its sessions change, in transactions that commit or not, and runs ANALYZE on a table when its
// own count passes
//
//	autoAnalyzeRows + autoAnalyzeFraction · rows at the last ANALYZE
//
// Where many nodes write one table, it has changed by up to that much times their number. The count
// is lost with the process, so that a table may wait for another such part of changes.
const (
	autoAnalyzeInterval = 10 * time.Second
	autoAnalyzeRows     = 500
	autoAnalyzeFraction = 0.1
	// statsSweepInterval is how often statistics of tables that are gone are removed.
	statsSweepInterval = time.Hour
)

// autoAnalyzeSetting turns it off, for the whole cluster.
const autoAnalyzeSetting = "cairn.auto_analyze"

// autoAnalyze counts changed rows.
type autoAnalyze struct {
	tables sync.Map // schema.DescID to *atomic.Int64
}

// counter is where changes of a table are counted.
func (a *autoAnalyze) counter(t *schema.Table) *atomic.Int64 {
	if c, ok := a.tables.Load(t.ID); ok {
		return c.(*atomic.Int64)
	}
	c, _ := a.tables.LoadOrStore(t.ID, new(atomic.Int64))
	return c.(*atomic.Int64)
}

// RunStatistics keeps statistics up to date, until ctx ends.
func (s *Server) RunStatistics(ctx context.Context) {
	tick := time.NewTicker(autoAnalyzeInterval)
	defer tick.Stop()
	swept := time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := s.autoAnalyzeOnce(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("statistics cannot be gathered", "err", err)
		}
		if time.Since(swept) > statsSweepInterval {
			swept = time.Now()
			if err := s.sweepStats(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("statistics of dropped tables cannot be removed", "err", err)
			}
		}
	}
}

// autoAnalyzeOnce looks at every table that this node has changed.
func (s *Server) autoAnalyzeOnce(ctx context.Context) (err error) {
	if v, ok := s.settings.view.Load().get(autoAnalyzeSetting); ok && v == "off" {
		return nil
	}
	told := false
	s.auto.tables.Range(func(k, v any) bool {
		id, c := k.(schema.DescID), v.(*atomic.Int64)
		n := c.Load()
		if n < autoAnalyzeRows {
			return true
		}
		if err = s.stats.Load(ctx, []schema.DescID{id}); err != nil {
			return false
		}
		known, _ := s.stats.Known(id)
		if known != nil && float64(n) < autoAnalyzeRows+autoAnalyzeFraction*known.Rows {
			return true
		}
		var snap *schema.Snapshot
		if snap, err = s.cfg.Catalog.Snapshot(ctx); err != nil {
			return false
		}
		t := snap.Table(id)
		if t == nil {
			s.auto.tables.Delete(id)
			s.stats.Forget(id)
			return true
		}
		if err = s.analyzeTable(ctx, t, s.readPage); err != nil && !errors.As(err, new(*contain.Panic)) {
			return false
		}
		told = told || err == nil
		c.Add(-n)
		return true
	})
	if told && s.cfg.Peers != nil {
		s.cfg.Peers.RefreshSettings(ctx)
	}
	return err
}

// sweepStats removes what is known of tables that are gone. Numbers of tables are never used again.
func (s *Server) sweepStats(ctx context.Context) error {
	return s.cfg.DB.Run(ctx, txn.Options{Name: "sweep statistics"}, func(ctx context.Context, t *txn.Txn) error {
		snap, err := s.cfg.Catalog.Refresh(ctx)
		if err != nil {
			return err
		}
		for span := (&kvapi.Span{Key: keys.StatsPrefix, EndKey: keys.StatsPrefix.PrefixEnd()}); span != nil; {
			rows, rest, err := t.Scan(ctx, *span, txn.ScanOptions{TargetBytes: 1 << 20})
			if err != nil {
				return err
			}
			for _, r := range rows {
				if id, ok := keys.DecodeStats(r.Key); ok && snap.Table(schema.DescID(id)) == nil {
					if err := t.Delete(ctx, r.Key); err != nil {
						return err
					}
				}
			}
			span = rest
		}
		return nil
	})
}
