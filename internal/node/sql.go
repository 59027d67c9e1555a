package node

import (
	"errors"

	"github.com/cairndb/cairn/sql"
)

// newSQLServer makes the SQL layer over a Core.
func newSQLServer(*Core) (*sql.Server, error) {
	return nil, errors.New("SQL is not wired yet")
}
