package sql

import (
	"context"
	"math/rand/v2"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/contain"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/stats"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/txn"
)

// analyzeStmt is ANALYZE and the part of VACUUM that there is: it looks at tables and writes down what the
// planner wants to know of them. Each table is read page by page in transactions of their own, which
// need not agree, unless the statement stands in a transaction block: that may have changed the table
// itself. What was found is there at once, also if the block is rolled back.
func (s *Session) analyzeStmt(ctx context.Context, n *pg.VacuumStmt, w ResultWriter) error {
	tag := "ANALYZE"
	if n.IsVacuumcmd {
		tag = "VACUUM"
		if s.tx.explicit {
			return sqlerr.New(sqlerr.ActiveSQLTransaction, "VACUUM cannot run inside a transaction block")
		}
	}
	tables, err := s.analyzed(ctx, n, w)
	if err != nil {
		return err
	}
	if n.IsVacuumcmd && !vacuumAnalyzes(n) {
		return w.CommandComplete(tag)
	}
	for _, t := range tables {
		read := s.srv.readPage
		if s.tx.explicit {
			read = s.readPage
		}
		if err := s.srv.analyzeTable(ctx, t, read); err != nil {
			return err
		}
	}
	if s.srv.cfg.Peers != nil && len(tables) > 0 {
		s.srv.cfg.Peers.RefreshSettings(ctx)
	}
	return w.CommandComplete(tag)
}

func vacuumAnalyzes(n *pg.VacuumStmt) bool {
	for _, o := range n.Options {
		if o.GetDefElem().GetDefname() == "analyze" {
			return true
		}
	}
	return false
}

// analyzed finds the tables: those named, or all of the database that the user owns.
func (s *Session) analyzed(ctx context.Context, n *pg.VacuumStmt, w ResultWriter) ([]*schema.Table, error) {
	snap, err := s.tx.r.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	var out []*schema.Table
	if len(n.Rels) == 0 {
		for _, t := range snap.Tables(s.db.ID) {
			if snap.Owns(s.user(), t) {
				out = append(out, t)
			}
		}
		return out, nil
	}
	verb := "analyze"
	if n.IsVacuumcmd {
		verb = "vacuum"
	}
	for _, rel := range n.Rels {
		rv := rel.GetVacuumRelation().GetRelation()
		if rv == nil {
			continue
		}
		path := s.temp.Path(snap.Contents, s.db.ID, s.searchPath(snap.Contents))
		if rv.Schemaname != "" {
			path = []string{rv.Schemaname}
		}
		o, _, err := s.tx.r.Lookup(ctx, s.db.ID, path, rv.Relname)
		if err != nil {
			return nil, err
		}
		t, ok := o.(*schema.Table)
		skip := ""
		switch {
		case o == nil:
			name := quoteIdent(rv.Relname)
			if rv.Schemaname != "" {
				name = quoteIdent(rv.Schemaname) + "." + name
			}
			if _, err := s.bindText(s.bindEnv(snap), "SELECT * FROM "+name, nil); err != nil {
				return nil, err
			}
			continue // a computed table
		case !ok:
			skip = "cannot " + verb + " non-tables or special system tables"
		case !snap.Owns(s.user(), t):
			skip = "only table or database owner can " + verb + " it"
		}
		if skip != "" {
			if err := s.notice(w, sqlerr.New(sqlerr.Warning, "skipping \"%s\" --- %s", rv.Relname, skip).WithSeverity(sqlerr.SeverityWarning)); err != nil {
				return nil, err
			}
			continue
		}
		out = append(out, t)
	}
	return out, nil
}

// readPage implements stats.ReadPage in the session's transaction.
func (s *Session) readPage(ctx context.Context, span kvapi.Span, bytes int64) ([]kvapi.KeyValue, *kvapi.Span, error) {
	return s.kv().Scan(ctx, span, txn.ScanOptions{TargetBytes: bytes})
}

// readPage implements stats.ReadPage, each page in a transaction of its own.
func (s *Server) readPage(ctx context.Context, span kvapi.Span, bytes int64) (rows []kvapi.KeyValue, rest *kvapi.Span, err error) {
	err = s.cfg.DB.Run(ctx, txn.Options{Name: "analyze"}, func(ctx context.Context, t *txn.Txn) error {
		rows, rest, err = t.Scan(ctx, span, txn.ScanOptions{TargetBytes: bytes})
		return err
	})
	return rows, rest, err
}

// analyzeTable gathers a table's statistics and writes them down. Other nodes see them when their
// caches expire.
func (s *Server) analyzeTable(ctx context.Context, t *schema.Table, read stats.ReadPage) error {
	var found *stats.Table
	err := contain.Do(func() (err error) {
		found, err = stats.Collect(ctx, tablekv.NewCodec(t), read, rand.New(rand.NewPCG(uint64(t.ID), uint64(time.Now().UnixNano()))))
		return err
	})
	if err != nil {
		contain.Log(s.log, err, "table", t.Name)
		return err
	}
	found.AtNanos = time.Now().UnixNano()
	err = s.cfg.DB.Run(ctx, txn.Options{Name: "write statistics"}, func(ctx context.Context, tx *txn.Txn) error {
		return tx.Put(ctx, keys.Stats(uint32(t.ID)), found.AppendWire(nil))
	})
	s.stats.Expire()
	return err
}

// statistics are what is known of some tables.
func (s *Server) statistics(ctx context.Context, ids []schema.DescID) (map[schema.DescID]*stats.Table, error) {
	if err := s.stats.Load(ctx, ids); err != nil {
		return nil, err
	}
	out := map[schema.DescID]*stats.Table{}
	for _, id := range ids {
		if t, _ := s.stats.Known(id); t != nil {
			out[id] = t
		}
	}
	return out, nil
}

// newStatsCache is the cache over the server's store.
func newStatsCache(db *txn.DB) *stats.Cache {
	return &stats.Cache{Run: func(ctx context.Context, fn func(context.Context, stats.Reader) error) error {
		return db.Run(ctx, txn.Options{Name: "read statistics"}, func(ctx context.Context, t *txn.Txn) error { return fn(ctx, t) })
	}}
}
