package bind

import (
	"strings"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// Types, functions and columns of PostgreSQL that are not there are refused by name, with what to use instead.

const (
	useText      = "Use LIKE and regular expressions, or jsonb and arrays with a gin index."
	useColumns   = "Use columns of type float8 for coordinates."
	useJSON      = "Use text or jsonb."
	useBytea     = "Use a column of type bytea."
	usePrimary   = "Rows are known by their primary key."
	useOwnColumn = "Keep a version in a column of your own, or rely on serializable transactions."
)

// missingTypes are types of PostgreSQL that are not there.
var missingTypes = map[string]string{"tsvector": useText, "tsquery": useText, "xml": useJSON, "money": "Use numeric.",
	"point": useColumns, "line": useColumns, "lseg": useColumns, "box": useColumns, "path": useColumns, "polygon": useColumns,
	"circle": useColumns, "pg_snapshot": useOwnColumn, "txid_snapshot": useOwnColumn}

// missingFunctions are families of functions of PostgreSQL that are not there, by the beginnings of their names.
var missingFunctions = []struct{ prefix, hint string }{{"to_tsvector", useText}, {"to_tsquery", useText}, {"plainto_tsquery", useText},
	{"phraseto_tsquery", useText}, {"websearch_to_tsquery", useText}, {"ts_rank", useText}, {"ts_headline", useText}, {"ts_lexize", useText}, {"ts_debug", useText}, {"xml", useJSON}, {"xpath", useJSON},
	{"lo_", useBytea}, {"pg_current_wal_", "Writes are in the logs of ranges; cairn.ranges lists them."}}

// missingColumns are system columns that are not there.
var missingColumns = map[string]string{"ctid": usePrimary, "xmin": useOwnColumn, "xmax": useOwnColumn, "cmin": useOwnColumn, "cmax": useOwnColumn}

// missingFunction is the error for a function that PostgreSQL has, nil for other names.
func missingFunction(name string) *sqlerr.Error {
	for _, m := range missingFunctions {
		if strings.HasPrefix(name, m.prefix) {
			return sqlerr.Unsupported("function %s", name).WithHint("%s", m.hint)
		}
	}
	return nil
}
