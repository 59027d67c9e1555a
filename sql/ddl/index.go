package ddl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/rowenc"
	"github.com/cairndb/cairn/sql/sqlerr"
)

func (s *stmt) createIndex(ctx context.Context, n *pg.IndexStmt) error {
	if n.Concurrent && s.Explicit {
		return sqlerr.New(sqlerr.ActiveSQLTransaction, "CREATE INDEX CONCURRENTLY cannot run inside a transaction block")
	}
	if err := refuseIndex(n); err != nil {
		return err
	}
	t, err := s.findTable(ctx, n.Relation)
	if err != nil {
		return err
	}
	if err := s.notRewritten(ctx, t, "CREATE INDEX on"); err != nil {
		return err
	}
	m, err := s.changer(ctx, t)
	if err != nil {
		return err
	}
	if n.Idxname != "" {
		used, err := s.taken(ctx, m.sc, s.cutName(n.Idxname))
		if err != nil {
			return err
		}
		if used && n.IfNotExists {
			return s.present(sqlerr.DuplicateTable, "relation \"%s\" already exists, skipping", n.Idxname)
		}
	}
	if online, err := s.isOnline(ctx, t, n.Concurrent); err != nil {
		return err
	} else if online {
		return s.createIndexOnline(ctx, n, t)
	}
	if t, err = s.holdTable(ctx, "CREATE INDEX", t.ID); err != nil {
		return err
	}
	old := t.Clone()
	ix, err := m.index(ctx, t, n)
	if err != nil {
		return err
	}
	t.Indexes = append(t.Indexes, ix)
	s.bindIndex(t, &ix)
	w := s.newRewrite(old, t)
	w.build = append(w.build, ix.ID)
	if err := w.run(ctx); err != nil {
		return err
	}
	s.r.Put(t)
	return nil
}

// changer is a tableMaker for a table that exists.
func (s *stmt) changer(ctx context.Context, t *schema.Table) (*tableMaker, error) {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	return &tableMaker{stmt: s, sc: c.SchemaByID(t.SchemaID), t: t, taken: map[string]bool{}}, nil
}

func refuseIndex(n *pg.IndexStmt) error {
	switch {
	case n.AccessMethod == "gin" && n.Unique:
		return sqlerr.New(sqlerr.FeatureNotSupported, "access method \"gin\" does not support unique indexes")
	case n.AccessMethod == "gin" && len(n.IndexIncludingParams) > 0:
		return sqlerr.New(sqlerr.FeatureNotSupported, "access method \"gin\" does not support included columns")
	case n.AccessMethod == "gin" && len(n.IndexParams) > 1:
		return sqlerr.Unsupported("an index of several columns with access method \"gin\"")
	case n.AccessMethod != "" && n.AccessMethod != "btree" && n.AccessMethod != "gin":
		return sqlerr.Unsupported("access method \"%s\"", n.AccessMethod).WithHint("Use btree, or gin for jsonb and arrays.")
	case n.NullsNotDistinct:
		return sqlerr.Unsupported("NULLS NOT DISTINCT")
	}
	return nil
}

func (m *tableMaker) index(ctx context.Context, t *schema.Table, n *pg.IndexStmt) (schema.Index, error) {
	ix, err := m.newIndex(ctx, n.Idxname)
	if err != nil {
		return ix, err
	}
	ix.Unique = n.Unique
	var names []string
	for _, p := range n.IndexParams {
		e := p.GetIndexElem()
		column := m.indexColumn
		if n.AccessMethod == "gin" {
			column = func(t *schema.Table, e *pg.IndexElem) (schema.IndexColumn, error) { return m.invertedColumn(t, &ix, e) }
		}
		col, err := column(t, e)
		if err != nil {
			return ix, err
		}
		ix.Columns = append(ix.Columns, col)
		names = append(names, indexLabel(names, e))
	}
	for _, p := range n.IndexIncludingParams {
		c, err := m.includedColumn(t, p.GetIndexElem())
		if err != nil {
			return ix, err
		}
		ix.Stored = append(ix.Stored, c.ID)
		names = append(names, c.Name)
	}
	if n.WhereClause != nil {
		if ix.Where, err = m.virtual(t, n.WhereClause, bind.UsePredicate); err != nil {
			return ix, err
		}
	}
	return ix, m.nameIndex(ctx, t, &ix, strings.Join(names, "_"), "idx")
}

// indexLabel is what a key column adds to the index's name: an expression that of its function.
func indexLabel(before []string, e *pg.IndexElem) string {
	if e.Name != "" {
		return e.Name
	}
	label := "expr"
	if f := e.Expr.GetFuncCall(); f != nil {
		label = f.Funcname[len(f.Funcname)-1].GetString_().GetSval()
	}
	name := label
	for n := 1; slices.Contains(before, name); n++ {
		name = label + itoa(n)
	}
	return name
}

func (m *tableMaker) includedColumn(t *schema.Table, e *pg.IndexElem) (*schema.Column, error) {
	switch {
	case e.Expr != nil:
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "expressions are not supported in included columns")
	case e.Ordering != pg.SortByDir_SORTBY_DEFAULT:
		return nil, sqlerr.New(sqlerr.InvalidObjectDefinition, "including column does not support ASC/DESC options")
	case e.NullsOrdering != pg.SortByNulls_SORTBY_NULLS_DEFAULT:
		return nil, sqlerr.New(sqlerr.InvalidObjectDefinition, "including column does not support NULLS FIRST/LAST options")
	}
	c := t.Column(e.Name)
	if c == nil || c.Hidden {
		return nil, m.noColumn(e.Name)
	}
	return c, nil
}

// virtual adds the column that an expression of an index is.
func (m *tableMaker) virtual(t *schema.Table, n *pg.Node, use bind.StoredUse) (schema.ColumnID, error) {
	e, err := bind.BindStored(m.Bind, n, m.query, t, use, nil)
	if err != nil {
		return 0, err
	}
	if !storable(e.Type()) {
		name := indexLabel(nil, &pg.IndexElem{Expr: n})
		if n.GetRowExpr() != nil {
			name = "row"
		}
		return 0, sqlerr.New(sqlerr.InvalidTableDefinition, "column \"%s\" has pseudo-type %s", name, e.Type())
	}
	text, err := rowExprText(n)
	if err != nil {
		return 0, err
	}
	return t.AddVirtual(text, schemaType(e.Type())), nil
}

// invertedColumn adds the terms of what an inverted index is on, and sets its operator class.
func (m *tableMaker) invertedColumn(t *schema.Table, ix *schema.Index, e *pg.IndexElem) (schema.IndexColumn, error) {
	none := schema.IndexColumn{}
	on, name := e.Expr, "expression"
	if on == nil {
		c := t.Column(e.Name)
		if c == nil || c.Hidden {
			return none, m.noColumn(e.Name)
		}
		on, name = pg.MakeColumnRefNode([]*pg.Node{pg.MakeStrNode(e.Name)}, -1), e.Name
	}
	bound, err := bind.BindStored(m.Bind, on, m.query, t, bind.UseIndex, nil)
	if err != nil {
		return none, err
	}
	typ := bound.Type()
	class := builtins.GinDefault(typ)
	if names := stringList(e.Opclass); len(names) > 0 {
		class = names[len(names)-1]
		if _, known := builtins.GinFunction(class); !known {
			return none, sqlerr.New(sqlerr.UndefinedObject, "operator class \"%s\" does not exist for access method \"gin\"", class)
		}
		if !builtins.GinTakes(class, typ) {
			return none, sqlerr.New(sqlerr.DatatypeMismatch, "operator class \"%s\" does not accept data type %s", class, typ.Base())
		}
	}
	elem, array := typ.Elem()
	switch {
	case class == "" || array && !rowenc.KeyEncodable(elem):
		return none, sqlerr.New(sqlerr.UndefinedObject, "data type %s has no default operator class for access method \"gin\"", typ.Base()).
			WithHint("You must specify an operator class for the index or define a default operator class for the data type.")
	case e.Ordering != pg.SortByDir_SORTBY_DEFAULT:
		return none, sqlerr.New(sqlerr.FeatureNotSupported, "access method \"gin\" does not support ASC/DESC options")
	case e.NullsOrdering != pg.SortByNulls_SORTBY_NULLS_DEFAULT:
		return none, sqlerr.New(sqlerr.FeatureNotSupported, "access method \"gin\" does not support NULLS FIRST/LAST options")
	}
	fn, _ := builtins.GinFunction(class)
	var parts []*pg.Node
	for _, p := range strings.Split(fn, ".") {
		parts = append(parts, pg.MakeStrNode(p))
	}
	id, err := m.virtual(t, pg.MakeFuncCallNode(parts, []*pg.Node{on}, -1), bind.UseIndex)
	if err != nil {
		return none, fmt.Errorf("terms of %s: %w", name, err)
	}
	ix.Inverted = class
	return schema.IndexColumn{ID: id}, nil
}

func (s *stmt) noColumn(name string) error {
	return sqlerr.New(sqlerr.UndefinedColumn, "column \"%s\" does not exist", name)
}

func (m *tableMaker) indexColumn(t *schema.Table, e *pg.IndexElem) (schema.IndexColumn, error) {
	var none schema.IndexColumn
	if len(e.Collation) > 0 {
		if err := checkCollation(stringList(e.Collation)); err != nil {
			return none, err
		}
	}
	c := t.Column(e.Name)
	if e.Expr != nil {
		id, err := m.virtual(t, e.Expr, bind.UseIndex)
		if err != nil {
			return none, err
		}
		c = t.ColumnByID(id)
	} else if c == nil || c.Hidden {
		return none, m.noColumn(e.Name)
	}
	if err := m.checkIndexable(c); err != nil {
		return none, err
	}
	desc := e.Ordering == pg.SortByDir_SORTBY_DESC
	first := e.NullsOrdering == pg.SortByNulls_SORTBY_NULLS_FIRST
	last := e.NullsOrdering == pg.SortByNulls_SORTBY_NULLS_LAST
	if first && !desc || last && desc {
		return none, sqlerr.Unsupported("an index with NULLS on the other side").
			WithHint("Ascending columns have NULLS LAST, descending ones NULLS FIRST.")
	}
	return schema.IndexColumn{ID: c.ID, Desc: desc}, nil
}
