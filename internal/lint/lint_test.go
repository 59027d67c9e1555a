package lint

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cairndb/cairn/"

// layers lists the packages from the bottom up: a package may import what
// stands in an earlier line, and in its own line only itself and below itself.
// A longer prefix beats a shorter one. This is the picture of
// docs/ARCHITECTURE.md, as a test.
var layers = [][]string{
	{"internal/wire", "internal/assert", "internal/workers"},
	{"internal/version"},
	{"hlc"},
	// The words that every layer above the clock speaks: identifiers, keys,
	// requests.
	{"kv/kvapi"},
	{"kv/keys", "kv/spanset"},
	{"internal/rpc"},
	{"kv", "gossip"},
	{"rangecache"},
	{"txn"},
	{"schema"},
	{"sql"},
	{"pgwire"},
	{"internal/console", "internal/certs"},
	{"internal/node"},
	{"internal/workload", "internal/tpch", "internal/mysqldump"},
	{"internal/simulation"},
	{"cmd"},
}

// free packages are tools and tests; they are checked by their own rule.
var free = []string{"internal/wiregen", "internal/lint", "acceptance", "internal/testkit"}

func layerOf(pkg string) (int, string) {
	best, layer := "", -1
	for i, l := range layers {
		for _, p := range l {
			if (pkg == p || strings.HasPrefix(pkg, p+"/")) && len(p) > len(best) {
				best, layer = p, i
			}
		}
	}
	return layer, best
}

type file struct {
	path, pkg string
	ast       *ast.File
	fset      *token.FileSet
}

func sources(t *testing.T) []file {
	t.Helper()
	root := "../.."
	var out []file
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		out = append(out, file{rel, filepath.ToSlash(filepath.Dir(rel)), f, fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func isFree(pkg string) bool {
	for _, p := range free {
		if pkg == p || strings.HasPrefix(pkg, p+"/") {
			return true
		}
	}
	return false
}

// TestImportsRunDownward is the architecture as a test.
func TestImportsRunDownward(t *testing.T) {
	for _, f := range sources(t) {
		if strings.HasSuffix(f.path, "_test.go") || isFree(f.pkg) {
			continue
		}
		layer, own := layerOf(f.pkg)
		if layer < 0 {
			t.Errorf("%s: package %s is in no layer; add it to layers", f.path, f.pkg)
			continue
		}
		for _, imp := range f.ast.Imports {
			dep, ok := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), module)
			if !ok {
				continue
			}
			depLayer, depOwn := layerOf(dep)
			if depLayer > layer || (depLayer == layer && depOwn != own) || (depLayer < 0 && !isFree(dep)) {
				t.Errorf("%s imports %s, which is not below %s; ask for it through an interface of %s that internal/node fills in",
					f.path, dep, own, f.pkg)
			}
		}
	}
}

// TestOnlyOneImporter keeps libraries behind the package that wraps them.
func TestOnlyOneImporter(t *testing.T) {
	only := map[string][]string{
		"go.etcd.io/raft/v3":                  {"kv/raftgroup", "kv/raftlog"},
		"github.com/cockroachdb/pebble/v2":    {"kv"},
		"github.com/pganalyze/pg_query_go":    {"sql"},
		"github.com/pingcap/tidb/pkg/parser":  {"sql/mysql"},
		"github.com/jackc/pgx/v5/pgproto3":    {"pgwire", "acceptance"},
		"google.golang.org/grpc":              {"internal/rpc", "internal/node", "cmd"},
		"github.com/spf13/cobra":              {"cmd"},
		"github.com/prometheus/client_golang": {"internal/node", "internal/console", "kv/storage"},
	}
	for _, f := range sources(t) {
		if strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		for _, imp := range f.ast.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			for lib, users := range only {
				if (path == lib || strings.HasPrefix(path, lib+"/")) && !under(f.pkg, users) {
					t.Errorf("%s imports %s; only %s may", f.path, path, strings.Join(users, ", "))
				}
			}
		}
	}
}

func under(pkg string, prefixes []string) bool {
	for _, p := range prefixes {
		if pkg == p || strings.HasPrefix(pkg, p+"/") {
			return true
		}
	}
	return false
}

// TestAcceptanceImportsOnlyClients: the suite sees the product from outside.
func TestAcceptanceImportsOnlyClients(t *testing.T) {
	for _, f := range sources(t) {
		if !under(f.pkg, []string{"acceptance"}) {
			continue
		}
		for _, imp := range f.ast.Imports {
			dep, ok := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), module)
			if ok && !under(dep, []string{"acceptance", "internal/testkit"}) {
				t.Errorf("%s imports %s; acceptance uses the product as its users do", f.path, dep)
			}
		}
	}
}

// TestEveryPackageSaysWhatItIsFor wants a package comment in each package.
func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	documented, example := map[string]bool{}, map[string]string{}
	for _, f := range sources(t) {
		if strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		example[f.pkg] = f.path
		if f.ast.Doc != nil && !isBuildTag(f.ast.Doc.Text()) {
			documented[f.pkg] = true
		}
	}
	for pkg, path := range example {
		if !documented[pkg] {
			t.Errorf("%s: package %s has no package comment; add a doc.go", path, pkg)
		}
	}
}

func isBuildTag(s string) bool { return strings.HasPrefix(s, "go:build") }

// TestNoInitAndNoShapelessPackages keeps package state and junk drawers out.
func TestNoInitAndNoShapelessPackages(t *testing.T) {
	shapeless := regexp.MustCompile(`(^|/)(util|utils|common|misc|helper|helpers)(/|$)`)
	for _, f := range sources(t) {
		if shapeless.MatchString(f.pkg) {
			t.Errorf("%s: name the package for what it provides", f.path)
		}
		if strings.HasSuffix(f.path, ".pb.go") {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: no init(); wire it in internal/node", f.path)
			}
		}
	}
}

// TestNothingNamesAMachine keeps local paths out of what is committed.
func TestNothingNamesAMachine(t *testing.T) {
	out, err := exec.Command("git", "-C", "../..", "grep", "-nE", `(^|[^a-zA-Z.])/(work|home|farm)/`, "--", ".", ":!*.pb.go", ":!internal/lint").Output()
	if err == nil && len(out) > 0 {
		t.Errorf("paths of one machine:\n%s", out)
	}
}

// TestGeneratedCodeIsFresh runs the generators and compares.
func TestGeneratedCodeIsFresh(t *testing.T) {
	for _, f := range sources(t) {
		switch {
		case strings.HasSuffix(f.path, "/wire_gen.go"):
			fresh(t, f.path, func(dir string) *exec.Cmd {
				return exec.Command("go", "run", "./internal/wiregen", dir)
			})
		case strings.HasSuffix(f.path, "cluster.pb.go"):
			fresh(t, f.path, func(dir string) *exec.Cmd {
				return exec.Command("sh", dir+"/generate.sh")
			})
		}
	}
}

// fresh regenerates one file in place, compares, and puts it back.
func fresh(t *testing.T, path string, generate func(dir string) *exec.Cmd) {
	t.Helper()
	full := filepath.Join("../..", path)
	before, err := os.ReadFile(full)
	if err != nil {
		t.Fatal(err)
	}
	cmd := generate(filepath.Dir(path))
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", path, err, out)
	}
	after, err := os.ReadFile(full)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Errorf("%s is stale; run make generate", path)
		if err := os.WriteFile(full, before, 0o644); err != nil {
			t.Error(err)
		}
	}
}

// TestPagesNameTestsThatExist: a page that says which test would find a bug names one
// that is there, in the package that it says.
func TestPagesNameTestsThatExist(t *testing.T) {
	folders := map[string][]string{}
	for _, f := range sources(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && strings.HasSuffix(f.path, "_test.go") {
				folders[fn.Name.Name] = append(folders[fn.Name.Name], f.pkg)
			}
		}
	}
	named := regexp.MustCompile(`(?:go test )?(?:\./([a-z/0-9]+) )?(?:[^|` + "`" + `]*-run )?'?(Test[A-Z]\w*)`)
	for _, page := range []string{"acceptance/TRACK_RECORD.md", "acceptance/README.md", "docs/correctness.md"} {
		text, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			pkg, test := m[1], m[2]
			in := folders[test]
			if test == "TestingKnobs" || pkg == "" && len(in) > 0 || pkg != "" && slices.Contains(in, pkg) {
				continue
			}
			t.Errorf("%s: %s is not in %q (it is in %q)", page, test, pkg, in)
		}
	}
}
