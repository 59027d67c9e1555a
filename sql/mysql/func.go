package mysql

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"

	"github.com/pingcap/tidb/pkg/parser/ast"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver"
)

// function says how a function is printed. In a template, $1 is the first argument as a value, $* are
// all of them; a template for another number of arguments follows a bar.
type function struct {
	min, max int
	template string
	print    func(t *translator, n *ast.FuncCallExpr, args []string) string
}

// same is a function that Postgres has under this name with this meaning.
func same(minArgs, maxArgs int, name string) function {
	return function{min: minArgs, max: maxArgs, template: name + "($*)"}
}

func as(minArgs, maxArgs int, template string) function {
	return function{min: minArgs, max: maxArgs, template: template}
}

func by(minArgs, maxArgs int, print func(t *translator, n *ast.FuncCallExpr, args []string) string) function {
	return function{min: minArgs, max: maxArgs, print: print}
}

const manyArgs = 100

// functions are what is known: predicates are a boolean in Postgres, scalars all the others. It is
// built when it is first needed, and handed to each translator, as its functions lead back to it.
type functions struct{ predicates, scalars map[string]function }

func newFunctions() *functions {
	f := &functions{predicates: predicates(), scalars: scalars()}
	maps.Copy(f.scalars, dates())
	maps.Copy(f.scalars, jsons())
	return f
}

var known = sync.OnceValue(newFunctions)

func predicates() map[string]function {
	return map[string]function{
		"isnull":             as(1, 1, "$1 IS NULL"),
		"json_contains":      as(2, 2, "($1)::jsonb @> ($2)::jsonb"),
		"json_overlaps":      as(2, 2, "EXISTS (SELECT 1 FROM jsonb_array_elements(($1)::jsonb) a, jsonb_array_elements(($2)::jsonb) b WHERE a.value = b.value)"),
		"json_memberof":      as(2, 2, "($2)::jsonb @> to_jsonb($1)"),
		"regexp_like":        by(2, 3, regexpLike),
		"is_uuid":            as(1, 1, "($1)::text ~* '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$'"),
		"json_contains_path": by(3, 3, jsonContainsPath),
	}
}

func scalars() map[string]function {
	return map[string]function{
		// Conditions.
		"if": by(3, 3, func(t *translator, n *ast.FuncCallExpr, args []string) string {
			return "CASE WHEN " + t.cond(n.Args[0]) + " THEN " + args[1] + " ELSE " + args[2] + " END"
		}),
		"ifnull":   as(2, 2, "coalesce($*)"),
		"nullif":   as(2, 2, "nullif($*)"),
		"coalesce": as(1, manyArgs, "coalesce($*)"),
		"greatest": by(2, manyArgs, extreme("greatest")),
		"least":    by(2, manyArgs, extreme("least")),
		"interval": by(2, manyArgs, func(t *translator, n *ast.FuncCallExpr, _ []string) string { return t.unsupported(n, "INTERVAL()") }),
		"grouping": as(1, manyArgs, "grouping($*)"),

		// Strings.
		"concat":           by(1, manyArgs, func(t *translator, n *ast.FuncCallExpr, _ []string) string { return t.concat(n.Args) }),
		"concat_ws":        as(2, manyArgs, "concat_ws($*)"),
		"length":           by(1, 1, octets),
		"octet_length":     by(1, 1, octets),
		"bit_length":       as(1, 1, "bit_length(($1)::text)"),
		"char_length":      as(1, 1, "char_length(($1)::text)"),
		"character_length": as(1, 1, "char_length(($1)::text)"),
		"lower":            same(1, 1, "lower"),
		"lcase":            same(1, 1, "lower"),
		"upper":            same(1, 1, "upper"),
		"ucase":            same(1, 1, "upper"),
		"substring":        by(2, 3, substring),
		"substr":           by(2, 3, substring),
		"mid":              by(3, 3, substring),
		"left":             as(2, 2, "left(($1)::text, greatest(($2)::int, 0))"),
		"right":            as(2, 2, "right(($1)::text, greatest(($2)::int, 0))"),
		"trim":             by(1, 3, trim),
		"ltrim":            same(1, 1, "ltrim"),
		"rtrim":            same(1, 1, "rtrim"),
		"replace":          as(3, 3, "replace(($1)::text, ($2)::text, ($3)::text)"),
		"reverse":          as(1, 1, "reverse(($1)::text)"),
		"repeat":           as(2, 2, "repeat(($1)::text, ($2)::int)"),
		"space":            as(1, 1, "repeat(' ', ($1)::int)"),
		"lpad":             as(3, 3, "lpad(($1)::text, ($2)::int, ($3)::text)"),
		"rpad":             as(3, 3, "rpad(($1)::text, ($2)::int, ($3)::text)"),
		"locate":           by(2, 3, locate),
		"position":         by(2, 2, locate),
		"instr":            as(2, 2, "strpos(($1)::text, ($2)::text)"),
		"ascii":            as(1, 1, "ascii(($1)::text)"),
		"char_func":        by(2, 2, func(_ *translator, _ *ast.FuncCallExpr, args []string) string { return "chr((" + args[0] + ")::int)" }),
		"quote":            as(1, 1, "quote_nullable(($1)::text)"),
		"strcmp":           as(2, 2, "CASE WHEN $1 < $2 THEN -1 WHEN $1 > $2 THEN 1 WHEN $1 = $2 THEN 0 END"),
		"field":            by(2, manyArgs, field),
		"elt":              by(2, manyArgs, elt),
		"find_in_set":      as(2, 2, "coalesce(array_position(string_to_array(($2)::text, ','), ($1)::text), 0)"),
		"substring_index":  by(3, 3, substringIndex),
		"format":           by(2, 2, format),
		"hex":              by(1, 1, hexFunc),
		"unhex":            as(1, 1, "decode(($1)::text, 'hex')"),
		"to_base64": by(1, 1, func(t *translator, n *ast.FuncCallExpr, args []string) string {
			return "encode(" + asBytes(n.Args[0], args[0]) + ", 'base64')"
		}),
		"from_base64":    as(1, 1, "decode(($1)::text, 'base64')"),
		"md5":            same(1, 1, "md5"),
		"sha2":           by(2, 2, sha2),
		"insert_func":    as(4, 4, "overlay(($1)::text PLACING ($4)::text FROM ($2)::int FOR ($3)::int)"),
		"regexp_replace": as(3, 3, "regexp_replace(($1)::text, ($2)::text, ($3)::text, 'g')"),
		"regexp_substr":  as(2, 2, "substring(($1)::text, ($2)::text)"),
		"convert":        by(2, 2, func(_ *translator, _ *ast.FuncCallExpr, args []string) string { return "(" + args[0] + ")::text" }),
		"uuid":           as(0, 0, "gen_random_uuid()::text"),

		// Numbers.
		"abs":      same(1, 1, "abs"),
		"ceil":     same(1, 1, "ceil"),
		"ceiling":  same(1, 1, "ceil"),
		"floor":    same(1, 1, "floor"),
		"round":    as(1, 2, "round(($1)::numeric)|round(($1)::numeric, ($2)::int)"),
		"truncate": as(2, 2, "trunc(($1)::numeric, ($2)::int)"),
		"pow":      as(2, 2, "power(($1)::float8, ($2)::float8)"),
		"power":    as(2, 2, "power(($1)::float8, ($2)::float8)"),
		"sqrt":     as(1, 1, "CASE WHEN $1 >= 0 THEN sqrt(($1)::float8) END"),
		"exp":      as(1, 1, "exp(($1)::float8)"),
		"ln":       as(1, 1, "CASE WHEN $1 > 0 THEN ln(($1)::float8) END"),
		"log":      as(1, 2, "CASE WHEN $1 > 0 THEN ln(($1)::float8) END|log(($1)::numeric, ($2)::numeric)"),
		"log2":     as(1, 1, "log(2, ($1)::numeric)"),
		"log10":    as(1, 1, "log(($1)::float8)"),
		"sign":     as(1, 1, "sign($1)::int"),
		"pi":       same(0, 0, "pi"),
		"sin":      as(1, 1, "sin(($1)::float8)"),
		"cos":      as(1, 1, "cos(($1)::float8)"),
		"tan":      as(1, 1, "tan(($1)::float8)"),
		"cot":      as(1, 1, "cot(($1)::float8)"),
		"asin":     as(1, 1, "asin(($1)::float8)"),
		"acos":     as(1, 1, "acos(($1)::float8)"),
		"atan":     as(1, 2, "atan(($1)::float8)|atan2(($1)::float8, ($2)::float8)"),
		"atan2":    as(2, 2, "atan2(($1)::float8, ($2)::float8)"),
		"degrees":  as(1, 1, "degrees(($1)::float8)"),
		"radians":  as(1, 1, "radians(($1)::float8)"),
		"rand":     as(0, 0, "random()"),

		// The session.
		"last_insert_id": as(0, 0, "lastval()"),
		"database":       as(0, 0, "current_schema()::text"),
		"schema":         as(0, 0, "current_schema()::text"),
		"user":           as(0, 0, "session_user::text"),
		"current_user":   as(0, 0, "current_user::text"),
		"session_user":   as(0, 0, "session_user::text"),
		"system_user":    as(0, 0, "session_user::text"),
		"version":        as(0, 0, "version()"),
		"connection_id":  as(0, 0, "pg_backend_pid()"),
		"sleep":          as(1, 1, "(pg_sleep(($1)::float8) IS NULL)::int"),
		"any_value":      as(1, 1, "(array_agg($1))[1]"),
	}
}

// call prints a function's call.
func (t *translator) call(n *ast.FuncCallExpr) string {
	name := n.FnName.L
	f, ok := t.known.scalars[name]
	if !ok || n.Schema.L != "" {
		return t.unsupported(n, "the function %s()", strings.ToUpper(name))
	}
	return t.apply(f, n)
}

// predicate prints a call that is a boolean in Postgres.
func (t *translator) predicate(n *ast.FuncCallExpr) (string, bool) {
	f, ok := t.known.predicates[n.FnName.L]
	if !ok || n.Schema.L != "" {
		return "", false
	}
	return t.apply(f, n), true
}

func (t *translator) apply(f function, n *ast.FuncCallExpr) string {
	if len(n.Args) < f.min || len(n.Args) > f.max {
		return t.unsupported(n, "the function %s() with %d arguments", strings.ToUpper(n.FnName.O), len(n.Args))
	}
	args := make([]string, len(n.Args))
	for i, a := range n.Args {
		if _, ok := a.(*ast.TimeUnitExpr); ok {
			continue
		}
		if _, ok := a.(*ast.TrimDirectionExpr); ok {
			continue
		}
		args[i] = t.val(a)
	}
	if t.err != nil {
		return "NULL"
	}
	if f.print != nil {
		return f.print(t, n, args)
	}
	forms := strings.Split(f.template, "|")
	return fill(forms[min(len(args)-f.min, len(forms)-1)], args)
}

// fill puts the arguments into a template. The templates hold no other dollar before a digit or a
// star, and no argument is looked into.
func fill(template string, args []string) string {
	var b strings.Builder
	for i := 0; i < len(template); i++ {
		if template[i] != '$' || i+1 == len(template) {
			b.WriteByte(template[i])
			continue
		}
		switch c := template[i+1]; {
		case c == '*':
			b.WriteString(strings.Join(args, ", "))
			i++
		case c >= '1' && c <= '9':
			b.WriteString(args[c-'1'])
			i++
		default:
			b.WriteByte('$')
		}
	}
	return b.String()
}

// constant gives the text of a string literal.
func constant(e ast.ExprNode) (string, bool) {
	v, ok := e.(*driver.ValueExpr)
	if !ok || v.Kind() != driver.KindString {
		return "", false
	}
	return v.GetString(), true
}

// integer gives the value of a whole number, perhaps with a sign.
func integer(e ast.ExprNode) (int64, bool) {
	switch n := e.(type) {
	case *driver.ValueExpr:
		if n.Kind() == driver.KindInt64 {
			return n.GetInt64(), true
		}
	case *ast.UnaryOperationExpr:
		if v, ok := n.V.(*driver.ValueExpr); ok && v.Kind() == driver.KindInt64 && n.Op.String() == "minus" {
			return -v.GetInt64(), true
		}
	}
	return 0, false
}

// concat is NULL if any argument is, as || is and Postgres's concat is not.
func (t *translator) concat(es []ast.ExprNode) string {
	parts := make([]string, len(es))
	for i, e := range es {
		parts[i] = t.val(e)
		if _, ok := constant(e); !ok || len(es) == 1 {
			parts[i] = "(" + parts[i] + ")::text"
		}
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return "(" + strings.Join(parts, " || ") + ")"
}

// extreme is GREATEST or LEAST, which in MySQL are NULL if any argument is.
func extreme(name string) func(*translator, *ast.FuncCallExpr, []string) string {
	return func(_ *translator, n *ast.FuncCallExpr, args []string) string {
		var null []string
		for i, a := range n.Args {
			if v, ok := a.(*driver.ValueExpr); !ok || v.Kind() == driver.KindNull {
				null = append(null, args[i]+" IS NULL")
			}
		}
		call := name + "(" + strings.Join(args, ", ") + ")"
		if len(null) == 0 {
			return call
		}
		return "CASE WHEN NOT (" + strings.Join(null, " OR ") + ") THEN " + call + " END"
	}
}

// asBytes has a string literal be bytes; another argument must be bytes already.
func asBytes(e ast.ExprNode, arg string) string {
	if _, ok := constant(e); ok {
		return "convert_to(" + arg + ", 'UTF8')"
	}
	return arg
}

func octets(_ *translator, _ *ast.FuncCallExpr, args []string) string {
	return "octet_length(" + args[0] + ")"
}

// substring counts from the end where the position is negative, and is empty where it is 0.
func substring(_ *translator, n *ast.FuncCallExpr, args []string) string {
	s, at := "("+args[0]+")::text", "("+args[1]+")::int"
	if v, ok := integer(n.Args[1]); !ok || v <= 0 {
		at = "CASE WHEN " + at + " < 0 THEN greatest(char_length(" + s + ") + 1 + " + at + ", 1) WHEN " + at + " = 0 THEN char_length(" + s + ") + 1 ELSE " + at + " END"
	}
	if len(args) == 2 {
		return "substr(" + s + ", " + at + ")"
	}
	return "substr(" + s + ", " + at + ", greatest((" + args[2] + ")::int, 0))"
}

// trim removes a string; Postgres's removes any of its characters, which is the same for one.
func trim(t *translator, n *ast.FuncCallExpr, args []string) string {
	dir := "BOTH"
	if len(args) == 3 {
		if d, ok := n.Args[2].(*ast.TrimDirectionExpr); ok {
			dir = map[ast.TrimDirectionType]string{ast.TrimLeading: "LEADING", ast.TrimTrailing: "TRAILING"}[d.Direction]
			if dir == "" {
				dir = "BOTH"
			}
		}
	}
	what := "' '"
	if len(args) > 1 && args[1] != "NULL" {
		s, ok := constant(n.Args[1])
		if !ok || len([]rune(s)) > 1 {
			return t.unsupported(n, "TRIM() of more than one character")
		}
		what = args[1]
	}
	return "trim(" + dir + " " + what + " FROM (" + args[0] + ")::text)"
}

// locate is LOCATE(part, whole [, from]).
func locate(_ *translator, _ *ast.FuncCallExpr, args []string) string {
	part, whole := "("+args[0]+")::text", "("+args[1]+")::text"
	if len(args) == 2 {
		return "strpos(" + whole + ", " + part + ")"
	}
	from := "(" + args[2] + ")::int"
	in := "strpos(substr(" + whole + ", " + from + "), " + part + ")"
	return "CASE WHEN " + in + " = 0 THEN 0 ELSE " + in + " + " + from + " - 1 END"
}

func field(_ *translator, _ *ast.FuncCallExpr, args []string) string {
	var b strings.Builder
	b.WriteString("CASE " + args[0])
	for i, a := range args[1:] {
		fmt.Fprintf(&b, " WHEN %s THEN %d", a, i+1)
	}
	return b.String() + " ELSE 0 END"
}

func elt(_ *translator, _ *ast.FuncCallExpr, args []string) string {
	var b strings.Builder
	b.WriteString("CASE " + args[0])
	for i, a := range args[1:] {
		fmt.Fprintf(&b, " WHEN %d THEN %s", i+1, a)
	}
	return b.String() + " END"
}

func substringIndex(t *translator, n *ast.FuncCallExpr, args []string) string {
	count, ok := integer(n.Args[2])
	if !ok {
		return t.unsupported(n, "SUBSTRING_INDEX() with a computed count")
	}
	parts := "string_to_array((" + args[0] + ")::text, (" + args[1] + ")::text)"
	switch {
	case count > 0:
		return "array_to_string((" + parts + ")[1:" + strconv.FormatInt(count, 10) + "], (" + args[1] + ")::text)"
	case count < 0:
		return fmt.Sprintf("array_to_string((%s)[greatest(cardinality(%s) - %d, 1):], (%s)::text)", parts, parts, -(count + 1), args[1])
	}
	return "''"
}

// format is FORMAT(number, decimals).
func format(t *translator, n *ast.FuncCallExpr, args []string) string {
	d, ok := integer(n.Args[1])
	if !ok || d < 0 || d > 30 {
		return t.unsupported(n, "FORMAT() with a computed number of decimals")
	}
	mask := "FM999,999,999,999,999,999,990"
	if d > 0 {
		mask += "." + strings.Repeat("0", int(d))
	}
	return "to_char(round((" + args[0] + ")::numeric, " + strconv.FormatInt(d, 10) + "), " + quote(mask) + ")"
}

// hexFunc is HEX of a whole number that is written as one, or of bytes.
func hexFunc(_ *translator, n *ast.FuncCallExpr, args []string) string {
	if _, ok := integer(n.Args[0]); ok {
		return "upper(to_hex(" + args[0] + "))"
	}
	return "upper(encode(" + asBytes(n.Args[0], args[0]) + ", 'hex'))"
}

func sha2(t *translator, n *ast.FuncCallExpr, args []string) string {
	size, ok := integer(n.Args[1])
	name := map[int64]string{0: "sha256", 224: "sha224", 256: "sha256", 384: "sha384", 512: "sha512"}[size]
	if !ok || name == "" {
		return t.unsupported(n, "SHA2() with this size")
	}
	return "encode(" + name + "(convert_to((" + args[0] + ")::text, 'UTF8')), 'hex')"
}

func regexpLike(t *translator, n *ast.FuncCallExpr, args []string) string {
	op := " ~ "
	if len(args) == 3 {
		switch m, ok := constant(n.Args[2]); {
		case ok && m == "i":
			op = " ~* "
		case !ok || m != "c" && m != "":
			return t.unsupported(n, "REGEXP_LIKE() with this match type")
		}
	}
	return args[0] + op + args[1]
}

// variable prints @@name; MySQL's user variables have no counterpart.
func (t *translator) variable(n *ast.VariableExpr) string {
	if !n.IsSystem {
		return t.unsupported(n, "the user variable @%s", n.Name)
	}
	switch strings.ToLower(n.Name) {
	case "version":
		return "version()"
	case "version_comment":
		return "'Cairn'"
	case "autocommit", "foreign_key_checks", "unique_checks", "lower_case_table_names":
		return "1"
	case "tx_isolation", "transaction_isolation":
		return "upper(replace(current_setting('transaction_isolation'), ' ', '-'))"
	case "sql_mode":
		return "'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
	case "time_zone":
		return "current_setting('timezone')"
	case "max_allowed_packet":
		return "16777216"
	case "character_set_client", "character_set_connection", "character_set_results", "character_set_server", "character_set_database":
		return "'utf8mb4'"
	case "collation_connection", "collation_server", "collation_database":
		return "'utf8mb4_bin'"
	}
	return t.unsupported(n, "the variable @@%s", n.Name)
}
