package sqllogic

import (
	"flag"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
)

var (
	corpus      = flag.String("corpus", "testdata", "the folder whose *.test and *.slt files are run")
	every       = flag.Int("every", 1, "run one file in so many")
	queries     = flag.Int("queries", 0, "run about so many queries of each file, 0 for all; statements always run")
	match       = flag.String("match", "", "run the files whose names have this in them")
	extended    = flag.Bool("extended", false, "use the extended protocol")
	cairnURL    = flag.String("cairn", "", "URL of a running Cairn; without it one is built and started")
	postgresURL = flag.String("postgres", "", "URL of a running PostgreSQL to compare with")
	shown       = flag.Int("shown", 3, "how many failures of a file are shown")
	limit       = flag.Duration("limit", 0, "how long a file may take; the rest of it is left out")
)

// tally counts records.
type tally struct {
	records, passed, other, both int
	took, otherTook              time.Duration
}

// TestScripts runs the folder's scripts. It fails for what PostgreSQL passes and Cairn does
// not, and without a PostgreSQL for all that does not pass.
func TestScripts(t *testing.T) {
	files := scripts(t)
	if *cairnURL == "" {
		binary, err := cluster.Build(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		*cairnURL = cluster.Start(t, binary, 1).Nodes[0].URL()
	}
	var total tally
	for _, f := range files {
		t.Run(strings.TrimPrefix(f, *corpus+"/"), func(t *testing.T) { runScript(t, f, &total) })
	}
	t.Logf("%d files, %d records: Cairn passes %d in %v, PostgreSQL %d in %v; %d more are answered alike",
		len(files), total.records, total.passed, total.took.Round(time.Millisecond), total.other, total.otherTook.Round(time.Millisecond), total.both)
}

func scripts(t *testing.T) []string {
	var out []string
	n := 0
	err := filepath.WalkDir(*corpus, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (strings.HasSuffix(path, ".test") || strings.HasSuffix(path, ".slt")) && strings.Contains(path, *match) {
			if n%*every == 0 {
				out = append(out, path)
			}
			n++
		}
		return err
	})
	if err != nil || len(out) == 0 {
		t.Fatal("no scripts", err)
	}
	return out
}

func runScript(t *testing.T, file string, total *tally) {
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	records, err := parse(in)
	if err != nil {
		t.Fatal(err)
	}
	cairn, err := connect(t.Context(), *cairnURL, *extended)
	if err != nil {
		t.Fatal(err)
	}
	defer cairn.conn.Close(t.Context())
	var postgres *server
	if *postgresURL != "" {
		if postgres, err = connect(t.Context(), *postgresURL, *extended); err != nil {
			t.Fatal(err)
		}
		defer postgres.conn.Close(t.Context())
	}
	left := sampled(records)
	failures, start := 0, time.Now()
	var slowest time.Duration
	var slowestAt int
	for i := range records {
		r := &records[i]
		if *limit > 0 && time.Since(start) > *limit {
			break
		}
		if r.query && !left[i] {
			continue
		}
		total.records++
		before := cairn.took
		got := cairn.run(t.Context(), r)
		if d := cairn.took - before; d > slowest {
			slowest, slowestAt = d, r.line
		}
		if got.wrong == "" {
			total.passed++
		}
		if postgres != nil {
			theirs := postgres.run(t.Context(), r)
			if theirs.wrong == "" {
				total.other++
			} else if theirs.answer == got.answer {
				if got.wrong != "" {
					total.both++
				}
				continue
			}
		}
		if got.wrong == "" {
			continue
		}
		if failures++; failures <= *shown {
			t.Errorf("%s:%d: %s\n  %s", file, r.line, strings.TrimSpace(r.sql), got.wrong)
		}
		if cairn.conn.IsClosed() {
			t.Fatal("the connection is gone")
		}
	}
	if failures > *shown {
		t.Errorf("%s: %d failures in all", file, failures)
	}
	theirs := ""
	if postgres != nil {
		theirs = fmt.Sprintf(", PostgreSQL %v", postgres.took.Round(time.Millisecond))
		total.otherTook += postgres.took
	}
	total.took += cairn.took
	t.Logf("%s: Cairn %v, slowest %v at line %d%s", file, cairn.took.Round(time.Millisecond), slowest.Round(time.Millisecond), slowestAt, theirs)
}

// sampled says which queries are run.
func sampled(records []record) map[int]bool {
	n := 0
	for i := range records {
		if records[i].query {
			n++
		}
	}
	out := map[int]bool{}
	for i := range records {
		h := fnv.New32a()
		fmt.Fprint(h, records[i].sql)
		out[i] = *queries == 0 || n <= *queries || int(h.Sum32()%uint32(n)) < *queries
	}
	return out
}
