package builtins

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func sequences(ec ectx) (Sequences, error) {
	if ec == nil || ec.Sequences == nil {
		return nil, sqlerr.Unsupported("a sequence function here")
	}
	return ec.Sequences, nil
}

func sequenceFuncs() []Overload {
	rc, i8 := types.RegClass, types.Int8
	seq := func(name, doc string, f func(s Sequences, ec ectx, oid types.OID) (int64, error)) Overload {
		return f1(name, rc, i8, doc, func(ec ectx, a datum) (datum, error) {
			s, err := sequences(ec)
			if err != nil {
				return types.Null, err
			}
			n, err := f(s, ec, a.OID())
			return types.NewInt(n), err
		}).volatile()
	}
	return []Overload{
		seq("nextval", "next value of a sequence", func(s Sequences, ec ectx, oid types.OID) (int64, error) { return s.Nextval(ec.ctx(), oid) }),
		seq("currval", "value this session got last from a sequence", func(s Sequences, ec ectx, oid types.OID) (int64, error) {
			return s.Currval(ec.ctx(), oid)
		}),
		fn("setval", []types.T{rc, i8, types.Bool}, i8, "sets a sequence's value", func(ec ectx, a []datum) (datum, error) {
			s, err := sequences(ec)
			if err != nil {
				return types.Null, err
			}
			return a[1], s.Setval(ec.ctx(), a[0].OID(), a[1].Int(), len(a) < 3 || a[2].Bool())
		}).defaults(1).volatile(),
		fn("lastval", nil, i8, "value this session got last from any sequence", func(ec ectx, _ []datum) (datum, error) {
			s, err := sequences(ec)
			if err != nil {
				return types.Null, err
			}
			n, err := s.Lastval(ec.ctx())
			return types.NewInt(n), err
		}).volatile(),
	}
}
