package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/pgcatalog"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/txn"
)

// leadsTable reports whether the range in which a table begins is led here.
func (c *Core) leadsTable(id schema.DescID) bool { return c.Store.Serves(keys.Table(uint32(id))) }

var errNoSuchRange = errors.New("there is no such range")

// CheckRange has the leaseholder of a range compare its replicas.
func (c *Core) CheckRange(ctx context.Context, id kvapi.RangeID) (*kvapi.IntegrityRecord, error) {
	descs, err := c.rangeDescriptors(ctx)
	if err != nil {
		return nil, err
	}
	for i := range descs {
		if descs[i].RangeID != id {
			continue
		}
		ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.AdminCheckRange, Key: descs[i].StartKey})
		br, kerr := c.DB.Send(ctx, ba)
		if kerr != nil {
			return nil, kerr
		}
		return br.Responses[0].Check, nil
	}
	return nil, fmt.Errorf("%w: %d", errNoSuchRange, uint64(id))
}

// Integrity returns the results of the last checks, of ranges and then of
// tables.
func (c *Core) Integrity(ctx context.Context) (out []kvapi.IntegrityRecord, err error) {
	err = c.DB.Run(ctx, txn.Options{Name: "integrity"}, func(ctx context.Context, t *txn.Txn) error {
		out = nil
		span := &kvapi.Span{Key: keys.IntegrityPrefix, EndKey: keys.IntegrityPrefix.PrefixEnd()}
		for span != nil {
			rows, resume, err := t.Scan(ctx, *span, txn.ScanOptions{MaxKeys: rangesPage})
			if err != nil {
				return err
			}
			for _, row := range rows {
				var rec kvapi.IntegrityRecord
				if err := rec.UnmarshalWire(row.Value); err != nil {
					return fmt.Errorf("result of a check %s: %w", row.Key, err)
				}
				out = append(out, rec)
			}
			span = resume
		}
		return nil
	})
	return out, err
}

// Integrity implements pgcatalog.Cluster: with a row also for the ranges, and the
// tables with indexes, that were not checked yet.
func (s sqlCluster) Integrity(ctx context.Context) ([]pgcatalog.Integrity, error) {
	descs, err := s.c.rangeDescriptors(ctx)
	if err != nil {
		return nil, err
	}
	recs, err := s.c.Integrity(ctx)
	if err != nil {
		return nil, err
	}
	byRange := map[kvapi.RangeID]*kvapi.IntegrityRecord{}
	for i := range recs {
		if recs[i].Kind == kvapi.CheckReplicas {
			byRange[recs[i].RangeID] = &recs[i]
		}
	}
	var out []pgcatalog.Integrity
	for i := range descs {
		rec := byRange[descs[i].RangeID]
		if rec == nil {
			rec = &kvapi.IntegrityRecord{Kind: kvapi.CheckReplicas, RangeID: descs[i].RangeID, Outcome: "not checked yet"}
		}
		row := integrityRow(rec)
		row.StartKey = prettyKey(descs[i].StartKey)
		if id, ok := tablekv.TableOf(descs[i].StartKey); ok {
			row.TableID = id
		}
		out = append(out, row)
	}
	byTable := map[schema.DescID]bool{}
	for i := range recs {
		if recs[i].Kind != kvapi.CheckReplicas {
			byTable[schema.DescID(recs[i].TableID)] = true
			out = append(out, integrityRow(&recs[i]))
		}
	}
	snap, err := s.c.Catalog.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range snap.Objects() {
		if t, ok := o.(*schema.Table); ok && len(t.Indexes) > 0 && !byTable[t.ID] {
			out = append(out, integrityRow(&kvapi.IntegrityRecord{Kind: kvapi.CheckIndexes, TableID: uint32(t.ID), Outcome: "not checked yet"}))
		}
	}
	return out, nil
}

func integrityRow(rec *kvapi.IntegrityRecord) pgcatalog.Integrity {
	at := func(nanos int64) (t time.Time) {
		if nanos != 0 {
			t = time.Unix(0, nanos)
		}
		return t
	}
	return pgcatalog.Integrity{Kind: string(rec.Kind), RangeID: int64(rec.RangeID), TableID: schema.DescID(rec.TableID),
		Outcome: string(rec.Outcome), Detail: rec.Detail, NodeID: int64(rec.NodeID), Checked: at(rec.CheckedNanos), Proven: at(rec.ProvenNanos)}
}
