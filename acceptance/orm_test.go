package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Mappers, migration tools and drivers of Go, unmodified, make their schemas, migrate them up and
// down, read and write, and find what they have made: see package orm, a module of its own.
func TestToolsOfGoWorkUnmodified(t *testing.T) {
	c := start(t, 1)
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count", "1", ".")
	cmd.Dir, cmd.Env = "orm", append(os.Environ(), "CAIRN_URL="+c.Nodes[0].URL())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Those of node do the same. At length only: npm fetches them.
func TestToolsOfNodeWorkUnmodified(t *testing.T) {
	if !*long {
		t.Skip("-args -long fetches the tools of node with npm and runs them")
	}
	for _, tool := range []string{"npm", "node"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed; the tools of node need it", tool)
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("orm", "node"))); err != nil {
		t.Fatal(err)
	}
	run := func(env []string, name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	run(nil, "npm", "install", "--no-package-lock", "--no-audit", "--no-fund")
	c := start(t, 1)
	run([]string{"CAIRN_URL=" + c.Nodes[0].URL()}, "npm", "test")
}
