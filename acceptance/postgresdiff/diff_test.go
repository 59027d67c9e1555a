package postgresdiff

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cairndb/cairn/acceptance/cluster"
)

var (
	cairnURL    = flag.String("cairn", "", "URL of a running Cairn; without it one is built and started")
	postgresURL = flag.String("postgres", "", "URL of a running PostgreSQL 15; without it one is started")
)

// TestCairnAnswersAsPostgresDoes runs every script in testdata, and carries dumps
// between the two.
func TestCairnAnswersAsPostgresDoes(t *testing.T) {
	bin, ok := postgresBin()
	if !ok && *postgresURL == "" {
		t.Skip("no PostgreSQL 15 here to compare with")
	}
	files, err := filepath.Glob("testdata/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	if *postgresURL == "" {
		*postgresURL = startPostgres(t, bin)
	}
	binary, err := cluster.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if *cairnURL == "" {
		*cairnURL = cluster.Start(t, binary, 1).Nodes[0].URL()
	}
	compared := 0
	for _, file := range files {
		seen, protocols := map[place]bool{}, 0
		for _, simple := range []bool{true, false} {
			name := strings.TrimSuffix(filepath.Base(file), ".sql")
			protocol := map[bool]string{true: "simple", false: "extended"}[simple]
			t.Run(name+"/"+protocol, func(t *testing.T) {
				protocols++
				compared += compareScript(t, file, simple, seen)
			})
		}
		if protocols == 2 { // not of what -run left out
			noLonger(t, file, seen)
		}
	}
	t.Logf("%d statements compared", compared)
	t.Run("pg_dump", testDumps)
	t.Run("tpch", func(t *testing.T) { testTPCH(t, binary) })
}

// everything stands for all fields of a statement that one server refuses.
const everything = "everything"

// place is where the servers differed.
type place struct {
	line  int
	field string
}

func compareScript(t *testing.T, file string, simple bool, seen map[place]bool) int {
	script, err := parseScript(file)
	if err != nil {
		t.Fatal(err)
	}
	db := fmt.Sprintf("d%s%v", strings.NewReplacer("-", "_", ".", "_").Replace(filepath.Base(file)), simple)
	var clients [2]*client
	for i, url := range []string{*cairnURL, *postgresURL} {
		clients[i] = &client{url: database(t, url, db), simple: simple, conns: map[string]*pgconn.PgConn{}}
		defer clients[i].close()
	}
	n := 0
	for i := range script {
		s := &script[i]
		if s.simpleOnly && !simple || s.hasParams && simple {
			continue
		}
		n++
		var answers [2]answer
		for i, c := range clients {
			if answers[i], err = c.run(t.Context(), s); err != nil {
				t.Fatalf("line %d: %v", s.line, err)
			}
		}
		for _, f := range fields {
			cairn, postgres := answers[0][f], answers[1][f]
			if cairn == postgres {
				continue
			}
			seen[place{s.line, f}] = true
			seen[place{s.line, everything}] = true
			if !slices.Contains(s.differs, f) && !slices.Contains(s.differs, everything) {
				t.Errorf("%s:%d: %s\n  %s\n    cairn:    %s\n    postgres: %s", file, s.line, s.text, f, indent(cairn), indent(postgres))
			}
		}
	}
	return n
}

// noLonger fails for allowed differences that neither protocol showed (I2).
func noLonger(t *testing.T, file string, seen map[place]bool) {
	script, err := parseScript(file)
	if err != nil {
		return
	}
	for _, s := range script {
		for _, f := range s.differs {
			if !seen[place{s.line, f}] {
				t.Errorf("%s:%d: %s: %s does not differ any more; say so in the script", file, s.line, s.text, f)
			}
		}
	}
}

func indent(s string) string {
	return strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n              ")
}
