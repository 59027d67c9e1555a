package builtins

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const page = "../../docs/functions.md"

// TestFunctionsPage holds docs/functions.md to the registry; REWRITE=1 writes it anew.
func TestFunctionsPage(t *testing.T) {
	want := functionsPage()
	if os.Getenv("REWRITE") != "" {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/functions.md is not what the registry says; run this test with REWRITE=1")
	}
}

func functionsPage() string {
	var b strings.Builder
	b.WriteString("# Functions and operators\n\nWritten by `REWRITE=1 go test ./sql/builtins -run TestFunctionsPage`; the source is the registry in `sql/builtins`.\n" +
		"They follow the manual of PostgreSQL 15, chapter 9; what is missing there is in [postgres-differences.md](postgres-differences.md).\n")
	for _, part := range []struct {
		title string
		in    func(o *Overload) bool
	}{
		{"Functions", func(o *Overload) bool { return !o.Op && o.Class == Scalar }},
		{"Functions that return sets", func(o *Overload) bool { return o.Class == SetReturning }},
		{"Aggregates", func(o *Overload) bool { return o.Class == Aggregate }},
		{"Operators", func(o *Overload) bool { return o.Op }},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| | gives | |\n|---|---|---|\n", part.title)
		seen := map[string]bool{}
		for _, o := range All() {
			line := fmt.Sprintf("| `%s` | %s | %s |\n", usage(o), o.Ret, strings.ReplaceAll(o.Doc, "|", "\\|"))
			if part.in(o) && !seen[line] {
				seen[line] = true
				b.WriteString(line)
			}
		}
	}
	return b.String()
}

// usage shows how an overload is called.
func usage(o *Overload) string {
	if o.Op {
		op := strings.ReplaceAll(o.Name, "|", "\\|")
		if len(o.Args) == 1 {
			return op + " " + o.Args[0].String()
		}
		return o.Args[0].String() + " " + op + " " + o.Args[1].String()
	}
	args := make([]string, len(o.Args))
	for i, a := range o.Args {
		args[i] = a.String()
		if o.Variadic && i == len(o.Args)-1 {
			args[i] += ", …"
		}
	}
	n := len(args) - o.Defaults
	list := strings.Join(args[:n], ", ")
	for _, a := range args[n:] {
		if list != "" {
			a = ", " + a
		}
		list += " [" + a + "]"
	}
	if o.Ordered {
		last := args[len(args)-1]
		return fmt.Sprintf("%s(%s) WITHIN GROUP (ORDER BY %s)", o.Name, strings.Join(args[:len(args)-1], ", "), last)
	}
	if o.Class == Aggregate && len(args) == 0 {
		list = "*"
	}
	return o.Name + "(" + list + ")"
}
