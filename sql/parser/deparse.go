package parser

import (
	"sync"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// grammarVersion is what the printer wants to see that the parser wrote.
var grammarVersion = sync.OnceValue(func() int32 {
	res, err := pg.Parse("SELECT 1")
	if err != nil {
		panic(err)
	}
	return res.Version
})

// Deparse prints a statement's tree as SQL.
func Deparse(n *pg.Node) (string, error) {
	out, err := pg.Deparse(&pg.ParseResult{Version: grammarVersion(), Stmts: []*pg.RawStmt{{Stmt: n}}})
	if err != nil {
		return "", sqlerr.New(sqlerr.InternalError, "cannot print a statement: %v", err)
	}
	return out, nil
}
