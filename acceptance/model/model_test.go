package model

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// verify runs spin's exhaustive search over a model with some defines and
// returns what it printed.
func verify(t *testing.T, file string, defines ...string) string {
	t.Helper()
	if _, err := exec.LookPath("spin"); err != nil {
		t.Fatal("spin is not installed; make deps installs it")
	}
	dir := t.TempDir()
	src, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	args := []string{"-a"}
	for _, d := range defines {
		args = append(args, "-D"+d)
	}
	run("spin", append(args, src)...)
	run("gcc", "-O2", "-w", "-DSAFETY", "-o", "pan", "pan.c")
	out := run(filepath.Join(dir, "pan"), "-m1000000")
	for _, cut := range []string{"max search depth too small", "Search not completed", "out of memory"} {
		if strings.Contains(out, cut) && !strings.Contains(out, "errors: 1") {
			t.Fatalf("the search was cut off:\n%s", out)
		}
	}
	return out
}

// TestModels checks every model of the folder exhaustively, and that each
// fault it can inject is found: a model that cannot fail proves nothing.
func TestModels(t *testing.T) {
	models, err := filepath.Glob("*.pml")
	if err != nil || len(models) == 0 {
		t.Fatalf("no models: %v", err)
	}
	for _, m := range models {
		t.Run(strings.TrimSuffix(m, ".pml"), func(t *testing.T) {
			t.Parallel()
			if out := verify(t, m); !strings.Contains(out, "errors: 0") {
				t.Errorf("the model does not hold:\n%s", out)
			}
			for _, fault := range faults(t, m) {
				if out := verify(t, m, fault); !strings.Contains(out, "errors: 1") {
					t.Errorf("the injected fault %s is not found:\n%s", fault, out)
				}
			}
		})
	}
}

// faults returns the defines named in the model's `#ifdef BUG_…` lines.
func faults(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var out []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 2 && (f[0] == "#ifdef" || f[0] == "#ifndef") && strings.HasPrefix(f[1], "BUG_") && !seen[f[1]] {
			seen[f[1]] = true
			out = append(out, f[1])
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no fault to inject", file)
	}
	return out
}
