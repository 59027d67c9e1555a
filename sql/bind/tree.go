package bind

import (
	"slices"

	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/types"
)

// ColID numbers a column within a statement: its register.
type ColID int32

// Expr is a typed expression. The types below are all there are.
type Expr interface{ Type() types.T }

// Const is a literal or a folded expression.
type Const struct {
	D types.Datum
	T types.T
	// Pos is where a literal stands, for errors of its conversion; -1 if it is none.
	Pos int32
}

// Param is $Idx+1.
type Param struct {
	Idx int
	T   types.T
	Pos int32
}

// Col is a column of a relation of this or an outer query.
type Col struct {
	ID   ColID
	T    types.T
	Name string // for people
	Pos  int32  // in the statement, -1 unknown
}

// Call is a function or operator; arguments have been cast to what it takes.
type Call struct {
	M    builtins.Match
	Args []Expr
}

// Cast converts a value. Relabel says that the value's form stays the same.
type Cast struct {
	E        Expr
	To       types.T
	Explicit bool
	Relabel  bool
}

// And, Or and Not are SQL's three-valued connectives.
type (
	And struct{ Args []Expr }
	Or  struct{ Args []Expr }
	Not struct{ E Expr }
)

// IsNull is IS [NOT] NULL. For rows all (none) of the fields are NULL.
type IsNull struct {
	E      Expr
	Negate bool
}

// BoolTest is IS [NOT] TRUE, FALSE or UNKNOWN (Want NULL).
type BoolTest struct {
	E      Expr
	Want   types.Datum
	Negate bool
}

// When is one branch of CASE.
type When struct{ Cond, Result Expr }

// Case is CASE WHEN; Else may be nil.
type Case struct {
	Whens []When
	Else  Expr
	T     types.T
}

// Coalesce is the first argument that is not NULL.
type Coalesce struct {
	Args []Expr
	T    types.T
}

// Attempt is E, or NULL where E or one of Also cannot be computed from the data.
type Attempt struct {
	E    Expr
	Also []Expr
}

// Settled is E under settings that are not the session's (schema.Rewriting).
type Settled struct {
	E  Expr
	By *Settings
}

// MinMax is GREATEST or LEAST.
type MinMax struct {
	Args  []Expr
	Least bool
	T     types.T
}

// NullIf is NULL where A = B, else A. Eq compares (a, b).
type NullIf struct {
	A     Expr
	Eq    Expr // A = B
	TypeA types.T
}

// Distinct is IS [NOT] DISTINCT FROM over values of one type.
type Distinct struct {
	L, R   Expr
	Negate bool
}

// In is E [NOT] IN (list), all of one type.
type In struct {
	E      Expr
	List   []Expr
	Negate bool
}

// Quant is E op ANY (array) or ALL. Op is called with (E, element).
type Quant struct {
	E, Array Expr
	Op       builtins.Match
	// CastElem is the type elements are cast to before Op sees them, if Valid.
	ElemT, CastElem types.T
	All             bool
}

// Array is ARRAY[…] of one element type.
type Array struct {
	Elems []Expr
	T     types.T
}

// Row is ROW(…).
type Row struct {
	Elems []Expr
	Names []string
	// given are the elements before literals without a type were made texts; nil if there are none.
	given []Expr
	// T is a composite type, or zero for a record.
	T types.T
	// Optional: there may be no row, as there is none of a table that an outer join found none of. The
	// value is NULL then: where the element Key is, or where all are if Key is negative.
	Optional bool
	Key      int
}

// RowCompare is an ordering comparison of rows: Lt, Le, Gt, Ge by Op, column by column.
type RowCompare struct {
	Op   string
	L, R []Expr
}

// Subscript is a[i][j]…, a part of it if any of them is a slice.
type Subscript struct {
	E    Expr
	Subs []Sub
	T    types.T
}

// Sub is one subscript: Hi, or from Lo to Hi if it is a slice, where nil is as far as the array goes.
type Sub struct {
	Lo, Hi Expr
	Slice  bool
}

// Slice says that a part of the array is meant, and no element.
func (e *Subscript) Slice() bool {
	return slices.ContainsFunc(e.Subs, func(s Sub) bool { return s.Slice })
}

// SetPart is E with the element or slice at Subs, or with the member of a jsonb at Path, replaced.
type SetPart struct {
	E     Expr
	Subs  []Sub
	Path  []Expr
	Value Expr
	T     types.T
}

// Stacked says that the elements are arrays, which become further dimensions.
func (e *Array) Stacked() bool { return len(e.Elems) > 0 && e.Elems[0].Type().IsArray() }

// Field is (record).name.
type Field struct {
	E   Expr
	Idx int
	T   types.T
}

// SubKind says what a subquery's result is used for.
type SubKind uint8

// Kinds of subqueries in expressions.
const (
	SubScalar SubKind = iota
	SubExists
	SubAny // Test op ANY (subquery); IN is = ANY
	SubAll
	SubArray
	SubRow // (a, b) = (subquery): Ops over one row
)

// Subquery is a query inside an expression.
type Subquery struct {
	Kind SubKind
	Rel  Rel
	Cols []Col
	// Ops compare: for ANY and ALL one expression over Test's values and Cols.
	Cmp Expr
	T   types.T
	// Test is the left side, one per column, for join rewrites.
	Test []Expr
	// Equal says that Cmp is plain equality of Test and Cols.
	Equal bool
}

// Default stands for the keyword DEFAULT in VALUES and SET until the target column is known.
type Default struct{ Pos int32 }

// Type methods.
func (e *Const) Type() types.T     { return e.T }
func (e *Param) Type() types.T     { return e.T }
func (e *Col) Type() types.T       { return e.T }
func (e *Call) Type() types.T      { return e.M.Ret }
func (e *Cast) Type() types.T      { return e.To }
func (*And) Type() types.T         { return types.Bool }
func (*Or) Type() types.T          { return types.Bool }
func (*Not) Type() types.T         { return types.Bool }
func (*IsNull) Type() types.T      { return types.Bool }
func (*BoolTest) Type() types.T    { return types.Bool }
func (e *Case) Type() types.T      { return e.T }
func (e *Coalesce) Type() types.T  { return e.T }
func (e *Attempt) Type() types.T   { return e.E.Type() }
func (e *Settled) Type() types.T   { return e.E.Type() }
func (e *MinMax) Type() types.T    { return e.T }
func (e *NullIf) Type() types.T    { return e.TypeA }
func (*Distinct) Type() types.T    { return types.Bool }
func (*In) Type() types.T          { return types.Bool }
func (*Quant) Type() types.T       { return types.Bool }
func (e *Array) Type() types.T     { return e.T }
func (*RowCompare) Type() types.T  { return types.Bool }
func (e *Subscript) Type() types.T { return e.T }

// Type implements Expr.
func (e *SetPart) Type() types.T  { return e.T }
func (e *Field) Type() types.T    { return e.T }
func (e *Subquery) Type() types.T { return e.T }
func (*Default) Type() types.T    { return types.Unknown }

// Type is the row's composite type, if it was given one.
func (e *Row) Type() types.T {
	if e.T.OID != 0 {
		return e.T
	}
	return types.Record
}
