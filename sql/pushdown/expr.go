package pushdown

import (
	"errors"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/rowenc"
	"github.com/cairndb/cairn/sql/types"
)

// kind says what an expression is.
type kind uint8

const (
	constant kind = iota + 1
	column
	function
	operator
	cast
	and
	or
	not
	isNull
	boolTest
	distinct
	in
	caseWhen // Args: condition and result in turn, and the ELSE if their number is odd
	coalesce
)

// expr is an expression on the wire.
type expr struct {
	Kind kind   `wire:"1"`
	Args []expr `wire:"2"`
	// Name is that of a function or operator.
	Name string `wire:"3"`
	// OID and Mod are of the type.
	OID uint32 `wire:"4"`
	Mod int32  `wire:"5"`
	// Value is a constant: a row of one column, in the value encoding.
	Value []byte `wire:"6"`
	// Column is the ordinal of a column.
	Column uint32 `wire:"7"`
	// Flag is Negate, Explicit or Relabel; Want is of a boolTest: a Value.
	Flag    bool `wire:"8"`
	Relabel bool `wire:"9"`
}

// plain says whether a type is one of Postgres's own, and of values that the value encoding carries without
// further knowledge.
func plain(t types.T) bool {
	if t.User != nil {
		return false
	}
	switch t.OID {
	case types.OIDBool, types.OIDInt2, types.OIDInt4, types.OIDInt8, types.OIDFloat4, types.OIDFloat8, types.OIDNumeric,
		types.OIDText, types.OIDVarchar, types.OIDBPChar, types.OIDBytea, types.OIDUUID, types.OIDDate, types.OIDTime,
		types.OIDTimestamp, types.OIDTimestampTZ, types.OIDInterval, types.OIDJSONB:
		return true
	}
	return false
}

// castFamily groups types between which casts depend on no setting.
func castFamily(t types.T) int {
	switch t.OID {
	case types.OIDInt2, types.OIDInt4, types.OIDInt8, types.OIDNumeric, types.OIDFloat4, types.OIDFloat8:
		return 1
	case types.OIDText, types.OIDVarchar, types.OIDBPChar:
		return 2
	case types.OIDDate, types.OIDTimestamp:
		return 3
	}
	return 0
}

// expressible is I2.
func (s *Scan) expressible(e bind.Expr) bool {
	switch e := e.(type) {
	case *bind.Const:
		return plain(e.T)
	case *bind.Param:
		return plain(e.T)
	case *bind.Col:
		return e.ID >= s.Base && int(e.ID-s.Base) < len(s.Table.Columns) && plain(e.T)
	case *bind.Call:
		if e.M.Vol != builtins.Immutable || e.M.Class != builtins.Scalar || !plain(e.M.Ret) {
			return false
		}
	case *bind.Cast:
		f := castFamily(e.To)
		if f == 0 || f != castFamily(e.E.Type()) || !plain(e.To) {
			return false
		}
	case *bind.And, *bind.Or, *bind.Not, *bind.BoolTest, *bind.Distinct, *bind.In, *bind.Case, *bind.Coalesce:
	case *bind.IsNull:
		if e.E.Type().OID == types.OIDRecord {
			return false
		}
	default:
		return false
	}
	for _, c := range bind.Children(e) {
		if !s.expressible(c) {
			return false
		}
	}
	return true
}

// writer writes expressions, parameters as constants.
type writer struct {
	base   bind.ColID
	params []types.Datum
}

func (w *writer) exprs(es []bind.Expr) []expr {
	out := make([]expr, len(es))
	for i, e := range es {
		out[i] = w.expr(e)
	}
	return out
}

func (w *writer) expr(e bind.Expr) expr {
	t := e.Type()
	x := expr{OID: uint32(t.OID), Mod: t.Mod}
	switch e := e.(type) {
	case *bind.Const:
		x.Kind, x.Value = constant, valueOf(e.D, t)
	case *bind.Param:
		x.Kind, x.Value = constant, valueOf(w.params[e.Idx], t)
	case *bind.Col:
		x.Kind, x.Column = column, uint32(e.ID-w.base)
	case *bind.Call:
		x.Kind, x.Name, x.Args = function, e.M.Name, w.exprs(e.Args)
		if e.M.Op {
			x.Kind = operator
		}
	case *bind.Cast:
		x.Kind, x.Flag, x.Relabel, x.Args = cast, e.Explicit, e.Relabel, []expr{w.expr(e.E)}
	case *bind.And:
		x.Kind, x.Args = and, w.exprs(e.Args)
	case *bind.Or:
		x.Kind, x.Args = or, w.exprs(e.Args)
	case *bind.Not:
		x.Kind, x.Args = not, []expr{w.expr(e.E)}
	case *bind.IsNull:
		x.Kind, x.Flag, x.Args = isNull, e.Negate, []expr{w.expr(e.E)}
	case *bind.BoolTest:
		x.Kind, x.Flag, x.Args, x.Value = boolTest, e.Negate, []expr{w.expr(e.E)}, valueOf(e.Want, types.Bool)
	case *bind.Distinct:
		x.Kind, x.Flag, x.Args = distinct, e.Negate, []expr{w.expr(e.L), w.expr(e.R)}
	case *bind.In:
		x.Kind, x.Flag, x.Args = in, e.Negate, append([]expr{w.expr(e.E)}, w.exprs(e.List)...)
	case *bind.Case:
		x.Kind = caseWhen
		for _, when := range e.Whens {
			x.Args = append(x.Args, w.expr(when.Cond), w.expr(when.Result))
		}
		if e.Else != nil {
			x.Args = append(x.Args, w.expr(e.Else))
		}
	case *bind.Coalesce:
		x.Kind, x.Args = coalesce, w.exprs(e.Args)
	}
	return x
}

var oneColumn = []rowenc.ColumnID{1}

func valueOf(d types.Datum, t types.T) []byte {
	return rowenc.AppendFullRow(nil, oneColumn, []types.T{t}, []types.Datum{d})
}

func datumOf(b []byte, t types.T) (types.Datum, error) {
	var dst [1]types.Datum
	err := rowenc.NewRowDecoder(oneColumn, []types.T{t}, []int{0}).Decode(b, dst[:])
	return dst[0], err
}

var errForeign = errors.New("pushdown: a text that this version does not know")

// reader reads expressions over a table of so many columns.
type reader struct {
	columns int
	depth   int
	used    map[int]bool
}

// depthMax bounds how deep expressions nest.
const depthMax = 200

func (r *reader) exprs(xs []expr) ([]bind.Expr, error) {
	out := make([]bind.Expr, len(xs))
	for i := range xs {
		e, err := r.expr(&xs[i])
		if err != nil {
			return nil, err
		}
		out[i] = e
	}
	return out, nil
}

func (r *reader) expr(x *expr) (bind.Expr, error) {
	if r.depth++; r.depth > depthMax {
		return nil, errForeign
	}
	defer func() { r.depth-- }()
	t := types.T{OID: types.OID(x.OID), Mod: x.Mod}
	if !plain(t) {
		return nil, errForeign
	}
	args, err := r.exprs(x.Args)
	if err != nil || len(args) < x.Kind.leastArgs() {
		return nil, errors.Join(err, errForeign)
	}
	switch x.Kind {
	case constant:
		d, err := datumOf(x.Value, t)
		return &bind.Const{D: d, T: t, Pos: -1}, err
	case column:
		if int(x.Column) >= r.columns {
			return nil, errForeign
		}
		r.used[int(x.Column)] = true
		return &bind.Col{ID: bind.ColID(x.Column), T: t, Pos: -1}, nil
	case function, operator:
		return call(x, t, args)
	case cast:
		return &bind.Cast{E: args[0], To: t, Explicit: x.Flag, Relabel: x.Relabel}, nil
	case and:
		return &bind.And{Args: args}, nil
	case or:
		return &bind.Or{Args: args}, nil
	case not:
		return &bind.Not{E: args[0]}, nil
	case isNull:
		return &bind.IsNull{E: args[0], Negate: x.Flag}, nil
	case boolTest:
		want, err := datumOf(x.Value, types.Bool)
		return &bind.BoolTest{E: args[0], Want: want, Negate: x.Flag}, err
	case distinct:
		return &bind.Distinct{L: args[0], R: args[1], Negate: x.Flag}, nil
	case in:
		return &bind.In{E: args[0], List: args[1:], Negate: x.Flag}, nil
	case caseWhen:
		c := &bind.Case{T: t}
		for ; len(args) > 1; args = args[2:] {
			c.Whens = append(c.Whens, bind.When{Cond: args[0], Result: args[1]})
		}
		if len(args) == 1 {
			c.Else = args[0]
		}
		return c, nil
	case coalesce:
		return &bind.Coalesce{Args: args, T: t}, nil
	}
	return nil, errForeign
}

// leastArgs is how many arguments a kind has at least.
func (k kind) leastArgs() int {
	switch k {
	case cast, not, isNull, boolTest, and, or, in, coalesce:
		return 1
	case distinct, caseWhen:
		return 2
	}
	return 0
}

// call is I4.
func call(x *expr, t types.T, args []bind.Expr) (bind.Expr, error) {
	ts := types1(args)
	var m builtins.Match
	var err error
	switch {
	case x.Kind == function:
		m, err = builtins.ResolveFunc(x.Name, ts)
	case len(ts) == 1:
		m, err = builtins.ResolveOp(x.Name, types.T{}, ts[0])
	case len(ts) == 2:
		m, err = builtins.ResolveOp(x.Name, ts[0], ts[1])
	default:
		err = errForeign
	}
	if err != nil || m.Vol != builtins.Immutable || m.Class != builtins.Scalar || m.Ret.OID != t.OID {
		return nil, errors.Join(err, errForeign)
	}
	for i := range ts {
		if m.CastTo[i].OID != ts[i].OID {
			return nil, errForeign
		}
	}
	return &bind.Call{M: m, Args: args}, nil
}
