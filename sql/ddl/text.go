package ddl

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/types"
)

func itoa(n int) string { return strconv.Itoa(n) }

// exprText prints an expression of the tree as SQL.
func exprText(n *pg.Node) (string, error) {
	sel := &pg.SelectStmt{TargetList: []*pg.Node{{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: n}}}}}
	out, err := stmtText(&pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: sel}})
	return strings.TrimPrefix(out, "SELECT "), err
}

// stmtText prints a statement of the tree as SQL.
func stmtText(n *pg.Node) (string, error) { return parser.Deparse(n) }

// parseExpr is the inverse of exprText.
func parseExpr(text string) (*pg.Node, string, error) {
	query := "SELECT " + text
	stmts, err := parser.Parse(query)
	if err != nil {
		return nil, "", err
	}
	items := stmts[0].Tree.GetSelectStmt().GetTargetList()
	return items[0].GetResTarget().GetVal(), query, nil
}

// defaultText is exprText for a default: string constants get their type, as
// Postgres shows them.
func defaultText(n *pg.Node, t types.T) (string, error) {
	text, err := exprText(n)
	if c := n.GetAConst(); err == nil && c != nil && c.GetSval() != nil {
		text += "::" + t.Base().String()
	}
	return text, err
}

// quoteIdent quotes a name where Postgres would have to.
func quoteIdent(name string) string {
	plain := name != ""
	for i, r := range name {
		ok := r == '_' || r >= 'a' && r <= 'z' || i > 0 && (r >= '0' && r <= '9' || r == '$')
		plain = plain && ok
	}
	if plain {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}
