package postgresdiff

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// testDumps carries a schema with data by pg_dump: from Cairn to Cairn, where
// nothing may change, and from Cairn to PostgreSQL and back, where the rows may
// not. PostgreSQL writes expressions in its own way.
func testDumps(t *testing.T) {
	shop, err := os.ReadFile("testdata/dump/shop.sql")
	if err != nil {
		t.Fatal(err)
	}
	first := database(t, *cairnURL, "dump1")
	load(t, first, shop)
	dump := pgDump(t, first)

	second := database(t, *cairnURL, "dump2")
	load(t, second, dump)
	if again := pgDump(t, second); plainDump(again) != plainDump(dump) {
		t.Errorf("a restored database dumps as\n%s\nand the first as\n%s", again, dump)
	}

	third := database(t, *cairnURL, "dump3")
	pgRestore(t, third, pgDump(t, first, "--format=custom"))
	if again := pgDump(t, third); plainDump(again) != plainDump(dump) {
		t.Errorf("pg_restore made\n%s\nof\n%s", again, dump)
	}

	postgres := database(t, *postgresURL, "dump1")
	load(t, postgres, dump)
	back := database(t, *cairnURL, "dump4")
	load(t, back, pgDump(t, postgres))
	want := rowsOfDump(dump)
	if got := rowsOfDump(pgDump(t, back)); got != want || strings.Count(want, "\n") < 10 {
		t.Errorf("rows after a round trip through PostgreSQL:\n%s\nbefore:\n%s", got, want)
	}
}

// load runs a script with psql, which must not meet an error.
func load(t *testing.T, url string, script []byte) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url)
	cmd.Stdin = bytes.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
}

func pgDump(t *testing.T, url string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "pg_dump", append(args, "-d", url)...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("pg_dump: %v\n%s", err, &complaints)
	}
	return out
}

func pgRestore(t *testing.T, url string, archive []byte) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "pg_restore", "--exit-on-error", "-d", url)
	cmd.Stdin = bytes.NewReader(archive)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("pg_restore: %v\n%s", err, out)
	}
}

var restrictLine = regexp.MustCompile(`(?m)^\\(un)?restrict .*$`)

// plainDump leaves out what differs from one dump to the next.
func plainDump(dump []byte) string { return restrictLine.ReplaceAllString(string(dump), "") }

// rowsOfDump are the COPY blocks and the values of sequences.
func rowsOfDump(dump []byte) string {
	var out strings.Builder
	copying := false
	for line := range strings.Lines(string(dump)) {
		copying = copying || strings.HasPrefix(line, "COPY ")
		if copying || strings.HasPrefix(line, "SELECT pg_catalog.setval") {
			out.WriteString(line)
		}
		copying = copying && line != "\\.\n"
	}
	return out.String()
}
