package mysql

import (
	"strings"

	"github.com/pingcap/tidb/pkg/parser/ast"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// insert prints INSERT and REPLACE.
func (t *translator) insert(n *ast.InsertStmt) {
	src, name := singleTable(n.Table)
	if name == nil {
		t.unsupported(n, "INSERT into this")
		return
	}
	if len(n.PartitionNames) > 0 {
		t.unsupported(n, "PARTITION")
		return
	}
	table := t.table(name)
	t.made = &Table{Name: table, Key: keyOf(name), Rows: len(n.Lists)}
	head := "INSERT INTO " + table
	if src.AsName.L != "" {
		head += " AS " + ident(src.AsName.O)
	}
	if len(n.Columns) > 0 {
		head += " (" + list(n.Columns, func(c *ast.ColumnName) string { return ident(c.Name.O) }) + ")"
	}
	tail := t.onConflict(n, src, name)
	switch {
	case n.Select != nil:
		t.emit("%s %s%s", head, t.query_(n.Select, inner), tail)
	case len(n.Lists) == 1 && len(n.Lists[0]) == 0 && len(n.Columns) > 0:
		t.fail(sqlerr.New(sqlerr.SyntaxError, "INSERT has more target columns than expressions"))
	case len(n.Lists) == 1 && len(n.Lists[0]) == 0 || len(n.Lists) == 0:
		t.emit("%s DEFAULT VALUES%s", head, tail)
	default:
		t.values(head+" VALUES ", n, tail)
	}
}

// keyOf is a table's name for people.
func keyOf(n *ast.TableName) string {
	if n.Schema.L != "" {
		return n.Schema.L + "." + n.Name.L
	}
	return n.Name.L
}

// values prints the rows, and cuts them into several statements where the options say how long one
// may be.
func (t *translator) values(head string, n *ast.InsertStmt, tail string) {
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			t.emit("%s%s%s", head, b.String(), tail)
			b.Reset()
		}
	}
	for _, row := range n.Lists {
		s := t.row(n, row)
		if t.err != nil {
			return
		}
		if t.opts.RowBytesMax > 0 && b.Len()+len(s) > t.opts.RowBytesMax {
			flush()
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(s)
		t.grown(s)
	}
	flush()
}

func (t *translator) row(n *ast.InsertStmt, row []ast.ExprNode) string {
	if len(row) == 0 {
		return t.unsupported(n, "an empty row among others")
	}
	i := -1
	return "(" + list(row, func(e ast.ExprNode) string {
		i++
		if t.opts.Column == nil {
			return t.val(e)
		}
		name := ""
		if i < len(n.Columns) {
			name = n.Columns[i].Name.L
		}
		return t.dumped(e, t.opts.Column(t.made.Name, name, i))
	}) + ")"
}

// dumped prints a value of a dump, which may spell it in another way than its column's type does.
func (t *translator) dumped(e ast.ExprNode, kind ColumnKind) string {
	v, ok := e.(*driver.ValueExpr)
	if !ok {
		return t.val(e)
	}
	switch v.Kind() {
	case driver.KindString, driver.KindBytes, driver.KindBinaryLiteral:
	default:
		return t.val(e)
	}
	s := v.GetString()
	switch {
	case kind == BitsColumn && len(s) <= 8:
		return bits([]byte(s))
	case kind == BytesColumn:
		return bytea(s)
	case kind == TextColumn:
		return quote(s)
	}
	return t.val(e)
}

// onConflict prints what becomes of rows that are there already.
func (t *translator) onConflict(n *ast.InsertStmt, src *ast.TableSource, name *ast.TableName) string {
	switch {
	case n.IsReplace:
		return ` ON CONFLICT DO UPDATE SET "*" = EXCLUDED."*"`
	case len(n.OnDuplicate) > 0:
		t.target = ident(name.Name.O)
		if src.AsName.L != "" {
			t.target = ident(src.AsName.O)
		}
		t.excluded = t.rowAliases
		set := t.assignments(n.OnDuplicate)
		t.target, t.excluded = "", nil
		return " ON CONFLICT DO UPDATE SET " + set
	case n.IgnoreErr:
		return " ON CONFLICT DO NOTHING"
	}
	return ""
}

// assignments prints SET's list. MySQL assigns from left to right, and later expressions see what
// was assigned; so they get it in the column's place.
func (t *translator) assignments(set []*ast.Assignment) string {
	t.assigned = map[string]string{}
	defer func() { t.assigned = nil }()
	return list(set, func(a *ast.Assignment) string {
		v := t.val(a.Expr)
		if v != "DEFAULT" {
			t.assigned[a.Column.Name.L] = v
		}
		return ident(a.Column.Name.O) + " = " + v
	})
}

// singleTable gives the table of a FROM clause that is one table.
func singleTable(r *ast.TableRefsClause) (*ast.TableSource, *ast.TableName) {
	if r == nil || r.TableRefs == nil {
		return nil, nil
	}
	var left ast.ResultSetNode = r.TableRefs
	for {
		j, ok := left.(*ast.Join)
		if !ok {
			break
		}
		if j.Right != nil {
			return nil, nil
		}
		left = j.Left
	}
	switch s := left.(type) {
	case *ast.TableSource:
		if name, ok := s.Source.(*ast.TableName); ok {
			return s, name
		}
	case *ast.TableName:
		return &ast.TableSource{Source: s}, s
	}
	return nil, nil
}

// alias is the name by which the rest of a statement knows a table.
func alias(src *ast.TableSource) string {
	if src.AsName.L != "" {
		return src.AsName.L
	}
	if n, ok := src.Source.(*ast.TableName); ok {
		return n.Name.L
	}
	return ""
}

func (t *translator) update(n *ast.UpdateStmt) {
	if n.IgnoreErr {
		t.unsupported(n, "UPDATE IGNORE")
		return
	}
	with := t.with(n.With)
	src, _ := singleTable(n.TableRefs)
	if src != nil {
		t.target = ident(alias(src))
		head := with + "UPDATE " + t.tableRef(src) + " SET " + t.assignments(n.List)
		t.target = ""
		t.emit("%s%s", head, t.restricted(src, "FROM", n.Where, n.Order, n.Limit))
		return
	}
	if n.Order != nil || n.Limit != nil {
		t.unsupported(n, "ORDER BY or LIMIT in an UPDATE of several tables")
		return
	}
	table := ""
	for _, a := range n.List {
		switch {
		case a.Column.Table.L == "":
			t.unsupported(n, "an unqualified column in SET of an UPDATE of several tables")
			return
		case table != "" && table != a.Column.Table.L:
			t.unsupported(n, "an UPDATE that changes several tables")
			return
		}
		table = a.Column.Table.L
	}
	src, rest, conds := t.extract(n, n.TableRefs.TableRefs, table)
	if src == nil {
		return
	}
	t.target = ident(table)
	set := t.assignments(n.List)
	t.target = ""
	if n.Where != nil {
		conds = append(conds, t.cond(n.Where))
	}
	s := with + "UPDATE " + t.tableRef(src) + " SET " + set
	if len(rest) > 0 {
		s += " FROM " + strings.Join(rest, " CROSS JOIN ")
	}
	t.emit("%s%s", s, whereAll(conds))
}

func whereAll(conds []string) string {
	if len(conds) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(conds, " AND ")
}

// restricted prints WHERE, or with LIMIT joins the rows to the keys of those that are picked; with
// is the word that a statement has for a join.
func (t *translator) restricted(src *ast.TableSource, with string, where ast.ExprNode, o *ast.OrderByClause, l *ast.Limit) string {
	var conds []string
	if where != nil {
		conds = append(conds, t.cond(where))
	}
	if l == nil { // the order of the changes does not show
		return whereAll(conds)
	}
	key := ident(alias(src)) + `."*"`
	return " " + with + " (SELECT " + key + " FROM " + t.tableRef(src) + whereAll(conds) + t.orderLimit(o, l, nil, inner) +
		` FOR UPDATE) AS "*" WHERE ` + key + ` = "*"."*"`
}

// extract takes the table to be changed out of a tree of joins, and gives what is left as items of
// FROM and conditions. It may not stand in an outer join.
func (t *translator) extract(stmt ast.Node, j *ast.Join, table string) (src *ast.TableSource, rest, conds []string) {
	var flat []ast.ResultSetNode
	if !t.flatten(j, table, &flat, &conds) {
		t.unsupported(stmt, "an outer or natural join with the table that is changed")
		return nil, nil, nil
	}
	for _, n := range flat {
		if s, ok := n.(*ast.TableSource); ok && alias(s) == table && src == nil {
			src = s
			continue
		}
		rest = append(rest, t.tableRef(n))
	}
	if src == nil {
		t.unsupported(stmt, "changing %q, which is none of the tables,", table)
	}
	return src, rest, conds
}

// flatten gives the tables of inner joins and their conditions; it fails if the table lies in
// another kind of join.
func (t *translator) flatten(n ast.ResultSetNode, table string, out *[]ast.ResultSetNode, conds *[]string) bool {
	defer t.leave()
	if !t.enter() {
		return false
	}
	j, ok := n.(*ast.Join)
	if !ok {
		*out = append(*out, n)
		return true
	}
	if j.Right == nil {
		return t.flatten(j.Left, table, out, conds)
	}
	if j.Tp != ast.CrossJoin || j.NaturalJoin || len(j.Using) > 0 && !usable(j) {
		if contains(n, table) {
			return false
		}
		*out = append(*out, n)
		return true
	}
	if !t.flatten(j.Left, table, out, conds) || !t.flatten(j.Right, table, out, conds) {
		return false
	}
	if j.On != nil {
		*conds = append(*conds, t.cond(j.On.Expr))
	}
	for _, c := range j.Using {
		l, r := j.Left.(*ast.TableSource), j.Right.(*ast.TableSource)
		*conds = append(*conds, "("+ident(alias(l))+"."+ident(c.Name.O)+" = "+ident(alias(r))+"."+ident(c.Name.O)+")")
	}
	return true
}

// usable says that USING joins two tables, whose columns it means.
func usable(j *ast.Join) bool {
	_, l := j.Left.(*ast.TableSource)
	_, r := j.Right.(*ast.TableSource)
	return l && r
}

// contains looks for a table in a tree of joins, whose depth flatten has bounded for the tables on
// its way and the grammar's scan for the others.
func contains(n ast.ResultSetNode, table string) bool {
	switch x := n.(type) {
	case *ast.Join:
		return contains(x.Left, table) || x.Right != nil && contains(x.Right, table)
	case *ast.TableSource:
		return alias(x) == table
	}
	return false
}

func (t *translator) delete(n *ast.DeleteStmt) {
	if n.IgnoreErr {
		t.unsupported(n, "DELETE IGNORE")
		return
	}
	with := t.with(n.With)
	if !n.IsMultiTable {
		src, _ := singleTable(n.TableRefs)
		if src == nil {
			t.unsupported(n, "DELETE from this")
			return
		}
		t.emit("%sDELETE FROM %s%s", with, t.tableRef(src), t.restricted(src, "USING", n.Where, n.Order, n.Limit))
		return
	}
	if len(n.Tables.Tables) != 1 {
		t.unsupported(n, "DELETE from several tables")
		return
	}
	table := n.Tables.Tables[0].Name.L
	if src, rest, ok := t.antiJoin(n.TableRefs.TableRefs, table); ok {
		s := "(SELECT 1 FROM (VALUES (1)) AS \"*\"" + rest
		if n.Where != nil {
			s += " WHERE " + t.cond(n.Where)
		}
		t.emit("%sDELETE FROM %s WHERE EXISTS %s)", with, t.tableRef(src), s)
		return
	}
	src, rest, conds := t.extract(n, n.TableRefs.TableRefs, table)
	if src == nil {
		return
	}
	if n.Where != nil {
		conds = append(conds, t.cond(n.Where))
	}
	s := with + "DELETE FROM " + t.tableRef(src)
	if len(rest) > 0 {
		s += " USING " + strings.Join(rest, " CROSS JOIN ")
	}
	t.emit("%s%s", s, whereAll(conds))
}

// antiJoin handles DELETE a FROM a LEFT JOIN b …: of the joins, which are all to the right of the
// table, one row's share is asked for, in whose place a row without columns stands.
func (t *translator) antiJoin(j *ast.Join, table string) (src *ast.TableSource, rest string, ok bool) {
	var run []*ast.Join
	outer := false
	var left ast.ResultSetNode = j
	for {
		x, isJoin := left.(*ast.Join)
		if !isJoin {
			break
		}
		if x.Right != nil {
			if x.Tp == ast.RightJoin || x.NaturalJoin || len(x.Using) > 0 {
				return nil, "", false
			}
			outer = outer || x.Tp == ast.LeftJoin
			run = append(run, x)
		}
		left = x.Left
	}
	src, isTable := left.(*ast.TableSource)
	if !isTable || alias(src) != table || !outer {
		return nil, "", false
	}
	var b strings.Builder
	for i := len(run) - 1; i >= 0; i-- {
		b.WriteString(t.joined(run[i]))
	}
	return src, b.String(), true
}
