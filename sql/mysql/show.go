package mysql

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// schemaOf prints the schema that SHOW is about.
func schemaOf(db string) string {
	if db == "" {
		return "current_schema()"
	}
	return quote(strings.ToLower(db))
}

func (t *translator) show(n *ast.ShowStmt) {
	if n.Where != nil {
		t.unsupported(n, "SHOW … WHERE")
		return
	}
	like := func(column string) string {
		if n.Pattern == nil {
			return ""
		}
		return " AND " + column + " LIKE " + t.val(n.Pattern.Pattern)
	}
	db := n.DBName
	if n.Table != nil && n.Table.Schema.L != "" {
		db = n.Table.Schema.L
	}
	switch n.Tp {
	case ast.ShowDatabases:
		t.emit(`SELECT schema_name AS "Database" FROM information_schema.schemata WHERE schema_name NOT LIKE 'pg\_%%'%s ORDER BY 1`, like("schema_name"))
	case ast.ShowTables:
		kind := ""
		if n.Full {
			kind = `, table_type AS "Table_type"`
		}
		name := "Tables"
		if db != "" {
			name += "_in_" + strings.ToLower(db)
		}
		t.emit("SELECT table_name AS %s%s FROM information_schema.tables WHERE table_schema = %s%s ORDER BY 1", exact(name), kind, schemaOf(db), like("table_name"))
	case ast.ShowColumns:
		t.columns(n, db, like("c.column_name"))
	case ast.ShowIndex:
		t.emit(`SELECT t.relname AS "Table", (NOT x.indisunique)::int AS "Non_unique", i.relname AS "Key_name", a.attnum AS "Seq_in_index", a.attname AS "Column_name" `+
			`FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace s ON s.oid = t.relnamespace `+
			`JOIN pg_attribute a ON a.attrelid = i.oid WHERE s.nspname = %s AND t.relname = %s ORDER BY 3, 4`, schemaOf(db), quote(n.Table.Name.L))
	case ast.ShowWarnings, ast.ShowErrors:
		t.emit(`SELECT NULL::text AS "Level", NULL::int AS "Code", NULL::text AS "Message" WHERE FALSE`)
	default:
		t.unsupported(n, "this SHOW")
	}
}

// columns is SHOW COLUMNS and DESCRIBE.
func (t *translator) columns(n *ast.ShowStmt, db, like string) {
	if n.Table == nil {
		t.unsupported(n, "this SHOW")
		return
	}
	if n.Column != nil {
		like += " AND c.column_name = " + quote(n.Column.Name.L)
	}
	t.emit(`SELECT c.column_name AS "Field", `+
		`CASE WHEN c.character_maximum_length IS NOT NULL THEN 'varchar(' || c.character_maximum_length::text || ')' `+
		`WHEN c.data_type = 'numeric' AND c.numeric_precision IS NOT NULL THEN 'decimal(' || c.numeric_precision::text || ',' || c.numeric_scale::text || ')' `+
		`ELSE c.data_type END AS "Type", c.is_nullable AS "Null", `+
		`CASE WHEN EXISTS (SELECT 1 FROM information_schema.table_constraints k JOIN information_schema.key_column_usage u `+
		`ON u.constraint_name = k.constraint_name AND u.table_name = k.table_name AND u.table_schema = k.table_schema `+
		`WHERE k.constraint_type = 'PRIMARY KEY' AND k.table_schema = c.table_schema AND k.table_name = c.table_name AND u.column_name = c.column_name) THEN 'PRI' ELSE '' END AS "Key", `+
		`c.column_default AS "Default", CASE WHEN c.is_identity = 'YES' THEN 'auto_increment' ELSE '' END AS "Extra" `+
		`FROM information_schema.columns c WHERE c.table_schema = %s AND c.table_name = %s%s ORDER BY c.ordinal_position`,
		schemaOf(db), quote(n.Table.Name.L), like)
}

// explain is EXPLAIN of a statement, and DESCRIBE of a table.
func (t *translator) explain(n *ast.ExplainStmt) {
	if s, ok := n.Stmt.(*ast.ShowStmt); ok {
		t.show(s)
		return
	}
	switch n.Stmt.(type) {
	case *ast.SelectStmt, *ast.SetOprStmt, *ast.InsertStmt, *ast.UpdateStmt, *ast.DeleteStmt:
	default:
		t.unsupported(n, "EXPLAIN of this")
		return
	}
	head := "EXPLAIN "
	if n.Analyze {
		head = "EXPLAIN ANALYZE "
	}
	if strings.EqualFold(n.Format, "json") {
		head = strings.TrimSpace(head) + " (FORMAT JSON) "
		if n.Analyze {
			head = "EXPLAIN (ANALYZE, FORMAT JSON) "
		}
	}
	t.statement(n.Stmt)
	for i := range t.out {
		t.out[i] = head + t.out[i]
	}
}
