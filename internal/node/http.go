package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cairndb/cairn/internal/console"
	"github.com/cairndb/cairn/internal/version"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/statements"
)

// httpHeaderTimeout keeps idle half-open clients from piling up.
const httpHeaderTimeout = 10 * time.Second

func (n *Node) serveHTTP() {
	n.http = &http.Server{Handler: console.New(consoleSource{n}), ReadHeaderTimeout: httpHeaderTimeout}
	n.wg.Go(func() {
		if err := n.http.Serve(n.httpLis); err != nil && !errors.Is(err, http.ErrServerClosed) {
			n.cfg.Fatal(fmt.Errorf("serve HTTP: %w", err))
		}
	})
}

// consoleSource shows a node (console.Source).
type consoleSource struct{ n *Node }

// Ready implements console.Source.
func (s consoleSource) Ready() (ready bool, remark string) {
	if s.n.engine.Space() != storage.SpacePlenty {
		remark = "the disk is nearly full: new data are refused, reads and deletes go on"
	}
	return s.n.ready.Load(), remark
}

// Status implements console.Source.
func (s consoleSource) Status(ctx context.Context) console.Status {
	c := s.n.core.Load()
	out := console.Status{ClusterID: c.Ident.ClusterID.String(), NodeID: uint32(c.Ident.NodeID),
		Version: version.Build(), UpSeconds: time.Since(s.n.started).Seconds()}
	for _, nd := range c.Gossip.Nodes() {
		out.Nodes = append(out.Nodes, console.Node{ID: uint32(nd.NodeID), Live: nd.Live, Draining: nd.Draining,
			SQL: nd.SQLAddress, RPC: nd.RPCAddress, HTTP: nd.HTTPAddress, Version: nd.Version,
			UpSeconds: time.Since(time.Unix(0, nd.StartedNanos)).Seconds(), Ranges: nd.Capacity.Ranges, Leases: nd.Capacity.Leases,
			DiskUsed: nd.Capacity.DiskUsedBytes, DiskAvailable: nd.Capacity.DiskAvailableBytes, DiskFull: nd.Capacity.DiskFull})
	}
	ranges, err := c.ClusterRanges(ctx)
	if err != nil {
		out.Problem = "the ranges cannot be listed: " + err.Error()
	}
	tables, err := c.Catalog.Snapshot(ctx)
	if err != nil {
		tables = nil // only names are missing then
	}
	for _, r := range ranges {
		row := console.Range{ID: uint64(r.Desc.RangeID), Start: r.StartPretty, End: r.EndPretty,
			Leaseholder: uint32(r.Lease.Holder.NodeID), Generation: uint64(r.Desc.Generation),
			Bytes: r.Stats.LiveBytes, Rows: r.Stats.LiveCount, OldBytes: r.Stats.GarbageBytes(), Rate: r.Rate}
		if tables != nil {
			row.Table = tableOf(tables, r.Desc.StartKey)
		}
		for _, rep := range r.Desc.Replicas {
			row.Replicas = append(row.Replicas, uint32(rep.NodeID))
		}
		out.Ranges = append(out.Ranges, row)
	}
	out.Statements = c.topStatements(ctx)
	return out
}

// statementsShown is how many statements the page shows.
const statementsShown = 15

// topStatements are those of all nodes that took the most time. The page asks for no password, so
// that no constant must show.
func (c *Core) topStatements(ctx context.Context) (out []console.Statement) {
	s := c.sql.Load()
	if s == nil {
		return nil
	}
	rows, _, _ := s.ClusterStatements(ctx)
	for _, r := range rows[:min(len(rows), statementsShown)] {
		text := statements.Normalize(r.Text, statements.Options{StringsOnly: true}).Text
		out = append(out, console.Statement{Text: text, Calls: r.Execs.Count, Rows: r.Rows, Total: r.Execs.Total, Mean: r.Execs.Mean, Max: r.Execs.Max})
	}
	return out
}

// tableOf names the table that a key belongs to, "" if there is none.
func tableOf(s *schema.Snapshot, key kvapi.Key) string {
	n := len(keys.TablePrefix)
	if len(key) < n+4 || key.Less(keys.TablePrefix) || !key.Less(keys.TableMax) {
		return ""
	}
	t := s.Table(schema.DescID(binary.BigEndian.Uint32(key[n:])))
	if t == nil {
		return ""
	}
	if sc := s.SchemaByID(t.SchemaID); sc != nil {
		if db := s.DatabaseByID(sc.DatabaseID); db != nil {
			return db.Name + "." + sc.Name + "." + t.Name
		}
	}
	return t.Name
}

// Counters implements console.Source.
func (s consoleSource) Counters() []console.Counter {
	c := s.n.core.Load()
	m, t, r, w := c.Store.Metrics(), c.DB.Metrics(), s.n.network, s.n
	counter := func(name, help string, v interface{ Load() int64 }) console.Counter {
		return console.Counter{Name: name, Help: help, Value: func() float64 { return float64(v.Load()) }}
	}
	return []console.Counter{
		counter("raft_proposals_total", "Commands given to Raft, a consensus round each.", &m.Proposals),
		counter("raft_applied_total", "Commands that had an effect.", &m.Applied),
		counter("raft_rejected_total", "Commands without effect: their lease had been overtaken.", &m.Rejected),
		counter("raft_turns_total", "Turns of replicas.", &m.Turns),
		counter("raft_readies_total", "What the turns led to in Raft.", &m.Readies),
		counter("raft_apply_batches_total", "Engine batches of applied commands.", &m.ApplyBatches),
		counter("log_appends_total", "Appends to Raft logs.", &c.Store.LogStats().Appends),
		counter("log_batches_total", "Engine batches of appends.", &c.Store.LogStats().Batches),
		{Name: "engine_syncs_total", Help: "Syncs of the write-ahead log.", Value: func() float64 {
			return float64(c.Store.Engine().Syncs())
		}},
		counter("lease_requests_total", "Lease commands, renewals included.", &m.LeaseRequests),
		{Name: "ranges", Help: "Ranges with a replica here.", Gauge: true, Value: func() float64 { return float64(c.Store.RangeCount()) }},
		{Name: "leases", Help: "Ranges led here.", Gauge: true, Value: func() float64 { return float64(c.Store.Counts().Leases) }},
		counter("range_splits_total", "Splits applied.", &m.Splits),
		counter("range_size_splits_total", "Ranges that were split here because they were too large.", &m.SizeSplits),
		counter("range_crowded_waits_total", "Batches that waited for the split of a range that was far too large.", &m.CrowdedWaits),
		counter("range_load_splits_total", "Ranges that were split here because they were too busy.", &m.LoadSplits),
		counter("range_quiet_merges_total", "Neighbours that were merged from here because they were small and quiet.", &m.QueueMerges),
		counter("range_commit_merges_total", "Neighbours that were merged from here because transactions write in both.", &m.CommitMerges),
		counter("range_merges_total", "Merges applied.", &m.Merges),
		counter("range_thaws_total", "Freezes of ranges for merges that came to nothing.", &m.Thaws),
		counter("snapshots_sent_total", "Snapshots sent to followers.", &m.SnapshotsSent),
		counter("snapshots_applied_total", "Snapshots received and applied.", &m.SnapshotsApplied),
		counter("leases_followed_total", "Leases that moved to where requests come from.", &m.LeasesFollowed),
		counter("leases_handed_over_total", "Leases that came here with what their former holder had read.", &m.ReadsHandedOver),
		counter("range_breakers_opened_total", "Ranges that became unavailable: without quorum or hanging.", &m.BreakersOpened),
		counter("txn_records_collected_total", "Records of transactions that nobody else ended.", &m.RecordsCollected),
		counter("gc_passes_total", "Ranges that were searched for old versions to collect.", &m.GCPasses),
		counter("gc_versions_total", "Old versions collected.", &m.VersionsCollected),
		counter("gc_refused_total", "Commands refused because they would have removed what they must not.", &m.RemovalsRefused),
		counter("batches_read_total", "Read-only batches evaluated.", &m.ReadBatches),
		counter("batches_write_total", "Writing batches evaluated.", &m.WriteBatches),
		counter("batches_ambiguous_total", "Batches whose outcome could not be told.", &m.Ambiguous),
		counter("txn_begun_total", "Transactions begun at this node.", &t.Begun),
		counter("txn_committed_total", "Transactions committed at this node.", &t.Committed),
		counter("txn_one_phase_total", "Commits in one phase.", &t.OnePhase),
		counter("txn_parallel_total", "Parallel commits.", &t.Parallel),
		counter("txn_restarts_total", "Transactions that had to start again.", &t.Restarts),
		counter("txn_ambiguous_total", "Commits whose outcome could not be told.", &t.Ambiguous),
		counter("rpc_calls_total", "Calls sent to other nodes.", &r.Stats.Calls),
		counter("rpc_frames_total", "Messages, calls and answers sent to other nodes.", &r.Stats.Frames),
		counter("rpc_batches_total", "Writes to streams that they shared.", &r.Stats.Batches),
		counter("rpc_dropped_total", "Messages that did not fit a queue.", &r.Stats.Dropped),
		counter("rpc_damaged_total", "Streams between nodes that ended because a link had changed bytes.", &r.Stats.Damaged),
		counter("sql_connections_total", "SQL connections accepted.", &lateCounter{w, func(w *Node) int64 { return w.wire.Accepted.Load() }}),
		{Name: "sql_connections", Help: "SQL connections open.", Gauge: true, Value: func() float64 {
			return float64((&lateCounter{w, func(w *Node) int64 { return w.wire.Open.Load() }}).Load())
		}},
	}
}

// lateCounter reads from what exists only once SQL is served.
type lateCounter struct {
	n  *Node
	fn func(*Node) int64
}

// Load returns the count, 0 before SQL is served.
func (l *lateCounter) Load() int64 {
	if !l.n.ready.Load() {
		return 0
	}
	return l.fn(l.n)
}
