package sql

import (
	"context"
	"strings"
	"testing"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// TestIndexesAreComparedWithRows: a sound table is good, whatever its types; an
// entry that is missing, too much or of another row is found.
func TestIndexesAreComparedWithRows(t *testing.T) {
	s := newTestSession(t, newTestServer(t))
	mustShow(t, s, `create table t (a int primary key, b numeric, c text, d float8, e bool);
		create unique index t_b on t (b); create index t_c on t (c desc, d) include (e)`, "CREATE TABLE CREATE INDEX CREATE INDEX")
	mustShow(t, s, "insert into t select i, i + 0.50, case when i % 3 = 0 then null else 'x' || i end, i / 7.0, i % 2 = 0 from generate_series(1, 500) i", "INSERT 0 500")
	mustShow(t, s, "insert into t values (1000, null, '', 'nan', null), (1001, null, null, '-0', true)", "INSERT 0 2")
	mustShow(t, s, "update t set b = b + 1000, e = not e where a % 5 = 0", "UPDATE 101")
	mustShow(t, s, "delete from t where a % 11 = 0", "DELETE 46")
	check := func(want string) string {
		t.Helper()
		got, err := query(t, s, "select cairn.check_table('t')")
		if err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
		return got
	}
	check("good: 456 rows, 2 indexes compared")

	snap, err := s.srv.cfg.Catalog.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var tab *schema.Table
	for _, o := range snap.Objects() {
		if x, ok := o.(*schema.Table); ok && x.Name == "t" {
			tab = x
		}
	}
	codec := tablekv.NewCodec(tab)
	change := func(f func(ctx context.Context, x *txn.Txn) error) {
		t.Helper()
		if err := s.srv.cfg.DB.Run(context.Background(), txn.Options{}, f); err != nil {
			t.Fatal(err)
		}
	}
	// Entries of the index t_c, behind the back of SQL: the first goes, the second
	// gets another value, and one more is there.
	change(func(ctx context.Context, x *txn.Txn) error {
		rows, _, err := x.Scan(ctx, kvapi.Span{Key: codec.Indexes[1].Prefix, EndKey: codec.Indexes[1].Prefix.PrefixEnd()}, txn.ScanOptions{MaxKeys: 2})
		if err != nil {
			return err
		}
		if err := x.Delete(ctx, rows[0].Key); err != nil {
			return err
		}
		if err := x.Put(ctx, rows[1].Key, append(append([]byte{}, rows[1].Value...), 0)); err != nil {
			return err
		}
		row := types.Row{types.NewInt(77777), types.Null, types.NewText("none"), types.Null, types.Null}
		key, _, err := codec.Indexes[1].Key(row)
		if err != nil {
			return err
		}
		return x.Put(ctx, key, codec.Indexes[1].Value(row))
	})
	got := check("diverged: 456 rows")
	for _, want := range []string{"index t_c: row ", " has no entry", " is of no row"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	if strings.Contains(got, "t_b") {
		t.Errorf("%q blames the wrong index", got)
	}

	// Partial indexes and those on expressions.
	mustShow(t, s, `create table p (a int primary key, b int); create index p_half on p (b) where b > 0;
		create unique index p_twice on p ((b * 2), a); insert into p select i, i - 50 from generate_series(1, 100) i`,
		"CREATE TABLE CREATE INDEX CREATE INDEX INSERT 0 100")
	mustShow(t, s, "update p set b = -b where a % 7 = 0; select cairn.check_table('p')", "UPDATE 14 good: 100 rows, 2 indexes compared SELECT 1")
	if snap, err = s.srv.cfg.Catalog.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, o := range snap.Objects() {
		if x, ok := o.(*schema.Table); ok && x.Name == "p" {
			codec = tablekv.NewCodec(x)
		}
	}
	// An entry goes; and one is there of a row that the predicate leaves out.
	change(func(ctx context.Context, x *txn.Txn) error {
		rows, _, err := x.Scan(ctx, kvapi.Span{Key: codec.Indexes[1].Prefix, EndKey: codec.Indexes[1].Prefix.PrefixEnd()}, txn.ScanOptions{MaxKeys: 1})
		if err != nil {
			return err
		}
		if err := x.Delete(ctx, rows[0].Key); err != nil {
			return err
		}
		row := make(types.Row, len(codec.Types))
		row[0], row[1] = types.NewInt(1), types.NewInt(-49)
		key, _, err := codec.Indexes[0].Key(row)
		if err != nil {
			return err
		}
		return x.Put(ctx, key, codec.Indexes[0].Value(row))
	})
	if got, err := query(t, s, "select cairn.check_table('p')"); err != nil || !strings.HasPrefix(got, "diverged") ||
		!strings.Contains(got, "index p_half: entry") || !strings.Contains(got, "is not what its row has") || !strings.Contains(got, "index p_twice: row") {
		t.Errorf("%q, %v", got, err)
	}
	wantError(t, s, "select cairn.check_table('nothing')", sqlerr.UndefinedTable)
}
