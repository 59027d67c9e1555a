package node

import (
	"testing"
	"time"

	"github.com/cairndb/cairn/kv/keys"
)

// Tables that share a range are written by one-phase commits, tables with
// ranges of their own are not.
func TestATransactionOverTablesOfOneRangeCommitsInOnePhase(t *testing.T) {
	c := startCluster(t, 1)
	s := c.client(0)
	ranges := func() int { return len(c.nodes[0].Core().Store.RangeInfos()) }
	want := func(n int, what string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ranges() != n && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		if got := ranges(); got != n {
			t.Errorf("%s: %d ranges, want %d", what, got, n)
		}
	}
	onePhase := func() int64 { return c.nodes[0].Core().DB.Metrics().OnePhase.Load() }
	for _, shared := range []string{"off", "on"} {
		before := ranges()
		if shared == "on" {
			s.exec("SET cairn.shared_ranges = on")
		}
		for _, table := range []string{"a_", "b_"} {
			s.exec("CREATE TABLE " + table + shared + " (id int PRIMARY KEY)")
		}
		wantRanges, wantOnePhase := before+2, int64(0)
		if shared == "on" {
			wantRanges, wantOnePhase = before, 1
		}
		want(wantRanges, "shared_ranges = "+shared)
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
	want(before+2, "a table with a gc_ttl")
	s.exec("CREATE TABLE later (id int PRIMARY KEY)")
	s.exec("ALTER TABLE later SET (gc_ttl = '3 h')")
	want(before+4, "two tables with a gc_ttl")
	s.exec("SET cairn.shared_ranges = off")
	s.exec("CREATE TEMP TABLE passing (id int)")
	s.exec("CREATE TABLE stays AS SELECT 1 AS n")
	want(before+5, "a temporary table, and one that is not")
	s.exec("DROP TABLE a_on")
	s.exec("SELECT id FROM b_on WHERE id = 1")
	s.fails("22023", "SET cairn.shared_ranges = maybe")
}

// Merges keep both ends of a table with a gc_ttl; not those of others, wherever they
// began.
func TestWhichBoundariesStay(t *testing.T) {
	c := startCluster(t, 1)
	s := c.client(0)
	for _, q := range []string{
		"CREATE TABLE own (id int PRIMARY KEY)", "CREATE TABLE gone (id int PRIMARY KEY) WITH (gc_ttl = '2 h')", "CREATE TABLE after (id int PRIMARY KEY)",
		"SET cairn.shared_ranges = on", "CREATE TABLE shares (id int PRIMARY KEY)",
		"CREATE TABLE timed (id int PRIMARY KEY) WITH (gc_ttl = '2 h')",
	} {
		s.exec(q)
	}
	oid := map[string]uint32{}
	for _, name := range []string{"own", "gone", "shares", "timed"} {
		var id uint32
		if err := s.conn.QueryRow(t.Context(), "SELECT $1::regclass::oid", name).Scan(&id); err != nil {
			t.Fatal(err)
		}
		oid[name] = id
	}
	s.exec("DROP TABLE gone")
	core := c.nodes[0].Core()
	for _, b := range []struct {
		what string
		id   uint32
		kept bool
	}{
		{"a table that began with a range of its own", oid["own"], false},
		{"a table that is gone", oid["gone"], false},
		{"a table that shares", oid["shares"], false},
		{"a table with a gc_ttl", oid["timed"], true},
		{"what is behind it", oid["timed"] + 1, true},
	} {
		if got := core.keepBoundary(t.Context(), keys.Table(b.id)); got != b.kept {
			t.Errorf("the start of %s is kept: %t", b.what, got)
		}
	}
	if core.keepBoundary(t.Context(), append(keys.Table(oid["timed"]), 1)) {
		t.Error("a boundary within a table is kept")
	}
}
