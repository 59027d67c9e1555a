package pgcatalog

import (
	"context"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/parser"
)

// viewText is a view's query as it must be written to mean the same under the
// session's search path and with the view's column names: as it was typed if
// that will do, else written anew from its tree.
func viewText(env *Env, v *schema.View) string {
	stmts, err := parser.Parse(v.Query)
	if err != nil || len(stmts) != 1 {
		return v.Query
	}
	tree := stmts[0].Tree
	qualified := qualifyTables(env, v, tree)
	qualified = qualifyFunctions(env, v.SearchPath, tree) || qualified
	if renamed := nameColumns(v, tree.GetSelectStmt()); !renamed && !qualified {
		return v.Query
	}
	text, err := parser.Deparse(tree)
	if err != nil {
		return v.Query
	}
	return text
}

// qualifyTables writes schemas before names that would find nothing, or
// something else, under the session's search path. A name that any WITH of the
// query gives is left alone.
func qualifyTables(env *Env, v *schema.View, tree *pg.Node) (changed bool) {
	ctes := map[string]bool{}
	var names []*pg.RangeVar
	parser.Walk(tree, func(m proto.Message) {
		switch n := m.(type) {
		case *pg.CommonTableExpr:
			ctes[n.Ctename] = true
		case *pg.RangeVar:
			names = append(names, n)
		}
	})
	here := Names{env}
	there := *env
	there.SearchPath = v.SearchPath
	for _, rv := range names {
		if rv.Schemaname != "" || ctes[rv.Relname] {
			continue
		}
		oid, ok := Names{&there}.find("", rv.Relname)
		if now, same := here.find("", rv.Relname); !ok || same && now == oid {
			continue
		}
		if rv.Schemaname, _, ok = here.relation(oid); ok {
			changed = true
		}
	}
	return changed
}

// nameColumns gives the query's columns the names of the view's. A query whose
// columns are not all written out keeps its own.
func nameColumns(v *schema.View, s *pg.SelectStmt) (changed bool) {
	for s != nil && s.Larg != nil {
		s = s.Larg
	}
	if s == nil || len(s.TargetList) != len(v.Columns) {
		return false
	}
	for i, n := range s.TargetList {
		t := n.GetResTarget()
		name := t.Name
		if name == "" {
			name = outputName(t.Val)
		}
		if name != "*" && name != v.Columns[i].Name {
			t.Name, changed = v.Columns[i].Name, true
		}
	}
	return changed
}

// outputName is the name that an expression's column gets by itself, for the
// commonest expressions. A wrong answer costs a needless AS.
func outputName(n *pg.Node) string {
	last := func(parts []*pg.Node) string {
		if len(parts) == 0 {
			return ""
		}
		if parts[len(parts)-1].GetAStar() != nil {
			return "*"
		}
		return parts[len(parts)-1].GetString_().GetSval()
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		return last(x.ColumnRef.Fields)
	case *pg.Node_FuncCall:
		return last(x.FuncCall.Funcname)
	case *pg.Node_TypeCast:
		if inner := outputName(x.TypeCast.Arg); inner != "?column?" {
			return inner
		}
		return last(x.TypeCast.TypeName.GetNames())
	case *pg.Node_CaseExpr:
		return "case"
	case *pg.Node_CoalesceExpr:
		return "coalesce"
	}
	return "?column?"
}

// matviewText is viewText of a materialized view.
func matviewText(env *Env, t *schema.Table) string {
	return viewText(env, &schema.View{Header: t.Header, Query: t.Matview.Query, SearchPath: t.Matview.SearchPath,
		Columns: t.VisibleColumns()})
}

func fillMatviews(_ context.Context, env *Env, w *writer) error {
	for _, t := range env.Contents.Tables(env.Database.ID) {
		if t.Matview == nil {
			continue
		}
		w.add(cells{"schemaname": namespaceOf(env, &t.Header), "matviewname": t.Name, "matviewowner": t.Owner,
			"hasindexes": len(namedIndexes(t)) > 0, "ispopulated": t.Matview.Populated, "definition": " " + matviewText(env, t) + ";"})
	}
	return nil
}
