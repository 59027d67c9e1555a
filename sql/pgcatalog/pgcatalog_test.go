package pgcatalog

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/schematest"
	"github.com/cairndb/cairn/sql/types"
)

// sampleEnv is a catalog with one table of each feature.
func sampleEnv(t *testing.T) *Env {
	t.Helper()
	c := schematest.Sample(t)
	return &Env{Contents: c, Database: c.Database("defaultdb"), SearchPath: []string{"public"}, User: "root"}
}

func rowsOf(t *testing.T, env *Env, name string) (*Table, []types.Row) {
	t.Helper()
	sc, n, _ := strings.Cut(name, ".")
	tab := Lookup(sc, n)
	if tab == nil {
		t.Fatalf("no table %s", name)
	}
	rows, err := tab.Rows(t.Context(), env)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return tab, rows
}

func text(d types.Datum, t types.T) string {
	if d.IsNull() {
		return "∅"
	}
	return string(types.AppendText(nil, t, d, nil))
}

// TestColumnsAgreeWithTypes: every value of every row can be printed as its
// column's type, and NOT NULL columns are not NULL (I1).
func TestColumnsAgreeWithTypes(t *testing.T) {
	env := sampleEnv(t)
	for _, tab := range All() {
		rows, err := tab.Rows(t.Context(), env)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			for i, d := range row {
				c := tab.Columns[i]
				if d.IsNull() {
					if tab.notNull[i] {
						t.Errorf("%s.%s is NULL", tab.Name, c.Name)
					}
					continue
				}
				if d.Kind() != c.Type.Kind() {
					t.Errorf("%s.%s: %s holds kind %d, want %d", tab.Name, c.Name, c.Type, d.Kind(), c.Type.Kind())
				}
			}
		}
	}
}

// TestFilledTables prints the rows about the sample's own objects.
func TestFilledTables(t *testing.T) {
	env := sampleEnv(t)
	var b strings.Builder
	for _, q := range []struct{ table, columns string }{
		{"pg_catalog.pg_namespace", "oid nspname"},
		{"pg_catalog.pg_class", "oid relname relnamespace relkind relam relnatts relchecks relhasindex reloptions"},
		{"pg_catalog.pg_attribute", "attrelid attname atttypid attnum atttypmod attnotnull atthasdef attidentity"},
		{"pg_catalog.pg_attrdef", "oid adrelid adnum adbin"},
		{"pg_catalog.pg_index", "indexrelid indrelid indisunique indisprimary indkey indoption indclass"},
		{"pg_catalog.pg_constraint", "oid conname contype conrelid conindid conkey"},
		{"pg_catalog.pg_sequence", "seqrelid seqtypid seqstart seqmax"},
		{"pg_catalog.pg_depend", "objid refobjid refobjsubid deptype"},
		{"pg_catalog.pg_indexes", "tablename indexname indexdef"},
		{"pg_catalog.pg_views", "schemaname viewname definition"},
		{"pg_catalog.pg_database", "datname encoding"},
		{"pg_catalog.pg_roles", "rolname rolsuper rolcanlogin"},
		{"pg_catalog.pg_description", "objoid objsubid description"},
		{"information_schema.columns", "table_name column_name data_type is_nullable column_default numeric_precision"},
		{"information_schema.table_constraints", "table_name constraint_name constraint_type"},
		{"information_schema.key_column_usage", "constraint_name column_name ordinal_position"},
		{"cairn.descriptors", "id kind name schema_name version"},
	} {
		fmt.Fprintf(&b, "%s\n", q.table)
		tab, rows := rowsOf(t, env, q.table)
		for _, row := range rows {
			if system(tab, row) {
				continue
			}
			var out []string
			for _, c := range strings.Fields(q.columns) {
				i := tab.index[c]
				out = append(out, text(row[i], tab.Columns[i].Type))
			}
			fmt.Fprintf(&b, "  %s\n", strings.Join(out, " | "))
		}
	}
	golden(t, "testdata/filled.txt", b.String())
}

// system tells rows about the computed tables themselves.
func system(tab *Table, row types.Row) bool {
	for _, c := range []string{"oid", "attrelid"} {
		if i, ok := tab.index[c]; ok {
			if o := row[i].Int(); o >= 500 && o < 16384 && tab.Name != "pg_namespace" {
				return true
			}
		}
	}
	if i, ok := tab.index["table_schema"]; ok {
		return row[i].Str() != "public"
	}
	return false
}

// TestDependReferences follows pg_depend's rows into the catalogs they name.
func TestDependReferences(t *testing.T) {
	env := sampleEnv(t)
	catalogs := map[int64]map[int64]bool{}
	for _, name := range []string{"pg_attrdef", "pg_rewrite", "pg_class", "pg_namespace", "pg_extension"} {
		tab, rows := rowsOf(t, env, "pg_catalog."+name)
		oids := map[int64]bool{}
		for _, r := range rows {
			oids[r[tab.index["oid"]].Int()] = true
		}
		catalogs[int64(tab.OID)] = oids
	}
	tab, rows := rowsOf(t, env, "pg_catalog.pg_depend")
	cell := func(r types.Row, col string) int64 { return r[tab.index[col]].Int() }
	for _, r := range rows {
		if !catalogs[cell(r, "classid")][cell(r, "objid")] || !catalogs[cell(r, "refclassid")][cell(r, "refobjid")] {
			t.Errorf("pg_depend points nowhere: %v", r)
		}
	}
	if len(rows) < 6 {
		t.Errorf("only %d rows", len(rows))
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("REWRITE") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got {
		t.Errorf("%s differs (run with REWRITE=1 to accept), got:\n%s", file, got)
	}
}

// TestReferences follows the oids from table to table (I2).
func TestReferences(t *testing.T) {
	env := sampleEnv(t)
	set := func(table, col string) map[int64]bool {
		tab, rows := rowsOf(t, env, "pg_catalog."+table)
		out := map[int64]bool{}
		for _, r := range rows {
			out[r[tab.index[col]].Int()] = true
		}
		return out
	}
	for _, ref := range []string{
		"pg_class.relnamespace pg_namespace.oid", "pg_class.relowner pg_roles.oid", "pg_class.relam pg_am.oid",
		"pg_attribute.attrelid pg_class.oid", "pg_attribute.atttypid pg_type.oid", "pg_attribute.attcollation pg_collation.oid",
		"pg_index.indexrelid pg_class.oid", "pg_index.indrelid pg_class.oid", "pg_constraint.conrelid pg_class.oid",
		"pg_constraint.conindid pg_class.oid", "pg_attrdef.adrelid pg_class.oid", "pg_type.typelem pg_type.oid",
		"pg_type.typarray pg_type.oid", "pg_sequence.seqrelid pg_class.oid", "pg_rewrite.ev_class pg_class.oid",
		"pg_database.datdba pg_roles.oid",
	} {
		from, to, _ := strings.Cut(ref, " ")
		ft, fc, _ := strings.Cut(from, ".")
		tt, tc, _ := strings.Cut(to, ".")
		known := set(tt, tc)
		for oid := range set(ft, fc) {
			if oid != 0 && !known[oid] {
				t.Errorf("%s: %d is not in %s", from, oid, to)
			}
		}
	}
}

func TestNames(t *testing.T) {
	n := Names{sampleEnv(t)}
	ctx := t.Context()
	for _, c := range []struct{ in, out string }{
		{"t", "t"}, {"public.t", "t"}, {`"public"."t"`, "t"}, {"T", "t"}, {"pg_class", "pg_class"},
		{"pg_catalog.pg_class", "pg_class"}, {"information_schema.tables", "information_schema.tables"}, {"t_pkey", "t_pkey"},
	} {
		oid, err := n.RelationByName(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if got, ok := n.RelationName(oid); !ok || got != c.out {
			t.Errorf("%s came back as %s", c.in, got)
		}
		if v, ok, err := n.RelationVisible(ctx, oid); err != nil || !ok || v != !strings.Contains(c.out, ".") {
			t.Errorf("%s: visible %v %v %v", c.in, v, ok, err)
		}
	}
	for in, want := range map[string]string{
		"nope": `relation "nope" does not exist`, "nope.t": `schema "nope" does not exist`, `"t`: "invalid name syntax", "t.": "invalid name syntax",
	} {
		if _, err := n.RelationByName(in); err == nil || err.Error() != want {
			t.Errorf("%s: %v", in, err)
		}
	}
	oid, _ := n.RelationByName("t")
	if s, ok, err := n.SerialSequence(ctx, oid, "a"); s != "public.t_a_seq" || !ok || err != nil {
		t.Error(s, ok, err)
	}
}

// TestViewText: a view's text finds the same tables under another search path.
func TestViewText(t *testing.T) {
	env := sampleEnv(t)
	elsewhere := *env
	elsewhere.SearchPath = nil
	cols := func(names ...string) (out []schema.Column) {
		for _, n := range names {
			out = append(out, schema.Column{Name: n})
		}
		return out
	}
	for _, c := range []struct {
		env     *Env
		query   string
		columns []schema.Column
		want    string
	}{
		{env, "select a, 1 from t", cols("a", "?column?"), "select a, 1 from t"},
		{env, "select a, 1 from t", cols("x", "y"), "SELECT a AS x, 1 AS y FROM t"},
		{&elsewhere, "select * from t", cols("a", "b"), "SELECT * FROM public.t"},
		{&elsewhere, "with t as (select 1 as a) select a from t", cols("a"), "with t as (select 1 as a) select a from t"},
		{&elsewhere, "select count(*), a::text from nosuch group by 2", cols("count", "a"), "select count(*), a::text from nosuch group by 2"},
	} {
		v := &schema.View{Query: c.query, Columns: c.columns, SearchPath: []string{"public"}}
		if got := viewText(c.env, v); got != c.want {
			t.Errorf("%s: got %s, want %s", c.query, got, c.want)
		}
	}
}

// TestLookupsAgreeWithScans: a look-up by a key column gives the rows that a scan
// has with its value, and no others where rows are kept.
func TestLookupsAgreeWithScans(t *testing.T) {
	env := sampleEnv(t)
	if _, ok := env.Contents.Derived("test", func() any { return nil }); !ok {
		t.Fatal("the sample keeps nothing that is derived from it")
	}
	looked := 0
	for _, tab := range All() {
		rows, err := tab.Rows(t.Context(), env)
		if err != nil {
			t.Fatal(err)
		}
		for _, col := range tab.Keys {
			typ := tab.Columns[col].Type
			if k := typ.Kind(); k != types.KindInt && k != types.KindText {
				t.Fatalf("%s.%s is of type %s", tab.Name, tab.Columns[col].Name, typ)
			}
			want := map[string]int{}
			for _, row := range rows {
				want[text(row[col], typ)]++
			}
			for _, row := range rows {
				got, err := tab.RowsBy(t.Context(), env, col, row[col])
				if err != nil {
					t.Fatal(err)
				}
				v := text(row[col], typ)
				for _, r := range got {
					if text(r[col], typ) != v {
						t.Fatalf("%s by %s = %s: a row with %s", tab.Name, tab.Columns[col].Name, v, text(r[col], typ))
					}
				}
				if row[col].IsNull() && len(got) > 0 || !row[col].IsNull() && len(got) != want[v] {
					t.Fatalf("%s by %s = %s: %d rows, want %d", tab.Name, tab.Columns[col].Name, v, len(got), want[v])
				}
				looked++
			}
		}
	}
	if looked < 1000 {
		t.Errorf("only %d look-ups", looked)
	}
}
