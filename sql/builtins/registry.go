package builtins

import (
	"sort"
	"sync"

	"github.com/cairndb/cairn/sql/types"
)

// Volatility says when calls may be folded or reused, as pg_proc.provolatile.
type Volatility byte

// Volatilities.
const (
	Immutable Volatility = 'i'
	Stable    Volatility = 's'
	Volatile  Volatility = 'v'
)

// Class says how a function is called.
type Class byte

// Classes of functions.
const (
	Scalar       Class = 'f'
	Aggregate    Class = 'a'
	SetReturning Class = 's'
)

// Fn computes a scalar.
type Fn func(ec *EvalContext, args []types.Datum) (types.Datum, error)

// Fn1 and Fn2 are the direct forms for one and two arguments; they spare the slice.
type (
	Fn1 func(ec *EvalContext, a types.Datum) (types.Datum, error)
	Fn2 func(ec *EvalContext, a, b types.Datum) (types.Datum, error)
)

// Aggregator is the state of one aggregate over one group. Add is not called for rows whose
// argument is NULL if the overload is strict.
type Aggregator interface {
	Add(ec *EvalContext, args []types.Datum) error
	Result(ec *EvalContext) (types.Datum, error)
}

// Rows is the result of a set-returning function. The row is valid until the next call.
type Rows interface {
	Next() (row types.Row, ok bool, err error)
}

// Column names a column of a set-returning function's result.
type Column struct {
	Name string
	Type types.T
}

// Overload is one implementation of a function or operator.
type Overload struct {
	Name  string
	Class Class
	// Args are the parameter types; any, anyelement and anyarray stand for the call's types. A
	// prefix operator has one. Variadic repeats the last one any number of times (also none).
	Args     []types.T
	Variadic bool
	// Defaults is how many trailing parameters may be left out (the function sees fewer args).
	Defaults int
	Ret      types.T
	// RetOf computes the type for polymorphic overloads; nil uses Ret.
	RetOf  func(args []types.T) types.T
	Vol    Volatility
	Strict bool // NULL in, NULL out, without a call
	Op     bool // an operator, not a function
	Writer bool // it may write to the transaction that calls it
	// Ordered is an ordered-set aggregate: called only WITHIN GROUP.
	Ordered bool
	Doc     string

	// One or more of these is set; Call picks.
	Fn  Fn
	Fn1 Fn1
	Fn2 Fn2
	// Bind builds Fn for overloads whose work depends on the types at the call.
	Bind func(args []types.T) Fn

	NewAgg func(args []types.T) Aggregator
	Series func(ec *EvalContext, args []types.Datum) (Rows, error)
	// Cols are a set-returning function's columns, nil for one column named like the function.
	Cols func(args []types.T) []Column
}

// Match is an overload chosen for a call.
type Match struct {
	*Overload
	// CastTo has a type per argument: the evaluator casts the argument to it unless it already has it.
	CastTo []types.T
	// Ret is the type of the result (of one row's value for set-returning functions).
	Ret types.T
	// Call computes a scalar (nil for other classes). NULLs of strict overloads are handled in it.
	Call Fn
}

// registry holds every overload by name; it is built on first use and then only read.
var registry = sync.OnceValue(buildRegistry)

type tables struct {
	funcs map[string][]*Overload
	ops   map[string][]*Overload
}

func buildRegistry() *tables {
	t := &tables{funcs: map[string][]*Overload{}, ops: map[string][]*Overload{}}
	for _, group := range allGroups() {
		for i := range group {
			t.add(&group[i])
		}
	}
	return t
}

func (t *tables) add(o *Overload) {
	if o.Op {
		t.ops[o.Name] = append(t.ops[o.Name], o)
		return
	}
	t.funcs[o.Name] = append(t.funcs[o.Name], o)
}

// Lookup returns the overloads of a function name.
func Lookup(name string) []*Overload { return registry().funcs[name] }

// LookupOp returns the overloads of an operator.
func LookupOp(op string) []*Overload { return registry().ops[op] }

// IsAggregate says whether name is an aggregate function.
func IsAggregate(name string) bool { return hasClass(name, Aggregate) }

// IsSetReturning says whether name is a set-returning function.
func IsSetReturning(name string) bool { return hasClass(name, SetReturning) }

func hasClass(name string, c Class) bool {
	os := Lookup(name)
	return len(os) > 0 && os[0].Class == c
}

// All lists every overload, functions by name and then operators, for docs and pg_proc.
func All() []*Overload {
	r := registry()
	var out []*Overload
	for _, m := range []map[string][]*Overload{r.funcs, r.ops} {
		names := make([]string, 0, len(m))
		for n := range m {
			names = append(names, n)
		}
		sort.Strings(names)
		for _, n := range names {
			out = append(out, m[n]...)
		}
	}
	return out
}
