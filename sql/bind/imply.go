package bind

import "github.com/cairndb/cairn/sql/types"

// Conjuncts splits a condition at its ANDs.
func Conjuncts(e Expr) []Expr {
	a, ok := e.(*And)
	if !ok {
		return []Expr{e}
	}
	var out []Expr
	for _, x := range a.Args {
		out = append(out, Conjuncts(x)...)
	}
	return out
}

// mirroredOps are comparisons with their sides exchanged.
var mirroredOps = map[string]string{"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

// ImpliedBy says that conditions that are all true make another one true. It may say no where the
// answer is yes, never the other way round: columns, constants and their order are all it knows.
func ImpliedBy(preds []Expr, want Expr) bool {
	for _, w := range Conjuncts(want) {
		found := false
		for _, e := range preds {
			found = found || implies(plainBool(e), plainBool(w))
		}
		if !found {
			return false
		}
	}
	return true
}

func implies(e, w Expr) bool {
	if Same(e, w) {
		return true
	}
	if or, ok := e.(*Or); ok {
		for _, x := range or.Args {
			if !ImpliedBy(Conjuncts(x), w) {
				return false
			}
		}
		return true
	}
	switch w := w.(type) {
	case *Or:
		for _, x := range w.Args {
			if ImpliedBy([]Expr{e}, x) {
				return true
			}
		}
	case *IsNull:
		return w.Negate && falseForNull(e, w.E)
	case *Call:
		return narrower(e, w)
	}
	return false
}

// plainBool writes b = true as b, and b = false as NOT b.
func plainBool(e Expr) Expr {
	c, ok := e.(*Call)
	if !ok || !c.M.Op || c.M.Name != "=" || len(c.Args) != 2 || c.Args[0].Type() != types.Bool {
		return e
	}
	k, ok := c.Args[1].(*Const)
	switch {
	case !ok || k.D.IsNull():
		return e
	case k.D.Bool():
		return c.Args[0]
	}
	return &Not{E: c.Args[0]}
}

// falseForNull says that a condition cannot be true where x is NULL.
func falseForNull(e, x Expr) bool {
	switch e := e.(type) {
	case *Call:
		if !e.M.Strict {
			return false
		}
		for _, a := range e.Args {
			if Same(a, x) || falseForNull(a, x) {
				return true
			}
		}
		return false
	case *In:
		return !e.Negate && Same(e.E, x)
	case *Quant:
		return !e.All && e.Op.Strict && Same(e.E, x)
	case *Not:
		return Same(e.E, x) || falseForNull(e.E, x)
	}
	return Same(e, x)
}

// bound is a comparison of an expression with a constant.
type bound struct {
	e  Expr
	op string
	k  types.Datum
	t  types.T
}

func boundOf(e Expr) (bound, bool) {
	c, ok := e.(*Call)
	if !ok || !c.M.Op || len(c.Args) != 2 || mirroredOps[c.M.Name] == "" {
		return bound{}, false
	}
	if k, ok := c.Args[1].(*Const); ok && !k.D.IsNull() {
		return bound{c.Args[0], c.M.Name, k.D, k.T}, true
	}
	if k, ok := c.Args[0].(*Const); ok && !k.D.IsNull() {
		return bound{c.Args[1], mirroredOps[c.M.Name], k.D, k.T}, true
	}
	return bound{}, false
}

// narrower says that a comparison with constants lets no value pass that another one does not.
func narrower(e, w Expr) bool {
	want, ok := boundOf(w)
	if !ok {
		return false
	}
	if in, ok := e.(*In); ok {
		for _, x := range in.List {
			k, ok := x.(*Const)
			if !ok || in.Negate || k.D.IsNull() || !want.allows(bound{in.E, "=", k.D, k.T}) {
				return false
			}
		}
		return true
	}
	have, ok := boundOf(e)
	return ok && want.allows(have)
}

// allows says that all values within have are within b.
func (b bound) allows(have bound) bool {
	if !Same(b.e, have.e) || b.t.Kind() != have.t.Kind() {
		return false
	}
	c := types.Compare(have.k, b.k)
	switch have.op {
	case "=":
		switch b.op {
		case "=":
			return c == 0
		case "<>":
			return c != 0
		case "<":
			return c < 0
		case "<=":
			return c <= 0
		case ">":
			return c > 0
		case ">=":
			return c >= 0
		}
	case ">":
		return (b.op == ">" || b.op == ">=" || b.op == "<>") && c >= 0
	case ">=":
		return b.op == ">=" && c >= 0 || (b.op == ">" || b.op == "<>") && c > 0
	case "<":
		return (b.op == "<" || b.op == "<=" || b.op == "<>") && c <= 0
	case "<=":
		return b.op == "<=" && c <= 0 || (b.op == "<" || b.op == "<>") && c < 0
	case "<>":
		return b.op == "<>" && c == 0
	}
	return false
}

// NotNullOnly says that a condition is nothing but IS NOT NULL.
func NotNullOnly(e Expr) bool {
	for _, c := range Conjuncts(e) {
		if n, ok := c.(*IsNull); !ok || !n.Negate {
			return false
		}
	}
	return true
}
