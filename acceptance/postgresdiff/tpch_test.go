package postgresdiff

import (
	"os/exec"
	"testing"
)

// testTPCH loads the same TPC-H data into both servers and compares the answers to all 22 queries.
func testTPCH(t *testing.T, binary string) {
	const scale = "0.002"
	cairn, postgres := database(t, *cairnURL, "tpch"), database(t, *postgresURL, "tpch")
	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), binary, append([]string{"workload", "tpch"}, args...)...)
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Fatal(err)
		}
	}
	run("load", "--scale", scale, "--url", postgres)
	run("load", "--scale", scale, "--url", cairn)
	run("run", "--scale", scale, "--url", cairn, "--against", postgres)
}
