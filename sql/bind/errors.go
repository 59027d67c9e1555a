package bind

import (
	"github.com/cairndb/cairn/sql/sqlerr"
)

// bindError carries an error up to Bind, see doc.go.
type bindError struct{ err error }

func fail(err error) { panic(bindError{err}) }

// at fails with an error at a byte position of the statement (-1: none).
func (b *binder) at(pos int32, e *sqlerr.Error) {
	fail(b.place(pos, e))
}

func (b *binder) place(pos int32, e *sqlerr.Error) *sqlerr.Error {
	if pos >= 0 && b.inView == 0 {
		e = e.WithPos(sqlerr.CharPosition(b.query, int(pos)))
	}
	return e
}

func (b *binder) failf(pos int32, code sqlerr.Code, format string, args ...any) {
	b.at(pos, sqlerr.New(code, format, args...))
}

func (b *binder) unsupported(pos int32, what string, args ...any) {
	b.at(pos, sqlerr.Unsupported(what, args...))
}

// check passes on an error of another package, with a place.
func (b *binder) check(pos int32, err error) {
	if err != nil {
		b.at(pos, sqlerr.From(err))
	}
}
