package acceptance

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/cairndb/cairn/acceptance/cluster"
)

var (
	long   = flag.Bool("long", false, "runs as long as the project's promises are worded: pgbench at scale 10, sixty seconds")
	cairn  = flag.String("cairn", "", "test this binary instead of building one")
	target = flag.String("target", "", "run the client tests against the server at this URL, say a Postgres, to prove the tests themselves")
	update = flag.Bool("update", false, "take the screens of testdata/psql from the server at -target")
	race   = flag.Bool("race-binary", false, "build the servers with the race detector")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

// run builds the binary once for all tests.
func run(m *testing.M) int {
	if *cairn != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "cairn-build-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	var flags []string
	if *race {
		flags = append(flags, "-race")
	}
	if *cairn, err = cluster.Build(dir, flags...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
