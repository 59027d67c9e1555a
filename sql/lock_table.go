package sql

import (
	"context"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// tableLocks are the modes of LOCK TABLE by Postgres's numbers (lockdefs.h).
var tableLocks = [...]string{1: "ACCESS SHARE", 2: "ROW SHARE", 3: "ROW EXCLUSIVE", 4: "SHARE UPDATE EXCLUSIVE",
	5: "SHARE", 6: "SHARE ROW EXCLUSIVE", 7: "EXCLUSIVE", 8: "ACCESS EXCLUSIVE"}

// lockTable is LOCK TABLE. The modes that SELECT, SELECT FOR UPDATE and writes
// take themselves exclude only the stronger ones, of which there are none here:
// for them it is enough that the transaction depends on the table's definition,
// as any statement makes it. The stronger ones would have to exclude writers,
// and are refused.
func (s *Session) lockTable(ctx context.Context, n *pg.LockStmt, w ResultWriter) error {
	if err := s.needBlock("LOCK TABLE"); err != nil {
		return err
	}
	if n.Mode > 3 && int(n.Mode) < len(tableLocks) {
		return sqlerr.Unsupported("LOCK TABLE IN %s MODE", tableLocks[n.Mode]).
			WithHint("Transactions are serializable unless asked otherwise; lock rows with SELECT … FOR UPDATE, or take an advisory lock.")
	}
	snap, err := s.tx.r.Snapshot(ctx)
	if err != nil {
		return err
	}
	for _, r := range n.Relations {
		rv := r.GetRangeVar()
		name := quoteIdent(rv.Relname)
		if rv.Schemaname != "" {
			name = quoteIdent(rv.Schemaname) + "." + name
		}
		st, err := s.bindText(s.bindEnv(snap), "SELECT * FROM "+name, nil)
		if err != nil {
			return err
		}
		if ok, err := s.useTables(ctx, st); err != nil || !ok {
			if err == nil {
				err = &schema.StaleError{Name: rv.Relname}
			}
			return err
		}
	}
	return w.CommandComplete("LOCK TABLE")
}
