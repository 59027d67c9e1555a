package mysql

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	my "github.com/pingcap/tidb/pkg/parser/mysql"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver"
)

func jsons() map[string]function {
	return map[string]function{
		"json_extract": by(2, 2, jsonExtract),
		"json_unquote": by(1, 1, func(_ *translator, n *ast.FuncCallExpr, args []string) string {
			if isJSON(n.Args[0]) {
				return "(" + args[0] + " #>> '{}')"
			}
			return "((" + args[0] + ")::jsonb #>> '{}')"
		}),
		"json_object": by(0, manyArgs, func(t *translator, n *ast.FuncCallExpr, args []string) string {
			return "jsonb_build_object(" + t.jsonArgs(n.Args, args) + ")"
		}),
		"json_array": by(0, manyArgs, func(t *translator, n *ast.FuncCallExpr, args []string) string {
			return "jsonb_build_array(" + t.jsonArgs(n.Args, args) + ")"
		}),
		"json_quote":   as(1, 1, "to_jsonb(($1)::text)::text"),
		"json_type":    as(1, 1, "upper(jsonb_typeof(($1)::jsonb))"),
		"json_length":  as(1, 1, "CASE jsonb_typeof(($1)::jsonb) WHEN 'array' THEN jsonb_array_length(($1)::jsonb) WHEN 'object' THEN (SELECT count(*)::int FROM jsonb_object_keys(($1)::jsonb)) ELSE 1 END"),
		"json_keys":    as(1, 1, "(SELECT jsonb_agg(k) FROM jsonb_object_keys(($1)::jsonb) k)"),
		"json_pretty":  as(1, 1, "jsonb_pretty(($1)::jsonb)"),
		"json_set":     by(3, manyArgs, jsonSet(true)),
		"json_replace": by(3, manyArgs, jsonSet(false)),
		"json_remove":  by(2, manyArgs, jsonRemove),
	}
}

// isJSON says that an expression is jsonb, as far as it shows.
func isJSON(e ast.ExprNode) bool {
	switch n := e.(type) {
	case *ast.ParenthesesExpr:
		return isJSON(n.Expr)
	case *ast.FuncCallExpr:
		switch n.FnName.L {
		case "json_extract", "json_object", "json_array", "json_set", "json_replace", "json_remove", "json_keys":
			return true
		}
	case *ast.FuncCastExpr:
		return n.Tp.GetType() == my.TypeJSON
	}
	return false
}

// toJSON makes a value JSON as MySQL does when it meets JSON.
func (t *translator) toJSON(e ast.ExprNode, printed string) string {
	switch n := e.(type) {
	case *driver.ValueExpr:
		if n.Kind() == driver.KindNull {
			return printed
		}
		if n.Kind() == driver.KindString {
			return "to_jsonb(" + printed + "::text)"
		}
	case *driver.ParamMarkerExpr:
		return "to_jsonb(" + printed + "::text)"
	}
	return "to_jsonb(" + printed + ")"
}

// jsonArgs prints values for building JSON, whose types Postgres must know.
func (t *translator) jsonArgs(es []ast.ExprNode, args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = a
		switch n := es[i].(type) {
		case *driver.ValueExpr:
			if n.Kind() == driver.KindString || n.Kind() == driver.KindNull {
				out[i] = a + "::text"
			}
		case *driver.ParamMarkerExpr:
			out[i] = a + "::text"
		}
	}
	return strings.Join(out, ", ")
}

func jsonExtract(t *translator, n *ast.FuncCallExpr, args []string) string {
	path, ok := constant(n.Args[1])
	if !ok {
		return t.unsupported(n, "JSON_EXTRACT() with a computed path")
	}
	doc := args[0]
	if !isJSON(n.Args[0]) {
		if _, column := n.Args[0].(*ast.ColumnNameExpr); !column {
			doc = "(" + doc + ")::jsonb"
		}
	}
	if strings.Contains(path, "*") {
		return t.unsupported(n, "a wildcard in a JSON path")
	}
	keys, ok := pathKeys(path)
	if !ok {
		return t.unsupported(n, "the JSON path %q", path)
	}
	return "(" + doc + " #> " + textArray(keys) + ")"
}

// pathKeys cuts $.a."b c"[0] into keys.
func pathKeys(path string) ([]string, bool) {
	p := strings.TrimSpace(path)
	if !strings.HasPrefix(p, "$") {
		return nil, false
	}
	p = p[1:]
	keys := []string{}
	for p != "" {
		switch {
		case strings.HasPrefix(p, `."`):
			end := strings.IndexByte(p[2:], '"')
			if end < 0 || strings.Contains(p[2:2+end], `\`) {
				return nil, false
			}
			keys = append(keys, p[2:2+end])
			p = p[2+end+1:]
		case p[0] == '.':
			end := strings.IndexAny(p[1:], ".[")
			if end < 0 {
				end = len(p) - 1
			}
			key := p[1 : 1+end]
			if key == "" || strings.ContainsAny(key, " *\"'") {
				return nil, false
			}
			keys = append(keys, key)
			p = p[1+end:]
		case p[0] == '[':
			end := strings.IndexByte(p, ']')
			if end < 2 || strings.Trim(p[1:end], "0123456789") != "" {
				return nil, false
			}
			keys = append(keys, p[1:end])
			p = p[end+1:]
		default:
			return nil, false
		}
	}
	return keys, true
}

func textArray(keys []string) string {
	return "ARRAY[" + list(keys, quote) + "]::text[]"
}

func jsonSet(create bool) func(*translator, *ast.FuncCallExpr, []string) string {
	return func(t *translator, n *ast.FuncCallExpr, args []string) string {
		doc := "(" + args[0] + ")::jsonb"
		if len(args)%2 == 0 {
			return t.unsupported(n, "%s() with %d arguments", strings.ToUpper(n.FnName.O), len(args))
		}
		for i := 1; i+1 < len(args); i += 2 {
			path, _ := constant(n.Args[i])
			keys, ok := pathKeys(path)
			if !ok || len(keys) == 0 {
				return t.unsupported(n, "the JSON path %q", path)
			}
			v := args[i+1]
			if !isJSON(n.Args[i+1]) {
				v = t.toJSON(n.Args[i+1], v)
			}
			doc = "jsonb_set(" + doc + ", " + textArray(keys) + ", coalesce(" + v + ", 'null'::jsonb), " + map[bool]string{true: "true", false: "false"}[create] + ")"
		}
		return doc
	}
}

func jsonRemove(t *translator, n *ast.FuncCallExpr, args []string) string {
	doc := "(" + args[0] + ")::jsonb"
	for _, a := range n.Args[1:] {
		path, _ := constant(a)
		keys, ok := pathKeys(path)
		if !ok || len(keys) == 0 {
			return t.unsupported(n, "the JSON path %q", path)
		}
		doc = "(" + doc + " #- " + textArray(keys) + ")"
	}
	return doc
}

func jsonContainsPath(t *translator, n *ast.FuncCallExpr, args []string) string {
	path, _ := constant(n.Args[2])
	keys, ok := pathKeys(path)
	if !ok {
		return t.unsupported(n, "the JSON path %q", path)
	}
	return "((" + args[0] + ")::jsonb #> " + textArray(keys) + ") IS NOT NULL"
}
