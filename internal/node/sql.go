package node

import (
	"context"
	"fmt"
	"time"

	"github.com/cairndb/cairn/sql"
)

// settingsReadMax is how long a node that starts tries to read the cluster's
// settings.
const settingsReadMax = 30 * time.Second

// newSQLServer makes the SQL layer over a Core.
func newSQLServer(c *Core) (*sql.Server, error) {
	s := sql.NewServer(sql.Config{DB: c.DB, Catalog: c.Catalog, NodeID: c.Ident.NodeID, Logger: c.cfg.Log, Peers: peers{c}})
	c.SetSQL(s)
	ctx, cancel := context.WithTimeout(c.ctx, settingsReadMax)
	defer cancel()
	if err := s.RefreshSettings(ctx); err != nil {
		return nil, fmt.Errorf("read the cluster's settings: %w", err)
	}
	c.wg.Go(func() { s.RunSettings(c.ctx) })
	return s, nil
}
