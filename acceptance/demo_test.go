package acceptance

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
)

// TestTheDemoPrintsAPsqlLineThatWorks types the line as it is printed.
func TestTheDemoPrintsAPsqlLineThatWorks(t *testing.T) {
	c := cluster.New(t, *cairn, 0)
	tmp := t.TempDir()
	demo := c.Tool([]string{"TMPDIR=" + tmp}, "demo")
	line := demo.WaitLine(30*time.Second, regexp.MustCompile(`^\s+(psql .*)$`))
	words := strings.Fields(line)
	r := c.Run("CREATE TABLE t (k int PRIMARY KEY); INSERT INTO t VALUES (1), (2); SELECT sum(k) FROM t;",
		words[0], append([]string{"-X", "-A", "-t"}, words[1:]...)...)
	if r.Code != 0 || !strings.HasSuffix(r.Stdout, "INSERT 0 2\n3\n") {
		t.Errorf("%s: %s%s", line, r.Stdout, r.Stderr)
	}
	if code := demo.Interrupt(20 * time.Second); code != 0 {
		t.Errorf("Ctrl-C: status %d", code)
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestTheDemoGetsHurtAndIsJudged: with --chaos the demo kills and stops its nodes,
// says so, and ends with a verdict and nothing left behind.
func TestTheDemoGetsHurtAndIsJudged(t *testing.T) {
	c := cluster.New(t, *cairn, 0)
	tmp := t.TempDir()
	demo := c.Tool([]string{"TMPDIR=" + tmp}, "demo", "--chaos", "--nemesis", "kill+slow-links", "--for", "3s", "--workload", "bank,register")
	demo.WaitLine(30*time.Second, regexp.MustCompile(`^\s+(psql .*)$`))
	demo.WaitLine(30*time.Second, regexp.MustCompile(`kill: (n\d killed)$`))
	demo.WaitLine(time.Minute, regexp.MustCompile(`kill: healed after .*; (felt: 1 processes ended by SIGKILL); clients: `))
	demo.WaitLine(2*time.Minute, regexp.MustCompile(`^(ok): \d+ wounds in `))
	if code := demo.Wait(20 * time.Second); code != 0 {
		t.Errorf("status %d", code)
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestTheReadmesCommandsExist keeps the first two commands of the README
// true: one brings up a cluster for psql, one runs the tests.
func TestTheReadmesCommandsExist(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^\s*(?:\$ )?make (\w+)`).FindAllStringSubmatch(string(text), 2)
	if len(commands) < 2 || commands[0][1] != "demo" || commands[1][1] != "test" {
		t.Fatalf("the first two make commands are %v", commands)
	}
	for _, m := range commands {
		if !regexp.MustCompile(`(?m)^` + m[1] + `:`).Match(makefile) {
			t.Errorf("the Makefile has no %s", m[1])
		}
	}
}
