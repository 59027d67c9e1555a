package bind

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// windowOnly are the functions that exist only with OVER; the value says what they return: a type
// name, or "arg" for the type of the first argument.
var windowOnly = map[string]string{
	"row_number": "int8", "rank": "int8", "dense_rank": "int8", "ntile": "int4",
	"percent_rank": "float8", "cume_dist": "float8",
	"lag": "arg", "lead": "arg", "first_value": "arg", "last_value": "arg", "nth_value": "arg",
}

// winState collects the window functions of one SELECT, with partitions and orders as expressions
// until the SELECT knows its groups.
type winState struct {
	named map[string]*pg.WindowDef
	calls []winCall
}

type winCall struct {
	WindowCall
	part  []Expr
	order []orderExpr
}

type orderExpr struct {
	e Expr
	k SortKey
}

func (b *binder) windowCall(sc *scope, name string, fc *pg.FuncCall) Expr {
	if sc.win == nil || sc.noAgg {
		b.failf(fc.Location, sqlerr.WindowingError, "window functions are not allowed in %s", sc.place())
	}
	if fc.AggDistinct {
		b.unsupported(fc.Location, "DISTINCT for a window function")
	}
	inner := *sc
	inner.win, inner.srf = nil, nil
	inner.clause = "window definitions"
	w := winCall{WindowCall: WindowCall{ID: b.newCols(1), Star: fc.AggStar}}
	args := b.exprs(&inner, fc.Args)
	b.windowFunc(&w, name, args, fc)
	if fc.AggFilter != nil {
		w.Filter = b.boolean(b.expr(&inner, fc.AggFilter), "FILTER", -1)
	}
	b.windowDef(&inner, sc.win, &w, fc.Over)
	sc.win.calls = append(sc.win.calls, w)
	return &Col{ID: w.ID, T: w.T, Name: name, Pos: fc.Location}
}

func (b *binder) windowFunc(w *winCall, name string, args []Expr, fc *pg.FuncCall) {
	ret, ok := windowOnly[name]
	if !ok {
		if !builtins.IsAggregate(name) {
			b.failf(fc.Location, sqlerr.WrongObjectType, "OVER specified, but %s is not a window function nor an aggregate function", name)
		}
		m, err := builtins.ResolveFunc(name, exprTypes(args))
		b.check(fc.Location, err)
		w.Agg, w.Args, w.T = &m, b.castArgs(m, args, fc.Location), m.Ret
		return
	}
	w.Name, w.Args = name, args
	b.windowArgs(w, name, args, fc.Location)
	for i := range args {
		args[i] = b.defaultUnknown(args[i])
	}
	if ret == "arg" {
		w.T = args[0].Type()
		return
	}
	w.T, _ = types.ByTypName(ret)
}

func (b *binder) windowArgs(w *winCall, name string, args []Expr, pos int32) {
	least, most := 0, 0
	switch name {
	case "ntile", "first_value", "last_value":
		least, most = 1, 1
	case "lag", "lead":
		least, most = 1, 3
	case "nth_value":
		least, most = 2, 2
	}
	if len(args) < least || len(args) > most {
		b.failf(pos, sqlerr.UndefinedFunction, "function %s with %d arguments does not exist", name, len(args))
	}
	toInt := func(i int) {
		if i < len(args) {
			args[i] = b.assign(args[i], types.Int4, "", pos)
		}
	}
	switch name {
	case "ntile":
		toInt(0)
	case "lag", "lead", "nth_value":
		toInt(1)
		if len(args) == 3 { // the default may be of a wider type
			both := []Expr{args[0], args[2]}
			b.common(name, both, pos)
			args[0], args[2] = both[0], both[1]
		}
	}
}

func (b *binder) windowDef(sc *scope, st *winState, w *winCall, d *pg.WindowDef) {
	name := d.Name
	if name == "" {
		name = d.Refname
	}
	frame := d
	if name != "" {
		base := st.named[name]
		if base == nil {
			b.failf(d.Location, sqlerr.UndefinedObject, "window \"%s\" does not exist", name)
		}
		b.windowClauses(sc, w, base)
		if d.Name != "" {
			frame = base
		}
	}
	b.windowClauses(sc, w, d)
	b.frame(sc, w, frame)
}

func (b *binder) windowClauses(sc *scope, w *winCall, d *pg.WindowDef) {
	for _, p := range d.PartitionClause {
		w.part = append(w.part, b.defaultUnknown(b.expr(sc, p)))
	}
	for _, o := range d.OrderClause {
		s := o.GetSortBy()
		e := b.defaultUnknown(b.expr(sc, s.Node))
		w.order = append(w.order, orderExpr{e: e, k: b.sortKey(s, e.Type())})
	}
}

// Frame option bits of the grammar (parsenodes.h).
const (
	frameRows, frameGroups           = 0x4, 0x8
	startUnboundedPreceding          = 0x20
	startCurrentRow, endCurrentRow   = 0x200, 0x400
	startOffPreceding, endOffPreced  = 0x800, 0x1000
	startOffFollowing, endOffFollow  = 0x2000, 0x4000
	endUnboundedFollowing            = 0x100
	excludeRow, excludeGroup, exTies = 0x8000, 0x10000, 0x20000
)

func (b *binder) frame(sc *scope, w *winCall, d *pg.WindowDef) {
	o := d.FrameOptions
	switch {
	case o&excludeRow != 0:
		w.Frame.Exclude = ExcludeCurrentRow
	case o&excludeGroup != 0:
		w.Frame.Exclude = ExcludeGroup
	case o&exTies != 0:
		w.Frame.Exclude = ExcludeTies
	}
	w.Frame.Rows, w.Frame.Groups = o&frameRows != 0, o&frameGroups != 0
	switch {
	case o&startUnboundedPreceding != 0:
		w.Frame.Start = UnboundedPreceding
	case o&startCurrentRow != 0:
		w.Frame.Start = CurrentRow
	case o&startOffPreceding != 0:
		w.Frame.Start = OffsetPreceding
	case o&startOffFollowing != 0:
		w.Frame.Start = OffsetFollowing
	}
	switch {
	case o&endUnboundedFollowing != 0:
		w.Frame.End = UnboundedFollowing
	case o&endOffPreced != 0:
		w.Frame.End = OffsetPreceding
	case o&endOffFollow != 0:
		w.Frame.End = OffsetFollowing
	default:
		w.Frame.End = CurrentRow
	}
	if w.Frame.Groups && len(w.order) == 0 {
		b.failf(d.Location, sqlerr.WindowingError, "GROUPS mode requires an ORDER BY clause")
	}
	t, word := types.Int8, "ROWS"
	switch {
	case d.StartOffset == nil && d.EndOffset == nil:
		return
	case w.Frame.Groups:
		word = "GROUPS"
	case !w.Frame.Rows:
		t, word = b.distance(w, d.Location), "RANGE"
	}
	off := func(n *pg.Node) Expr {
		if n == nil {
			return nil
		}
		// It sees the columns of outer queries only, as arguments of functions are.
		e := b.expr(sc, n)
		for id := range Refs(e) {
			if sc.local(id) {
				b.failf(b.pos(n), sqlerr.InvalidColumnReference, "argument of %s must not contain variables", word)
			}
		}
		return b.assign(e, t, "", b.pos(n))
	}
	w.Frame.StartOff, w.Frame.EndOff = off(d.StartOffset), off(d.EndOffset)
}

// distance is the type of a RANGE's offsets.
func (b *binder) distance(w *winCall, pos int32) types.T {
	if len(w.order) != 1 {
		b.failf(pos, sqlerr.WindowingError, "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column")
	}
	t, text := w.order[0].e.Type(), "0"
	switch t.Kind() {
	case types.KindInt:
		if t != types.Int2 && t != types.Int4 && t != types.Int8 {
			b.noDistance(t, pos)
		}
		t = types.Int8
	case types.KindFloat:
		t = types.Float8
	case types.KindDecimal:
		t = types.Numeric
	case types.KindDate, types.KindTimestamp, types.KindTimestampTZ, types.KindInterval:
		t = types.Interval
	default:
		b.noDistance(t, pos)
	}
	zero, err := types.ParseText(t, text, nil)
	b.check(pos, err)
	w.Frame.Zero = zero
	return t
}

func (b *binder) noDistance(t types.T, pos int32) {
	b.failf(pos, sqlerr.FeatureNotSupported, "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s", t)
}

// rangeBounds makes the bounds of a RANGE with offsets of its ORDER BY's register.
func (b *binder) rangeBounds(f *Frame, k SortKey) {
	if f.Rows || f.Groups || f.StartOff == nil && f.EndOff == nil {
		return
	}
	var key Expr = &Col{ID: k.ID, T: k.T, Pos: -1}
	switch k.T.Kind() {
	case types.KindInt: // so that no bound is out of range
		key = b.cast(key, types.Numeric, false)
	case types.KindFloat:
		key = b.cast(key, types.Float8, false)
	case types.KindDate:
		key = b.cast(key, types.Timestamp, false)
	}
	f.RangeKey = key
	bound := func(at FrameBound, off Expr) Expr {
		if off == nil {
			return nil
		}
		op := "+"
		if (at == OffsetPreceding) != k.Desc {
			op = "-"
		}
		if k.T.Kind() == types.KindInt {
			off = b.cast(off, types.Numeric, false)
		}
		return b.op(op, key, off, -1)
	}
	f.StartBound, f.EndBound = bound(f.Start, f.StartOff), bound(f.End, f.EndOff)
}
