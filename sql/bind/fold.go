package bind

import (
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/types"
)

// fold computes an expression whose operands are constants. What fails stays as it is: it may
// never be evaluated (CASE WHEN false THEN 1/0 …).
func (b *binder) fold(e Expr, v builtins.Volatility) Expr {
	if v != builtins.Immutable {
		return e
	}
	for _, c := range Children(e) {
		if k, ok := c.(*Const); !ok || k.T == types.Unknown {
			return e
		}
	}
	d, ok := b.evalConst(e)
	if !ok {
		return e
	}
	return &Const{D: d, T: e.Type(), Pos: -1}
}

func (b *binder) evalConst(e Expr) (types.Datum, bool) {
	switch e := e.(type) {
	case *Const:
		return e.D, true
	case *Cast:
		return b.evalCast(e)
	case *Call:
		if e.M.Call == nil || e.M.Ret.OID == types.OIDVoid {
			return types.Null, false
		}
		args := make([]types.Datum, len(e.Args))
		for i, a := range e.Args {
			d, ok := b.evalConst(a)
			if !ok {
				return types.Null, false
			}
			args[i] = d
		}
		d, err := e.M.Call(b.env.Eval, args)
		return d, err == nil
	case *Array:
		elem, _ := e.T.Elem()
		out := make([]types.Datum, len(e.Elems))
		for i, a := range e.Elems {
			d, ok := b.evalConst(a)
			if !ok {
				return types.Null, false
			}
			out[i] = d
		}
		if e.Stacked() {
			d, err := types.StackArrays(elem, out, types.ErrSubarrays())
			return d, err == nil
		}
		return types.NewArray(elem, out), true
	}
	return types.Null, false
}

func (b *binder) evalCast(e *Cast) (types.Datum, bool) {
	d, ok := b.evalConst(e.E)
	if !ok || d.IsNull() || e.Relabel {
		return d, ok
	}
	out, err := types.Cast(d, e.E.Type(), e.To, e.Explicit, b.env.Types)
	return out, err == nil
}
