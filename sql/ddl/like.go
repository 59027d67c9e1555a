package ddl

import (
	"context"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// likeOption says whether LIKE … INCLUDING has an option; the parser gives them as bits.
func likeOption(c *pg.TableLikeClause, o pg.TableLikeOption) bool { return c.Options&(1<<(o-1)) != 0 }

// liked is a table whose constraints and indexes are to be copied when the new one has its columns.
type liked struct {
	from *schema.Table
	c    *pg.TableLikeClause
}

// like adds the columns of another table or view.
func (m *tableMaker) like(ctx context.Context, c *pg.TableLikeClause) error {
	f, err := m.lookup(ctx, c.Relation)
	if err != nil {
		return err
	}
	if !f.ok() {
		return sqlerr.New(sqlerr.UndefinedTable, "relation \"%s\" does not exist", nameOf(c.Relation)).WithPos(m.pos(c.Relation.Location))
	}
	var cols []schema.Column
	t, isTable := f.object.(*schema.Table)
	v, isView := f.object.(*schema.View)
	switch {
	case isTable && f.index == nil:
		cols = t.VisibleColumns()
	case isView:
		cols = v.Columns
	default:
		kind := f.object.Kind().String()
		if f.index != nil {
			kind = "indexe"
		}
		return sqlerr.New(sqlerr.WrongObjectType, "relation \"%s\" is invalid in LIKE clause", c.Relation.Relname).
			WithDetail("This operation is not supported for %ss.", kind).WithPos(m.pos(c.Relation.Location))
	}
	if err := m.may(ctx, f.object, schema.PrivSelect); err != nil {
		return err
	}
	m.r.RequireSame(f.object.Head().ID)
	for i := range cols {
		if err := m.likeColumn(ctx, &cols[i], c); err != nil {
			return err
		}
	}
	if isTable {
		m.likes = append(m.likes, liked{t, c})
	}
	return nil
}

func (m *tableMaker) likeColumn(ctx context.Context, from *schema.Column, c *pg.TableLikeClause) (err error) {
	if x := m.t.Column(from.Name); x != nil && !x.Hidden {
		return sqlerr.New(sqlerr.DuplicateColumn, "column \"%s\" specified more than once", from.Name)
	}
	col := schema.Column{ID: m.t.NextColumnID, Name: from.Name, Type: from.Type, NotNull: from.NotNull}
	m.t.NextColumnID++
	if likeOption(c, pg.TableLikeOption_CREATE_TABLE_LIKE_COMMENTS) {
		col.Comment = from.Comment
	}
	switch {
	case from.Identity != schema.IdentityNone:
		if likeOption(c, pg.TableLikeOption_CREATE_TABLE_LIKE_IDENTITY) {
			err = m.likeIdentity(ctx, from, &col)
		}
	case from.Generated && likeOption(c, pg.TableLikeOption_CREATE_TABLE_LIKE_GENERATED),
		!from.Generated && from.Default != "" && likeOption(c, pg.TableLikeOption_CREATE_TABLE_LIKE_DEFAULTS):
		col.Generated, col.Default, col.Sequence = from.Generated, from.Default, from.Sequence
		if col.Sequence != 0 {
			m.r.RequireSame(col.Sequence)
		}
		col.DefaultOID, err = m.Catalog.NewID(ctx)
	}
	m.t.Columns = append(m.t.Columns, col)
	return err
}

// likeIdentity gives a column a sequence of its own that counts as another column's does.
func (m *tableMaker) likeIdentity(ctx context.Context, from, col *schema.Column) error {
	cat, err := m.r.Contents(ctx)
	if err != nil {
		return err
	}
	col.Identity = from.Identity
	if err := m.addSequence(ctx, m.t, col, nil); err != nil {
		return err
	}
	if old := cat.Sequence(from.Sequence); old != nil {
		q := m.sequences[len(m.sequences)-1]
		q.Start, q.Increment, q.Min, q.Max, q.Cache, q.Cycle = old.Start, old.Increment, old.Min, old.Max, old.Cache, old.Cycle
	}
	return nil
}

// likeKeys has the new table get the key constraints of others as its own.
func (m *tableMaker) likeKeys() {
	for _, l := range m.likes {
		if !likeOption(l.c, pg.TableLikeOption_CREATE_TABLE_LIKE_INDEXES) {
			continue
		}
		for _, ix := range l.from.AllIndexes() {
			if ix.ConstraintOID == 0 {
				continue
			}
			c := &pg.Constraint{Contype: pg.ConstrType_CONSTR_UNIQUE, Location: -1}
			if ix == &l.from.Primary {
				c.Contype = pg.ConstrType_CONSTR_PRIMARY
			}
			for _, k := range ix.Columns {
				c.Keys = append(c.Keys, stringNode(l.from.ColumnByID(k.ID).Name))
			}
			for _, id := range ix.Stored {
				c.Including = append(c.Including, stringNode(l.from.ColumnByID(id).Name))
			}
			m.constraints = append(m.constraints, pendingConstraint{c: c})
		}
	}
}

func stringNode(s string) *pg.Node {
	return &pg.Node{Node: &pg.Node_String_{String_: &pg.String{Sval: s}}}
}

// finishLikes copies checks and the indexes that are no constraints.
func (m *tableMaker) finishLikes(ctx context.Context) error {
	for _, l := range m.likes {
		if likeOption(l.c, pg.TableLikeOption_CREATE_TABLE_LIKE_CONSTRAINTS) {
			if err := m.likeChecks(ctx, l.from); err != nil {
				return err
			}
		}
		if !likeOption(l.c, pg.TableLikeOption_CREATE_TABLE_LIKE_INDEXES) {
			continue
		}
		for i := range l.from.Indexes {
			if ix := &l.from.Indexes[i]; ix.ConstraintOID == 0 {
				if err := m.likeIndex(ctx, l, ix); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (m *tableMaker) likeChecks(ctx context.Context, from *schema.Table) error {
	for _, ck := range from.Checks {
		if hasConstraint(m.t, ck.Name) {
			return sqlerr.New(sqlerr.DuplicateObject, "check constraint \"%s\" already exists", ck.Name)
		}
		oid, err := m.Catalog.NewID(ctx)
		if err != nil {
			return err
		}
		cols := make([]schema.ColumnID, len(ck.Columns))
		for i, id := range ck.Columns {
			cols[i] = m.t.Column(from.ColumnByID(id).Name).ID
		}
		m.t.Checks = append(m.t.Checks, schema.Check{OID: oid, Name: ck.Name, Expr: ck.Expr, Columns: cols})
	}
	return nil
}

func (m *tableMaker) likeIndex(ctx context.Context, l liked, from *schema.Index) error {
	ix, err := m.newIndex(ctx, "")
	if err != nil {
		return err
	}
	ix.Unique, ix.Inverted = from.Unique, from.Inverted
	same := func(id schema.ColumnID) schema.ColumnID {
		c := l.from.ColumnByID(id)
		if c.Virtual {
			return m.t.AddVirtual(c.Default, c.Type)
		}
		return m.t.Column(c.Name).ID
	}
	label := ""
	add := func(name string) {
		if label != "" {
			label += "_"
		}
		label += name
	}
	for _, k := range from.Columns {
		c := l.from.ColumnByID(k.ID)
		name := c.Name
		if c.Virtual {
			n, _, err := parseExpr(c.Default)
			if err != nil {
				return err
			}
			if args := n.GetFuncCall().GetArgs(); from.Inverted != "" && len(args) == 1 { // what its terms are of
				n = args[0]
			}
			if name = indexLabel(nil, &pg.IndexElem{Expr: n}); n.GetColumnRef() != nil {
				name = stringList(n.GetColumnRef().Fields)[0]
			}
		}
		add(name)
		ix.Columns = append(ix.Columns, schema.IndexColumn{ID: same(k.ID), Desc: k.Desc})
	}
	for _, id := range from.Stored {
		add(l.from.ColumnByID(id).Name)
		ix.Stored = append(ix.Stored, same(id))
	}
	if from.Where != 0 {
		ix.Where = same(from.Where)
	}
	if likeOption(l.c, pg.TableLikeOption_CREATE_TABLE_LIKE_COMMENTS) {
		ix.Comment = from.Comment
	}
	if err := m.nameIndex(ctx, m.t, &ix, label, "idx"); err != nil {
		return err
	}
	m.t.Indexes = append(m.t.Indexes, ix)
	return nil
}
