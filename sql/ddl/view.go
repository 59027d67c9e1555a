package ddl

import (
	"context"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// parseOne parses a text that is one statement.
func parseOne(text string) (parser.Stmt, error) {
	stmts, err := parser.Parse(text)
	if err != nil {
		return parser.Stmt{}, err
	}
	if len(stmts) != 1 {
		return parser.Stmt{}, sqlerr.New(sqlerr.InternalError, "not one statement: %s", text)
	}
	return stmts[0], nil
}

// createView keeps a query as text, with the path by which its names are to
// be found.
func (s *stmt) createView(ctx context.Context, n *pg.ViewStmt) error {
	if n.WithCheckOption != pg.ViewCheckOption_NO_CHECK_OPTION && n.WithCheckOption != pg.ViewCheckOption_VIEW_CHECK_OPTION_UNDEFINED {
		return sqlerr.Unsupported("WITH CHECK OPTION")
	}
	sc, err := s.target(ctx, n.View)
	if err != nil {
		return err
	}
	v := &schema.View{SearchPath: slices.Clone(s.SearchPath)}
	if v.Query, err = stmtText(n.Query); err != nil {
		return err
	}
	if v.Columns, err = s.queryColumns(ctx, v.Query, n.Aliases); err != nil {
		return err
	}
	if v.DependsOn, err = s.dependencies(ctx, n.Query); err != nil {
		return err
	}
	return s.putView(ctx, sc, s.cutName(n.View.Relname), v, n.Replace)
}

func (s *stmt) putView(ctx context.Context, sc *schema.Schema, name string, v *schema.View, replace bool) (err error) {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	o, _ := c.Relation(sc.ID, name)
	old, isView := o.(*schema.View)
	switch {
	case o != nil && !replace:
		return alreadyExists(name)
	case o != nil && !isView:
		return sqlerr.New(sqlerr.WrongObjectType, "\"%s\" is not a view", name)
	case o != nil:
		return s.replaceView(ctx, old, v)
	}
	if v.Header, err = s.header(ctx, sc, name); err != nil {
		return err
	}
	s.r.Put(v)
	s.r.Bind(sc.ID, name, v.ID, 0)
	return nil
}

// replaceView keeps the columns that there were; new ones may follow.
func (s *stmt) replaceView(ctx context.Context, old, v *schema.View) error {
	if len(v.Columns) < len(old.Columns) {
		return sqlerr.New(sqlerr.InvalidTableDefinition, "cannot drop columns from view")
	}
	for i, c := range old.Columns {
		n := &v.Columns[i]
		if c.Name != n.Name {
			return sqlerr.New(sqlerr.InvalidTableDefinition, "cannot change name of view column \"%s\" to \"%s\"", c.Name, n.Name)
		}
		if !typeOf(&c).Same(typeOf(n)) {
			return sqlerr.New(sqlerr.InvalidTableDefinition, "cannot change data type of view column \"%s\" from %s to %s",
				c.Name, typeOf(&c), typeOf(n))
		}
	}
	if err := s.hold(ctx, "CREATE OR REPLACE VIEW", old.ID); err != nil {
		return err
	}
	o, err := s.copyOf(ctx, old.ID)
	if err != nil {
		return err
	}
	v.Header = *o.Head()
	s.r.Put(v)
	return nil
}

// dependencies lists the relations a query names.
func (s *stmt) dependencies(ctx context.Context, n *pg.Node) ([]schema.DescID, error) {
	var out []schema.DescID
	var err error
	walkRangeVars(n, func(rv *pg.RangeVar) {
		if err != nil {
			return
		}
		var f found
		if f, err = s.lookup(ctx, rv); err == nil && f.ok() && !slices.Contains(out, f.object.Head().ID) {
			out = append(out, f.object.Head().ID)
			s.r.RequireSame(f.object.Head().ID)
		}
	})
	slices.Sort(out)
	return out, err
}
