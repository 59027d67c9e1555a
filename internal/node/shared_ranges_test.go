package node

import "testing"

// Tables that share a range are written by one-phase commits, tables with
// ranges of their own are not.
func TestATransactionOverTablesOfOneRangeCommitsInOnePhase(t *testing.T) {
	c := startCluster(t, 1)
	s := c.client(0)
	ranges := func() int { return len(c.nodes[0].Core().Store.RangeInfos()) }
	onePhase := func() int64 { return c.nodes[0].Core().DB.Metrics().OnePhase.Load() }
	for _, shared := range []string{"off", "on"} {
		before := ranges()
		s.exec("SET cairn.shared_ranges = " + shared)
		for _, table := range []string{"a_", "b_"} {
			s.exec("CREATE TABLE " + table + shared + " (id int PRIMARY KEY)")
		}
		wantRanges, wantOnePhase := before+2, int64(0)
		if shared == "on" {
			wantRanges, wantOnePhase = before, 1
		}
		if got := ranges(); got != wantRanges {
			t.Errorf("shared_ranges = %s: %d ranges, want %d", shared, got, wantRanges)
		}
		was := onePhase()
		s.exec("BEGIN")
		s.exec("INSERT INTO a_" + shared + " VALUES (1)")
		s.exec("INSERT INTO b_" + shared + " VALUES (1)")
		s.exec("COMMIT")
		if got := onePhase() - was; got != wantOnePhase {
			t.Errorf("shared_ranges = %s: %d one-phase commits, want %d", shared, got, wantOnePhase)
		}
	}
	// Versions stay as long as the longest of a range's tables says; so a table
	// with a time of its own does not share, neither with the one before nor with
	// the one behind.
	before := ranges()
	s.exec("CREATE TABLE timed (id int PRIMARY KEY) WITH (gc_ttl = '2 h')")
	if got := ranges() - before; got != 2 {
		t.Errorf("a table with a gc_ttl made %d ranges, want 2", got)
	}
	s.exec("CREATE TABLE later (id int PRIMARY KEY)")
	s.exec("ALTER TABLE later SET (gc_ttl = '3 h')")
	if got := ranges() - before; got != 4 {
		t.Errorf("two tables with a gc_ttl made %d ranges, want 4", got)
	}
	s.exec("DROP TABLE a_on")
	s.exec("SELECT id FROM b_on WHERE id = 1")
	s.fails("22023", "SET cairn.shared_ranges = maybe")
}
