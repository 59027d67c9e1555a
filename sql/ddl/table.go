package ddl

import (
	"context"
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// tableMaker puts a new table together. Columns come first, then constraints,
// which may name columns that follow them in the text.
type tableMaker struct {
	*stmt
	sc *schema.Schema
	t  *schema.Table
	// constraints are collected from columns and table, in order.
	constraints []pendingConstraint
	// generated are the generation expressions of new columns.
	generated []pendingConstraint
	likes     []liked
	sequences []*schema.Sequence
	// taken are the names of indexes this statement makes.
	taken map[string]bool
}

// pendingConstraint is a constraint and, if it stands at a column, its name.
type pendingConstraint struct {
	c      *pg.Constraint
	column string
}

func (s *stmt) createTable(ctx context.Context, n *pg.CreateStmt) error {
	if err := refuseTable(n); err != nil {
		return err
	}
	sc, err := s.target(ctx, n.Relation)
	if err != nil {
		return err
	}
	name := s.cutName(n.Relation.Relname)
	used, err := s.taken(ctx, sc, name)
	if err != nil {
		return err
	}
	if used && n.IfNotExists {
		return s.present(sqlerr.DuplicateTable, "relation \"%s\" already exists, skipping", name)
	}
	if used {
		return alreadyExists(name)
	}
	m, err := s.newTable(ctx, sc, name)
	if err != nil {
		return err
	}
	if err := setOptions(m.t, n.Options); err != nil {
		return err
	}
	if err := onCommit(sc, m.t, n.Oncommit); err != nil {
		return err
	}
	if err := m.elements(ctx, n); err != nil {
		return err
	}
	return m.finish(ctx)
}

func refuseTable(n *pg.CreateStmt) error {
	switch {
	case len(n.InhRelations) > 0 && n.Partbound == nil:
		return sqlerr.Unsupported("table inheritance")
	case n.Partspec != nil || n.Partbound != nil:
		return sqlerr.Unsupported("table partitioning").
			WithHint("Tables are cut into ranges by themselves, as they grow.")
	case n.OfTypename != nil:
		return sqlerr.Unsupported("CREATE TABLE OF")
	}
	return nil
}

func (s *stmt) newTable(ctx context.Context, sc *schema.Schema, name string) (*tableMaker, error) {
	h, err := s.header(ctx, sc, name)
	if err != nil {
		return nil, err
	}
	t := &schema.Table{Header: h, NextColumnID: 1, RowCountEstimate: -1}
	if err := s.giveDefaults(ctx, t); err != nil {
		return nil, err
	}
	s.private(t.ID, 0)
	return &tableMaker{stmt: s, sc: sc, t: t, taken: map[string]bool{name: true}}, nil
}

func (m *tableMaker) elements(ctx context.Context, n *pg.CreateStmt) error {
	for _, e := range n.TableElts {
		var err error
		switch x := e.Node.(type) {
		case *pg.Node_ColumnDef:
			err = m.column(ctx, x.ColumnDef)
		case *pg.Node_Constraint:
			m.constraints = append(m.constraints, pendingConstraint{c: x.Constraint})
		case *pg.Node_TableLikeClause:
			err = m.like(ctx, x.TableLikeClause)
		default:
			err = sqlerr.Unsupported("this element of CREATE TABLE")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *tableMaker) column(ctx context.Context, d *pg.ColumnDef) error {
	col, rest, err := m.columnDef(ctx, m.t, d)
	if err != nil {
		return err
	}
	for _, c := range rest {
		m.constraints = append(m.constraints, pendingConstraint{c, col.Name})
	}
	m.t.Columns = append(m.t.Columns, col)
	return nil
}

// finish adds the constraints and puts everything into the catalog.
func (m *tableMaker) finish(ctx context.Context) error {
	for _, g := range m.generated {
		if err := m.generate(ctx, m.t, g.column, g.c.RawExpr); err != nil {
			return err
		}
	}
	m.likeKeys()
	var cs []*pg.Constraint
	for _, p := range m.constraints {
		cs = append(cs, p.c)
	}
	if err := m.holdTargets(ctx, "CREATE TABLE", cs); err != nil {
		return err
	}
	for _, p := range m.constraints {
		if isPrimary(p.c) {
			if m.t.Primary.ID != 0 {
				return sqlerr.New(sqlerr.InvalidTableDefinition, "multiple primary keys for table \"%s\" are not allowed",
					m.t.Name).WithPos(m.pos(p.c.Location))
			}
			if err := m.constraint(ctx, p); err != nil {
				return err
			}
		}
	}
	if m.t.Primary.ID == 0 {
		if err := m.addRowID(ctx, m.t); err != nil {
			return err
		}
	}
	for _, foreign := range []bool{false, true} { // those may refer to keys of the table itself
		for _, p := range m.constraints {
			if isPrimary(p.c) || isForeign(p.c) != foreign {
				continue
			}
			if err := m.constraint(ctx, p); err != nil {
				return err
			}
		}
	}
	if err := m.finishLikes(ctx); err != nil {
		return err
	}
	m.r.Put(m.t)
	m.r.Bind(m.sc.ID, m.t.Name, m.t.ID, 0)
	for _, ix := range m.t.AllIndexes() {
		m.bindIndex(m.t, ix)
	}
	for _, q := range m.sequences {
		m.r.Put(q)
		m.r.Bind(m.sc.ID, q.Name, q.ID, 0)
	}
	return nil
}

func isPrimary(c *pg.Constraint) bool { return c.Contype == pg.ConstrType_CONSTR_PRIMARY }

// bindIndex gives an index its name in the schema; the hidden one has none.
func (s *stmt) bindIndex(t *schema.Table, ix *schema.Index) {
	if ix.Name != "" {
		s.r.Bind(t.SchemaID, ix.Name, t.ID, ix.ID)
	}
}

// addRowID gives a table the hidden column that is its key if it declares none.
func (s *stmt) addRowID(ctx context.Context, t *schema.Table) error {
	name := schema.RowIDName
	for n := 1; t.Column(name) != nil; n++ {
		name = fmt.Sprintf("%s_%d", schema.RowIDName, n)
	}
	col := schema.Column{ID: t.NextColumnID, Name: name, Type: schemaType(types.Int8), NotNull: true,
		Default: "unique_rowid()", Hidden: true}
	t.NextColumnID++
	t.Columns = append(t.Columns, col)
	ix, err := s.newIndex(ctx, "")
	if err != nil {
		return err
	}
	ix.Unique = true
	ix.Columns = []schema.IndexColumn{{ID: col.ID}}
	t.Primary = ix
	return nil
}

func (s *stmt) newIndex(ctx context.Context, name string) (schema.Index, error) {
	id, err := s.Catalog.NewID(ctx)
	return schema.Index{ID: schema.IndexID(id), OID: id, Name: name}, err
}

func schemaType(t types.T) schema.Type {
	return schema.Type{OID: uint32(t.OID), Mod: t.Mod, User: t.User}
}

// createTableAs makes a table of a query's columns and fills it.
func (s *stmt) createTableAs(ctx context.Context, n *pg.CreateTableAsStmt) (string, error) {
	if n.Objtype != pg.ObjectType_OBJECT_TABLE {
		return s.createMatview(ctx, n)
	}
	rv := n.Into.Rel
	sc, err := s.target(ctx, rv)
	if err != nil {
		return "", err
	}
	name := s.cutName(rv.Relname)
	if used, err := s.taken(ctx, sc, name); err != nil {
		return "", err
	} else if used && n.IfNotExists {
		return "CREATE TABLE AS", s.present(sqlerr.DuplicateTable, "relation \"%s\" already exists, skipping", name)
	} else if used {
		return "", alreadyExists(name)
	}
	m, err := s.newTable(ctx, sc, name)
	if err != nil {
		return "", err
	}
	if err := onCommit(sc, m.t, n.Into.OnCommit); err != nil {
		return "", err
	}
	text, err := m.columnsOfQuery(ctx, n)
	if err != nil {
		return "", err
	}
	if err := m.finish(ctx); err != nil {
		return "", err
	}
	if n.Into.SkipData {
		return "CREATE TABLE AS", nil
	}
	rows, err := s.Engine.Exec(ctx, fmt.Sprintf("INSERT INTO %s.%s %s", quoteIdent(sc.Name), quoteIdent(name), text))
	return fmt.Sprintf("SELECT %d", rows), err
}

func (m *tableMaker) columnsOfQuery(ctx context.Context, n *pg.CreateTableAsStmt) (string, error) {
	text, err := stmtText(n.Query)
	if err != nil {
		return "", err
	}
	cols, err := m.queryColumns(ctx, text, n.Into.ColNames)
	for _, c := range cols {
		if t := tablekv.TypeOf(c.Type); !storable(t) {
			return "", sqlerr.New(sqlerr.InvalidTableDefinition, "column \"%s\" has pseudo-type %s", c.Name, t)
		}
		c.ID = m.t.NextColumnID
		m.t.NextColumnID++
		m.t.Columns = append(m.t.Columns, c)
	}
	return text, err
}

// queryColumns gives the columns of a query, renamed by a list that may be short.
func (s *stmt) queryColumns(ctx context.Context, text string, names []*pg.Node) ([]schema.Column, error) {
	q, err := parseOne(text)
	if err != nil {
		return nil, err
	}
	res, err := s.Engine.Columns(ctx, q)
	if err != nil {
		return nil, err
	}
	aliases := stringList(names)
	if len(aliases) > len(res) {
		return nil, sqlerr.New(sqlerr.SyntaxError, "too many column names were specified")
	}
	out := make([]schema.Column, len(res))
	seen := map[string]bool{}
	for i, c := range res {
		if i < len(aliases) {
			c.Name = aliases[i]
		}
		if seen[c.Name] {
			return nil, sqlerr.New(sqlerr.DuplicateColumn, "column \"%s\" specified more than once", c.Name)
		}
		seen[c.Name] = true
		if c.Type.OID == types.OIDUnknown {
			c.Type = types.Text
		}
		out[i] = schema.Column{ID: schema.ColumnID(i + 1), Name: c.Name, Type: schemaType(c.Type)}
	}
	return out, nil
}

// indexLabel lists column names for an automatic index name.
func columnLabel(t *schema.Table, cols []schema.IndexColumn) string {
	var names []string
	for _, c := range cols {
		names = append(names, t.ColumnByID(c.ID).Name)
	}
	return strings.Join(names, "_")
}

// bindFor binds an expression over the columns of a table.
func (s *stmt) bindFor(n *pg.Node, query string, t *schema.Table, to types.T) (bind.Expr, error) {
	return bind.BindExpr(s.Bind, n, query, t, to)
}

func typeOf(c *schema.Column) types.T { return tablekv.TypeOf(c.Type) }
