package bind

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Env is what names are resolved against.
type Env struct {
	Snap       *schema.Snapshot
	Database   schema.DescID
	SearchPath []string // schemas that exist, without pg_catalog
	// Filling is the materialized view that the statement may change, 0 for none.
	Filling schema.DescID
	// Temp is what the schema name pg_temp stands for, "" for nothing.
	Temp  string
	Types *types.Env
	// Eval is used to fold expressions that depend on nothing.
	Eval *builtins.EvalContext
	// User is the role whose rights the statement has. NoPolicies: row-level security is passed by, as
	// for the acts of foreign keys. RowSecurityOff: it is an error where it is not.
	User                       string
	NoPolicies, RowSecurityOff bool
	// NoParams says that there are no parameters to come: $1 is an error.
	NoParams bool
	// Body is set for a statement of a routine's body, nil for others.
	Body *Body
	// Making is the function that is being made, nil for none. Its body may call it if it is a text.
	Making *schema.Function
	// Virtual finds a computed table; nil if there is none.
	Virtual func(schema, name string) *VirtualTable
}

// Kind says what a statement does.
type Kind uint8

// Kinds of statements.
const (
	KindSelect Kind = iota
	KindInsert
	KindUpdate
	KindDelete
	KindMerge
	KindCall
)

// ResultCol is a column of the result.
type ResultCol struct {
	ID       ColID
	Name     string
	Type     types.T
	TableOID types.OID
	AttNum   int16
}

// Stmt is a bound statement.
type Stmt struct {
	Kind Kind
	Rel  Rel
	// Cols is the result; empty for INSERT, UPDATE, DELETE without RETURNING.
	Cols      []ResultCol
	Returning bool
	Params    []types.T
	// NumCols is how many registers the statement has; Used says which are read by anything.
	NumCols int
	Used    []bool
	// Writes says that the statement writes or takes locks.
	Writes bool
	// Calls says that it calls routines that may write.
	Calls bool
	// Volatile says that it calls volatile functions, Effects that some of them have effects that
	// outlive a rollback and matter.
	Volatile, Effects bool
	// Clocked says that a literal depends on the time ('now'), so that the statement means something
	// else when it comes again.
	Clocked bool
	// Virtual says that it reads computed tables, which may depend on anything.
	Virtual bool
	// Tables are the descriptors it depends on.
	Tables []*schema.Table
	// needs are the privileges that Check asks for.
	needs []*Need
}

type binder struct {
	env    Env
	query  string
	mysql  bool // the statement may say what mysql.go knows
	inView int
	depth  int

	params []types.T
	named  []bool // the parameters that the statement mentions
	next   ColID
	used   []bool
	ctes   int

	tables  map[schema.DescID]*schema.Table
	virtual bool
	writes  bool
	// calls, volatile and effects: see Stmt.
	calls, volatile, effects bool
	// needs: see Stmt. asOwner is the owner of the view that is being bound.
	needs   []*Need
	asOwner string
	// fn is the function whose body is being bound, calling it and those around it; stored says that
	// what is bound is kept, and bound anew, with a table.
	fn      *activeFunc
	calling []*schema.Function
	stored  bool
	// stars, if not nil, collects what each * stands for.
	stars map[*pg.ColumnRef][]*pg.Node
	// renaming, if set, is what RenameColumn looks for.
	renaming *renaming
	// facades are the tables by whose names views are written through.
	facades map[*schema.Table]*facade
	// noRowTypes says that a table's name is not a type.
	noRowTypes bool
	// policing are the tables whose policies are being bound.
	policing map[schema.DescID]bool
	// cteAt is where the WITH query stands that is being bound and changes something.
	cteAt int32
	// schemaAt is where the relation that is being bound was named with its schema, -1 if it was not.
	schemaAt int32
}

// Bind resolves a SELECT, VALUES, INSERT, UPDATE, DELETE, MERGE or CALL. paramTypes may be short, and hold
// types.Unknown (or the zero T), for parameters whose type is to be found.
func Bind(env Env, s parser.Stmt, paramTypes []types.T) (st *Stmt, err error) {
	b := &binder{env: env, query: s.Query, mysql: s.MySQL, tables: map[schema.DescID]*schema.Table{}}
	for _, t := range paramTypes {
		if t.OID == 0 {
			t = types.Unknown
		}
		b.params = append(b.params, t)
	}
	defer catch(&err)
	clocked := false
	b.noteClock(&clocked)
	if env.Body != nil {
		st = b.bodyStatement(s.Tree, env.Body)
	} else {
		st = b.statement(s.Tree)
	}
	b.finish(st)
	st.Clocked = clocked
	return st, nil
}

// noteClock has literals say whether they depend on the time ('now', 'today').
func (b *binder) noteClock(clocked *bool) {
	var e types.Env
	if b.env.Types != nil {
		e = *b.env.Types
	}
	e.Clocked = clocked
	b.env.Types = &e
}

// catch turns this package's panic into an error.
func catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case bindError:
		*err = r.err
	default:
		panic(r)
	}
}

// BindDefault binds what rows get in a column if they are given no value.
func BindDefault(env Env, c *schema.Column) (e Expr, err error) {
	b := &binder{env: env, tables: map[schema.DescID]*schema.Table{}}
	defer catch(&err)
	return b.defaultUnknown(b.defaultExpr(c)), nil
}

// BindExpr resolves an expression over the columns of one table (defaults, checks); column ordinal
// i is register i. A nil table allows no columns; a nil n is what a column of type to is without a
// default.
func BindExpr(env Env, n *pg.Node, query string, table *schema.Table, to types.T) (e Expr, err error) {
	b := &binder{env: env, query: query, tables: map[schema.DescID]*schema.Table{}, stored: true}
	defer catch(&err)
	sc := &scope{b: b, clause: "DEFAULT expressions", noSub: "DEFAULT expression"}
	if table != nil {
		base := b.newCols(len(table.Columns))
		sc.addTable(b.tableRef(table, table.Name, "", base))
		sc.clause, sc.noSub = "check constraints", "check constraint"
	}
	if n == nil { // no default of its own: a domain's, or NULL
		return b.defaultExpr(&schema.Column{Type: schema.Type{OID: uint32(to.OID), Mod: to.Mod, User: to.User}}), nil
	}
	e = b.expr(sc, n)
	if to.OID != 0 {
		e = b.assign(e, to, "", -1)
	}
	return b.defaultUnknown(e), nil
}

func (b *binder) finish(st *Stmt) {
	for i, t := range b.params {
		if t == types.Unknown {
			if i >= len(b.named) || !b.named[i] {
				b.failf(-1, sqlerr.IndeterminateDatatype, "could not determine data type of parameter $%d", i+1)
			}
			b.params[i] = types.Text
		}
	}
	st.Params = b.params
	st.NumCols = int(b.next)
	st.Virtual, st.Writes = b.virtual, b.writes
	st.Calls, st.Volatile, st.Effects = b.calls, b.volatile, b.effects
	st.needs = b.needs
	for _, t := range b.tables {
		st.Tables = append(st.Tables, t)
	}
	st.Used = make([]bool, st.NumCols)
	markUsed(st)
}

func (b *binder) newCols(n int) ColID {
	id := b.next
	b.next += ColID(n)
	return id
}

func (b *binder) statement(n *pg.Node) *Stmt {
	switch s := n.Node.(type) {
	case *pg.Node_SelectStmt:
		q := b.query_(nil, s.SelectStmt, queryOptions{})
		return &Stmt{Kind: KindSelect, Rel: q.rel, Cols: q.resultCols(), Returning: true}
	case *pg.Node_InsertStmt:
		return b.insertStmt(s.InsertStmt)
	case *pg.Node_UpdateStmt:
		return b.updateStmt(s.UpdateStmt)
	case *pg.Node_DeleteStmt:
		return b.deleteStmt(s.DeleteStmt)
	case *pg.Node_MergeStmt:
		return b.mergeStmt(s.MergeStmt)
	case *pg.Node_CallStmt:
		return b.callStmt(s.CallStmt)
	}
	fail(sqlerr.Unsupported("this statement"))
	return nil
}

// enter bounds recursion; call the result when done.
func (b *binder) enter() func() {
	b.depth++
	if b.depth > depthMax {
		fail(sqlerr.New(sqlerr.StatementTooComplex, "stack depth limit exceeded").
			WithHint("The statement is nested more than %d levels deep.", depthMax))
	}
	return func() { b.depth-- }
}

// markUsed marks every register that an expression reads or the result shows.
func markUsed(st *Stmt) {
	for _, c := range st.Cols {
		st.Used[c.ID] = true
	}
	WalkRel(st.Rel, func(r Rel) {
		RelRefs(r, func(id ColID) { st.Used[id] = true })
	}, func(e Expr) {
		switch e := e.(type) {
		case *Col:
			st.Used[e.ID] = true
		case *Subquery: // what it yields, where nothing compares it
			for _, c := range e.Cols {
				st.Used[c.ID] = true
			}
		}
	})
	// What a virtual column is computed from is read if the column is.
	WalkRel(st.Rel, func(r Rel) {
		s, ok := r.(*Scan)
		if !ok {
			return
		}
		for _, v := range s.Virtual {
			if st.Used[v.ID] {
				for id := range Refs(v.E) {
					st.Used[id] = true
				}
			}
		}
	}, func(Expr) {})
}
