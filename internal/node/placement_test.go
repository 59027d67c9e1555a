package node

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// A table has as many replicas as it asks for, and where it asks for them, by itself and
// from its creation on or later; others stay as they are. A node without which that
// cannot be is not let go.
func TestATableSaysWhereItsReplicasAre(t *testing.T) {
	c := startClusterIn(t, []string{"region=eu,zone=a", "region=us,zone=a", "region=eu,zone=b", "region=us,zone=b", "region=eu,zone=c"})
	s := c.client(0)
	in := func(table string) (nodes []kvapi.NodeID, err error) {
		span := s.tableSpan(table)
		descs, err := c.nodes[0].Core().rangeDescriptors(t.Context())
		for _, d := range descs {
			if d.Span().Contains(span.Key) {
				for _, r := range d.Replicas {
					if r.Type != kvapi.Voter {
						return nil, fmt.Errorf("%s is no voter", r.NodeID)
					}
					nodes = append(nodes, r.NodeID)
				}
			}
		}
		return nodes, err
	}
	eventually := func(what string, holds func() error) {
		t.Helper()
		var err error
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if err = holds(); err == nil {
				return
			}
			for _, n := range c.nodes {
				n.Core().Store.ReplicateOnce(t.Context())
			}
		}
		t.Fatalf("%s: %v", what, err)
	}
	has := func(table string, want int, region string) {
		t.Helper()
		eventually(fmt.Sprintf("%d replicas of %s in %q", want, table, region), func() error {
			nodes, err := in(table)
			if err != nil || len(nodes) != want {
				return fmt.Errorf("%v, %v", nodes, err)
			}
			for _, n := range c.nodes {
				if d := n.Core().describe(); slices.Contains(nodes, n.Core().Ident.NodeID) && region != "" && d.Locality[len("region="):len("region=")+2] != region {
					return fmt.Errorf("one is in %s", d.Locality)
				}
			}
			return nil
		})
	}
	s.exec("CREATE TABLE wide (id int PRIMARY KEY) WITH (replicas = 5)")
	s.exec("CREATE TABLE near (id int PRIMARY KEY) WITH (locality = 'region=eu')")
	s.exec("CREATE TABLE other (id int PRIMARY KEY)")
	s.exec("INSERT INTO wide VALUES (1)")
	s.exec("INSERT INTO near VALUES (1)")
	has("wide", 5, "")
	has("near", 3, "eu")
	has("other", 3, "")

	s.exec("ALTER TABLE wide SET (replicas = 3, locality = 'region=eu')")
	has("wide", 3, "eu")
	d, err := c.nodes[0].Core().departure(t.Context(), c.nodes[2].Core().Ident.NodeID)
	if err != nil || len(d.blockers) == 0 {
		t.Errorf("a node of three that have to be in one region may go: %v, %v", d, err)
	}
	for why := range d.blockers {
		if want := "needs a fourth node in region=eu"; why[len(why)-len(want):] != want {
			t.Errorf("blocked because %s", why)
		}
	}
	s.exec("ALTER TABLE wide RESET (locality)")
	s.exec("ALTER TABLE wide SET (replicas = 5)")
	has("wide", 5, "")
	if got := s.rowText("SELECT count(*) FROM wide"); got != "1" {
		t.Errorf("%s rows", got)
	}

	// What a database asks for counts for tables that do not ask themselves.
	s.exec("ALTER TABLE wide SET (locality = 'zone=b')")
	s.exec("ALTER TABLE wide SET (replicas = 3)")
	s.exec("ALTER DATABASE defaultdb WITH locality = 'region=eu'")
	s.exec("CREATE TABLE late (id int PRIMARY KEY)")
	has("other", 3, "eu")
	has("late", 3, "eu")
}
