package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cairndb/cairn/acceptance/cluster"
)

// TestTheCommandLine plays stories. A line that begins with "$ " is a command;
// the lines up to the next one are what the screen shows, standard output
// first, then "exit status N" if that is not 0. SQL1, RPC1, HTTP1 and so on
// stand for the addresses of the nodes, in any order of their numbers, and …
// for anything within a line. Lines after "< " are the command's input.
func TestTheCommandLine(t *testing.T) {
	files, err := filepath.Glob("testdata/cli/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	c := start(t, 3)
	replicated(t, c)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range strings.Split("\n"+string(text), "\n$ ")[1:] {
				playStep(t, c, step)
			}
		})
	}
}

// playStep runs one command of a story.
func playStep(t *testing.T, c *cluster.Cluster, step string) {
	t.Helper()
	command, want, _ := strings.Cut(step, "\n")
	input := ""
	for strings.HasPrefix(want, "< ") {
		line, rest, _ := strings.Cut(want[2:], "\n")
		input, want = input+line+"\n", rest
	}
	words := splitWords(addresses(c, command))
	if words[0] == "cairn" {
		words[0] = *cairn
	}
	r := c.Run(input, words[0], words[1:]...)
	got := r.Stdout + r.Stderr
	if r.Code != 0 {
		got += fmt.Sprintf("exit status %d\n", r.Code)
	}
	pattern := strings.ReplaceAll(regexp.QuoteMeta(addresses(c, strings.TrimSpace(want))), "…", ".*")
	if !regexp.MustCompile("^" + pattern + "$").MatchString(strings.TrimSpace(got)) {
		t.Errorf("$ %s\nshows\n%s\nand should show\n%s", command, got, want)
	}
}

// addresses puts the nodes' addresses into a text.
func addresses(c *cluster.Cluster, text string) string {
	for _, n := range c.Nodes {
		text = strings.NewReplacer("SQL"+n.ID, n.SQL, "RPC"+n.ID, n.RPC, "HTTP"+n.ID, n.HTTP).Replace(text)
	}
	return text
}

// splitWords splits a command as a shell does, with quotes but nothing else.
func splitWords(s string) (words []string) {
	for _, m := range regexp.MustCompile(`'([^']*)'|"([^"]*)"|(\S+)`).FindAllStringSubmatch(s, -1) {
		words = append(words, m[1]+m[2]+m[3])
	}
	return words
}
