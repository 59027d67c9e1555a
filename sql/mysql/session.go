package mysql

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver"
)

// session prints what concerns the session and its transactions.
func (t *translator) session(s ast.StmtNode) {
	switch n := s.(type) {
	case *ast.BeginStmt:
		mode := ""
		if n.ReadOnly {
			mode = " READ ONLY"
		}
		if n.AsOf != nil {
			t.unsupported(n, "AS OF")
			return
		}
		t.emit("START TRANSACTION%s", mode)
	case *ast.CommitStmt:
		t.completion(n.CompletionType, "COMMIT")
	case *ast.RollbackStmt:
		if n.SavepointName != "" {
			t.emit("ROLLBACK TO SAVEPOINT %s", ident(n.SavepointName))
			return
		}
		t.completion(n.CompletionType, "ROLLBACK")
	case *ast.SavepointStmt:
		t.emit("SAVEPOINT %s", ident(n.Name))
	case *ast.ReleaseSavepointStmt:
		t.emit("RELEASE SAVEPOINT %s", ident(n.Name))
	case *ast.UseStmt:
		t.emit("SET search_path TO %s", ident(n.DBName))
	case *ast.SetStmt:
		for _, v := range n.Variables {
			t.set(n, v)
		}
		if len(t.out) == 0 {
			t.nothing()
		}
	case *ast.AnalyzeTableStmt:
		for _, name := range n.TableNames {
			t.emit("ANALYZE %s", t.table(name))
		}
	case *ast.FlushStmt:
		t.nothing()
	default:
		t.unsupported(s, "%s", kindOf(s))
	}
}

func (t *translator) completion(c ast.CompletionType, verb string) {
	switch c {
	case ast.CompletionTypeChain:
		t.emit("%s AND CHAIN", verb)
	case ast.CompletionTypeRelease:
		t.unsupported(nil, "%s RELEASE", verb)
	default:
		t.emit("%s", verb)
	}
}

// ignored are variables that clients and dumps set as a matter of course.
var ignored = map[string]bool{
	"foreign_key_checks": true, "unique_checks": true, "sql_notes": true, "sql_log_bin": true, "time_zone": true,
	"character_set_client": true, "character_set_results": true, "character_set_connection": true,
	"character_set_database": true, "character_set_server": true, "collation_connection": true, "collation_database": true,
	"collation_server": true, "net_write_timeout": true, "net_read_timeout": true, "wait_timeout": true,
	"interactive_timeout": true, "lock_wait_timeout": true, "innodb_lock_wait_timeout": true, "sql_safe_updates": true,
	"sql_auto_is_null": true, "group_concat_max_len": true, "max_allowed_packet": true, "sql_quote_show_create": true,
	"information_schema_stats_expiry": true, "saved_cs_client": true, "sql_big_selects": true, "profiling": true,
	"optimizer_switch": true, "gtid_purged": true, "show_create_table_skip_secondary_engine": true,
}

// set prints SET of one variable. What has no meaning here and changes no result is left out.
func (t *translator) set(n ast.Node, v *ast.VariableAssignment) {
	name := strings.ToLower(v.Name)
	text := ""
	if v.Value != nil {
		if s, ok := constant(v.Value); ok {
			text = s
		}
	}
	switch {
	case v.Name == ast.SetNames || v.Name == ast.SetCharset:
		return
	case !v.IsSystem:
		// mysqldump keeps what it changes in @OLD_… and @saved_….
		if !strings.HasPrefix(name, "old_") && !strings.HasPrefix(name, "saved_") && !strings.HasPrefix(name, "mysqldump_temp") {
			t.unsupported(n, "the user variable @%s", v.Name)
		}
	case v.IsGlobal:
		if name != "gtid_purged" {
			t.unsupported(n, "SET GLOBAL")
		}
	case name == "time_zone" && text != "" && !strings.EqualFold(text, "system"):
		t.emit("SET timezone TO %s", quote(zone(text)))
	case name == "sql_mode":
		for _, m := range []string{"ANSI_QUOTES", "PIPES_AS_CONCAT", "NO_BACKSLASH_ESCAPES", "ANSI", "HIGH_NOT_PRECEDENCE", "REAL_AS_FLOAT", "NO_UNSIGNED_SUBTRACTION"} {
			for _, have := range strings.Split(strings.ToUpper(text), ",") {
				if strings.TrimSpace(have) == m {
					t.unsupported(n, "sql_mode %s", m)
				}
			}
		}
	case name == "autocommit":
		if !isOn(v.Value) {
			t.unsupported(n, "autocommit = 0")
		}
	case name == "tx_isolation" || name == "transaction_isolation":
		t.emit("SET default_transaction_isolation TO %s", quote(strings.ToLower(strings.ReplaceAll(text, "-", " "))))
	case name == "tx_isolation_one_shot":
		t.emit("SET TRANSACTION ISOLATION LEVEL %s", isolation(text))
	case name == "tx_read_only" || name == "transaction_read_only":
		t.emit("SET default_transaction_read_only TO %s", map[bool]string{true: "on", false: "off"}[isOn(v.Value)])
	case ignored[name]:
	default:
		t.setOwn(n, name, v)
	}
}

// isolation gives one of Postgres's levels, as it stands in the text of a statement.
func isolation(text string) string {
	switch s := strings.ToUpper(strings.ReplaceAll(text, "-", " ")); s {
	case "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ":
		return s
	}
	return "SERIALIZABLE"
}

// zone turns MySQL's offsets around: Postgres reads '+02:00' as a place west of Greenwich.
func zone(text string) string {
	if text == "+00:00" || text == "-00:00" {
		return "UTC"
	}
	if len(text) == len("+00:00") && (text[0] == '+' || text[0] == '-') && text[3] == ':' {
		sign := map[byte]string{'+': "-", '-': "+"}[text[0]]
		return "<" + text + ">" + sign + text[1:]
	}
	return text
}

func isOn(e ast.ExprNode) bool {
	if s, ok := constant(e); ok {
		s = strings.ToLower(s)
		return s == "on" || s == "1" || s == "true"
	}
	if v, ok := e.(*driver.ValueExpr); ok && v.Kind() == driver.KindInt64 {
		return v.GetInt64() != 0
	}
	if c, ok := e.(*ast.ColumnNameExpr); ok {
		return c.Name.Name.L == "on"
	}
	return false
}

// setOwn sets a parameter of Cairn's, as cairn.dialect is.
func (t *translator) setOwn(n ast.Node, name string, v *ast.VariableAssignment) {
	parts := strings.Split(name, ".")
	for i, p := range parts {
		parts[i] = ident(p)
	}
	to := "DEFAULT"
	switch e := v.Value.(type) {
	case *driver.ValueExpr:
		if e.Kind() == driver.KindNull {
			t.unsupported(n, "SET %s = NULL", name)
			return
		}
		to = t.literal(e)
	case *ast.ColumnNameExpr:
		to = quote(e.Name.Name.O)
	case *ast.DefaultExpr:
	default:
		t.unsupported(n, "SET %s to an expression", name)
		return
	}
	t.emit("SET %s TO %s", strings.Join(parts, "."), to)
}
