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

// TestCairnAnswersAsPostgresDoes runs every script in testdata.
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
	if *cairnURL == "" {
		binary, err := cluster.Build(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		*cairnURL = cluster.Start(t, binary, 1).Nodes[0].URL()
	}
	compared := 0
	for _, file := range files {
		for _, simple := range []bool{true, false} {
			name := strings.TrimSuffix(filepath.Base(file), ".sql")
			protocol := map[bool]string{true: "simple", false: "extended"}[simple]
			t.Run(name+"/"+protocol, func(t *testing.T) {
				compared += compareScript(t, file, simple)
			})
		}
	}
	t.Logf("%d statements compared", compared)
}

func compareScript(t *testing.T, file string, simple bool) int {
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
		for _, p := range problems(s, answers[0], answers[1]) {
			t.Errorf("%s:%d: %s\n%s", file, s.line, s.text, p)
		}
	}
	return n
}

// problems lists the differences that are not allowed, and the allowed ones
// that are not there (I2).
func problems(s *stmt, cairn, postgres answer) []string {
	var out []string
	for _, f := range fields {
		same := cairn[f] == postgres[f]
		allowed := slices.Contains(s.differs, f)
		if !same && !allowed {
			out = append(out, fmt.Sprintf("  %s\n    cairn:    %s\n    postgres: %s", f, indent(cairn[f]), indent(postgres[f])))
		}
		if same && allowed {
			out = append(out, fmt.Sprintf("  %s does not differ any more: say so in the script", f))
		}
	}
	return out
}

func indent(s string) string {
	return strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n              ")
}
