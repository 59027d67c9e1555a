package sql

import (
	"context"
	"fmt"
	"strings"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/ddl"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// checkPageBytes is how much of a table a check reads at a time.
const checkPageBytes = 1 << 20

// CheckTable implements builtins.TableChecker: it compares the indexes of a table with its rows, as of
// now, and records what it found for cairn.integrity. It takes no locks and runs beside the session's
// transaction, whose own writes it does not see.
func (s *Session) CheckTable(ctx context.Context, oid types.OID) (string, error) {
	t := s.pg.Contents.Table(schema.DescID(oid))
	if t == nil {
		return "", sqlerr.New(sqlerr.UndefinedTable, "could not open relation with OID %d", oid)
	}
	if !s.pg.Contents.Owns(s.user(), t) {
		return "", sqlerr.New(sqlerr.InsufficientPrivilege, "must be owner of table %s", t.Name)
	}
	rec, err := s.checkTable(ctx, t, nil)
	if err != nil {
		return "", err
	}
	return string(rec.Outcome) + ": " + rec.Detail, nil
}

// checkTable compares and records.
func (s *Session) checkTable(ctx context.Context, t *schema.Table, p *checkPace) (*kvapi.IntegrityRecord, error) {
	found, err := s.compareIndexes(ctx, t, p)
	if err != nil {
		return nil, err
	}
	snap, err := s.srv.cfg.Catalog.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	if now := snap.Table(t.ID); now == nil || now.Version != t.Version {
		return nil, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "the definition of table \"%s\" has changed meanwhile", t.Name).
			WithHint("Check it again.")
	}
	rec := kvapi.IntegrityRecord{Kind: kvapi.CheckIndexes, TableID: uint32(t.ID), Outcome: kvapi.CheckGood,
		CheckedNanos: s.srv.now().UnixNano(), NodeID: s.srv.cfg.NodeID}
	said := []string{fmt.Sprintf("%d rows, %d indexes compared", found.Rows, len(found.Checked))}
	if len(found.Skipped) > 0 {
		rec.Outcome = kvapi.CheckIncomplete
		said = append(said, "not compared, for they are not ready: "+strings.Join(found.Skipped, ", "))
	}
	if len(found.Problems) > 0 {
		rec.Outcome = kvapi.CheckDiverged
		said = append(said, found.Problems...)
	}
	rec.Detail = strings.Join(said, "; ")
	return &rec, s.recordCheck(ctx, rec)
}

func (s *Session) compareIndexes(ctx context.Context, t *schema.Table, p *checkPace) (out *tablekv.CheckResult, err error) {
	virtual, err := s.virtualColumns(ctx, t)
	if err != nil {
		return nil, err
	}
	o := txn.Options{Name: "cairn.check_table", ReadOnly: true, ReadTimestamp: s.srv.cfg.DB.Clock().Now().Timestamp()}
	p.reads(o.ReadTimestamp)
	err = s.srv.cfg.DB.Run(ctx, o, func(ctx context.Context, x *txn.Txn) (err error) {
		out, err = tablekv.NewCodec(t).Check(ctx, checkReader{x, p}, virtual)
		return err
	})
	return out, err
}

// virtualColumns computes those of a table's rows.
func (s *Session) virtualColumns(ctx context.Context, t *schema.Table) (func(context.Context, types.Row) error, error) {
	snap, err := s.srv.cfg.Catalog.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	evals := map[int]ddl.Eval{}
	for i := range t.Columns {
		if !t.Columns[i].Virtual {
			continue
		}
		e, err := bind.BindVirtual(s.bindEnv(snap), t, i)
		if err != nil {
			return nil, err
		}
		if evals[i], err = (engine{s}).Compile(e); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, row types.Row) (err error) {
		for i, eval := range evals {
			if row[i], err = eval(ctx, row); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// recordCheck keeps the result, and since when nothing has proven the table good.
func (s *Session) recordCheck(ctx context.Context, rec kvapi.IntegrityRecord) error {
	key := keys.TableIntegrity(rec.TableID)
	return s.srv.cfg.DB.Run(ctx, txn.Options{Name: "integrity"}, func(ctx context.Context, x *txn.Txn) error {
		b, ok, err := x.Get(ctx, key, txn.GetOptions{})
		if err != nil {
			return err
		}
		now := rec
		if rec.Outcome == kvapi.CheckGood {
			now.ProvenNanos = rec.CheckedNanos
		} else if ok {
			var old kvapi.IntegrityRecord
			if err := old.UnmarshalWire(b); err != nil {
				return err
			}
			now.ProvenNanos = old.ProvenNanos
		}
		return x.Put(ctx, key, now.AppendWire(nil))
	})
}

// checkReader reads for a check.
type checkReader struct {
	x *txn.Txn
	p *checkPace
}

// ScanPage implements tablekv.CheckReader.
func (r checkReader) ScanPage(ctx context.Context, span kvapi.Span) ([]kvapi.KeyValue, *kvapi.Span, error) {
	rows, rest, err := r.x.Scan(ctx, span, txn.ScanOptions{TargetBytes: checkPageBytes})
	if err == nil && rest != nil {
		err = r.p.afterPage(ctx)
	}
	return rows, rest, err
}

// GetAll implements tablekv.CheckReader.
func (r checkReader) GetAll(ctx context.Context, keys []kvapi.Key) ([][]byte, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	vals, err := r.x.GetMany(ctx, keys, txn.GetOptions{})
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(vals))
	for i, v := range vals {
		if v.Exists {
			out[i] = append([]byte{}, v.Data...)
		}
	}
	return out, nil
}
