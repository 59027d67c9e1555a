package contain

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/cairndb/cairn/internal/assert"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// TestWhatIsContained asks of stacks, innermost frame first, which would go on.
func TestWhatIsContained(t *testing.T) {
	const (
		panics  = "runtime.gopanic /go/panic.go"
		fn      = module + "sql/builtins.substr /x/strings.go"
		filter  = module + "sql/exec.(*Filter).Next /x/basic.go"
		session = module + "sql.(*Session).fetch /x/server.go"
		end     = boundary + " /x/contain.go"
	)
	for _, c := range []struct {
		name   string
		frames []string
		want   bool
	}{
		{"a function", []string{panics, fn, filter, session, end}, true},
		{"what a function calls", []string{panics, "strings.Repeat /go/strings.go", fn, end}, true},
		{"a library", []string{panics, "github.com/cockroachdb/apd/v3.(*Decimal).Cmp /m/decimal.go", fn, end}, true},
		{"a value that is printed", []string{panics, module + "sql/types.AppendText /x/text.go", module + "pgwire.(*writer).Row /x/writer.go", session, end}, true},
		{"a recovery within", []string{module + "sql/contain.Do.func1 /x/contain.go", panics, module + "sql/bind.catch /x/bind.go", panics, fn, end}, true},
		{"code of the session", []string{panics, module + "sql.(*Session).copyFrom /x/copy.go", end}, true},
		{"code of the server", []string{panics, module + "sql.(*Server).settings /x/server.go", filter, end}, false},
		{"the store", []string{panics, module + "kv/store.(*Replica).apply /x/apply.go", filter, end}, false},
		{"through a transaction", []string{panics, fn, module + "txn.(*DB).Run /x/db.go", filter, end}, false},
		{"the engine", []string{panics, "github.com/cockroachdb/pebble/v2.(*DB).Get /m/db.go", filter, end}, false},
		{"an assertion", []string{panics, module + "internal/assert.That /x/assert.go", fn, end}, false},
		{"no boundary", []string{panics, fn, session}, false},
		{"nothing of Cairn's", []string{panics, "strings.Repeat /go/strings.go", end}, false},
	} {
		var frames []frame
		for _, f := range c.frames {
			name, file, _ := strings.Cut(f, " ")
			frames = append(frames, frame{function: name, file: file, line: 7})
		}
		if place, ok := classify(frames); ok != c.want || ok && place == "" {
			t.Errorf("%s: %v, %q", c.name, ok, place)
		}
	}
}

func TestAPanicOfEvaluationIsAnError(t *testing.T) {
	err := Do(func() error {
		var none *sqlerr.Error
		return none.WithDetail("of nothing")
	})
	var p *Panic
	if !sqlerr.HasCode(err, sqlerr.InternalError) || !errors.As(err, &p) || !strings.Contains(p.Place, "sql/sqlerr.(*Error).WithDetail (error.go:") {
		t.Fatalf("%v: %+v", err, p)
	}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	Log(log, err, "user", "ann")
	Log(log, err)
	if s := out.String(); strings.Count(s, "a statement panicked") != 1 || !strings.Contains(s, "sqlerr.(*Error).WithDetail") || !strings.Contains(s, "user=ann") {
		t.Errorf("log: %s", s)
	}
}

func TestABrokenInvariantGoesOn(t *testing.T) {
	defer func() {
		if r, _ := recover().(string); !strings.Contains(r, "broken invariant: the sky") {
			t.Errorf("%q", r)
		}
	}()
	err := Do(func() error {
		return Do(func() error { // nor does the outer one hold it up
			assert.That(false, "the sky")
			return nil
		})
	})
	t.Errorf("it was contained: %v", err)
}
