package nemesis

import (
	"github.com/cairndb/cairn/acceptance/cluster"
)

// TroubleEnv is the environment in which a node of a test build reads its
// trouble file.
func TroubleEnv(n *cluster.Node) string { return "CAIRN_TROUBLE=" + troublePath(n) }

func troublePath(n *cluster.Node) string { return n.Store + ".trouble" }

// troubles need a test build of the binary.
func troubles() []Nemesis { return nil }
