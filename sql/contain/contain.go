package contain

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// Panic is a panic that was contained.
type Panic struct {
	// Value is what was given to panic, Place the innermost function of Cairn's with its line.
	Value any
	Place string
	// Stack is that of the goroutine when it happened.
	Stack  []byte
	logged atomic.Bool
}

// Error implements error.
func (p *Panic) Error() string { return fmt.Sprintf("panic: %v, in %s", p.Value, p.Place) }

// Log writes the panic behind an error to a log, once; errors of other kinds are none of its business.
func Log(log *slog.Logger, err error, args ...any) {
	var p *Panic
	if err != nil && errors.As(err, &p) && !p.logged.Swap(true) {
		log.Error("a statement panicked", append([]any{"panic", fmt.Sprint(p.Value), "in", p.Place, "stack", string(p.Stack)}, args...)...)
	}
}

// Do calls f, and returns a panic of evaluation as an error (I3). Others go on (I2).
func Do(f func() error) (err error) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		place, ok := classify(callers())
		if !ok {
			panic(r)
		}
		err = errorOf(&Panic{Value: r, Place: place, Stack: debug.Stack()})
	}()
	return f()
}

func errorOf(p *Panic) error {
	return sqlerr.New(sqlerr.InternalError, "internal error: %v", p.Value).
		WithDetail("It happened in %s.", p.Place).
		WithHint("This is a defect of Cairn, and only the statement failed. Please report it, with the statement and the stack in the node's log.").
		WithCause(p)
}

// framesMax bounds the frames that are looked at; a panic that is deeper goes on.
const framesMax = 1 << 16

// frame is a function by its full name, and where in it the panic passed.
type frame struct {
	function string
	file     string
	line     int
}

// callers are the frames from the innermost on; the first are those of the recovery itself.
func callers() []frame {
	pcs := make([]uintptr, 256)
	for {
		n := runtime.Callers(2, pcs)
		if n < len(pcs) || len(pcs) >= framesMax {
			pcs = pcs[:n]
			break
		}
		pcs = make([]uintptr, 4*len(pcs))
	}
	var out []frame
	for frames := runtime.CallersFrames(pcs); ; {
		f, more := frames.Next()
		out = append(out, frame{f.Function, f.File, f.Line})
		if !more {
			return out
		}
	}
}

const (
	module   = "github.com/cairndb/cairn/"
	boundary = module + "sql/contain.Do"
)

// evaluation are the packages whose panics are contained: all files of a package (nil), or those whose code
// touches nothing but its own session or its arguments.
var evaluation = map[string][]string{
	"sql": {"copy.go", "copy_binary.go", "copy_options.go", "copy_source.go", "cursor.go", "dialect.go", "do_block.go",
		"explain.go", "explain_format.go", "portal.go", "prepared.go", "refaction.go", "references.go", "routine.go",
		"utility.go", "vars.go"},
	"sql/bind": nil, "sql/builtins": nil, "sql/ddl": nil, "sql/exec": nil, "sql/jsonpath": nil, "sql/mysql": nil,
	"sql/parser": nil, "sql/pgcatalog": nil, "sql/plan": nil, "sql/pushdown": nil, "sql/rowenc": nil, "sql/sqlerr": nil,
	"sql/statements": {"normalize.go", "scan.go"}, "sql/stats": nil, "sql/tablekv": nil, "sql/types": nil,
}

func evaluates(pkg, file string) bool {
	files, ok := evaluation[pkg]
	return ok && (files == nil || slices.Contains(files, filepath.Base(file)))
}

// libraries are those that evaluation calls, by the beginning of their functions' names.
var libraries = []string{
	"github.com/cockroachdb/apd/", "github.com/google/uuid.", "github.com/jackc/pgx/", "github.com/pganalyze/pg_query_go/",
	"github.com/pingcap/tidb/pkg/parser", "github.com/xdg-go/", "golang.org/x/text/", "google.golang.org/protobuf/",
}

// classify says whether a panic may be contained, and where it began, from the frames between it and the
// boundary.
func classify(frames []frame) (place string, ok bool) {
	for _, f := range frames {
		pkg := packageOf(f.function)
		own, isOwn := strings.CutPrefix(pkg, module)
		switch {
		case f.function == boundary:
			return place, place != ""
		case own == "sql/contain": // a recovery, here or within
		case !isOwn && isStandard(pkg), isLibrary(f.function):
		case !isOwn:
			return "", false
		case evaluates(own, f.file):
			if place == "" {
				place = fmt.Sprintf("%s (%s:%d)", strings.TrimPrefix(f.function, module), filepath.Base(f.file), f.line)
			}
		case place != "" && (own == "sql" || own == "pgwire"): // it passes through
		default:
			return "", false
		}
	}
	return "", false
}

// packageOf is the import path in a function's full name.
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	dot := strings.IndexByte(function[slash:], '.')
	if dot < 0 {
		return function
	}
	return function[:slash+dot]
}

// isStandard: the paths of Go's own packages begin without a domain.
func isStandard(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".") && first != "main"
}

func isLibrary(function string) bool {
	return slices.ContainsFunc(libraries, func(l string) bool { return strings.HasPrefix(function, l) })
}
