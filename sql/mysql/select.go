package mysql

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver"
)

// place says whose the columns of a query are.
type place bool

const (
	inner place = false // another query's
	top   place = true  // the client's: they are named as MySQL names them (I4)
)

// query_ prints a query of any kind.
func (t *translator) query_(n ast.Node, p place) string {
	defer t.leave()
	if !t.enter() {
		return "SELECT"
	}
	switch q := n.(type) {
	case *ast.SelectStmt:
		return t.selectStmt(q, p)
	case *ast.SetOprStmt:
		return t.setOpr(q, p)
	case *ast.SetOprSelectList:
		return t.setOprList(q.With, q.Selects, q.OrderBy, q.Limit, p)
	case *ast.SubqueryExpr:
		return t.query_(q.Query, p)
	}
	return t.unsupported(n, "this query")
}

func (t *translator) with(w *ast.WithClause) string {
	if w == nil {
		return ""
	}
	s := "WITH "
	if w.IsRecursive {
		s += "RECURSIVE "
	}
	return s + list(w.CTEs, func(c *ast.CommonTableExpression) string {
		return ident(c.Name.O) + t.columnAliases(c.ColNameList) + " AS (" + t.query_(c.Query.Query, inner) + ")"
	}) + " "
}

func (t *translator) columnAliases(names []ast.CIStr) string {
	if len(names) == 0 {
		return ""
	}
	return " (" + list(names, func(n ast.CIStr) string { return ident(n.O) }) + ")"
}

func (t *translator) selectStmt(n *ast.SelectStmt, p place) string {
	with := t.with(n.With)
	if n.SelectIntoOpt != nil {
		return t.unsupported(n, "SELECT … INTO")
	}
	if n.SelectStmtOpts != nil && n.SelectStmtOpts.CalcFoundRows {
		return t.unsupported(n, "SQL_CALC_FOUND_ROWS")
	}
	if n.Kind == ast.SelectStmtKindValues {
		rows := list(n.Lists, func(r *ast.RowExpr) string { return "(" + t.vals(r.Values) + ")" })
		return with + "VALUES " + rows + t.orderLimit(n.OrderBy, n.Limit, nil, p)
	}
	var b strings.Builder
	b.WriteString(with + "SELECT ")
	if n.Distinct {
		b.WriteString("DISTINCT ")
	}
	b.WriteString(list(n.Fields.Fields, func(f *ast.SelectField) string { return t.field(f, p) }))
	if n.From != nil && n.From.TableRefs != nil {
		b.WriteString(" FROM " + t.join(n.From.TableRefs))
	}
	b.WriteString(t.filters(n, p))
	if len(n.WindowSpecs) > 0 {
		b.WriteString(" WINDOW " + list(n.WindowSpecs, func(w ast.WindowSpec) string { return ident(w.Name.O) + " AS (" + t.windowSpec(&w) + ")" }))
	}
	b.WriteString(t.orderLimit(n.OrderBy, n.Limit, n.Fields.Fields, p))
	b.WriteString(t.locking(n.LockInfo))
	return b.String()
}

// filters prints WHERE, GROUP BY and HAVING. HAVING may use the SELECT's names, and without groups
// it filters rows.
func (t *translator) filters(n *ast.SelectStmt, p place) string {
	var where []string
	if n.Where != nil {
		where = append(where, t.cond(n.Where))
	}
	having := ""
	if n.Having != nil {
		t.aliases = aliasesOf(n.Fields.Fields)
		having = t.cond(n.Having.Expr)
		t.aliases = nil
		if n.GroupBy == nil && !aggregates(n) {
			where = append(where, having)
			having = ""
		}
	}
	s := ""
	if len(where) > 0 {
		s = " WHERE " + strings.Join(where, " AND ")
	}
	if n.GroupBy != nil {
		items := list(n.GroupBy.Items, func(i *ast.ByItem) string { return t.sortKey(i.Expr, n.Fields.Fields, p) })
		if n.GroupBy.Rollup {
			items = "ROLLUP (" + items + ")"
		}
		s += " GROUP BY " + items
	}
	if having != "" {
		s += " HAVING " + having
	}
	return s
}

// aggregates says whether a SELECT without GROUP BY is one group.
func aggregates(n *ast.SelectStmt) bool {
	if ast.HasAggFlag(n.Having.Expr) {
		return true
	}
	for _, f := range n.Fields.Fields {
		if f.Expr != nil && ast.HasAggFlag(f.Expr) {
			return true
		}
	}
	return false
}

// aliasesOf are the names a SELECT gives to expressions.
func aliasesOf(fields []*ast.SelectField) map[string]ast.ExprNode {
	out := map[string]ast.ExprNode{}
	for _, f := range fields {
		if f.Expr != nil && f.AsName.L != "" {
			out[f.AsName.L] = f.Expr
		}
	}
	return out
}

// field prints an item of SELECT with its name.
func (t *translator) field(f *ast.SelectField, p place) string {
	if w := f.WildCard; w != nil {
		switch {
		case w.Schema.L != "":
			return ident(w.Schema.O) + "." + ident(w.Table.O) + ".*"
		case w.Table.L != "":
			return ident(w.Table.O) + ".*"
		}
		return "*"
	}
	s := t.val(f.Expr)
	if name := t.fieldName(f, p); name != "" {
		s += " AS " + name
	}
	return s
}

// fieldName is the name a column gets, empty if Postgres gives it by itself.
func (t *translator) fieldName(f *ast.SelectField, p place) string {
	if f.AsName.L != "" {
		if p == top {
			return exact(f.AsName.O)
		}
		return ident(f.AsName.O)
	}
	if p != top {
		return ""
	}
	if c, ok := f.Expr.(*ast.ColumnNameExpr); ok {
		if c.Name.Name.O == strings.ToLower(c.Name.Name.O) {
			return ""
		}
		return exact(c.Name.Name.O)
	}
	name := strings.TrimSpace(f.Text())
	if s, ok := constant(f.Expr); ok {
		name = s
	}
	name = strings.ReplaceAll(strings.ToValidUTF8(name, "?"), "\x00", "")
	if name == "" {
		return ""
	}
	return exact(name)
}

// sortKey prints a key of ORDER BY or GROUP BY, which may be the name of one of the fields: with its
// case alone, and as its expression within another.
func (t *translator) sortKey(e ast.ExprNode, fields []*ast.SelectField, p place) string {
	if c, ok := e.(*ast.ColumnNameExpr); ok {
		if c.Name.Table.L == "" {
			for _, f := range fields {
				if f.Expr != nil && f.AsName.L == c.Name.Name.L {
					return t.fieldName(f, p)
				}
			}
		}
		return t.column(c.Name)
	}
	if _, ok := e.(*ast.PositionExpr); ok {
		return t.val(e)
	}
	if v, ok := e.(*driver.ValueExpr); ok { // a constant, which sorts nothing
		return "(" + t.literal(v) + "::text)"
	}
	t.aliases = aliasesOf(fields)
	defer func() { t.aliases = nil }()
	return t.val(e)
}

// orderItems prints sort keys; in MySQL NULL is the least value.
func (t *translator) orderItems(items []*ast.ByItem, fields []*ast.SelectField) string {
	return t.orderItemsAt(items, fields, inner)
}

func (t *translator) orderItemsAt(items []*ast.ByItem, fields []*ast.SelectField, p place) string {
	return list(items, func(i *ast.ByItem) string {
		if i.Desc {
			return t.sortKey(i.Expr, fields, p) + " DESC NULLS LAST"
		}
		return t.sortKey(i.Expr, fields, p) + " NULLS FIRST"
	})
}

func (t *translator) orderLimit(o *ast.OrderByClause, l *ast.Limit, fields []*ast.SelectField, p place) string {
	s := ""
	if o != nil {
		var items []*ast.ByItem
		for _, i := range o.Items {
			if v, ok := i.Expr.(*driver.ValueExpr); !ok || v.Kind() != driver.KindNull { // ORDER BY NULL
				items = append(items, i)
			}
		}
		if len(items) > 0 {
			s = " ORDER BY " + t.orderItemsAt(items, fields, p)
		}
	}
	return s + t.limit(l)
}

func (t *translator) limit(l *ast.Limit) string {
	s := ""
	if l == nil {
		return s
	}
	if l.Count != nil {
		s += " LIMIT " + t.val(l.Count)
	}
	if l.Offset != nil {
		s += " OFFSET " + t.val(l.Offset)
	}
	return s
}

func (t *translator) locking(l *ast.SelectLockInfo) string {
	if l == nil {
		return ""
	}
	s, end := "", ""
	switch l.LockType {
	case ast.SelectLockNone:
		return ""
	case ast.SelectLockForUpdate:
		s = " FOR UPDATE"
	case ast.SelectLockForShare:
		s = " FOR SHARE"
	case ast.SelectLockForUpdateNoWait:
		s, end = " FOR UPDATE", " NOWAIT"
	case ast.SelectLockForShareNoWait:
		s, end = " FOR SHARE", " NOWAIT"
	case ast.SelectLockForUpdateSkipLocked:
		s, end = " FOR UPDATE", " SKIP LOCKED"
	case ast.SelectLockForShareSkipLocked:
		s, end = " FOR SHARE", " SKIP LOCKED"
	default:
		return t.unsupported(nil, "FOR UPDATE WAIT")
	}
	if len(l.Tables) > 0 {
		s += " OF " + list(l.Tables, func(n *ast.TableName) string { return ident(n.Name.O) })
	}
	return s + end
}

func (t *translator) setOpr(n *ast.SetOprStmt, p place) string {
	return t.setOprList(n.With, n.SelectList.Selects, n.OrderBy, n.Limit, p)
}

// setOprList prints the legs of UNION and the like as they stand; INTERSECT binds before the others
// in both grammars.
func (t *translator) setOprList(with *ast.WithClause, legs []ast.Node, o *ast.OrderByClause, l *ast.Limit, p place) string {
	var b strings.Builder
	b.WriteString(t.with(with))
	var fields []*ast.SelectField
	for i, leg := range legs {
		var op *ast.SetOprType
		bare := false
		switch q := leg.(type) {
		case *ast.SelectStmt:
			op = q.AfterSetOperator
			bare = q.OrderBy == nil && q.Limit == nil && q.With == nil && (q.LockInfo == nil || q.LockInfo.LockType == ast.SelectLockNone)
			if i == 0 && q.Fields != nil {
				fields = q.Fields.Fields
			}
		case *ast.SetOprSelectList:
			op = q.AfterSetOperator
		}
		if i > 0 {
			if op == nil {
				return t.unsupported(leg, "this set operation")
			}
			b.WriteString(" " + strings.ToUpper(op.String()) + " ")
		}
		q := t.query_(leg, p && place(i == 0))
		if !bare {
			q = "(" + q + ")"
		}
		b.WriteString(q)
	}
	b.WriteString(t.orderLimit(o, l, fields, p))
	return b.String()
}

// join prints a tree of joins, which leans to the left, without nesting.
func (t *translator) join(j *ast.Join) string {
	var run []*ast.Join
	var left ast.ResultSetNode = j
	for {
		x, ok := left.(*ast.Join)
		if !ok {
			break
		}
		run = append(run, x)
		left = x.Left
	}
	var b strings.Builder
	b.WriteString(t.tableRef(left))
	for i := len(run) - 1; i >= 0; i-- {
		b.WriteString(t.joined(run[i]))
	}
	return b.String()
}

// joined prints what a join adds to its left side.
func (t *translator) joined(j *ast.Join) string {
	if j.Right == nil {
		return ""
	}
	right := t.tableRef(j.Right)
	kind := ""
	switch j.Tp {
	case ast.LeftJoin:
		kind = "LEFT "
	case ast.RightJoin:
		kind = "RIGHT "
	}
	switch {
	case j.NaturalJoin:
		return " NATURAL " + kind + "JOIN " + right
	case j.On != nil:
		return " " + kind + "JOIN " + right + " ON " + t.cond(j.On.Expr)
	case len(j.Using) > 0:
		return " " + kind + "JOIN " + right + " USING (" + list(j.Using, func(c *ast.ColumnName) string { return ident(c.Name.O) }) + ")"
	case kind != "":
		return " " + kind + "JOIN " + right + " ON TRUE"
	}
	return " CROSS JOIN " + right
}

// tableRef prints an item of FROM.
func (t *translator) tableRef(n ast.ResultSetNode) string {
	defer t.leave()
	if !t.enter() {
		return "x"
	}
	switch r := n.(type) {
	case *ast.Join:
		if r.Right == nil {
			return t.tableRef(r.Left)
		}
		return "(" + t.join(r) + ")"
	case *ast.TableSource:
		s := ""
		if name, ok := r.Source.(*ast.TableName); ok {
			s = t.table(name)
		} else if j, ok := r.Source.(*ast.Join); ok {
			return t.tableRef(j)
		} else {
			s = "(" + t.query_(r.Source, inner) + ")"
			if r.Lateral {
				s = "LATERAL " + s
			}
		}
		if r.AsName.L != "" {
			s += " AS " + ident(r.AsName.O)
		}
		return s + t.columnAliases(r.ColumnNames)
	case *ast.TableName:
		return t.table(r)
	}
	return t.unsupported(n, "this item of FROM")
}

// table prints a table's name; hints for indexes have no meaning here.
func (t *translator) table(n *ast.TableName) string {
	switch {
	case len(n.PartitionNames) > 0:
		return t.unsupported(n, "PARTITION")
	case n.AsOf != nil:
		return t.unsupported(n, "AS OF")
	case n.TableSample != nil:
		return t.unsupported(n, "TABLESAMPLE")
	}
	if n.Schema.L != "" {
		return ident(n.Schema.O) + "." + ident(n.Name.O)
	}
	return ident(n.Name.O)
}
