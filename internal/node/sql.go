package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql"
	"github.com/cairndb/cairn/sql/pgcatalog"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/txn"
)

// settingsReadMax is how long a node that starts tries to read the cluster's
// settings.
const settingsReadMax = 30 * time.Second

// newSQLServer makes the SQL layer over a Core.
func newSQLServer(c *Core) (*sql.Server, error) {
	s := sql.NewServer(sql.Config{DB: c.DB, Catalog: c.Catalog, NodeID: c.Ident.NodeID, Logger: c.cfg.Log,
		Cluster: sqlCluster{c}, Peers: peers{c}, LooksAfter: c.leadsTable, TempDir: c.cfg.TempDir,
		ClusterVersion: func() uint32 { return uint32(c.Active()) }, MemoryBytesMax: c.cfg.SQLMemoryBytes})
	c.SetSQL(s)
	ctx, cancel := context.WithTimeout(c.ctx, settingsReadMax)
	defer cancel()
	if err := s.RefreshSettings(ctx); err != nil {
		return nil, fmt.Errorf("read the cluster's settings: %w", err)
	}
	c.wg.Go(func() { s.RunSettings(c.ctx) })
	c.wg.Go(func() { s.RunStatistics(c.ctx) })
	c.wg.Go(func() { s.RunJobs(c.ctx) })
	c.wg.Go(func() { s.RunIndexChecks(c.ctx) })
	return s, nil
}

// sqlCluster feeds the tables of schema cairn (pgcatalog.Cluster).
type sqlCluster struct{ c *Core }

// Nodes implements pgcatalog.Cluster.
func (s sqlCluster) Nodes(context.Context) ([]pgcatalog.Node, error) {
	var out []pgcatalog.Node
	for _, n := range s.c.Gossip.Nodes() {
		out = append(out, pgcatalog.Node{ID: int64(n.NodeID), SQLAddr: n.SQLAddress, RPCAddr: n.RPCAddress,
			HTTPAddr: n.HTTPAddress, Live: n.Live, Ranges: n.Capacity.Ranges, Leases: n.Capacity.Leases})
	}
	return out, nil
}

// Ranges implements pgcatalog.Cluster.
func (s sqlCluster) Ranges(ctx context.Context) ([]pgcatalog.Range, error) {
	rs, err := s.c.ClusterRanges(ctx)
	if err != nil {
		return nil, err
	}
	var out []pgcatalog.Range
	for _, r := range rs {
		row := pgcatalog.Range{ID: int64(r.Desc.RangeID), StartKey: r.StartPretty, EndKey: r.EndPretty,
			Leaseholder: int64(r.Lease.Holder.NodeID), LiveBytes: r.Stats.LiveBytes, LiveKeys: r.Stats.LiveCount,
			Generation: int64(r.Desc.Generation)}
		row.TableID, _ = tablekv.TableOf(r.Desc.StartKey)
		for _, rep := range r.Desc.Replicas {
			if rep.Type == kvapi.Voter {
				row.Replicas = append(row.Replicas, int64(rep.NodeID))
			}
		}
		out = append(out, row)
	}
	return out, nil
}

// sessionsAskMax is how long each node has to list its sessions.
const sessionsAskMax = 2 * time.Second

// Sessions implements pgcatalog.Cluster. Those of a node that does not answer
// are missing.
func (s sqlCluster) Sessions(ctx context.Context) (out []pgcatalog.Session, _ error) {
	ctx, cancel := context.WithTimeout(ctx, sessionsAskMax)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	p := peers{s.c}
	for _, n := range p.Nodes() {
		wg.Go(func() {
			list, err := p.Sessions(ctx, n, &sql.SessionQuery{})
			if err != nil {
				s.c.cfg.Log.Warn("a node does not list its sessions", "node", n, "err", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range list.Sessions {
				out = append(out, activityRow(&list.Sessions[i]))
			}
		})
	}
	wg.Wait()
	slices.SortFunc(out, func(a, b pgcatalog.Session) int { return cmp.Compare(a.PID, b.PID) })
	return out, nil
}

func activityRow(s *sql.SessionState) pgcatalog.Session {
	row := pgcatalog.Session{PID: s.PID, Database: s.Database, User: s.User, ApplicationName: s.Application,
		ClientAddr: s.ClientAddr, ClientPort: s.ClientPort, BackendStart: pgMicros(s.StartNanos), TxnStart: pgMicros(s.TxnNanos),
		QueryStart: pgMicros(s.SinceNanos), Query: s.Statement, BackendClass: "client backend"}
	switch {
	case s.Running:
		row.State, row.StateChange = "active", row.QueryStart
	case s.Failed:
		row.State = "idle in transaction (aborted)"
	case s.TxnNanos != 0:
		row.State = "idle in transaction"
	default:
		row.State = "idle"
	}
	if !s.Running {
		row.WaitEventType, row.WaitEvent = "Client", "ClientRead"
	}
	return row
}

// pgMicros is a wall clock in nanoseconds as Postgres counts: microseconds since
// 2000, 0 for none.
func pgMicros(nanos int64) int64 {
	if nanos == 0 {
		return 0
	}
	return (nanos - pgEpochNanos) / 1000
}

const pgEpochNanos = 946_684_800 * 1_000_000_000

// RangeLog implements pgcatalog.Cluster.
func (s sqlCluster) RangeLog(ctx context.Context) ([]pgcatalog.RangeEvent, error) {
	es, err := s.c.RangeLog(ctx)
	if err != nil {
		return nil, err
	}
	var out []pgcatalog.RangeEvent
	for _, e := range es {
		row := pgcatalog.RangeEvent{At: time.Unix(0, e.WallNanos), NodeID: int64(e.NodeID), RangeID: int64(e.RangeID),
			Kind: string(e.Kind), OtherID: int64(e.Other), Why: e.Why}
		if len(e.Key) > 0 {
			row.Key = prettyKey(e.Key)
			row.TableID, _ = tablekv.TableOf(e.Key)
		}
		out = append(out, row)
	}
	return out, nil
}

// RangeLog returns the entries of the range log, oldest first.
func (c *Core) RangeLog(ctx context.Context) (out []kvapi.RangeEvent, err error) {
	err = c.DB.Run(ctx, txn.Options{Name: "range log"}, func(ctx context.Context, t *txn.Txn) error {
		out = nil
		span := &kvapi.Span{Key: keys.RangeLogPrefix, EndKey: keys.RangeLogPrefix.PrefixEnd()}
		for span != nil {
			rows, resume, err := t.Scan(ctx, *span, txn.ScanOptions{MaxKeys: rangesPage})
			if err != nil {
				return err
			}
			for _, row := range rows {
				var e kvapi.RangeEvent
				if err := e.UnmarshalWire(row.Value); err != nil {
					return err
				}
				out = append(out, e)
			}
			span = resume
		}
		return nil
	})
	return out, err
}
