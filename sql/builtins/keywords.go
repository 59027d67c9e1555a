package builtins

import (
	_ "embed"
	"strings"
	"sync"

	"github.com/cairndb/cairn/sql/types"
)

// keywords.txt has PostgreSQL's keywords, each with its category and whether it may be a label
// without AS.
//
//go:embed keywords.txt
var keywordsText string

var keywordKinds = map[string]string{"U": "unreserved", "C": "unreserved (cannot be function or type name)",
	"T": "reserved (can be function or type name)", "R": "reserved"}

var keywordRows = sync.OnceValue(func() (rows []types.Row) {
	for line := range strings.Lines(keywordsText) {
		f := strings.Fields(line)
		bare, label := f[2] == "t", "requires AS"
		if bare {
			label = "can be bare label"
		}
		rows = append(rows, types.Row{types.NewText(f[0]), types.NewText(f[1]), types.NewBool(bare),
			types.NewText(keywordKinds[f[1]]), types.NewText(label)})
	}
	return rows
})

// keywordFuncs is pg_get_keywords.
func keywordFuncs() []Overload {
	o := srf("pg_get_keywords", nil, types.Record, "the keywords of the grammar", func(ectx, []datum) (Rows, error) {
		return rowsOf(keywordRows()), nil
	}).stable()
	o.Cols = func([]types.T) []Column {
		return []Column{{"word", types.Text}, {"catcode", types.T{OID: types.OIDChar, Mod: -1}}, {"barelabel", types.Bool},
			{"catdesc", types.Text}, {"baredesc", types.Text}}
	}
	return []Overload{o}
}
