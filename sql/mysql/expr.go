package mysql

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	my "github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver"
)

// Truth in MySQL is a number. Every expression can be printed in two ways, as its place asks for
// (I5): val gives what MySQL gives, 1 and 0 for truth; cond gives Postgres's boolean, where a
// condition stands. boolean prints the expressions that are a boolean in Postgres.

// val prints an expression as a value.
func (t *translator) val(e ast.ExprNode) string {
	defer t.leave()
	if !t.enter() {
		return "NULL"
	}
	if b, ok := t.boolean(e); ok {
		return t.grown("(" + b + ")::int")
	}
	return t.grown(t.value(e))
}

// cond prints an expression as a condition.
func (t *translator) cond(e ast.ExprNode) string {
	defer t.leave()
	if !t.enter() {
		return "NULL"
	}
	if p, ok := e.(*ast.ParenthesesExpr); ok {
		return t.cond(p.Expr)
	}
	if b, ok := t.boolean(e); ok {
		return t.grown("(" + b + ")")
	}
	if v, ok := e.(*driver.ValueExpr); ok {
		switch {
		case v.Kind() == driver.KindNull:
			return "NULL::boolean"
		case v.Kind() == driver.KindInt64 && v.GetInt64() == 0:
			return "FALSE"
		case v.Kind() == driver.KindInt64:
			return "TRUE"
		}
	}
	return t.grown("(" + t.value(e) + " <> 0)")
}

func (t *translator) vals(es []ast.ExprNode) string { return list(es, t.val) }

// boolean prints an expression that is a boolean in Postgres, and says whether it is one.
func (t *translator) boolean(e ast.ExprNode) (string, bool) {
	switch n := e.(type) {
	case *ast.ParenthesesExpr:
		if t.truth(n.Expr) {
			return t.cond(n.Expr), true
		}
	case *ast.BinaryOperationExpr:
		return t.comparison(n)
	case *ast.UnaryOperationExpr:
		if n.Op == opcode.Not || n.Op == opcode.Not2 {
			return "NOT " + t.cond(n.V), true
		}
	case *ast.IsNullExpr:
		return t.val(n.Expr) + " IS " + not(n.Not) + "NULL", true
	case *ast.IsTruthExpr:
		return t.cond(n.Expr) + " IS " + not(n.Not) + map[bool]string{true: "TRUE", false: "FALSE"}[n.True != 0], true
	case *ast.BetweenExpr:
		return t.val(n.Expr) + " " + not(n.Not) + "BETWEEN " + t.val(n.Left) + " AND " + t.val(n.Right), true
	case *ast.PatternInExpr:
		if n.Sel != nil {
			return t.val(n.Expr) + " " + not(n.Not) + "IN " + t.subquery(n.Sel), true
		}
		return t.val(n.Expr) + " " + not(n.Not) + "IN (" + t.vals(n.List) + ")", true
	case *ast.PatternLikeOrIlikeExpr:
		return t.like(n), true
	case *ast.PatternRegexpExpr:
		op := map[bool]string{false: " ~ ", true: " !~ "}[n.Not]
		return t.val(n.Expr) + op + t.val(n.Pattern), true
	case *ast.ExistsSubqueryExpr:
		return not(n.Not) + "EXISTS " + t.subquery(n.Sel), true
	case *ast.CompareSubqueryExpr:
		all := map[bool]string{false: "ANY ", true: "ALL "}[n.All]
		op, ok := comparisons[n.Op]
		if !ok {
			return t.unsupported(n, "the operator %s with a subquery", n.Op.String()), true
		}
		return t.val(n.L) + " " + op + " " + all + t.subquery(n.R), true
	case *ast.FuncCallExpr:
		return t.predicate(n)
	}
	return "", false
}

// truth says whether boolean would print an expression, without printing it.
func (t *translator) truth(e ast.ExprNode) bool {
	switch n := e.(type) {
	case *ast.ParenthesesExpr:
		for ok := true; ok; n, ok = n.Expr.(*ast.ParenthesesExpr) {
			e = n.Expr
		}
		return t.truth(e)
	case *ast.BinaryOperationExpr:
		_, ok := comparisons[n.Op]
		return ok || n.Op == opcode.LogicAnd || n.Op == opcode.LogicOr || n.Op == opcode.LogicXor || n.Op == opcode.NullEQ
	case *ast.UnaryOperationExpr:
		return n.Op == opcode.Not || n.Op == opcode.Not2
	case *ast.IsNullExpr, *ast.IsTruthExpr, *ast.BetweenExpr, *ast.PatternInExpr, *ast.PatternLikeOrIlikeExpr,
		*ast.PatternRegexpExpr, *ast.ExistsSubqueryExpr, *ast.CompareSubqueryExpr:
		return true
	case *ast.FuncCallExpr:
		_, ok := t.known.predicates[n.FnName.L]
		return ok
	}
	return false
}

func not(n bool) string {
	if n {
		return "NOT "
	}
	return ""
}

var comparisons = map[opcode.Op]string{
	opcode.EQ: "=", opcode.NE: "<>", opcode.LT: "<", opcode.LE: "<=", opcode.GT: ">", opcode.GE: ">=",
}

var arithmetics = map[opcode.Op]string{
	opcode.Plus: "+", opcode.Minus: "-", opcode.Mul: "*", opcode.LeftShift: "<<", opcode.RightShift: ">>",
	opcode.And: "&", opcode.Or: "|", opcode.Xor: "#",
}

func (t *translator) comparison(n *ast.BinaryOperationExpr) (string, bool) {
	if op, ok := comparisons[n.Op]; ok {
		l, r := t.comparands(n.L, n.R)
		return l + " " + op + " " + r, true
	}
	switch n.Op {
	case opcode.LogicAnd:
		return t.chain(n, " AND "), true
	case opcode.LogicOr:
		return t.chain(n, " OR "), true
	case opcode.LogicXor:
		return t.cond(n.L) + " <> " + t.cond(n.R), true
	case opcode.NullEQ:
		l, r := t.comparands(n.L, n.R)
		return l + " IS NOT DISTINCT FROM " + r, true
	}
	return "", false
}

// comparands prints both sides of a comparison; beside JSON, the other side becomes JSON, as MySQL
// compares it.
func (t *translator) comparands(l, r ast.ExprNode) (string, string) {
	a, b := t.val(l), t.val(r)
	switch {
	case isJSON(l) && !isJSON(r):
		b = t.toJSON(r, b)
	case isJSON(r) && !isJSON(l):
		a = t.toJSON(l, a)
	}
	return a, b
}

// chain prints a run of ANDs or ORs, which may be long, without nesting.
func (t *translator) chain(n *ast.BinaryOperationExpr, op string) string {
	var parts []string
	var e ast.ExprNode = n
	for {
		b, ok := e.(*ast.BinaryOperationExpr)
		if !ok || b.Op != n.Op {
			break
		}
		parts = append(parts, t.cond(b.R))
		e = b.L
	}
	var out strings.Builder
	out.WriteString(t.cond(e))
	for i := len(parts) - 1; i >= 0; i-- {
		out.WriteString(op)
		out.WriteString(parts[i])
	}
	return out.String()
}

func (t *translator) like(n *ast.PatternLikeOrIlikeExpr) string {
	op := "LIKE "
	if !n.IsLike {
		op = "ILIKE "
	}
	s := t.val(n.Expr) + " " + not(n.Not) + op + t.val(n.Pattern)
	if n.Escape != '\\' {
		esc := ""
		if n.Escape != 0 {
			esc = string(rune(n.Escape))
		}
		s += " ESCAPE " + quote(esc)
	}
	return s
}

// value prints what is no boolean.
func (t *translator) value(e ast.ExprNode) string {
	switch n := e.(type) {
	case *driver.ValueExpr:
		return t.literal(n)
	case *driver.ParamMarkerExpr:
		return t.param(n.Offset)
	case *ast.ParenthesesExpr:
		return t.val(n.Expr)
	case *ast.ColumnNameExpr:
		return t.column(n.Name)
	case *ast.BinaryOperationExpr:
		return t.arithmetic(n)
	case *ast.UnaryOperationExpr:
		return t.unary(n)
	case *ast.CaseExpr:
		return t.caseExpr(n)
	case *ast.SubqueryExpr:
		return t.subquery(n)
	case *ast.RowExpr:
		return "ROW(" + t.vals(n.Values) + ")"
	case *ast.FuncCallExpr:
		return t.call(n)
	case *ast.FuncCastExpr:
		return t.cast(n)
	case *ast.AggregateFuncExpr:
		return t.aggregate(n)
	case *ast.WindowFuncExpr:
		return t.window(n)
	case *ast.DefaultExpr:
		if n.Name == nil {
			return "DEFAULT"
		}
		return t.unsupported(e, "DEFAULT(column)")
	case *ast.ValuesExpr:
		return `EXCLUDED.` + ident(n.Column.Name.Name.O)
	case *ast.VariableExpr:
		return t.variable(n)
	case *ast.PositionExpr:
		if n.P != nil {
			return t.val(n.P)
		}
		return strconv.Itoa(n.N)
	case *ast.SetCollationExpr:
		if c := strings.ToLower(n.Collate); c != "binary" && !strings.HasSuffix(c, "_bin") {
			return t.unsupported(e, "COLLATE %s", n.Collate)
		}
		return t.val(n.Expr)
	case *ast.MatchAgainst:
		return t.unsupported(e, "MATCH … AGAINST")
	}
	return t.unsupported(e, "this expression (%s)", strings.ToLower(kindOf(e)))
}

// literal prints a constant.
func (t *translator) literal(v *driver.ValueExpr) string {
	switch v.Kind() {
	case driver.KindNull:
		return "NULL"
	case driver.KindInt64:
		return strconv.FormatInt(v.GetInt64(), 10)
	case driver.KindUint64:
		return strconv.FormatUint(v.GetUint64(), 10)
	case driver.KindFloat32, driver.KindFloat64:
		return strconv.FormatFloat(v.GetFloat64(), 'e', -1, 64) + "::float8"
	case driver.KindMysqlDecimal:
		return v.GetMysqlDecimal().String()
	case driver.KindString:
		if my.HasBinaryFlag(v.Type.GetFlag()) && v.Type.GetCharset() == "binary" {
			return bytea(v.GetString())
		}
		return quote(v.GetString())
	case driver.KindBytes:
		return bytea(v.GetString())
	case driver.KindBinaryLiteral:
		if isBits(v) {
			return bits(v.GetBytes())
		}
		return bytea(string(v.GetBytes()))
	}
	return t.unsupported(v, "this constant")
}

// isBits tells b'101' from x'05'.
func isBits(v *driver.ValueExpr) bool { return v.Type.GetFlag()&my.UnsignedFlag == 0 }

// bits prints the number that bytes are, most significant first.
func bits(b []byte) string {
	var n uint64
	for _, x := range b {
		n = n<<8 | uint64(x)
	}
	return strconv.FormatUint(n, 10)
}

// number prints an operand of arithmetic, where a hexadecimal literal is a number.
func (t *translator) number(e ast.ExprNode) string {
	if v, ok := e.(*driver.ValueExpr); ok && v.Kind() == driver.KindBinaryLiteral && len(v.GetBytes()) <= 8 {
		return bits(v.GetBytes())
	}
	return t.val(e)
}

// column prints a column's name, or what stands for it: the expression of an alias, or the value
// just assigned.
func (t *translator) column(c *ast.ColumnName) string {
	if c.Table.L == "" {
		if e, ok := t.aliases[c.Name.L]; ok {
			saved := t.aliases
			t.aliases = nil
			defer func() { t.aliases = saved }()
			return t.val(e)
		}
		if v, ok := t.assigned[c.Name.L]; ok {
			return v
		}
		if t.target != "" {
			return t.target + "." + ident(c.Name.O)
		}
		return ident(c.Name.O)
	}
	if t.excluded[c.Table.L] {
		return "EXCLUDED." + ident(c.Name.O)
	}
	if v, ok := t.assigned[c.Name.L]; ok && t.target == ident(c.Table.O) {
		return v
	}
	s := ident(c.Table.O) + "." + ident(c.Name.O)
	if c.Schema.L != "" {
		s = ident(c.Schema.O) + "." + s
	}
	return s
}

func (t *translator) arithmetic(n *ast.BinaryOperationExpr) string {
	l, r := t.number(n.L), t.number(n.R)
	switch n.Op {
	case opcode.Plus, opcode.Minus, opcode.Mul, opcode.LeftShift, opcode.RightShift, opcode.And, opcode.Or, opcode.Xor:
		return "(" + l + " " + arithmetics[n.Op] + " " + r + ")"
	case opcode.Div:
		return "(" + l + " * 1.0 / NULLIF(" + r + ", 0))"
	case opcode.Mod:
		return "(" + l + " % NULLIF(" + r + ", 0))"
	case opcode.IntDiv:
		return "trunc(" + l + " * 1.0 / NULLIF(" + r + ", 0))::bigint"
	}
	return t.unsupported(n, "the operator %s", n.Op.String())
}

func (t *translator) unary(n *ast.UnaryOperationExpr) string {
	switch n.Op {
	case opcode.Minus:
		return "(- " + t.number(n.V) + ")"
	case opcode.Plus:
		return t.number(n.V)
	case opcode.BitNeg:
		return "(~ " + t.number(n.V) + ")"
	}
	return t.unsupported(n, "the operator %s", n.Op.String())
}

func (t *translator) caseExpr(n *ast.CaseExpr) string {
	var b strings.Builder
	b.WriteString("CASE")
	if n.Value != nil {
		b.WriteString(" " + t.val(n.Value))
	}
	for _, w := range n.WhenClauses {
		when := ""
		if n.Value != nil {
			when = t.val(w.Expr)
		} else {
			when = t.cond(w.Expr)
		}
		b.WriteString(" WHEN " + when + " THEN " + t.val(w.Result))
	}
	if n.ElseClause != nil {
		b.WriteString(" ELSE " + t.val(n.ElseClause))
	}
	return b.String() + " END"
}

// subquery prints a query in parentheses. The clauses around it end at it.
func (t *translator) subquery(e ast.ExprNode) string {
	s, ok := e.(*ast.SubqueryExpr)
	if !ok {
		return t.unsupported(e, "this subquery")
	}
	target, assigned, aliases := t.target, t.assigned, t.aliases
	t.target, t.assigned, t.aliases = "", nil, nil // EXCLUDED stays visible
	defer func() { t.target, t.assigned, t.aliases = target, assigned, aliases }()
	return "(" + t.query_(s.Query, inner) + ")"
}

func (t *translator) cast(n *ast.FuncCastExpr) string {
	if n.FunctionType == ast.CastBinaryOperator {
		return t.val(n.Expr)
	}
	x := t.val(n.Expr)
	ty := ""
	switch n.Tp.GetType() {
	case my.TypeLonglong:
		x, ty = "round(("+x+")::numeric)", "bigint"
		if my.HasUnsignedFlag(n.Tp.GetFlag()) {
			ty = "numeric(20,0)"
		}
	case my.TypeVarString, my.TypeString, my.TypeVarchar:
		if n.Tp.GetCharset() == "binary" {
			return "convert_to((" + x + ")::text, 'UTF8')"
		}
		ty = "text"
		if l := n.Tp.GetFlen(); l > 0 {
			ty = fmt.Sprintf("varchar(%d)", l)
		}
	case my.TypeDate:
		ty = "date"
	case my.TypeDatetime:
		ty = "timestamp" + fraction(n.Tp.GetDecimal())
	case my.TypeDuration:
		ty = "time" + fraction(n.Tp.GetDecimal())
	case my.TypeNewDecimal:
		ty = "numeric(" + strconv.Itoa(max(n.Tp.GetFlen(), 1)) + "," + strconv.Itoa(max(n.Tp.GetDecimal(), 0)) + ")"
	case my.TypeDouble:
		ty = "double precision"
	case my.TypeFloat:
		ty = "real"
	case my.TypeJSON:
		return "(" + x + ")::jsonb"
	case my.TypeYear:
		ty = "smallint"
	default:
		return t.unsupported(n, "CAST AS %s", n.Tp.String())
	}
	return "(" + x + ")::" + ty
}

// fraction prints the precision of a time, which is 0 where none is given.
func fraction(decimals int) string { return fmt.Sprintf("(%d)", max(0, min(decimals, 6))) }

func (t *translator) aggregate(n *ast.AggregateFuncExpr) string {
	name := strings.ToLower(n.F)
	distinct := ""
	if n.Distinct {
		distinct = "DISTINCT "
	}
	switch name {
	case "count":
		if len(n.Args) == 1 {
			if v, ok := n.Args[0].(*driver.ValueExpr); ok && v.Kind() == driver.KindInt64 && !n.Distinct {
				return "count(*)"
			}
			return "count(" + distinct + t.val(n.Args[0]) + ")"
		}
		args := t.vals(n.Args)
		present := make([]string, len(n.Args))
		for i, a := range n.Args {
			present[i] = t.val(a) + " IS NOT NULL"
		}
		return "count(" + distinct + "(" + args + ")) FILTER (WHERE " + strings.Join(present, " AND ") + ")"
	case "group_concat":
		return t.groupConcat(n)
	case "json_arrayagg":
		return "jsonb_agg(" + t.vals(n.Args) + ")"
	case "json_objectagg":
		return "jsonb_object_agg(" + t.vals(n.Args) + ")"
	case "std", "stddev":
		name = "stddev_pop"
	case "variance":
		name = "var_pop"
	case "sum", "avg", "max", "min", "bit_or", "bit_and", "bit_xor", "var_pop", "var_samp", "stddev_pop", "stddev_samp":
	default:
		return t.unsupported(n, "the aggregate %s", strings.ToUpper(name))
	}
	return name + "(" + distinct + t.vals(n.Args) + ")"
}

// groupConcat prints GROUP_CONCAT. With DISTINCT, Postgres wants to sort by the argument itself, not
// by its text, so the values are collected first.
func (t *translator) groupConcat(n *ast.AggregateFuncExpr) string {
	args := n.Args
	sep := "','"
	if len(args) > 1 {
		sep = t.val(args[len(args)-1])
		args = args[:len(args)-1]
	}
	order := ""
	if n.Order != nil {
		order = " ORDER BY " + t.orderItems(n.Order.Items, nil)
	}
	if n.Distinct && len(args) == 1 {
		x := t.val(args[0])
		return "array_to_string(array_agg(DISTINCT " + x + order + ") FILTER (WHERE " + x + " IS NOT NULL), " + sep + ")"
	}
	x := t.concat(args)
	if n.Distinct {
		x = "DISTINCT " + x
	}
	return "string_agg(" + x + ", " + sep + order + ")"
}

func (t *translator) window(n *ast.WindowFuncExpr) string {
	name := strings.ToLower(n.Name)
	if n.IgnoreNull || n.FromLast {
		return t.unsupported(n, "IGNORE NULLS or FROM LAST")
	}
	call := name + "(" + t.vals(n.Args) + ")"
	switch name {
	case "row_number", "rank", "dense_rank", "cume_dist", "percent_rank", "ntile", "lead", "lag", "first_value", "last_value", "nth_value":
	default:
		call = t.aggregate(&ast.AggregateFuncExpr{F: n.Name, Args: n.Args, Distinct: n.Distinct})
	}
	if n.Spec.OnlyAlias {
		return call + " OVER " + ident(n.Spec.Name.O)
	}
	return call + " OVER (" + t.windowSpec(&n.Spec) + ")"
}

func (t *translator) windowSpec(s *ast.WindowSpec) string {
	var parts []string
	if s.Ref.L != "" {
		parts = append(parts, ident(s.Ref.O))
	}
	if s.PartitionBy != nil {
		parts = append(parts, "PARTITION BY "+list(s.PartitionBy.Items, func(i *ast.ByItem) string { return t.val(i.Expr) }))
	}
	if s.OrderBy != nil {
		parts = append(parts, "ORDER BY "+t.orderItems(s.OrderBy.Items, nil))
	}
	if f := s.Frame; f != nil {
		kind := map[ast.FrameType]string{ast.Rows: "ROWS", ast.Ranges: "RANGE", ast.Groups: "GROUPS"}[f.Type]
		parts = append(parts, kind+" BETWEEN "+t.bound(&f.Extent.Start)+" AND "+t.bound(&f.Extent.End))
	}
	return strings.Join(parts, " ")
}

func (t *translator) bound(b *ast.FrameBound) string {
	dir := "CURRENT ROW"
	switch b.Type {
	case ast.Preceding:
		dir = "PRECEDING"
	case ast.Following:
		dir = "FOLLOWING"
	default:
		return dir
	}
	switch {
	case b.UnBounded:
		return "UNBOUNDED " + dir
	case b.Unit != ast.TimeUnitInvalid:
		return t.interval(b.Expr, b.Unit) + " " + dir
	}
	return t.val(b.Expr) + " " + dir
}
