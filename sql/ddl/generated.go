package ddl

import (
	"context"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// conflictingDefault refuses a second way to give a column its value.
func (s *stmt) conflictingDefault(t *schema.Table, col *schema.Column, c *pg.Constraint) error {
	gen := c.Contype == pg.ConstrType_CONSTR_GENERATED
	fail := func(format string) error {
		e := sqlerr.New(sqlerr.SyntaxError, format, col.Name, t.Name)
		if !isSerial(col) {
			e = e.WithPos(s.pos(c.Location))
		}
		return e
	}
	switch {
	case gen && col.Generated:
		return fail("multiple generation clauses specified for column \"%s\" of table \"%s\"")
	case gen && col.Identity != schema.IdentityNone, c.Contype == pg.ConstrType_CONSTR_IDENTITY && col.Generated:
		return fail("both identity and generation expression specified for column \"%s\" of table \"%s\"")
	case gen && col.Default != "", c.Contype == pg.ConstrType_CONSTR_DEFAULT && col.Generated:
		return fail("both default and generation expression specified for column \"%s\" of table \"%s\"")
	}
	return nil
}

func isSerial(col *schema.Column) bool {
	return col.Sequence != 0 && col.Identity == schema.IdentityNone
}

// generate gives a column of the table its generation expression, which may name columns that
// follow it.
func (s *stmt) generate(ctx context.Context, t *schema.Table, name string, n *pg.Node) (err error) {
	col := t.Column(name)
	if _, err = bind.BindStored(s.Bind, n, s.query, t, bind.UseGenerated, col); err != nil {
		return err
	}
	if col.Default, err = rowExprText(n); err != nil {
		return err
	}
	col.DefaultOID, err = s.Catalog.NewID(ctx)
	return err
}

// rowExprText is exprText for an expression over one table, whose name it leaves out.
func rowExprText(n *pg.Node) (string, error) {
	n = proto.Clone(n).(*pg.Node)
	walkColumnRefs(n, func(ref *pg.ColumnRef) { ref.Fields = ref.Fields[len(ref.Fields)-1:] })
	return exprText(n)
}

// uses says whether the expression of a generated column names another column.
func uses(c *schema.Column, name string) bool {
	if !c.Generated {
		return false
	}
	n, _, err := parseExpr(c.Default)
	if err != nil {
		return true // rather too many than too few
	}
	found := false
	walkColumnRefs(n, func(ref *pg.ColumnRef) {
		found = found || ref.Fields[0].GetString_().GetSval() == name
	})
	return found
}

// generatedFrom are the stored generated columns that are computed from a column.
func generatedFrom(t *schema.Table, name string) []*schema.Column {
	var out []*schema.Column
	for i := range t.Columns {
		if c := &t.Columns[i]; !c.Virtual && uses(c, name) {
			out = append(out, c)
		}
	}
	return out
}

// virtualFrom says whether an index is on an expression over a column, or has one as predicate.
func virtualFrom(t *schema.Table, ix *schema.Index, name string) bool {
	return slices.ContainsFunc(t.Columns, func(c schema.Column) bool {
		return c.Virtual && (ix.Where == c.ID || ix.Has(c.ID)) && uses(&c, name)
	})
}

// dropGenerated drops the columns that are computed from one that goes.
func (a *alterer) dropGenerated(c *pg.AlterTableCmd, col *schema.Column) ([]schema.ColumnID, error) {
	var ids []schema.ColumnID
	var lines, what []string
	for _, g := range generatedFrom(a.t, col.Name) {
		ids = append(ids, g.ID)
		what = append(what, "column "+g.Name+" of table "+a.t.Name)
		lines = append(lines, what[len(what)-1]+" depends on column "+col.Name+" of table "+a.t.Name)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	if c.Behavior != pg.DropBehavior_DROP_CASCADE {
		return nil, sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop column %s of table %s because other objects depend on it",
			col.Name, a.t.Name).WithDetail("%s", strings.Join(lines, "\n")).
			WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
	}
	return ids, a.cascades(what)
}

// dropExpression makes a generated column an ordinary one with the values that it has.
func (a *alterer) dropExpression(c *pg.AlterTableCmd) error {
	col, err := a.existing(c.Name)
	if err != nil {
		return err
	}
	if !col.Generated {
		if c.MissingOk {
			return a.skipped("column \"%s\" of relation \"%s\" is not a stored generated column, skipping", col.Name, a.t.Name)
		}
		return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "column \"%s\" of relation \"%s\" is not a stored generated column",
			col.Name, a.t.Name)
	}
	col.Generated, col.Default, col.DefaultOID = false, "", 0
	return nil
}

// retypeVirtual gives the expressions of indexes their types when a column that they read has
// another one.
func (a *alterer) retypeVirtual(name string) error {
	for i := range a.t.Columns {
		c := &a.t.Columns[i]
		if !c.Virtual || !uses(c, name) {
			continue
		}
		n, query, err := parseExpr(c.Default)
		if err != nil {
			return err
		}
		e, err := bind.BindStored(a.Bind, n, query, a.t, bind.UseIndex, nil)
		if err != nil {
			return err
		}
		c.Type = schemaType(e.Type())
	}
	return nil
}

// renameInText renames a column in the text of an expression.
func renameInText(text *string, from, to string) error {
	n, _, err := parseExpr(*text)
	if err != nil {
		return err
	}
	walkColumnRefs(n, func(ref *pg.ColumnRef) {
		last := ref.Fields[len(ref.Fields)-1].GetString_()
		if last != nil && last.Sval == from {
			last.Sval = to
		}
	})
	*text, err = exprText(n)
	return err
}

// unplaced takes the position from an error about a text that is behind the statement's.
func unplaced(err error) error {
	e, ok := err.(*sqlerr.Error)
	if !ok {
		return err
	}
	c := *e
	c.Position = 0
	return &c
}
