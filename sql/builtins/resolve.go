package builtins

import (
	"slices"
	"strings"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// candidate is an overload whose parameters have been laid against a call's arguments.
type candidate struct {
	o      *Overload
	params []types.T // one per argument, polymorphic ones still unresolved
	exact  int
	pref   int
}

// ResolveFunc chooses the overload of a function for argument types, where types.Unknown is an
// untyped literal or parameter. Errors are 42883 and 42725, worded as Postgres does.
func ResolveFunc(name string, args []types.T) (Match, error) {
	best, n := choose(Lookup(name), args)
	switch {
	case n == 0:
		return Match{}, undefinedFunction(name, args)
	case n > 1 || best.undetermined(args):
		return Match{}, ambiguousFunction(name, args)
	}
	return best.match(args), nil
}

// ResolveAmong is ResolveFunc among overloads that are given; it says which.
func ResolveAmong(name string, os []*Overload, args []types.T) (int, Match, error) {
	best, n := choose(os, args)
	switch {
	case n == 0:
		return 0, Match{}, undefinedFunction(name, args)
	case n > 1:
		return 0, Match{}, ambiguousFunction(name, args)
	}
	return slices.Index(os, best.o), best.match(args), nil
}

// ResolveVariadic is ResolveFunc for f(…, VARIADIC array), whose elements are not known before it runs.
func ResolveVariadic(name string, args []types.T) (Match, error) {
	n := len(args) - 1
	elem, ok := args[n].Plain().Elem()
	if !ok {
		return Match{}, sqlerr.New(sqlerr.DatatypeMismatch, "VARIADIC argument must be an array")
	}
	var variadic []*Overload
	for _, o := range Lookup(name) {
		if o.Variadic && o.Class == Scalar && len(o.Args) == len(args) {
			variadic = append(variadic, o)
		}
	}
	as := append(slices.Clone(args[:n]), elem)
	best, found := choose(variadic, as)
	if found == 0 {
		return Match{}, undefinedFunction(name, args)
	}
	m := best.match(as)
	if m.CastTo[n], ok = m.CastTo[n].Array(); !ok {
		return Match{}, undefinedFunction(name, args)
	}
	o := m.Overload
	m.Call = func(ec *EvalContext, a []types.Datum) (types.Datum, error) {
		// Without elements only format has something to say; a NULL is no list at all.
		var elems []types.Datum
		switch {
		case !a[n].IsNull():
			elems = a[n].Array().Elems
		case name != "format":
			return types.Null, nil
		}
		ts := slices.Clone(m.CastTo[:n])
		for range elems {
			ts = append(ts, elem)
		}
		return o.bind(ts)(ec, append(slices.Clone(a[:n]), elems...))
	}
	return m, nil
}

func undefinedFunction(name string, args []types.T) error {
	return sqlerr.New(sqlerr.UndefinedFunction, "function %s does not exist", Signature(name, args)).
		WithHint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

func ambiguousFunction(name string, args []types.T) error {
	return sqlerr.New(sqlerr.AmbiguousFunction, "function %s is not unique", Signature(name, args)).
		WithHint("Could not choose a best candidate function. You might need to add explicit type casts.")
}

// ResolveOp chooses the overload of an operator; left is the zero T for a prefix operator.
func ResolveOp(op string, left, right types.T) (Match, error) {
	if op == "!=" {
		op = "<>"
	}
	left, right = left.Plain(), right.Plain()
	args := []types.T{left, right}
	if left.OID == 0 {
		args = args[1:]
	}
	best, n := chooseOp(LookupOp(op), args)
	shown := right.Base().String()
	if left.OID != 0 {
		shown = left.Base().String() + " " + op + " " + shown
	} else {
		shown = op + " " + shown
	}
	switch {
	case n == 0:
		return Match{}, sqlerr.New(sqlerr.UndefinedFunction, "operator does not exist: %s", shown).
			WithHint("%s", noOperatorHint(len(args)))
	case n > 1 || best.undetermined(args):
		return Match{}, sqlerr.New(sqlerr.AmbiguousFunction, "operator is not unique: %s", shown).
			WithHint("Could not choose a best candidate operator. You might need to add explicit type casts.")
	}
	return best.match(args), nil
}

func noOperatorHint(args int) string {
	if args == 1 {
		return "No operator matches the given name and argument type. You might need to add an explicit type cast."
	}
	return "No operator matches the given name and argument types. You might need to add explicit type casts."
}

// chooseOp first takes an unknown operand for the other's type, as manual 10.2 step 2a says.
func chooseOp(os []*Overload, args []types.T) (candidate, int) {
	if len(args) == 2 {
		assumed := append([]types.T(nil), args...)
		if args[0].OID == types.OIDUnknown {
			assumed[0] = args[1]
		} else if args[1].OID == types.OIDUnknown {
			assumed[1] = args[0]
		}
		if c, ok := exactMatch(os, assumed); ok {
			return c, 1
		}
	}
	return choose(os, args)
}

func exactMatch(os []*Overload, args []types.T) (candidate, bool) {
	for _, o := range os {
		if c, ok := fit(o, args); ok && c.exact == len(args) {
			return c, true
		}
	}
	return candidate{}, false
}

// Signature is a function as messages name it: f(integer, text).
func Signature(name string, args []types.T) string {
	names := make([]string, len(args))
	for i, a := range args {
		names[i] = a.Base().String()
	}
	return name + "(" + strings.Join(names, ", ") + ")"
}

// choose follows manual 10.3: applicable candidates, most exact matches, most preferred types,
// then guesses for unknown arguments by category. The count is how many were left.
func choose(os []*Overload, args []types.T) (candidate, int) {
	var cs []candidate
	for _, o := range os {
		if c, ok := fit(o, args); ok {
			if c.exact == len(args) && (!o.Variadic || len(os) == 1) {
				return c, 1
			}
			cs = append(cs, c)
		}
	}
	cs = most(cs, func(c candidate) int { return c.exact })
	cs = most(cs, func(c candidate) int { return c.pref })
	if len(cs) > 1 {
		cs = byUnknowns(cs, args)
	}
	if len(cs) > 1 { // a variadic or polymorphic overload loses against a plain one
		cs = most(cs, func(c candidate) int { return -boolInt(c.o.Variadic) - boolInt(c.polymorphic()) })
	}
	if len(cs) == 0 {
		return candidate{}, 0
	}
	return cs[0], len(cs)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (c candidate) polymorphic() bool {
	for _, p := range c.params {
		if p.IsPolymorphic() {
			return true
		}
	}
	return false
}

func most(cs []candidate, score func(candidate) int) []candidate {
	best, out := 0, cs[:0:0]
	for i, c := range cs {
		s := score(c)
		if i == 0 || s > best {
			best, out = s, out[:0]
		}
		if s == best {
			out = append(out, c)
		}
	}
	return out
}

// byUnknowns picks, for each unknown argument, the string category if any candidate takes it, else
// the category all agree on; and then assumes unknowns to be of the type the known ones share.
func byUnknowns(cs []candidate, args []types.T) []candidate {
	known, same := types.T{}, true
	for i, a := range args {
		if a.OID != types.OIDUnknown {
			same = same && (known.OID == 0 || known.OID == a.OID)
			known = a
			continue
		}
		cs = byCategory(cs, i)
	}
	if len(cs) <= 1 || known.OID == 0 || !same {
		return cs
	}
	assumed := make([]types.T, len(args))
	for i := range assumed {
		assumed[i] = known
	}
	var exact, able []candidate
	for _, c := range cs {
		if f, ok := fit(c.o, assumed); ok {
			able = append(able, c)
			if f.exact == len(args) {
				exact = append(exact, c)
			}
		}
	}
	switch {
	case len(exact) > 0:
		return exact[:1]
	case len(able) == 1:
		return able
	}
	return cs
}

func byCategory(cs []candidate, i int) []candidate {
	cat, agree := cs[0].params[i].Category(), true
	for _, c := range cs {
		if c.params[i].Category() == types.CategoryString {
			cat, agree = types.CategoryString, true
			break
		}
		agree = agree && c.params[i].Category() == cat
	}
	if !agree {
		return cs
	}
	in := most(cs, func(c candidate) int { return boolInt(c.params[i].Category() == cat) })
	return most(in, func(c candidate) int { return boolInt(c.params[i].Preferred()) })
}

// fit lays an overload against arguments: every one must be castable implicitly, and polymorphic
// ones must agree.
func fit(o *Overload, args []types.T) (candidate, bool) {
	c := candidate{o: o}
	n := len(o.Args)
	if o.Variadic {
		if len(args) < n-1 {
			return c, false
		}
	} else if len(args) > n || len(args) < n-o.Defaults {
		return c, false
	}
	for i, a := range args {
		a = a.Plain()
		p := o.Args[min(i, n-1)]
		c.params = append(c.params, p)
		switch {
		case p.OID == types.OIDAnyEnum:
			if !a.IsEnum() && a.OID != types.OIDUnknown {
				return c, false
			}
		case p.OID == types.OIDAnyArray:
			if !a.IsArray() && a.OID != types.OIDUnknown {
				return c, false
			}
		case p.OID == types.OIDAnyRange:
			if !a.IsRange() && a.OID != types.OIDUnknown {
				return c, false
			}
		case p.OID == types.OIDAnyNonArray:
			if a.IsArray() {
				return c, false
			}
		case p.IsPolymorphic():
		case p.OID == a.OID:
			c.exact++
		case types.CanCast(a, p) != types.CastImplicit:
			return c, false
		}
		if a.OID != types.OIDUnknown && p.Preferred() && p.OID != a.OID {
			c.pref++
		}
	}
	elem, ok := c.element(args)
	if _, has := types.RangeOf(elem); elem.OID != 0 && !has && c.ofRanges() {
		return c, false
	}
	return c, ok
}

// ofRanges says whether a range is among the parameters.
func (c candidate) ofRanges() bool {
	return slices.ContainsFunc(c.params, func(p types.T) bool { return p.OID == types.OIDAnyRange })
}

// undetermined says that a call does not tell of which type its ranges are.
func (c candidate) undetermined(args []types.T) bool {
	elem, _ := c.element(args)
	return elem.OID == 0 && c.ofRanges()
}

// element finds what anyelement stands for; ok is false if arguments disagree.
func (c candidate) element(args []types.T) (elem types.T, ok bool) {
	for i, p := range c.params {
		a := args[i].Plain()
		if a.OID == types.OIDUnknown {
			continue
		}
		switch p.OID {
		case types.OIDAnyArray:
			a, _ = a.Elem()
		case types.OIDAnyRange:
			a, _ = a.Subtype()
		case types.OIDAnyElement, types.OIDAnyEnum:
		default:
			continue
		}
		if elem.OID != 0 && elem.OID != a.OID {
			return elem, false
		}
		if elem.OID == 0 {
			elem = a
		}
	}
	return elem, true
}

// match fixes polymorphic parameters and the result's type.
func (c candidate) match(args []types.T) Match {
	elem, _ := c.element(args)
	if elem.OID == 0 {
		elem = types.Text
	}
	elem = elem.Base()
	resolve := func(p, actual types.T) types.T {
		switch p.OID {
		case types.OIDAny, types.OIDAnyNonArray:
			if actual.OID == types.OIDUnknown {
				return types.Text
			}
			return actual
		case types.OIDAnyElement, types.OIDAnyEnum:
			return elem
		case types.OIDAnyArray:
			a, _ := elem.Array()
			return a
		case types.OIDAnyRange:
			r, _ := types.RangeOf(elem)
			return r
		}
		return p
	}
	m := Match{Overload: c.o, CastTo: make([]types.T, len(args))}
	for i, p := range c.params {
		m.CastTo[i] = resolve(p, args[i])
		if p.OID == args[i].OID {
			m.CastTo[i] = args[i] // the same type: its modifier does no harm and spares a cast
		}
	}
	m.Ret = resolve(c.o.Ret, types.Text)
	if c.o.RetOf != nil {
		m.Ret = c.o.RetOf(m.CastTo)
	}
	if c.o.Class == Scalar {
		m.Call = c.o.bind(m.CastTo)
	}
	return m
}

// bind makes the function the evaluator calls.
func (o *Overload) bind(args []types.T) Fn {
	fn := o.Fn
	switch {
	case o.Bind != nil:
		fn = o.Bind(args)
	case o.Fn1 != nil:
		fn = func(ec *EvalContext, a []types.Datum) (types.Datum, error) { return o.Fn1(ec, a[0]) }
	case o.Fn2 != nil:
		fn = func(ec *EvalContext, a []types.Datum) (types.Datum, error) { return o.Fn2(ec, a[0], a[1]) }
	}
	if !o.Strict {
		return fn
	}
	return func(ec *EvalContext, a []types.Datum) (types.Datum, error) {
		for i := range a {
			if a[i].IsNull() {
				return types.Null, nil
			}
		}
		return fn(ec, a)
	}
}

// CommonType chooses the type of UNION, CASE, COALESCE, VALUES, ARRAY[] and IN columns, as manual
// 10.5 says. context names the construct for the error message ("CASE").
func CommonType(context string, ts []types.T) (types.T, error) {
	out := types.T{OID: types.OIDUnknown, Mod: -1}
	plain := differ(ts)
	for i, t := range ts {
		if plain {
			t = t.Plain()
		}
		switch {
		case t.OID == types.OIDUnknown:
			continue
		case out.OID == types.OIDUnknown:
			out = t
			if i > 0 { // a modifier survives only if all share it
				out = t.Base()
			}
			continue
		case t == out:
			continue
		case t.OID == out.OID:
			out = out.Base()
			continue
		case t.Category() != out.Category():
			return out, sqlerr.New(sqlerr.DatatypeMismatch, "%s types %s and %s cannot be matched", context, out.Base(), t.Base())
		}
		if !out.Preferred() && types.CanCast(out, t) == types.CastImplicit && types.CanCast(t, out) != types.CastImplicit {
			out = t.Base()
		} else if types.CanCast(t, out) == types.CastImplicit {
			out = out.Base()
		} else if types.CanCast(out, t) == types.CastImplicit {
			out = t.Base()
		} else {
			return out, sqlerr.New(sqlerr.CannotCoerce, "%s could not convert type %s to %s", context, t.Base(), out.Base())
		}
	}
	if out.OID == types.OIDUnknown {
		return types.Text, nil
	}
	return out, nil
}

// differ says whether the types are more than one: then domains count as what they are based on.
func differ(ts []types.T) bool {
	for _, t := range ts {
		if t.OID != ts[0].OID {
			return true
		}
	}
	return false
}
