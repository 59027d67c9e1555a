package bind

import pg "github.com/pganalyze/pg_query_go/v6"

func figureName(n *pg.Node) string {
	if n == nil {
		return ""
	}
	switch x := n.Node.(type) {
	case *pg.Node_ColumnRef:
		if l := stringList(x.ColumnRef.Fields); len(l) > 0 {
			return l[len(l)-1]
		}
	case *pg.Node_AIndirection:
		if l := stringList(x.AIndirection.Indirection); len(l) > 0 {
			return l[len(l)-1]
		}
		return figureName(x.AIndirection.Arg)
	case *pg.Node_FuncCall:
		l := stringList(x.FuncCall.Funcname)
		return l[len(l)-1]
	case *pg.Node_AExpr:
		if x.AExpr.Kind == pg.A_Expr_Kind_AEXPR_NULLIF {
			return "nullif"
		}
	case *pg.Node_TypeCast:
		if s := figureName(x.TypeCast.Arg); s != "" && !weakName(x.TypeCast.Arg) {
			return s
		}
		l := stringList(x.TypeCast.TypeName.Names)
		return l[len(l)-1]
	case *pg.Node_CollateClause:
		return figureName(x.CollateClause.Arg)
	case *pg.Node_SubLink:
		return subLinkName(x.SubLink)
	case *pg.Node_CaseExpr:
		if s := figureName(x.CaseExpr.Defresult); s != "" && !weakName(x.CaseExpr.Defresult) {
			return s
		}
		return "case"
	case *pg.Node_AArrayExpr:
		return "array"
	case *pg.Node_RowExpr:
		return "row"
	case *pg.Node_CoalesceExpr:
		return "coalesce"
	case *pg.Node_MinMaxExpr:
		if x.MinMaxExpr.Op == pg.MinMaxOp_IS_LEAST {
			return "least"
		}
		return "greatest"
	case *pg.Node_SqlvalueFunction:
		return sqlValueNames[x.SqlvalueFunction.Op]
	case *pg.Node_GroupingFunc:
		return "grouping"
	}
	return ""
}

// weakName says that a name comes from a cast or a CASE, and yields to one from around it.
func weakName(n *pg.Node) bool {
	switch x := n.Node.(type) {
	case *pg.Node_TypeCast:
		return weakName(x.TypeCast.Arg) || figureName(x.TypeCast.Arg) == ""
	case *pg.Node_CaseExpr:
		d := x.CaseExpr.Defresult
		return d == nil || weakName(d) || figureName(d) == ""
	case *pg.Node_CollateClause:
		return weakName(x.CollateClause.Arg)
	case *pg.Node_AIndirection:
		return len(stringList(x.AIndirection.Indirection)) == 0 && weakName(x.AIndirection.Arg)
	}
	return false
}

var sqlValueNames = map[pg.SQLValueFunctionOp]string{
	pg.SQLValueFunctionOp_SVFOP_CURRENT_DATE: "current_date", pg.SQLValueFunctionOp_SVFOP_CURRENT_TIME: "current_time",
	pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP: "current_timestamp", pg.SQLValueFunctionOp_SVFOP_LOCALTIME: "localtime",
	pg.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP: "localtimestamp", pg.SQLValueFunctionOp_SVFOP_CURRENT_ROLE: "current_role",
	pg.SQLValueFunctionOp_SVFOP_CURRENT_USER: "current_user", pg.SQLValueFunctionOp_SVFOP_USER: "user",
	pg.SQLValueFunctionOp_SVFOP_SESSION_USER: "session_user", pg.SQLValueFunctionOp_SVFOP_CURRENT_CATALOG: "current_catalog",
	pg.SQLValueFunctionOp_SVFOP_CURRENT_SCHEMA: "current_schema", pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP_N: "current_timestamp",
	pg.SQLValueFunctionOp_SVFOP_CURRENT_TIME_N: "current_time", pg.SQLValueFunctionOp_SVFOP_LOCALTIME_N: "localtime",
	pg.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP_N: "localtimestamp",
}

func subLinkName(s *pg.SubLink) string {
	switch s.SubLinkType {
	case pg.SubLinkType_EXISTS_SUBLINK:
		return "exists"
	case pg.SubLinkType_ARRAY_SUBLINK:
		return "array"
	case pg.SubLinkType_EXPR_SUBLINK:
		if l := s.Subselect.GetSelectStmt().TargetList; len(l) > 0 {
			if r := l[0].GetResTarget(); r.Name != "" {
				return r.Name
			}
			return figureName(l[0].GetResTarget().Val)
		}
	}
	return ""
}
