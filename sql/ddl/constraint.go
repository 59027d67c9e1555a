package ddl

import (
	"context"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/rowenc"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// constraint adds one constraint to the new table.
func (m *tableMaker) constraint(ctx context.Context, p pendingConstraint) error {
	switch p.c.Contype {
	case pg.ConstrType_CONSTR_PRIMARY:
		return m.primaryKey(ctx, m.t, p)
	case pg.ConstrType_CONSTR_UNIQUE:
		_, err := m.unique(ctx, m.t, p)
		return err
	case pg.ConstrType_CONSTR_CHECK:
		_, err := m.check(ctx, m.t, p)
		return err
	case pg.ConstrType_CONSTR_FOREIGN:
		_, err := m.foreignKey(ctx, p)
		return err
	case pg.ConstrType_CONSTR_EXCLUSION:
		return sqlerr.Unsupported("an EXCLUDE constraint").
			WithHint("Where ranges must not overlap, lock the row of what they are of (SELECT … FOR UPDATE) or run SERIALIZABLE, and insert only if no row has a range that overlaps (&&).")
	}
	return sqlerr.Unsupported("this constraint")
}

func refuseConstraint(c *pg.Constraint) error {
	switch {
	case c.Deferrable || c.Initdeferred:
		return sqlerr.Unsupported("a deferrable UNIQUE or PRIMARY KEY constraint")
	case c.NullsNotDistinct:
		return sqlerr.Unsupported("UNIQUE NULLS NOT DISTINCT")
	case c.Indexname != "":
		return sqlerr.Unsupported("ADD CONSTRAINT USING INDEX")
	}
	return nil
}

// constraintIndex makes the index of a key constraint.
func (m *tableMaker) constraintIndex(ctx context.Context, t *schema.Table, p pendingConstraint) (schema.Index, error) {
	var none schema.Index
	if err := refuseConstraint(p.c); err != nil {
		return none, err
	}
	names := stringList(p.c.Keys)
	if p.column != "" {
		names = []string{p.column}
	}
	ix, err := m.newIndex(ctx, p.c.Conname)
	if err != nil {
		return none, err
	}
	ix.Unique = true
	if ix.ConstraintOID, err = m.Catalog.NewID(ctx); err != nil {
		return none, err
	}
	for _, name := range names {
		c, err := m.keyColumn(t, name, p.c.Location)
		if err != nil {
			return none, err
		}
		if ix.Has(c.ID) {
			kind := "unique"
			if isPrimary(p.c) {
				kind = "primary key"
			}
			return none, sqlerr.New(sqlerr.DuplicateColumn, "column \"%s\" appears twice in %s constraint", name, kind).
				WithPos(m.pos(p.c.Location))
		}
		ix.Columns = append(ix.Columns, schema.IndexColumn{ID: c.ID})
	}
	for _, name := range stringList(p.c.Including) {
		c, err := m.keyColumn(t, name, p.c.Location)
		if err != nil {
			return none, err
		}
		ix.Stored = append(ix.Stored, c.ID)
	}
	return ix, nil
}

// keyColumn finds a column that a key names.
func (s *stmt) keyColumn(t *schema.Table, name string, at int32) (*schema.Column, error) {
	c := t.Column(name)
	if c == nil || c.Hidden {
		return nil, sqlerr.New(sqlerr.UndefinedColumn, "column \"%s\" named in key does not exist", name).WithPos(s.pos(at))
	}
	return c, s.checkIndexable(c)
}

func (s *stmt) checkIndexable(c *schema.Column) error {
	if t := typeOf(c); !rowenc.KeyEncodable(t) {
		return sqlerr.New(sqlerr.UndefinedObject, "data type %s has no default operator class for access method \"btree\"", t.Base()).
			WithHint("You must specify an operator class for the index or define a default operator class for the data type.")
	}
	return nil
}

// primaryKey sets the table's key; its columns become NOT NULL.
func (m *tableMaker) primaryKey(ctx context.Context, t *schema.Table, p pendingConstraint) error {
	ix, err := m.constraintIndex(ctx, t, p)
	if err != nil {
		return err
	}
	if len(ix.Stored) > 0 {
		ix.Stored = nil // the primary index has every column anyway
	}
	if err := m.nameIndex(ctx, t, &ix, "", "pkey"); err != nil {
		return err
	}
	for _, c := range ix.Columns {
		t.ColumnByID(c.ID).NotNull = true
	}
	t.Primary = ix
	return nil
}

func (m *tableMaker) unique(ctx context.Context, t *schema.Table, p pendingConstraint) (*schema.Index, error) {
	ix, err := m.constraintIndex(ctx, t, p)
	if err != nil {
		return nil, err
	}
	label := columnLabel(t, ix.Columns)
	for _, id := range ix.Stored {
		label += "_" + t.ColumnByID(id).Name
	}
	if err := m.nameIndex(ctx, t, &ix, label, "key"); err != nil {
		return nil, err
	}
	t.Indexes = append(t.Indexes, ix)
	return &t.Indexes[len(t.Indexes)-1], nil
}

// nameIndex checks a given name, or finds one.
func (m *tableMaker) nameIndex(ctx context.Context, t *schema.Table, ix *schema.Index, columns, label string) (err error) {
	if ix.Name == "" {
		ix.Name, err = m.autoName(ctx, m.sc, t.Name, columns, label, func(n string) bool { return m.taken[n] })
		m.taken[ix.Name] = true
		return err
	}
	ix.Name = m.cutName(ix.Name)
	used, err := m.stmt.taken(ctx, m.sc, ix.Name)
	if err == nil && (used || m.taken[ix.Name]) {
		err = alreadyExists(ix.Name)
	}
	m.taken[ix.Name] = true
	return err
}

// check binds a CHECK constraint and adds it.
func (m *tableMaker) check(ctx context.Context, t *schema.Table, p pendingConstraint) (*schema.Check, error) {
	e, err := m.bindFor(p.c.RawExpr, m.query, t, types.T{})
	if err != nil {
		return nil, err
	}
	if got := e.Type(); got.OID != types.OIDBool && got.OID != types.OIDUnknown {
		return nil, sqlerr.New(sqlerr.DatatypeMismatch, "argument of CHECK must be type boolean, not type %s", got)
	}
	text, err := exprText(p.c.RawExpr)
	if err != nil {
		return nil, err
	}
	ck := schema.Check{Name: p.c.Conname, Expr: text, Columns: columnsOf(t, e), NotValid: p.c.SkipValidation && !p.c.InitiallyValid}
	if ck.OID, err = m.Catalog.NewID(ctx); err != nil {
		return nil, err
	}
	m.made = append(m.made, ck.OID)
	if ck.Name == "" {
		ck.Name = checkName(t, ck.Columns)
	} else if hasConstraint(t, ck.Name) {
		return nil, sqlerr.New(sqlerr.DuplicateObject, "constraint \"%s\" for relation \"%s\" already exists", ck.Name, t.Name)
	}
	t.Checks = append(t.Checks, ck)
	return &t.Checks[len(t.Checks)-1], nil
}

func checkName(t *schema.Table, cols []schema.ColumnID) string {
	col := ""
	if len(cols) == 1 {
		col = t.ColumnByID(cols[0]).Name
	}
	return constraintName(t, col, "check")
}

// constraintName makes the name of a constraint that has no index.
func constraintName(t *schema.Table, columns, kind string) string {
	for n := 0; ; n++ {
		label := kind
		if n > 0 {
			label += itoa(n)
		}
		if name := fitName(t.Name, columns, label); !hasConstraint(t, name) {
			return name
		}
	}
}

func hasConstraint(t *schema.Table, name string) bool {
	if slices.ContainsFunc(t.Checks, func(c schema.Check) bool { return c.Name == name }) {
		return true
	}
	if t.ForeignKey(name) != nil {
		return true
	}
	ix := t.IndexByName(name)
	return ix != nil && ix.ConstraintOID != 0
}

// columnsOf lists the columns an expression over t reads, in table order.
func columnsOf(t *schema.Table, e bind.Expr) []schema.ColumnID {
	seen := map[int]bool{}
	bind.WalkExpr(e, func(bind.Rel) {}, func(x bind.Expr) {
		if c, ok := x.(*bind.Col); ok {
			seen[int(c.ID)] = true
		}
	})
	var out []schema.ColumnID
	for i := range t.Columns {
		if seen[i] {
			out = append(out, t.Columns[i].ID)
		}
	}
	return out
}
