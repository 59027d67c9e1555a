package acceptance

import (
	"os"
	"os/exec"
	"testing"
)

// gorm, unmodified, makes the tables of its models, writes and reads them in its ways, and
// finds and alters them in a later version: see package orm, a module of its own.
func TestAnORMWorksUnmodified(t *testing.T) {
	c := start(t, 1)
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count", "1", ".")
	cmd.Dir, cmd.Env = "orm", append(os.Environ(), "CAIRN_URL="+c.Nodes[0].URL())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
