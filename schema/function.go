package schema

import (
	"slices"
	"strconv"
	"strings"
)

// Function is a function or procedure in SQL that a user made. Its body is kept as
// text. That of a function becomes a part of every statement that calls it if it can
// (sql/bind/userfunc.go); else it is called (sql/bind/routine.go).
type Function struct {
	Header `wire:"1"`
	// Args are all parameters in the order of the declaration, results too.
	Args []FuncArg `wire:"2"`
	// Result is what the function returns, SetOf of which it returns many. Of a
	// function with several results, or of rows of a table, it is record.
	Result Type `wire:"3"`
	SetOf  bool `wire:"4"`
	// Columns are the columns of the rows that it returns, if it returns rows.
	Columns []Column `wire:"5"`
	// RowsOf is the table or view whose rows it was declared to return, 0 for none.
	RowsOf DescID `wire:"6"`
	// Body is statements with semicolons between them; Form is how it was written.
	Body string   `wire:"7"`
	Form BodyForm `wire:"8"`
	// Volatility is as pg_proc.provolatile: i, s or v.
	Volatility byte `wire:"9"`
	// Strict functions are NULL if any argument is.
	Strict bool `wire:"10"`
	// SearchPath is where the names of an SQL-standard body are looked for; those
	// of a body that is a text are looked for where the caller's are.
	SearchPath []string `wire:"11"`
	// Parallel is as pg_proc.proparallel, and Leakproof as proleakproof: for show.
	Parallel  byte `wire:"12"`
	Leakproof bool `wire:"13"`
	// Procedure: it is called by CALL, and its body may change the schema.
	Procedure bool `wire:"14"`
	// Language is what the body is written in.
	Language Language `wire:"15"`
}

// Language is a language of functions.
type Language uint8

// Languages. The first is what functions of before there was another one are in.
const (
	SQL Language = iota
	PLpgSQL
)

// String is the language as pg_language has it.
func (l Language) String() string {
	if l == PLpgSQL {
		return "plpgsql"
	}
	return "sql"
}

// BodyForm is how the body of a function was written.
type BodyForm uint8

// Forms of bodies.
const (
	BodyText   BodyForm = iota // AS '…'
	BodyReturn                 // RETURN …; Body is SELECT …
	BodyAtomic                 // BEGIN ATOMIC …; END
)

// ArgMode is what a parameter is for, as pg_proc.proargmodes.
type ArgMode byte

// Modes of parameters.
const (
	ArgIn       ArgMode = 'i'
	ArgOut      ArgMode = 'o'
	ArgInOut    ArgMode = 'b'
	ArgVariadic ArgMode = 'v'
	ArgTable    ArgMode = 't'
)

// FuncArg is a parameter of a function.
type FuncArg struct {
	Name string  `wire:"1"`
	Mode ArgMode `wire:"2"`
	Type Type    `wire:"3"`
	// Default is the SQL expression that stands for an argument left out, "" for
	// none.
	Default string `wire:"4"`
}

// Inputs are the parameters that a call gives values for.
func (f *Function) Inputs() []FuncArg {
	var out []FuncArg
	for _, a := range f.Args {
		if a.Mode != ArgOut && a.Mode != ArgTable {
			out = append(out, a)
		}
	}
	return out
}

// Outputs are the parameters that are results.
func (f *Function) Outputs() []FuncArg {
	var out []FuncArg
	for _, a := range f.Args {
		if a.Mode != ArgIn && a.Mode != ArgVariadic {
			out = append(out, a)
		}
	}
	return out
}

// FunctionName is what a function's name is bound as: functions of one name
// differ by the types of their arguments, and relations may have the name too.
func FunctionName(name string, inputs []FuncArg) string {
	var b strings.Builder
	b.WriteString("\x01" + name)
	for _, a := range inputs {
		b.WriteString("\x01" + strconv.FormatUint(uint64(a.Type.OID), 10))
	}
	return b.String()
}

// BoundName is what the name of something in a schema is bound as.
func BoundName(o Object) string {
	switch o := o.(type) {
	case *UserType:
		return TypeName(o.Name)
	case *Function:
		return FunctionName(o.Name, o.Inputs())
	}
	return o.Head().Name
}

// Functions lists the functions of a database by schema and name.
func (c *Contents) Functions(db DescID) []*Function {
	return list[*Function](c, func(h *Header) bool { return h.DatabaseID == db })
}

// FunctionsNamed lists the functions of a name in a schema.
func (c *Contents) FunctionsNamed(schema DescID, name string) []*Function {
	return list[*Function](c, func(h *Header) bool { return h.SchemaID == schema && h.Name == name })
}

// FunctionWith returns the function with a name and types of arguments, or nil.
func (c *Contents) FunctionWith(schema DescID, name string, inputs []FuncArg) *Function {
	return as[*Function](c.named(schema, FunctionName(name, inputs)))
}

// Kind implements Object.
func (*Function) Kind() Kind { return KindFunction }

// Clone returns a deep copy.
func (f *Function) Clone() *Function {
	c := *f
	c.Header = f.Header.clone()
	c.Args = slices.Clone(f.Args)
	c.Columns = slices.Clone(f.Columns)
	c.SearchPath = slices.Clone(f.SearchPath)
	return &c
}

// CloneObject implements Object.
func (f *Function) CloneObject() Object { return f.Clone() }
