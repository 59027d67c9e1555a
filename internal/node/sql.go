package node

import (
	"github.com/cairndb/cairn/sql"
)

// newSQLServer makes the SQL layer over a Core.
func newSQLServer(*Core) (*sql.Server, error) {
	return &sql.Server{}, nil
}
