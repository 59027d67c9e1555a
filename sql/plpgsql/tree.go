package plpgsql

import (
	"errors"
	"unicode/utf8"

	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// VarNum is the number of a variable of a body.
type VarNum int

// Body is a parsed body.
type Body struct {
	Block *Block
	// Vars are all variables: the parameters in their order, FOUND, then those declared.
	Vars []Var
	// Found is the number of FOUND.
	Found VarNum
	// UseColumn: a name that is both a column and a variable means the column; UseVariable the variable.
	UseColumn, UseVariable bool
	// exprs are all pieces of SQL.
	exprs []*Expr
	text  string
}

// Var is a variable.
type Var struct {
	Name string
	// Param is set for the first variables, which are the parameters and have their types.
	Param             bool
	Type              Type
	Constant, NotNull bool
	Default           *Expr
	Line              int
}

// Type is how a variable's type is written.
type Type struct {
	// SQL is a type's name, "" for the others.
	SQL string
	// Of names a column or variable (name%TYPE), or with Rows a table (name%ROWTYPE).
	Of   []string
	Rows bool
	// Record is set for RECORD: a row whose columns come with the value.
	Record bool
	// Known is one that the language gives: boolean, integer or text.
	Known string
}

// Scope is the variables of one block.
type Scope struct {
	up    *Scope
	label string
	vars  []named
}

type named struct {
	name string
	num  VarNum
}

// Expr is a piece of SQL, a statement or an expression, with the variables that it may name.
type Expr struct {
	Text string
	// Prefix makes Text a statement: SELECT, "" for one that is.
	Prefix string
	// Assignment is the whole of an assignment, of which Text is the end; "" for others.
	Assignment string
	Line       int
	from       int // where it begins in the body
	scope      *Scope
	seen       int // how many of the scope's own variables were declared before it
}

// Statement is what is run: the text as a statement.
func (e *Expr) Statement() string { return e.Prefix + e.Text }

// Shown is the text as messages show it.
func (e *Expr) Shown() string {
	if e.Assignment != "" {
		return e.Assignment
	}
	return e.Text
}

// Check parses all pieces of SQL. Errors have their position in the body.
func (b *Body) Check() error {
	for _, e := range b.exprs {
		_, err := parser.Parse(e.Statement())
		var bad *sqlerr.Error
		if !errors.As(err, &bad) {
			continue
		}
		if bad.Position > 0 {
			bad = bad.MovedTo(max(bad.Position-len(e.Prefix), 1) + utf8.RuneCountInString(b.text[:e.from]))
		}
		return bad
	}
	return nil
}

// Visible is a variable as an expression may name it: by its name, or label.name.
type Visible struct {
	Label, Name string
	Num         VarNum
}

// Visible lists what an expression may name, inner variables first.
func (e *Expr) Visible() []Visible {
	var out []Visible
	n := e.seen
	for s := e.scope; s != nil; s = s.up {
		for i := n - 1; i >= 0; i-- {
			out = append(out, Visible{Label: s.label, Name: s.vars[i].name, Num: s.vars[i].num})
		}
		if n = 0; s.up != nil {
			n = len(s.up.vars)
		}
	}
	return out
}

// Target is what a value is assigned to: a variable, or a part of one.
type Target struct {
	Var VarNum
	// Path are fields of rows and subscripts of arrays that lead to the part.
	Path []Step
}

// Step is a field, or a subscript if Index is set. At is for who runs it: the subscript's value.
type Step struct {
	Field string
	Index *Expr
	At    int32
}

// Stmt is a statement.
type Stmt interface {
	// Line is where it begins.
	Line() int
	// Kind is what Postgres calls it in the context of errors.
	Kind() string
}

type at int

// Line implements Stmt.
func (a at) Line() int { return int(a) }

// The statements.
type (
	// Block is BEGIN … END with its variables.
	Block struct {
		at
		Label    string
		Declared []VarNum
		Body     []Stmt
		Handlers []Handler
	}
	// Handler is WHEN … THEN of EXCEPTION.
	Handler struct {
		Conditions []string
		// SQLState and SQLErrM are variables that its statements see.
		SQLState, SQLErrM VarNum
		Body              []Stmt
	}
	// Assign is target := value.
	Assign struct {
		at
		Target Target
		Value  *Expr
	}
	// If is IF with its ELSIFs.
	If struct {
		at
		Branches []Branch
		Else     []Stmt
	}
	// Branch is a condition with what runs if it holds.
	Branch struct {
		Cond *Expr
		Body []Stmt
	}
	// Case is CASE; Test is nil for one that looks for a condition that holds.
	Case struct {
		at
		Test     *Expr
		Branches []Branch
		// Var holds the test's value, which conditions are compared with.
		Var     VarNum
		Else    []Stmt
		HasElse bool
	}
	// Loop is LOOP, and WHILE where Cond is set.
	Loop struct {
		at
		Label string
		Cond  *Expr
		Body  []Stmt
	}
	// ForInt is FOR var IN lo..hi.
	ForInt struct {
		at
		Label        string
		Var          VarNum
		Lo, Hi, Step *Expr
		Reverse      bool
		Body         []Stmt
	}
	// ForQuery is FOR targets IN query, or IN EXECUTE.
	ForQuery struct {
		at
		Label string
		Into  []Target
		Query Query
		Body  []Stmt
	}
	// ForEach is FOREACH var IN ARRAY value.
	ForEach struct {
		at
		Label string
		Into  Target
		Slice int
		Value *Expr
		Body  []Stmt
	}
	// Exit is EXIT, and CONTINUE.
	Exit struct {
		at
		Continue bool
		Label    string
		Cond     *Expr
	}
	// Return is RETURN; Value may be nil.
	Return struct {
		at
		Value *Expr
	}
	// ReturnNext adds a row to what is returned.
	ReturnNext struct {
		at
		Value *Expr
	}
	// ReturnQuery adds the rows of a query.
	ReturnQuery struct {
		at
		Query Query
	}
	// Raise is RAISE. Without anything it raises again what a handler has caught.
	Raise struct {
		at
		Level     string
		Message   string
		Condition string
		Params    []*Expr
		Options   []RaiseOption
	}
	// RaiseOption is one of USING.
	RaiseOption struct {
		Name  string
		Value *Expr
	}
	// Assert is ASSERT.
	Assert struct {
		at
		Cond, Message *Expr
	}
	// SQL is a statement of SQL. Call says that it is CALL, Writes that it changes rows.
	SQL struct {
		at
		Query  Query
		Into   []Target
		Strict bool
	}
	// Perform runs a query for what it does.
	Perform struct {
		at
		Query *Expr
	}
	// GetDiagnostics is GET DIAGNOSTICS, and GET STACKED DIAGNOSTICS.
	GetDiagnostics struct {
		at
		Stacked bool
		Items   []DiagnosticsItem
	}
	// DiagnosticsItem is target = name.
	DiagnosticsItem struct {
		Target Target
		Name   string
	}
	// Null is NULL.
	Null struct{ at }
	// Refused is a statement that is not there: Name says which.
	Refused struct {
		at
		Name string
	}
)

// Query is SQL, or with Dynamic an expression whose value is SQL, with the values of $1 and so on.
type Query struct {
	Expr    *Expr
	Dynamic bool
	Using   []*Expr
}

// Kind implements Stmt.
func (*Block) Kind() string { return "statement block" }

// Kind implements Stmt.
func (*Assign) Kind() string { return "assignment" }

// Kind implements Stmt.
func (*If) Kind() string { return "IF" }

// Kind implements Stmt.
func (*Case) Kind() string { return "CASE" }

// Kind implements Stmt.
func (s *Loop) Kind() string {
	if s.Cond != nil {
		return "WHILE"
	}
	return "LOOP"
}

// Kind implements Stmt.
func (*ForInt) Kind() string { return "FOR with integer loop variable" }

// Kind implements Stmt.
func (s *ForQuery) Kind() string {
	if s.Query.Dynamic {
		return "FOR over EXECUTE statement"
	}
	return "FOR over SELECT rows"
}

// Kind implements Stmt.
func (*ForEach) Kind() string { return "FOREACH over array" }

// Kind implements Stmt.
func (s *Exit) Kind() string {
	if s.Continue {
		return "CONTINUE"
	}
	return "EXIT"
}

// Kind implements Stmt.
func (*Return) Kind() string { return "RETURN" }

// Kind implements Stmt.
func (*ReturnNext) Kind() string { return "RETURN NEXT" }

// Kind implements Stmt.
func (*ReturnQuery) Kind() string { return "RETURN QUERY" }

// Kind implements Stmt.
func (*Raise) Kind() string { return "RAISE" }

// Kind implements Stmt.
func (*Assert) Kind() string { return "ASSERT" }

// Kind implements Stmt.
func (s *SQL) Kind() string {
	if s.Query.Dynamic {
		return "EXECUTE"
	}
	return "SQL statement"
}

// Kind implements Stmt.
func (*Perform) Kind() string { return "PERFORM" }

// Kind implements Stmt.
func (s *GetDiagnostics) Kind() string {
	if s.Stacked {
		return "GET STACKED DIAGNOSTICS"
	}
	return "GET DIAGNOSTICS"
}

// Kind implements Stmt.
func (*Null) Kind() string { return "NULL" }

// Kind implements Stmt.
func (s *Refused) Kind() string { return s.Name }
