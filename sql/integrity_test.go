package sql

import (
	"context"
	"testing"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/txn"
)

// TestIndexesAreCheckedByThemselves: a table with indexes has its turn some time after
// it was heard of, and again when the result is too old; what is wrong is found, with
// when the table was last good; who does not look after a table leaves it alone.
func TestIndexesAreCheckedByThemselves(t *testing.T) {
	srv := newTestServer(t)
	s := newTestSession(t, srv)
	mustShow(t, s, "create table plain (a int primary key); create table t (a int primary key, b int); create index t_b on t (b)", "CREATE TABLE CREATE TABLE CREATE INDEX")
	mustShow(t, s, "insert into t select i, i from generate_series(1, 100) i", "INSERT 0 100")
	snap, err := srv.cfg.Catalog.Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var tab *schema.Table
	for _, x := range snap.Tables(s.db.ID) {
		if x.Name == "t" {
			tab = x
		}
	}
	known := indexChecks{due: map[schema.DescID]time.Time{}}
	look := func(every time.Duration) *kvapi.IntegrityRecord {
		t.Helper()
		if err := srv.checkDueIndexes(t.Context(), &known, every); err != nil {
			t.Fatal(err)
		}
		recs, err := srv.indexCheckRecords(t.Context())
		if err != nil || len(recs) > 1 {
			t.Fatalf("%v, %v", recs, err)
		}
		if rec, ok := recs[tab.ID]; ok {
			return &rec
		}
		return nil
	}
	if rec := look(time.Hour); rec != nil || known.due[tab.ID].IsZero() {
		t.Errorf("a new table was checked at once: %v", rec)
	}
	known.due[tab.ID] = time.Now().Add(-time.Second)
	good := look(time.Hour)
	if good == nil || good.Outcome != kvapi.CheckGood || good.ProvenNanos == 0 {
		t.Fatalf("found %+v", good)
	}
	if again := look(time.Hour); again.CheckedNanos != good.CheckedNanos {
		t.Error("a table was checked again although its turn has not come")
	}
	ix := tablekv.NewCodec(tab).Indexes[0].Prefix
	if err := srv.cfg.DB.Run(t.Context(), txn.Options{}, func(ctx context.Context, x *txn.Txn) error {
		rows, _, err := x.Scan(ctx, kvapi.Span{Key: ix, EndKey: ix.PrefixEnd()}, txn.ScanOptions{MaxKeys: 1})
		if err != nil {
			return err
		}
		return x.Delete(ctx, rows[0].Key)
	}); err != nil {
		t.Fatal(err)
	}
	srv.cfg.LooksAfter = func(schema.DescID) bool { return false }
	if rec := look(time.Nanosecond); rec.CheckedNanos != good.CheckedNanos {
		t.Error("another node's table was checked")
	}
	srv.cfg.LooksAfter = nil
	bad := look(time.Nanosecond)
	if bad.Outcome != kvapi.CheckDiverged || bad.ProvenNanos != good.ProvenNanos || bad.CheckedNanos == good.CheckedNanos {
		t.Errorf("found %+v after %+v", bad, good)
	}
	wantError(t, s, "alter system set cairn.index_check_interval = '10ms'", sqlerr.InvalidParameterValue)
	mustShow(t, s, "alter system set cairn.index_check_interval = 0", "ALTER SYSTEM")
	if every := srv.indexCheckInterval(); every != 0 {
		t.Errorf("the interval is %s", every)
	}
}
