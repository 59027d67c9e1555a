package bind

import (
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// unknown says whether an expression's type is still open: a literal or an untyped parameter.
func unknown(e Expr) bool { return e.Type().OID == types.OIDUnknown }

// coerce converts e to a type if the context allows it; nil if it does not.
func (b *binder) coerce(e Expr, to types.T, ctx types.CastContext, pos int32) Expr {
	from := e.Type()
	if from == to || to.OID == types.OIDAny || to.OID == types.OIDUnknown {
		if to.OID == types.OIDAny && unknown(e) {
			return b.coerce(e, types.Text, ctx, pos)
		}
		return e
	}
	if to.IsDomain() && from.OID != to.OID {
		in := b.coerceToBase(e, to, ctx, pos)
		if in == nil {
			return nil
		}
		return b.toDomain(in, to)
	}
	if from.IsDomain() && from.OID != to.OID {
		e = &Cast{E: e, To: from.Plain(), Relabel: true}
		if from = from.Plain(); from.OID == to.OID && (from.Mod == to.Mod || to.Mod < 0) {
			return e
		}
	}
	if unknown(e) {
		return b.coerceUnknown(e, to, ctx, pos)
	}
	if r, ok := e.(*Row); ok && to.IsComposite() && from.OID != to.OID {
		return b.coerceRow(r, to, ctx, pos)
	}
	if a, ok := e.(*Array); ok && to.IsArray() && ctx == types.CastExplicit {
		return b.coerceArray(a, to, ctx, pos)
	}
	if from.OID == to.OID {
		if to.Mod < 0 {
			return &Cast{E: e, To: to, Relabel: true}
		}
		return b.cast(e, to, ctx == types.CastExplicit)
	}
	if types.CanCast(from, to) < ctx {
		return nil
	}
	return b.cast(e, to, ctx == types.CastExplicit)
}

// coerceToBase brings an expression to what a domain is based on. A parameter is announced to the
// client with the domain's type.
func (b *binder) coerceToBase(e Expr, to types.T, ctx types.CastContext, pos int32) Expr {
	p, ok := e.(*Param)
	if _, lit := e.(*Const); lit && unknown(e) && to.Plain().Mod >= 0 { // too long is said without a place
		e = b.coerceUnknown(e, to.Plain().Base(), ctx, pos)
		return b.cast(e, to.Plain(), ctx == types.CastExplicit)
	}
	if !ok || !unknown(e) {
		return b.coerce(e, to.Plain(), ctx, pos)
	}
	if b.params[p.Idx] == types.Unknown {
		b.params[p.Idx] = to
	}
	p.T = b.params[p.Idx].Plain()
	return b.coerce(p, to.Plain(), ctx, pos)
}

// coerceUnknown gives a literal or parameter its type.
func (b *binder) coerceUnknown(e Expr, to types.T, ctx types.CastContext, pos int32) Expr {
	switch e := e.(type) {
	case *Const:
		if e.D.IsNull() {
			return &Const{T: to, Pos: e.Pos}
		}
		if e.Pos >= 0 {
			pos = e.Pos
		}
		d, err := types.ParseText(to.Base(), e.D.Str(), b.env.Types)
		b.check(pos, err)
		if to.Mod >= 0 { // what does not fit is said without a place
			d, err = types.Coerce(d, to, ctx == types.CastExplicit)
			b.check(-1, err)
		}
		return &Const{D: d, T: to, Pos: e.Pos}
	case *Param:
		if b.params[e.Idx] == types.Unknown {
			b.params[e.Idx] = to.Base()
		}
		e.T = b.params[e.Idx].Plain()
		return b.coerce(e, to, ctx, pos)
	}
	return b.cast(e, to, true)
}

func (b *binder) coerceArray(a *Array, to types.T, ctx types.CastContext, pos int32) Expr {
	elem, _ := to.Elem()
	out := &Array{T: to}
	if a.Stacked() {
		elem = to
	}
	for _, x := range a.Elems {
		c := b.coerce(x, elem, ctx, pos)
		if c == nil {
			return nil
		}
		out.Elems = append(out.Elems, c)
	}
	return b.fold(out, builtins.Immutable)
}

// cast makes a Cast node, or folds it.
func (b *binder) cast(e Expr, to types.T, explicit bool) Expr {
	c := &Cast{E: e, To: to, Explicit: explicit, Relabel: relabels(e.Type(), to)}
	if _, ok := e.(*Const); ok && foldableCast(e.Type(), to) {
		return b.fold(c, builtins.Immutable)
	}
	return c
}

// foldableCast excludes casts whose result depends on the session or the catalog.
func foldableCast(from, to types.T) bool {
	switch to.OID {
	case types.OIDRegClass, types.OIDRegType, types.OIDRegProc, types.OIDRegNamespace:
		return false
	}
	return to.OID != types.OIDTimeTZ && from.OID != types.OIDRegClass && from.OID != types.OIDTimestampTZ && to.OID != types.OIDTimestampTZ
}

// relabels says that a cast keeps the value as it is in memory.
func relabels(from, to types.T) bool {
	if from.IsComposite() && to.OID == types.OIDRecord {
		return true
	}
	if to.Mod >= 0 && from != to {
		return false
	}
	switch from.OID {
	case types.OIDInt2:
		return to.OID == types.OIDInt4 || to.OID == types.OIDInt8 || to.OID == types.OIDInt2
	case types.OIDInt4:
		return to.OID == types.OIDInt8 || to.OID == types.OIDInt4
	case types.OIDVarchar, types.OIDText:
		return to.OID == types.OIDVarchar || to.OID == types.OIDText
	case types.OIDName:
		return to.OID == types.OIDText || to.OID == types.OIDVarchar
	case types.OIDBit, types.OIDVarbit:
		return to.OID == types.OIDBit || to.OID == types.OIDVarbit
	case types.OIDCidr:
		return to.OID == types.OIDInet || to.OID == types.OIDCidr
	case types.OIDFloat4:
		return to.OID == types.OIDFloat8
	}
	return from.OID == to.OID
}

// assign converts a value to a column's type, or fails as Postgres does.
func (b *binder) assign(e Expr, to types.T, column string, pos int32) Expr {
	if d, ok := e.(*Default); ok {
		b.failf(d.Pos, sqlerr.SyntaxError, "DEFAULT is not allowed in this context")
	}
	out := b.coerce(e, to, types.CastAssignment, pos)
	if out != nil {
		return out
	}
	if column == "" {
		b.failf(pos, sqlerr.CannotCoerce, "cannot cast type %s to %s", e.Type().Base(), to.Base())
	}
	b.at(pos, sqlerr.New(sqlerr.DatatypeMismatch, "column \"%s\" is of type %s but expression is of type %s",
		column, to.Base(), e.Type().Base()).WithHint("You will need to rewrite or cast the expression."))
	return nil
}

// boolean requires a condition.
func (b *binder) boolean(e Expr, clause string, pos int32) Expr {
	out := b.coerce(e, types.Bool, types.CastImplicit, pos)
	if out == nil {
		b.failf(pos, sqlerr.DatatypeMismatch, "argument of %s must be type boolean, not type %s", clause, e.Type())
	}
	return out
}

// defaultUnknown makes what is still untyped text, as for a column of a result.
func (b *binder) defaultUnknown(e Expr) Expr {
	if unknown(e) {
		return b.coerceUnknown(e, types.Text, types.CastImplicit, -1)
	}
	return e
}

// common brings expressions to one type; context is for the error message.
func (b *binder) common(context string, es []Expr, pos int32) types.T {
	ts := make([]types.T, len(es))
	for i, e := range es {
		ts[i] = e.Type()
	}
	t, err := builtins.CommonType(context, ts)
	b.check(pos, err)
	if t == types.Unknown {
		t = types.Text
	}
	for i := range es {
		c := b.coerce(es[i], t, types.CastImplicit, pos)
		if c == nil {
			b.failf(pos, sqlerr.CannotCoerce, "%s could not convert type %s to %s", context, es[i].Type(), t)
		}
		es[i] = c
	}
	return t
}
