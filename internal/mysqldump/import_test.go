package mysqldump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// recorder is a server that notes what it is sent, and fails where it is told to.
type recorder struct {
	sent strings.Builder
	fail func(query string) error
	max  string // what max(…) is
}

func (r *recorder) Exec(_ context.Context, q string) (string, error) {
	if r.fail != nil {
		if err := r.fail(q); err != nil {
			fmt.Fprintf(&r.sent, "%s; -- %v\n", q, err)
			return "", err
		}
	}
	fmt.Fprintf(&r.sent, "%s;\n", q)
	if strings.HasPrefix(q, "SELECT max(") {
		return r.max, nil
	}
	return "", nil
}

func (r *recorder) importer() *Importer {
	return &Importer{
		Conn:     r,
		Progress: func(s string) { fmt.Fprintf(&r.sent, "-- %s\n", s) },
		Warn:     func(s string) { fmt.Fprintf(&r.sent, "-- warning: %s\n", s) },
		Backoff:  func(context.Context, int) {},
	}
}

// TestImport compares what a dump becomes with testdata/shop.txt; REWRITE=1 writes it anew.
func TestImport(t *testing.T) {
	f, err := os.Open("testdata/shop.sql")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &recorder{max: "7"}
	rows, err := r.importer().Import(t.Context(), iotest.OneByteReader(f))
	if err != nil {
		t.Fatal(err)
	}
	got := r.sent.String() + fmt.Sprintln("--", rows)
	if os.Getenv("REWRITE") != "" {
		if err := os.WriteFile("testdata/shop.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/shop.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the import sends\n%s\nREWRITE=1 accepts it", got)
	}
}

func TestReader(t *testing.T) {
	in := "-- c\nSELECT 1; # x\n SELECT ';', \"a;\\\";\", `;` /* ; */ + 2;\n\n;\nDELIMITER //\nCREATE x; y;//\ndelimiter ;\n/*!1 z */;\n--no comment;\nlast"
	var got []string
	r := NewReader(strings.NewReader(in))
	for {
		s, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %s", s.Line, s.Text))
	}
	want := "2 SELECT 1|3 SELECT ';', \"a;\\\";\", `;`   + 2|7 CREATE x; y;|9 /*!1 z */|10 --no comment|11 last"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestReaderBounds(t *testing.T) {
	for _, head := range []string{"\n\nSELECT ", "\n\n'"} {
		_, err := NewReader(io.MultiReader(strings.NewReader(head), endless{})).Next()
		if err == nil || !strings.HasPrefix(err.Error(), "line 3: a statement is longer than") {
			t.Error(err)
		}
	}
	for in, want := range map[string]string{
		"\n'x":     "line 2: a quoted string does not end",
		"\n\n/* x": "line 3: a comment does not end",
		"'x\\":     "line 1: a quoted string does not end",
	} {
		if _, err := NewReader(strings.NewReader(in)).Next(); err == nil || err.Error() != want {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestImportErrors(t *testing.T) {
	for in, want := range map[string]string{
		"CREATE TABLE t (a int);\n\nINSERT INTO t VALUES (1),\n  (2,,);":      `line 4: syntax error at or near ","`,
		"\nINSERT INTO t VALUES (1);\nINSERT INTO u VALUES (SOUNDEX('x'));":   "line 3: the function SOUNDEX() is not supported in the MySQL dialect",
		"\nINSERT INTO t VALUES (1);\nINSERT INTO bad VALUES (1);\nSELECT 1;": "line 3: table bad: no such table",
		"CREATE TABLE bad (a int);":                                           "line 1: no such table",
	} {
		r := &recorder{fail: func(q string) error {
			if strings.Contains(q, `"bad"`) {
				return errors.New("no such table")
			}
			return nil
		}}
		if _, err := r.importer().Import(t.Context(), strings.NewReader(in)); err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", in, err, want)
		}
	}
}

// TestImportRepeats: a transaction that ends with 40001 is sent again, whole, and its rows count
// once; any other error ends the import.
func TestImportRepeats(t *testing.T) {
	left := 2
	r := &recorder{fail: func(q string) error {
		if q == "COMMIT" && left > 0 {
			left--
			return sqlerr.New(sqlerr.SerializationFailure, "again")
		}
		return nil
	}}
	rows, err := r.importer().Import(t.Context(), strings.NewReader("INSERT INTO t VALUES (1), (2); INSERT INTO t VALUES (3);"))
	if err != nil || fmt.Sprint(rows) != "[{t 3}]" {
		t.Fatal(rows, err)
	}
	if n := strings.Count(r.sent.String(), `INSERT INTO "t" VALUES (1), (2);`); n != 3 {
		t.Errorf("sent %d times:\n%s", n, r.sent.String())
	}
	r = &recorder{fail: func(q string) error {
		if q == "COMMIT" {
			return sqlerr.New(sqlerr.StatementCompletionUnknown, "who knows")
		}
		return nil
	}}
	if _, err := r.importer().Import(t.Context(), strings.NewReader("INSERT INTO t VALUES (1);")); !sqlerr.HasCode(err, sqlerr.StatementCompletionUnknown) {
		t.Error(err)
	}
}

// TestImportCutsRows: a long INSERT becomes several statements in several transactions.
func TestImportCutsRows(t *testing.T) {
	r := &recorder{}
	row := "('" + strings.Repeat("x", 1000) + "')"
	in := "INSERT INTO t VALUES " + row + strings.Repeat(","+row, 1999) + ";"
	rows, err := r.importer().Import(t.Context(), strings.NewReader(in))
	if err != nil || fmt.Sprint(rows) != "[{t 2000}]" {
		t.Fatal(rows, err)
	}
	got := r.sent.String()
	if n := strings.Count(got, "('x"); n != 2000 {
		t.Errorf("%d rows", n)
	}
	if n := strings.Count(got, "COMMIT"); n < 3 || n > 6 {
		t.Errorf("%d transactions", n)
	}
}
