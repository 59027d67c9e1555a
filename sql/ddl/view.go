package ddl

import (
	"context"
	"errors"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
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
	check, err := checkOption(n)
	if err != nil {
		return err
	}
	reads, err := s.dependencies(ctx, n.Query)
	if err != nil {
		return err
	}
	sc, err := s.viewTarget(ctx, n, reads)
	if err != nil {
		return err
	}
	v := &schema.View{SearchPath: slices.Clone(s.SearchPath), CheckOption: check}
	if _, err := bind.ExpandStars(s.Bind, parser.Stmt{Tree: n.Query, Query: s.query}); err != nil {
		return err
	}
	if v.Query, err = stmtText(n.Query); err != nil {
		return err
	}
	if v.Columns, err = s.queryColumns(ctx, v.Query, n.Aliases); err != nil {
		return err
	}
	v.DependsOn = reads
	if sc.TempOf != "" {
		v.SearchPath = append([]string{sc.Name}, v.SearchPath...)
	}
	return s.putView(ctx, sc, s.cutName(n.View.Relname), v, n.Replace)
}

// checkOption reads WITH CHECK OPTION, or the option check_option that stands for it.
func checkOption(n *pg.ViewStmt) (schema.CheckOption, error) {
	out := map[pg.ViewCheckOption]schema.CheckOption{pg.ViewCheckOption_LOCAL_CHECK_OPTION: schema.LocalCheckOption,
		pg.ViewCheckOption_CASCADED_CHECK_OPTION: schema.CascadedCheckOption}[n.WithCheckOption]
	for _, o := range n.Options {
		d := o.GetDefElem()
		switch d.Defname {
		case "check_option":
			switch defString(d) {
			case "local":
				out = schema.LocalCheckOption
			case "cascaded":
				out = schema.CascadedCheckOption
			default:
				return 0, sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for enum option \"check_option\": %s", defString(d)).
					WithDetail("Valid values are \"local\" and \"cascaded\".")
			}
		case "security_barrier", "security_invoker":
			if d.Arg == nil || defString(d) == "true" || defString(d) == "on" || defString(d) == "1" {
				return 0, sqlerr.Unsupported("the option %s of views", d.Defname)
			}
		default:
			return 0, sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized parameter \"%s\"", d.Defname)
		}
	}
	if out == schema.NoCheckOption {
		return out, nil
	}
	if why := bind.NotUpdatable(n.Query.GetSelectStmt()); why != "" {
		return 0, sqlerr.New(sqlerr.FeatureNotSupported, "WITH CHECK OPTION is supported only on automatically updatable views").
			WithHint("%s", why)
	}
	return out, nil
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
	if err := s.giveDefaults(ctx, v); err != nil {
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
	for i, c := range o.(*schema.View).Columns {
		v.Columns[i].Comment = c.Comment
	}
	s.r.Put(v)
	return nil
}

// dependencies lists the relations a query names.
func (s *stmt) dependencies(ctx context.Context, n *pg.Node) ([]schema.DescID, error) {
	var out []schema.DescID
	var err error
	own := map[string]bool{} // of a recursive WITH: they are no relations anywhere in the query
	if with := n.GetSelectStmt().GetWithClause(); with.GetRecursive() {
		for _, c := range with.Ctes {
			own[c.GetCommonTableExpr().Ctename] = true
		}
	}
	walkRangeVars(n, func(rv *pg.RangeVar) {
		if err != nil || rv.Schemaname == "" && own[rv.Relname] {
			return
		}
		var f found
		if f, err = s.lookup(ctx, rv); err == nil && f.ok() && !slices.Contains(out, f.object.Head().ID) {
			if t, ok := f.object.(*schema.Table); ok { // whose columns may get other types
				err = s.notRewritten(ctx, t, "CREATE VIEW over")
			}
			out = append(out, f.object.Head().ID)
			s.r.RequireSame(f.object.Head().ID)
		}
	})
	for _, id := range s.functionsIn(n) {
		out = append(out, id)
		s.r.RequireSame(id)
	}
	slices.Sort(out)
	return out, err
}

// viewsOver lists the views that read a relation.
func (s *stmt) viewsOver(ctx context.Context, f found) ([]schema.DescID, error) {
	if f.index != nil {
		return nil, nil
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	var out []schema.DescID
	for _, v := range dependentViews(c, f.object) {
		out = append(out, v.Head().ID)
	}
	return out, nil
}

// renameInViews has views, which are held, read a relation under the name that
// it is about to get.
func (s *stmt) renameInViews(ctx context.Context, views []schema.DescID, o schema.Object, to *pg.RangeVar) error {
	return s.rewriteViews(ctx, views, func(v *schema.View) error { return s.renameInView(ctx, v, o, to) })
}

// rewriteViews changes the queries of views, which are held.
func (s *stmt) rewriteViews(ctx context.Context, views []schema.DescID, change func(*schema.View) error) error {
	for _, id := range views {
		c, err := s.copyOf(ctx, id)
		if err != nil {
			return err
		}
		v, ok := c.(*schema.View)
		if !ok {
			mv := c.(*schema.Table).Matview
			v = &schema.View{Query: mv.Query, SearchPath: mv.SearchPath}
		}
		if err := change(v); err != nil {
			return err
		}
		if t, ok := c.(*schema.Table); ok {
			t.Matview.Query = v.Query
		}
		s.r.Put(c)
	}
	return nil
}

// renameColumnInViews has views, which are held, read a column under the name that it
// is about to get.
func (s *stmt) renameColumnInViews(ctx context.Context, views []schema.DescID, of schema.DescID, from, to string) error {
	return s.rewriteViews(ctx, views, func(v *schema.View) error {
		q, err := parseOne(v.Query)
		if err != nil {
			return err
		}
		env := s.Bind
		if len(v.SearchPath) > 0 {
			env.SearchPath = v.SearchPath
		}
		if err := bind.RenameColumn(env, q, of, from, to); err != nil {
			return err
		}
		v.Query, err = stmtText(q.Tree)
		return err
	})
}

// renameInView changes the names in a view's text that mean the relation. Its
// columns may be named after it there, so it goes on under its old name as an
// alias.
func (s *stmt) renameInView(ctx context.Context, v *schema.View, o schema.Object, to *pg.RangeVar) error {
	q, err := parseOne(v.Query)
	if err != nil {
		return err
	}
	old := o.Head().Name
	shadowed := false
	parser.Walk(q.Tree, func(m proto.Message) {
		if cte, ok := m.(*pg.CommonTableExpr); ok && cte.Ctename == old {
			shadowed = true
		}
	})
	if shadowed {
		return sqlerr.Unsupported("renaming \"%s\", whose name view \"%s\" also gives to a WITH query,", old, v.Name).
			WithHint("Drop the view and create it again.")
	}
	inner := *s
	inner.SearchPath = v.SearchPath
	walkRangeVars(q.Tree, func(rv *pg.RangeVar) {
		f, lerr := inner.lookup(ctx, rv)
		if err = errors.Join(err, lerr); lerr != nil || f.index != nil || !f.ok() || f.object.Head().ID != o.Head().ID {
			return
		}
		if rv.Alias == nil {
			rv.Alias = &pg.Alias{Aliasname: old}
		}
		rv.Schemaname, rv.Relname = to.Schemaname, to.Relname
	})
	if err != nil {
		return err
	}
	v.Query, err = stmtText(q.Tree)
	return err
}
