package node

import (
	"github.com/cairndb/cairn/sql"
)

// newSQLServer makes the SQL layer over a Core.
func newSQLServer(c *Core) (*sql.Server, error) {
	s := sql.NewServer(sql.Config{DB: c.DB, Catalog: c.Catalog, NodeID: c.Ident.NodeID, Logger: c.cfg.Log, Peers: peers{c}})
	c.SetSQL(s)
	return s, nil
}
