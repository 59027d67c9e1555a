package ddl

import (
	"context"
	"math"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// serialTypes are the types that are not types but a default.
func serialType(tn *pg.TypeName) (types.T, bool) {
	if len(tn.Names) != 1 {
		return types.T{}, false
	}
	switch tn.Names[0].GetString_().GetSval() {
	case "serial", "serial4":
		return types.Int4, true
	case "bigserial", "serial8":
		return types.Int8, true
	case "smallserial", "serial2":
		return types.Int2, true
	}
	return types.T{}, false
}

// storable refuses types that values cannot be kept as.
func storable(t types.T) bool {
	if u := t.Plain().User; u != nil && (u.OfTable() || u.OID == uint32(types.OIDRecord)) {
		return false
	}
	switch t.Kind() {
	case types.KindRecord:
		return t.Plain().IsComposite()
	case types.KindNull:
		return false
	}
	return t.OID != types.OIDUnknown && t.OID != types.OIDVoid && t.Category() != types.CategoryPseudo
}

// columnDef makes a column of t and returns the constraints that are not the
// column's own business (keys, checks).
func (m *tableMaker) columnDef(ctx context.Context, t *schema.Table, d *pg.ColumnDef) (schema.Column, []*pg.Constraint, error) {
	col := schema.Column{ID: t.NextColumnID, Name: m.cutName(d.Colname)}
	if c := t.Column(col.Name); c != nil && (!c.Hidden || c.Filling) {
		return col, nil, sqlerr.New(sqlerr.DuplicateColumn, "column \"%s\" specified more than once", col.Name)
	}
	if d.TypeName == nil {
		return col, nil, sqlerr.New(sqlerr.SyntaxError, "column \"%s\" has no type", col.Name)
	}
	if d.CollClause != nil {
		if err := checkCollation(stringList(d.CollClause.Collname)); err != nil {
			return col, nil, err
		}
	}
	typ, serial := serialType(d.TypeName)
	if !serial {
		var err error
		if typ, err = m.typeName(ctx, d.TypeName); err != nil {
			return col, nil, err
		}
	}
	if !storable(typ) {
		return col, nil, sqlerr.New(sqlerr.InvalidTableDefinition, "column \"%s\" has pseudo-type %s", col.Name, typ)
	}
	col.Type = schemaType(typ)
	t.NextColumnID++
	if serial {
		col.NotNull = true
		if err := m.addSequence(ctx, t, &col, nil); err != nil {
			return col, nil, err
		}
	}
	rest, err := m.columnConstraints(ctx, t, &col, d)
	return col, rest, err
}

// checkCollation accepts the orders that are bytewise.
func checkCollation(name []string) error {
	switch name[len(name)-1] {
	case "C", "POSIX", "default", "ucs_basic":
		return nil
	}
	return sqlerr.Unsupported("collation \"%s\"", name[len(name)-1]).WithHint("Texts are ordered by their bytes, as collation \"C\" does.")
}

func (m *tableMaker) columnConstraints(ctx context.Context, t *schema.Table, col *schema.Column, d *pg.ColumnDef) (rest []*pg.Constraint, err error) {
	null := false
	var last *pg.Constraint // what DEFERRABLE and the like are about
	for _, n := range d.Constraints {
		c := n.GetConstraint()
		if err := m.conflictingDefault(t, col, c); err != nil {
			return nil, err
		}
		switch c.Contype {
		case pg.ConstrType_CONSTR_NULL:
			null = true
		case pg.ConstrType_CONSTR_NOTNULL:
			col.NotNull = true
		case pg.ConstrType_CONSTR_DEFAULT:
			err = m.setDefault(ctx, t, col, c.RawExpr)
		case pg.ConstrType_CONSTR_IDENTITY:
			err = m.setIdentity(ctx, t, col, c)
		case pg.ConstrType_CONSTR_GENERATED:
			col.Generated = true
			m.generated = append(m.generated, pendingConstraint{c, col.Name})
		case pg.ConstrType_CONSTR_ATTR_DEFERRABLE, pg.ConstrType_CONSTR_ATTR_DEFERRED,
			pg.ConstrType_CONSTR_ATTR_NOT_DEFERRABLE, pg.ConstrType_CONSTR_ATTR_IMMEDIATE:
			err = m.constraintAttribute(last, c)
		default:
			last = c
			rest = append(rest, c)
		}
		if err != nil {
			return nil, err
		}
	}
	if null && col.NotNull {
		return nil, sqlerr.New(sqlerr.SyntaxError, "conflicting NULL/NOT NULL declarations for column \"%s\" of table \"%s\"",
			col.Name, t.Name)
	}
	return rest, nil
}

// constraintAttribute applies DEFERRABLE and the like, which stand behind the
// constraint of a column that they are about.
func (m *tableMaker) constraintAttribute(c, attr *pg.Constraint) error {
	words := map[pg.ConstrType]string{pg.ConstrType_CONSTR_ATTR_DEFERRABLE: "DEFERRABLE",
		pg.ConstrType_CONSTR_ATTR_DEFERRED: "INITIALLY DEFERRED", pg.ConstrType_CONSTR_ATTR_NOT_DEFERRABLE: "NOT DEFERRABLE",
		pg.ConstrType_CONSTR_ATTR_IMMEDIATE: "INITIALLY IMMEDIATE"}
	if c == nil || c.Contype == pg.ConstrType_CONSTR_CHECK {
		return sqlerr.New(sqlerr.SyntaxError, "misplaced %s clause", words[attr.Contype]).WithPos(m.pos(attr.Location))
	}
	switch attr.Contype {
	case pg.ConstrType_CONSTR_ATTR_DEFERRABLE:
		c.Deferrable = true
	case pg.ConstrType_CONSTR_ATTR_DEFERRED:
		c.Deferrable, c.Initdeferred = true, true
	case pg.ConstrType_CONSTR_ATTR_NOT_DEFERRABLE:
		c.Deferrable = false
		if c.Initdeferred {
			return sqlerr.New(sqlerr.SyntaxError, "constraint declared INITIALLY DEFERRED must be DEFERRABLE").WithPos(m.pos(attr.Location))
		}
	}
	return nil
}

// setDefault checks a default by binding it to the column's type.
func (s *stmt) setDefault(ctx context.Context, t *schema.Table, col *schema.Column, n *pg.Node) error {
	typ := typeOf(col)
	if col.Default != "" {
		return sqlerr.New(sqlerr.SyntaxError, "multiple default values specified for column \"%s\" of table \"%s\"", col.Name, t.Name)
	}
	if _, err := s.bindFor(n, s.query, nil, typ); err != nil {
		return err
	}
	text, err := defaultText(n, typ)
	if err != nil {
		return err
	}
	if n.GetAConst().GetIsnull() {
		return nil
	}
	q, err := s.nextvalOf(ctx, n)
	if err != nil {
		return err
	}
	if q != nil {
		s.r.RequireSame(q.ID)
		col.Sequence = q.ID
	}
	col.Default = text
	col.DefaultOID, err = s.Catalog.NewID(ctx)
	return err
}

// nextvalOf is the sequence of a default that is nextval('name') and nothing
// else, nil for any other: such a default follows its sequence's renames, and
// keeps it from being dropped.
func (s *stmt) nextvalOf(ctx context.Context, n *pg.Node) (*schema.Sequence, error) {
	call := n.GetFuncCall()
	if call == nil || len(call.Args) != 1 || call.Funcname[len(call.Funcname)-1].GetString_().GetSval() != "nextval" {
		return nil, nil
	}
	arg := call.Args[0]
	if c := arg.GetTypeCast(); c != nil {
		arg = c.Arg
	}
	name := arg.GetAConst().GetSval().GetSval()
	stmts, err := parser.Parse("SELECT FROM " + name)
	if err != nil || len(stmts) != 1 {
		return nil, nil
	}
	from := stmts[0].Tree.GetSelectStmt().GetFromClause()
	if len(from) != 1 || from[0].GetRangeVar() == nil {
		return nil, nil
	}
	f, err := s.lookup(ctx, from[0].GetRangeVar())
	if err != nil {
		return nil, err
	}
	q, _ := f.object.(*schema.Sequence)
	return q, nil
}

func (m *tableMaker) setIdentity(ctx context.Context, t *schema.Table, col *schema.Column, c *pg.Constraint) error {
	if k := typeOf(col); k != types.Int2 && k != types.Int4 && k != types.Int8 {
		return sqlerr.New(sqlerr.InvalidParameterValue, "identity column type must be smallint, integer, or bigint")
	}
	col.Identity = schema.IdentityByDefault
	if c.GeneratedWhen == "a" {
		col.Identity = schema.IdentityAlways
	}
	col.NotNull = true
	return m.addSequence(ctx, t, col, c.Options)
}

// addSequence makes the sequence that a serial or identity column owns.
func (m *tableMaker) addSequence(ctx context.Context, t *schema.Table, col *schema.Column, opts []*pg.Node) error {
	name, opts, err := m.ownedSequenceName(ctx, t, col, opts)
	if err != nil {
		return err
	}
	m.taken[name] = true
	h, err := m.header(ctx, m.sc, name)
	if err != nil {
		return err
	}
	q := newSequence(h, typeOf(col))
	if err := m.giveDefaults(ctx, q); err != nil {
		return err
	}
	if err := m.sequenceOptions(ctx, q, opts); err != nil {
		return err
	}
	q.OwnerTable, q.OwnerColumn = t.ID, col.ID
	m.sequences = append(m.sequences, q)
	col.Sequence = q.ID
	if col.Identity != schema.IdentityNone {
		return nil
	}
	if col.DefaultOID, err = m.Catalog.NewID(ctx); err != nil {
		return err
	}
	col.Default = "nextval('" + sequenceName(m.sc, q) + "'::regclass)"
	return nil
}

// ownedSequenceName is the name that SEQUENCE NAME gives (pg_dump writes it),
// else one made from the table's and the column's. It returns the other options.
func (m *tableMaker) ownedSequenceName(ctx context.Context, t *schema.Table, col *schema.Column, opts []*pg.Node) (string, []*pg.Node, error) {
	i := slices.IndexFunc(opts, func(o *pg.Node) bool { return o.GetDefElem().Defname == "sequence_name" })
	if i < 0 {
		name, err := m.autoName(ctx, m.sc, t.Name, col.Name, "seq", func(n string) bool { return m.taken[n] })
		return name, opts, err
	}
	parts := opts[i].GetDefElem().Arg.GetList().GetItems()
	name := parts[len(parts)-1].GetString_().GetSval()
	if len(parts) > 1 && parts[len(parts)-2].GetString_().GetSval() != m.sc.Name {
		return "", nil, sqlerr.Unsupported("an identity sequence in another schema than its table's")
	}
	used, err := m.stmt.taken(ctx, m.sc, name)
	if err == nil && (used || m.taken[name]) {
		err = alreadyExists(name)
	}
	return name, slices.Delete(slices.Clone(opts), i, i+1), err
}

func sequenceName(sc *schema.Schema, q *schema.Sequence) string {
	if sc.Name == schema.PublicSchema {
		return quoteIdent(q.Name)
	}
	return quoteIdent(sc.Name) + "." + quoteIdent(q.Name)
}

func newSequence(h schema.Header, t types.T) *schema.Sequence {
	q := &schema.Sequence{Header: h, Type: schemaType(t), Start: 1, Increment: 1, Min: 1, Cache: 1}
	q.Max = maxOf(t)
	return q
}

func maxOf(t types.T) int64 {
	switch t {
	case types.Int2:
		return math.MaxInt16
	case types.Int4:
		return math.MaxInt32
	}
	return math.MaxInt64
}
