package bind

import (
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/types"
)

// Rel is a relational expression. The types below are all there are.
type Rel interface{ rel() }

// Scan reads a table; column ordinal i goes to register Base+i.
type Scan struct {
	Table *schema.Table
	Alias string
	Base  ColID
	// Lock and Wait are set by FOR UPDATE and by UPDATE and DELETE themselves.
	Lock kvapi.LockStrength
	Wait kvapi.WaitPolicy
	// Explicit says that a user asked for the lock.
	Explicit bool
	// Virtual computes the table's virtual columns.
	Virtual []Item
}

// VirtualScan reads a table that is computed, as those of pg_catalog.
type VirtualScan struct {
	Table *VirtualTable
	Alias string
	Cols  []ColID
	// TableOID is the register of the system column tableoid.
	TableOID ColID
}

// VirtualTable is what binding needs of a computed table. Impl belongs to who made it.
type VirtualTable struct {
	Schema, Name string
	OID          types.OID
	Columns      []builtins.Column
	// Keys are the columns by whose value rows are found without looking at all.
	Keys []int
	Impl any
}

// Values is a list of rows.
type Values struct {
	Rows [][]Expr
	Cols []ColID
}

// FuncScan calls set-returning (or scalar) functions in FROM, side by side (ROWS FROM).
type FuncScan struct {
	Funcs []TableFunc
	// Ord is WITH ORDINALITY's column, or -1.
	Ord ColID
}

// TableFunc is one function of a FuncScan.
type TableFunc struct {
	M    builtins.Match
	Args []Expr
	Cols []ColID
	// Scalar is set for a plain function or expression: one row.
	Scalar Expr
}

// Filter keeps the rows for which Pred is true.
type Filter struct {
	In   Rel
	Pred Expr
	// Secure: nothing that could tell of a row's contents is evaluated before
	// Pred holds (R1 of security.go).
	Secure bool
}

// Item computes a column.
type Item struct {
	ID ColID
	E  Expr
}

// Project computes columns beside those of its input. Out lists what is visible above.
type Project struct {
	In    Rel
	Items []Item
	Out   []ColID
}

// ProjectSet calls set-returning functions of a target list, in lockstep.
type ProjectSet struct {
	In    Rel
	Funcs []TableFunc
}

// JoinKind is the kind of a join.
type JoinKind uint8

// Join kinds. Semi and Anti come from rewritten subqueries.
const (
	JoinInner JoinKind = iota
	JoinLeft
	JoinRight
	JoinFull
	JoinSemi
	JoinAnti
)

// Join joins; On may be nil (cross join).
type Join struct {
	Kind JoinKind
	L, R Rel
	On   Expr
}

// AggCall is one aggregate to compute.
type AggCall struct {
	ID       ColID
	M        builtins.Match
	Args     []Expr
	Distinct bool
	Filter   Expr
	Order    []SortKey
	// Star is count(*).
	Star bool
}

// Agg groups. A group-by expression that is a plain column keeps its register.
type Agg struct {
	In     Rel
	Groups []Item
	Aggs   []AggCall
	// Global is an aggregate without GROUP BY: exactly one row.
	Global bool
	// Sets is In where there are several grouping sets, nil for plain grouping.
	Sets *GroupingSets
}

// SortKey orders by a register.
type SortKey struct {
	ID         ColID
	Desc       bool
	NullsFirst bool
	T          types.T
}

// Sort orders.
type Sort struct {
	In   Rel
	Keys []SortKey
}

// Limit cuts; either may be nil.
type Limit struct {
	In            Rel
	Count, Offset Expr
	// WithTies keeps the peers of the last row by these keys.
	WithTies []SortKey
}

// DistinctRel removes duplicates by On (all visible columns for plain DISTINCT).
type DistinctRel struct {
	In Rel
	On []ColID
	// First is DISTINCT ON over sorted input: the first row of each.
	First bool
}

// SetKind is the kind of a set operation.
type SetKind uint8

// Set operations.
const (
	Union SetKind = iota
	Intersect
	Except
)

// SetOp combines two queries of the same columns into Cols.
type SetOp struct {
	Kind         SetKind
	All          bool
	L, R         Rel
	LCols, RCols []ColID
	Cols         []ColID
}

// CTE is a query of a WITH clause. It is computed once per execution, on first use.
type CTE struct {
	ID   int
	Name string
	Rel  Rel
	Cols []Col // what Rel yields
	// Recursive part: Rel is then the non-recursive term.
	Recursive Rel
	RecCols   []ColID // what Recursive yields
	UnionAll  bool
	// Modifies says that it must run even if nobody reads it.
	Modifies bool
	Refs     int

	recursing bool // while its recursive term is bound
}

// CTERef reads a CTE's rows into registers of its own.
type CTERef struct {
	CTE  *CTE
	Cols []ColID
	// Work reads the working table inside a recursive term.
	Work bool
}

// With makes CTEs available below and runs the modifying ones.
type With struct {
	In   Rel
	CTEs []*CTE
}

// WindowCall is one window function.
type WindowCall struct {
	ID     ColID
	Name   string // row_number, rank, …, or "" for an aggregate
	Agg    *builtins.Match
	Args   []Expr
	Star   bool
	Filter Expr
	Part   []ColID
	Order  []SortKey
	Frame  Frame
	T      types.T
}

// Frame is a window frame.
type Frame struct {
	Rows, Groups     bool // else RANGE
	Start, End       FrameBound
	StartOff, EndOff Expr // without columns
	// With a RANGE that has offsets: RangeKey is what is ordered by, StartBound and EndBound its values for
	// the present row where the frame begins and ends, and Zero an offset of nothing.
	RangeKey, StartBound, EndBound Expr
	Zero                           types.Datum
	Exclude                        FrameExclusion
}

// FrameExclusion is what EXCLUDE leaves out of a frame.
type FrameExclusion uint8

// Exclusions.
const (
	ExcludeNothing FrameExclusion = iota
	ExcludeCurrentRow
	ExcludeGroup
	ExcludeTies
)

// FrameBound is an end of a frame.
type FrameBound uint8

// Frame bounds.
const (
	UnboundedPreceding FrameBound = iota
	OffsetPreceding
	CurrentRow
	OffsetFollowing
	UnboundedFollowing
)

// Window computes window functions.
type Window struct {
	In    Rel
	Calls []WindowCall
}

// LockRows takes row locks (FOR UPDATE above a join, sort or limit): it reads each row of the
// scans again by primary key, with the lock.
type LockRows struct {
	In    Rel
	Scans []*Scan
}

// OneRow yields one row without columns.
type OneRow struct{}

// CheckExpr is a CHECK constraint over the new row's registers, or the CHECK OPTION of a view.
type CheckExpr struct {
	Name string
	View bool
	E    Expr
}

// Insert writes rows.
type Insert struct {
	Table *schema.Table
	In    Rel
	// Vals gives each table column's value from In's registers, in the order of Table.Columns.
	Vals []Expr
	// New is the first register of the row proposed (EXCLUDED).
	New    ColID
	Checks []CheckExpr
	// Policies are those of row-level security for the row at Final, as it was proposed.
	Policies []PolicyCheck
	// Generated are the generated columns of the row at Final.
	Generated []Item
	// Conflict is nil without ON CONFLICT.
	Conflict *OnConflict
	// Final is the first register of the row as it is in the end, for RETURNING.
	Final     ColID
	Returning []Item
}

// OnConflict is ON CONFLICT.
type OnConflict struct {
	// Index restricts the conflict to one unique index; nil is any (DO NOTHING, and MySQL's
	// ON DUPLICATE KEY UPDATE).
	Index *schema.Index
	// Update is DO UPDATE: Set over the registers of Old and New.
	Update bool
	// Again lets it update a row a second time.
	Again bool
	Old   ColID
	// Virtual computes the virtual columns of the row at Old.
	Virtual []Item
	Set     []SetCol
	Where   Expr
	// There are the policies for the row at Old, Policies for what it becomes, at Final.
	There, Policies []PolicyCheck
}

// SetCol assigns a table column.
type SetCol struct {
	Ordinal int
	E       Expr
}

// Update changes rows found by In, whose present values are in registers from Old.
type Update struct {
	Table *schema.Table
	In    Rel
	Old   ColID
	New   ColID
	Set   []SetCol
	// NonKey says that Set has no column of a unique index: FOR KEY SHARE of others passes.
	NonKey bool
	Checks []CheckExpr
	// Policies are those of row-level security for the row at New.
	Policies []PolicyCheck
	// Generated are the generated columns of the row at New.
	Generated []Item
	Returning []Item
}

// Delete removes rows found by In.
type Delete struct {
	Table     *schema.Table
	In        Rel
	Old       ColID
	Returning []Item
}

func (*Scan) rel()         {}
func (*VirtualScan) rel()  {}
func (*Values) rel()       {}
func (*FuncScan) rel()     {}
func (*Filter) rel()       {}
func (*Project) rel()      {}
func (*ProjectSet) rel()   {}
func (*Join) rel()         {}
func (*Agg) rel()          {}
func (*GroupingSets) rel() {}
func (*Sort) rel()         {}
func (*Limit) rel()        {}
func (*DistinctRel) rel()  {}
func (*SetOp) rel()        {}
func (*CTERef) rel()       {}
func (*With) rel()         {}
func (*Window) rel()       {}
func (*LockRows) rel()     {}
func (*OneRow) rel()       {}
func (*Insert) rel()       {}
func (*Update) rel()       {}
func (*Delete) rel()       {}
