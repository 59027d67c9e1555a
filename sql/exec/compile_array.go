package exec

import (
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

func (c *Compiler) array(e *bind.Array) (Eval, error) {
	args, err := c.CompileAll(e.Elems)
	elem, _ := e.T.Elem()
	stacked := e.Stacked()
	return func(r *Run) (types.Datum, error) {
		out := make([]types.Datum, len(args))
		for i, a := range args {
			d, err := a(r)
			if err != nil {
				return types.Null, err
			}
			out[i] = d
		}
		if stacked {
			return types.StackArrays(elem, out, types.ErrSubarrays())
		}
		return types.NewArray(elem, out), nil
	}, err
}

// evalSub is a compiled bind.Sub.
type evalSub struct {
	lo, hi Eval
	slice  bool
}

func (c *Compiler) subs(in []bind.Sub) ([]evalSub, error) {
	out := make([]evalSub, len(in))
	for i, s := range in {
		out[i].slice = s.Slice
		for _, x := range []struct {
			e  bind.Expr
			to *Eval
		}{{s.Lo, &out[i].lo}, {s.Hi, &out[i].hi}} {
			if x.e == nil {
				continue
			}
			var err error
			if *x.to, err = c.Compile(x.e); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// places computes subscripts; null says that one of them is.
func places(r *Run, subs []evalSub) (out []types.Subscript, null bool, err error) {
	out = make([]types.Subscript, len(subs))
	for i, s := range subs {
		p := &out[i]
		p.Slice, p.NoLo, p.NoHi = s.slice, s.lo == nil, s.hi == nil
		if s.lo != nil {
			d, err := s.lo(r)
			if err != nil {
				return nil, false, err
			}
			p.LoNull, p.Lo = d.IsNull(), int32(d.Int())
		}
		if s.hi != nil {
			d, err := s.hi(r)
			if err != nil {
				return nil, false, err
			}
			p.HiNull, p.Hi = d.IsNull(), int32(d.Int())
		}
		null = null || p.LoNull || p.HiNull
	}
	return out, null, nil
}

func (c *Compiler) subscript(e *bind.Subscript) (Eval, error) {
	base, err := c.Compile(e.E)
	if err != nil {
		return nil, err
	}
	subs, err := c.subs(e.Subs)
	if err != nil {
		return nil, err
	}
	slice := e.Slice()
	shift := int32(1 - e.E.Type().FirstSubscript())
	return func(r *Run) (types.Datum, error) {
		a, err := base(r)
		if err != nil || a.IsNull() {
			return types.Null, err
		}
		at, null, err := places(r, subs)
		for i := range at {
			at[i].Lo, at[i].Hi = at[i].Lo+shift, at[i].Hi+shift
		}
		switch {
		case err != nil || null:
			return types.Null, err
		case slice:
			return a.Array().Slice(at), nil
		}
		return a.Array().At(at), nil
	}, nil
}

// setPart computes an array or a jsonb with a part replaced.
func (c *Compiler) setPart(e *bind.SetPart) (Eval, error) {
	both, err := c.CompileAll([]bind.Expr{e.E, e.Value})
	if err != nil {
		return nil, err
	}
	if e.Path != nil {
		return c.setMember(e, both)
	}
	subs, err := c.subs(e.Subs)
	if err != nil {
		return nil, err
	}
	elem, _ := e.T.Elem()
	return func(r *Run) (types.Datum, error) {
		a, err := both[0](r)
		if err != nil {
			return types.Null, err
		}
		v, err := both[1](r)
		if err != nil {
			return types.Null, err
		}
		at, _, err := places(r, subs)
		if err != nil {
			return types.Null, err
		}
		if a.IsNull() {
			a = types.NewArray(elem.Base(), nil)
		}
		return a.Array().With(at, v)
	}, nil
}

func (c *Compiler) setMember(e *bind.SetPart, both []Eval) (Eval, error) {
	path, err := c.CompileAll(e.Path)
	if err != nil {
		return nil, err
	}
	return func(r *Run) (types.Datum, error) {
		doc, err := both[0](r)
		if err != nil {
			return types.Null, err
		}
		v, err := both[1](r)
		if err != nil {
			return types.Null, err
		}
		keys := make([]types.Datum, len(path))
		for i, p := range path {
			if keys[i], err = p(r); err != nil {
				return types.Null, err
			}
			if keys[i].IsNull() {
				return types.Null, sqlerr.New(sqlerr.NullValueNotAllowed, "jsonb subscript in assignment must not be null")
			}
		}
		return types.SetJSONMember(doc, keys, v)
	}, nil
}
