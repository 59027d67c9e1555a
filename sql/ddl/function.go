package ddl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// createFunction keeps a function or procedure in SQL or PL/pgSQL. What it does when it is called, see
// sql/bind/userfunc.go and routine.go.
func (s *stmt) createFunction(ctx context.Context, n *pg.CreateFunctionStmt) error {
	rv, err := s.typeVar(n.Funcname)
	if err != nil {
		return err
	}
	sc, err := s.target(ctx, rv)
	if err != nil {
		return err
	}
	f := &schema.Function{Volatility: 'v', Parallel: 'u', Procedure: n.IsProcedure}
	f.Name = s.cutName(rv.Relname)
	if err := s.functionArgs(ctx, f, n); err != nil {
		return err
	}
	if err := s.functionResult(ctx, f, n); err != nil {
		return err
	}
	if err := s.functionOptions(f, n); err != nil {
		return err
	}
	if len(builtins.Lookup(f.Name)) > 0 {
		s.notice(sqlerr.New(sqlerr.SuccessfulCompletion, "function \"%s\" has the name of one that is built in", f.Name).
			WithHint("Call it with its schema: %s.%s(…).", sc.Name, f.Name))
	}
	if !s.UncheckedBodies || f.Form != schema.BodyText {
		f.SchemaID = sc.ID
		if err := bind.CheckFunction(s.Bind, f); err != nil {
			return s.inBody(f, n, err)
		}
	}
	return s.putFunction(ctx, sc, f, n.Replace)
}

var argModes = map[pg.FunctionParameterMode]schema.ArgMode{pg.FunctionParameterMode_FUNC_PARAM_IN: schema.ArgIn,
	pg.FunctionParameterMode_FUNC_PARAM_DEFAULT: schema.ArgIn, pg.FunctionParameterMode_FUNC_PARAM_OUT: schema.ArgOut,
	pg.FunctionParameterMode_FUNC_PARAM_INOUT: schema.ArgInOut, pg.FunctionParameterMode_FUNC_PARAM_VARIADIC: schema.ArgVariadic,
	pg.FunctionParameterMode_FUNC_PARAM_TABLE: schema.ArgTable}

func (s *stmt) functionArgs(ctx context.Context, f *schema.Function, n *pg.CreateFunctionStmt) error {
	defaults := false
	for _, x := range n.Parameters {
		p := x.GetFunctionParameter()
		t, err := s.paramType(ctx, p)
		if err != nil {
			return err
		}
		a := schema.FuncArg{Name: p.Name, Mode: argModes[p.Mode], Type: storedType(t)}
		input := a.Mode != schema.ArgOut && a.Mode != schema.ArgTable
		switch {
		case t.OID == types.OIDVoid || t.OID == types.OIDUnknown || t.OID == types.OIDRecord || t.OID == types.OIDTrigger:
			return sqlerr.New(sqlerr.InvalidFunctionDefinition, "SQL functions cannot have arguments of type %s", t)
		case a.Mode == schema.ArgVariadic && !t.IsArray() && t.OID != types.OIDAnyArray:
			return sqlerr.New(sqlerr.InvalidFunctionDefinition, "VARIADIC parameter must be an array")
		case !input && t.IsPolymorphic():
			return sqlerr.Unsupported("a polymorphic output parameter")
		case a.Name != "" && slices.ContainsFunc(f.Args, func(o schema.FuncArg) bool { return o.Name == a.Name && overlap(o.Mode, a.Mode) }):
			return sqlerr.New(sqlerr.InvalidFunctionDefinition, "parameter name \"%s\" used more than once", a.Name)
		case p.Defexpr != nil && !input:
			return sqlerr.New(sqlerr.InvalidFunctionDefinition, "only input parameters can have default values")
		case p.Defexpr == nil && input && defaults && a.Mode != schema.ArgVariadic:
			return sqlerr.New(sqlerr.InvalidFunctionDefinition, "input parameters after one with a default value must also have defaults")
		}
		if p.Defexpr != nil {
			defaults = true
			if a.Default, err = exprText(p.Defexpr); err != nil {
				return err
			}
			if !t.IsPolymorphic() {
				node, text, err := parseExpr(a.Default)
				if err != nil {
					return err
				}
				if _, err := bind.BindExpr(s.Bind, node, text, nil, t); err != nil {
					return err
				}
			}
		}
		f.Args = append(f.Args, a)
	}
	return nil
}

// paramType reads the type of a parameter. Rows of a table can be given to a function.
func (s *stmt) paramType(ctx context.Context, p *pg.FunctionParameter) (types.T, error) {
	t, err := s.typeName(ctx, p.ArgType)
	mode := argModes[p.Mode]
	if err == nil || mode != schema.ArgIn && mode != schema.ArgVariadic {
		return t, err
	}
	t, err = bind.ParamTypeName(s.Bind, s.query, p.ArgType)
	if err == nil {
		s.r.RequireSame(schema.DescID(t.User.OID))
	}
	return t, err
}

// overlap says whether parameters of two modes are both arguments, or both results.
func overlap(a, b schema.ArgMode) bool {
	in := func(m schema.ArgMode) bool { return m != schema.ArgOut && m != schema.ArgTable }
	out := func(m schema.ArgMode) bool { return m != schema.ArgIn && m != schema.ArgVariadic }
	return in(a) && in(b) || out(a) && out(b) || a == schema.ArgTable || b == schema.ArgTable
}

func storedType(t types.T) schema.Type {
	return schema.Type{OID: uint32(t.OID), Mod: -1, User: t.User}
}

func (s *stmt) functionResult(ctx context.Context, f *schema.Function, n *pg.CreateFunctionStmt) error {
	outs := f.Outputs()
	f.SetOf = n.ReturnType.GetSetof()
	if n.ReturnType != nil {
		if err := s.declaredResult(ctx, f, n.ReturnType); err != nil {
			return err
		}
	}
	table := len(outs) > 0 && outs[0].Mode == schema.ArgTable
	switch {
	case f.Procedure && len(outs) == 0:
		f.Result = storedType(types.Void)
		return nil
	case f.Procedure: // always a row
		f.Result = schema.Type{OID: uint32(types.OIDRecord), Mod: -1}
	case len(outs) == 0 && n.ReturnType == nil:
		return sqlerr.New(sqlerr.InvalidFunctionDefinition, "function result type must be specified")
	case len(outs) == 0 && f.RowsOf == 0 && f.Result.OID == uint32(types.OIDRecord):
		return sqlerr.Unsupported("RETURNS record without output parameters")
	case len(outs) == 0:
		return determinable(f)
	case len(outs) == 1 && !table:
		if n.ReturnType != nil && f.Result.OID != outs[0].Type.OID {
			return sqlerr.New(sqlerr.InvalidFunctionDefinition, "function result type must be %s because of OUT parameters", tablekv.TypeOf(outs[0].Type))
		}
		f.Result = outs[0].Type
	case n.ReturnType != nil && !table && f.Result.OID != uint32(types.OIDRecord):
		return sqlerr.New(sqlerr.InvalidFunctionDefinition, "function result type must be record because of OUT parameters")
	default:
		f.Result = schema.Type{OID: uint32(types.OIDRecord), Mod: -1}
		if len(outs) == 1 {
			f.Result = outs[0].Type
		}
	}
	for i, o := range outs {
		name := o.Name
		if name == "" {
			name = "column" + string(rune('1'+i))
		}
		f.Columns = append(f.Columns, schema.Column{ID: schema.ColumnID(i + 1), Name: name, Type: o.Type})
	}
	return nil
}

// determinable refuses a result that no argument gives a type.
func determinable(f *schema.Function) error {
	ret := tablekv.TypeOf(f.Result)
	if !ret.IsPolymorphic() || ret.OID == types.OIDAny {
		return nil
	}
	from := "anyelement, anyarray, anynonarray, anyenum, anyrange, or anymultirange"
	if ret.OID == types.OIDAnyRange {
		from = "anyrange or anymultirange"
	}
	if slices.ContainsFunc(f.Inputs(), func(a schema.FuncArg) bool {
		t := tablekv.TypeOf(a.Type)
		return t.IsPolymorphic() && t.OID != types.OIDAny && (ret.OID != types.OIDAnyRange || t.OID == types.OIDAnyRange)
	}) {
		return nil
	}
	return sqlerr.New(sqlerr.InvalidFunctionDefinition, "cannot determine result data type").
		WithDetail("A result of type %s requires at least one input of type %s.", ret, from)
}

// declaredResult reads RETURNS: a type, or a table or view, which stands for its rows.
func (s *stmt) declaredResult(ctx context.Context, f *schema.Function, tn *pg.TypeName) error {
	t, err := s.typeName(ctx, tn)
	if err == nil {
		f.Result = storedType(t)
		return nil
	}
	rv, verr := s.typeVar(tn.Names)
	if verr != nil || len(tn.ArrayBounds) > 0 {
		return err
	}
	found, ferr := s.lookup(ctx, rv)
	if ferr != nil || !found.ok() || found.index != nil || found.object.Kind() == schema.KindSequence {
		return err
	}
	f.RowsOf = found.object.Head().ID
	s.r.RequireSame(f.RowsOf)
	f.Result = schema.Type{OID: uint32(types.OIDRecord), Mod: -1}
	return nil
}

// functionOptions reads what follows RETURNS, and the body.
func (s *stmt) functionOptions(f *schema.Function, n *pg.CreateFunctionStmt) error {
	language := "sql"
	if n.SqlBody == nil {
		language = ""
	}
	var body *string
	for _, x := range n.Options {
		d := x.GetDefElem()
		word := d.Arg.GetString_().GetSval()
		switch d.Defname {
		case "language":
			language = strings.ToLower(word)
		case "as":
			text := d.Arg.GetList().GetItems()[0].GetString_().GetSval()
			body = &text
		default:
			if err := s.functionOption(f, d); err != nil {
				return err
			}
		}
	}
	switch {
	case language == "":
		return sqlerr.New(sqlerr.InvalidFunctionDefinition, "no language specified")
	case language == "plpgsql" && s.NoPLpgSQL:
		return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "not all nodes of the cluster run functions in PL/pgSQL yet").
			WithHint("Start the newer build on all nodes.")
	case language == "plpgsql" && n.SqlBody != nil:
		return sqlerr.New(sqlerr.InvalidFunctionDefinition, "inline SQL function body only valid for language SQL")
	case language == "c" || language == "internal":
		return sqlerr.Unsupported("a function in language %s", language).WithHint("Functions can be written in SQL and PL/pgSQL.")
	case language != "sql" && language != "plpgsql":
		return sqlerr.New(sqlerr.UndefinedObject, "language \"%s\" does not exist", language).
			WithHint("Functions can be written in SQL and PL/pgSQL.")
	case body == nil && n.SqlBody == nil:
		return sqlerr.New(sqlerr.InvalidFunctionDefinition, "no function body specified")
	case body != nil && n.SqlBody != nil:
		return sqlerr.New(sqlerr.InvalidFunctionDefinition, "duplicate function body specified")
	case language == "plpgsql":
		f.Body, f.Language = *body, schema.PLpgSQL
		if f.Result.OID == uint32(types.OIDTrigger) {
			return sqlerr.Unsupported("a function that returns trigger").WithHint("There are no triggers. Use defaults, generated columns, CHECK constraints and foreign keys.")
		}
		return nil
	case body != nil:
		f.Body = *body
		return s.inBody(f, n, checkBody(f))
	}
	return s.standardBody(f, n.SqlBody)
}

func (s *stmt) functionOption(f *schema.Function, d *pg.DefElem) error {
	word, yes := d.Arg.GetString_().GetSval(), d.Arg.GetBoolean().GetBoolval()
	switch d.Defname {
	case "volatility":
		f.Volatility = word[0]
	case "strict":
		f.Strict = yes
	case "leakproof":
		f.Leakproof = yes
	case "parallel":
		if word != "safe" && word != "restricted" && word != "unsafe" {
			return sqlerr.New(sqlerr.SyntaxError, "parameter \"parallel\" must be SAFE, RESTRICTED, or UNSAFE")
		}
		f.Parallel = word[0]
	case "security":
		if yes {
			return sqlerr.Unsupported("SECURITY DEFINER").WithHint("Grant what the function needs to its callers.")
		}
	case "cost", "rows": // the body is planned with the statement, by statistics
	default:
		return sqlerr.Unsupported("%s of a function", strings.ToUpper(d.Defname))
	}
	return nil
}

// standardBody reads RETURN … or BEGIN ATOMIC … END.
func (s *stmt) standardBody(f *schema.Function, body *pg.Node) error {
	f.SearchPath = slices.Clone(s.SearchPath)
	if r := body.GetReturnStmt(); r != nil {
		f.Form = schema.BodyReturn
		text, err := exprText(r.Returnval)
		f.Body = "SELECT " + text
		return err
	}
	f.Form = schema.BodyAtomic
	var list []*pg.Node
	for _, l := range body.GetList().GetItems() {
		list = append(list, l.GetList().GetItems()...)
	}
	for i, n := range list {
		text, err := stmtText(n)
		if err != nil {
			return err
		}
		f.Body += strings.Repeat(";\n ", min(i, 1)) + text
	}
	return checkBody(f)
}

// checkBody refuses what no body can have. Only procedures can have statements that are not planned, since
// a function may be called in the middle of a statement.
func checkBody(f *schema.Function) error {
	stmts, err := bind.BodyStatements(f)
	if err != nil {
		return err
	}
	for _, st := range stmts {
		if !f.Procedure && !bind.Bindable(st.Tree) && st.Tree.GetTransactionStmt() == nil {
			return sqlerr.Unsupported("a function body with statements other than SELECT, INSERT, UPDATE, DELETE, MERGE and CALL").
				WithHint("Write a procedure, and CALL it.")
		}
	}
	return nil
}

// inBody gives an error in a body its place in the statement, or says in whose body it is.
func (s *stmt) inBody(f *schema.Function, n *pg.CreateFunctionStmt, err error) error {
	e, ok := err.(*sqlerr.Error)
	if !ok {
		return err
	}
	c := *e
	if c.Position > 0 {
		c.Position = s.placeInBody(f, n, c.Position)
	} else if c.Where == "" && c.Code != sqlerr.FeatureNotSupported {
		if c.Where = "SQL function \"" + f.Name + "\""; f.Language == schema.PLpgSQL {
			c.Where = fmt.Sprintf("compilation of PL/pgSQL function \"%s\"", f.Name)
		}
	}
	return &c
}

// placeInBody is the place in the statement of a character of a body that was written as a text, both
// counted from 1; 0 if that cannot be said.
func (s *stmt) placeInBody(f *schema.Function, n *pg.CreateFunctionStmt, position int) int {
	for _, x := range n.Options {
		d := x.GetDefElem()
		if d.Defname != "as" || f.Form != schema.BodyText {
			continue
		}
		return parser.InConstant(s.query, int(d.Location)+len("AS"), position)
	}
	return 0
}

func (s *stmt) putFunction(ctx context.Context, sc *schema.Schema, f *schema.Function, replace bool) (err error) {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	old := c.FunctionWith(sc.ID, f.Name, f.Inputs())
	switch {
	case old != nil && !replace:
		return sqlerr.New(sqlerr.DuplicateFunction, "function \"%s\" already exists with same argument types", f.Name)
	case old != nil && old.Procedure != f.Procedure:
		return sqlerr.New(sqlerr.WrongObjectType, "cannot change routine kind").WithDetail("\"%s\" is a %s.", f.Name, kindOf(old))
	case old != nil:
		return s.replaceFunction(ctx, old, f)
	}
	if f.Header, err = s.header(ctx, sc, f.Name); err != nil {
		return err
	}
	if err := s.giveDefaults(ctx, f); err != nil {
		return err
	}
	s.r.Put(f)
	s.r.Bind(sc.ID, schema.BoundName(f), f.ID, 0)
	return nil
}

// replaceFunction keeps what callers rely on: the result, and the names of the parameters.
func (s *stmt) replaceFunction(ctx context.Context, old, f *schema.Function) error {
	dropFirst := func(format string, args ...any) *sqlerr.Error {
		return sqlerr.New(sqlerr.InvalidFunctionDefinition, format, args...).
			WithHint("Use DROP %s %s first.", strings.ToUpper(kindOf(old)), bind.FunctionSignature(old))
	}
	column := func(a, b schema.Column) bool { return a.Name == b.Name && a.Type.OID == b.Type.OID }
	switch {
	case old.Result.OID != f.Result.OID || old.SetOf != f.SetOf || old.RowsOf != f.RowsOf:
		return dropFirst("cannot change return type of existing function")
	case !slices.EqualFunc(old.Columns, f.Columns, column):
		return dropFirst("cannot change return type of existing function").WithDetail("Row type defined by OUT parameters is different.")
	}
	in, was := f.Inputs(), old.Inputs()
	for i := range in {
		if was[i].Name != "" && was[i].Name != in[i].Name {
			return dropFirst("cannot change name of input parameter \"%s\"", was[i].Name)
		}
		if was[i].Default != "" && in[i].Default == "" {
			return dropFirst("cannot remove parameter defaults from existing function")
		}
	}
	if err := s.hold(ctx, "CREATE OR REPLACE FUNCTION", old.ID); err != nil {
		return err
	}
	o, err := s.copyOf(ctx, old.ID)
	if err != nil {
		return err
	}
	f.Header = *o.Head()
	s.r.Put(f)
	return nil
}

// findFunction finds a function, procedure or either to change or drop, by its arguments if they are given;
// nil if it may be missing and is.
func (s *stmt) findFunction(ctx context.Context, n *pg.ObjectWithArgs, kind pg.ObjectType, missingOK bool) (*schema.Function, error) {
	f, err := s.anyFunction(ctx, n, kind, missingOK)
	if f != nil && !isKind(f, kind) {
		return nil, sqlerr.New(sqlerr.WrongObjectType, "%s is not a %s", bind.FunctionSignature(f), strings.ToLower(objectWords(kind)))
	}
	return f, err
}

func isKind(f *schema.Function, kind pg.ObjectType) bool {
	return kind == pg.ObjectType_OBJECT_ROUTINE || f.Procedure == (kind == pg.ObjectType_OBJECT_PROCEDURE)
}

func (s *stmt) anyFunction(ctx context.Context, n *pg.ObjectWithArgs, kind pg.ObjectType, missingOK bool) (*schema.Function, error) {
	word := strings.ToLower(objectWords(kind))
	rv, err := s.typeVar(n.Objname)
	if err != nil {
		return nil, err
	}
	if err := s.missingSchema(ctx, rv, missingOK); err != nil {
		return nil, err
	}
	c, err := s.r.Contents(ctx)
	if err != nil {
		return nil, err
	}
	var in []schema.FuncArg
	shown := nameOf(rv) + "("
	for i, a := range n.Objargs {
		t, err := bind.ParamTypeName(s.Bind, s.query, a.GetTypeName())
		if err != nil {
			return nil, err
		}
		in = append(in, schema.FuncArg{Type: storedType(t)})
		shown += strings.Repeat(", ", min(i, 1)) + t.Base().String()
	}
	path := s.SearchPath
	if rv.Schemaname != "" {
		path = []string{rv.Schemaname}
	}
	for _, p := range path {
		sc := c.Schema(s.Database.ID, s.schemaName(p))
		if sc == nil {
			continue
		}
		if !n.ArgsUnspecified {
			if f := c.FunctionWith(sc.ID, rv.Relname, in); f != nil {
				return f, nil
			}
			continue
		}
		fs := slices.DeleteFunc(c.FunctionsNamed(sc.ID, rv.Relname), func(f *schema.Function) bool { return !isKind(f, kind) })
		switch {
		case len(fs) == 1:
			return fs[0], nil
		case len(fs) > 1:
			return nil, sqlerr.New(sqlerr.AmbiguousFunction, "%s name \"%s\" is not unique", word, nameOf(rv)).
				WithHint("Specify the argument list to select the %s unambiguously.", word)
		}
	}
	switch {
	case n.ArgsUnspecified && missingOK:
		return nil, s.skipped("%s %s() does not exist, skipping", word, nameOf(rv))
	case missingOK:
		return nil, s.skipped("%s %s) does not exist, skipping", word, shown)
	case n.ArgsUnspecified:
		return nil, sqlerr.New(sqlerr.UndefinedFunction, "could not find a %s named \"%s\"", word, nameOf(rv))
	}
	return nil, sqlerr.New(sqlerr.UndefinedFunction, "%s %s) does not exist", word, shown)
}

func (s *stmt) dropFunctions(ctx context.Context, n *pg.DropStmt) error {
	rm := &removal{stmt: s, cascade: n.Behavior == pg.DropBehavior_DROP_CASCADE}
	for _, o := range n.Objects {
		f, err := s.findFunction(ctx, o.GetObjectWithArgs(), n.RemoveType, n.MissingOk)
		if err != nil {
			return err
		}
		if f == nil || slices.Contains(rm.ids, f.ID) {
			continue
		}
		if err := s.mustOwn(ctx, f.ID); err != nil {
			return err
		}
		rm.ids = append(rm.ids, f.ID)
	}
	return rm.run(ctx)
}

// functionsIn lists the functions that a query may call: of each name all.
func (s *stmt) functionsIn(n *pg.Node) []schema.DescID {
	var out []schema.DescID
	parser.Walk(n, func(m proto.Message) {
		if fc, ok := m.(*pg.FuncCall); ok {
			for _, f := range bind.FunctionsNamed(s.Bind, stringList(fc.Funcname)) {
				if !slices.Contains(out, f.ID) {
					out = append(out, f.ID)
				}
			}
		}
	})
	return out
}

// renameFunction is ALTER FUNCTION … RENAME TO, moveFunction … SET SCHEMA.
func (s *stmt) renameFunction(ctx context.Context, n *pg.RenameStmt) error {
	f, err := s.findFunction(ctx, n.Object.GetObjectWithArgs(), n.RenameType, false)
	if err != nil {
		return err
	}
	return s.rebindFunction(ctx, "RENAME", f, func(f *schema.Function) string { f.Name = s.cutName(n.Newname); return "" })
}

func (s *stmt) moveFunction(ctx context.Context, n *pg.AlterObjectSchemaStmt) error {
	f, err := s.findFunction(ctx, n.Object.GetObjectWithArgs(), n.ObjectType, false)
	if err != nil {
		return err
	}
	sc, err := s.target(ctx, &pg.RangeVar{Schemaname: n.Newschema, Relname: f.Name, Location: -1})
	if err != nil {
		return err
	}
	return s.rebindFunction(ctx, "SET SCHEMA", f, func(f *schema.Function) string {
		f.SchemaID = sc.ID
		return " in schema \"" + sc.Name + "\""
	})
}

// rebindFunction gives a function another name. Views have the old one in their text.
func (s *stmt) rebindFunction(ctx context.Context, what string, f *schema.Function, change func(*schema.Function) (where string)) error {
	c, err := s.r.Contents(ctx)
	if err != nil {
		return err
	}
	if views := dependentViews(c, f); len(views) > 0 {
		return sqlerr.Unsupported("%s of a function that view %s calls", what, views[0].Head().Name).
			WithHint("Drop the view and create it again.")
	}
	if err := s.hold(ctx, what, f.ID); err != nil {
		return err
	}
	s.requireViews(f, nil)
	o, err := s.copyOf(ctx, f.ID)
	if err != nil {
		return err
	}
	f = o.(*schema.Function)
	old, parent := schema.BoundName(f), f.SchemaID
	where := change(f)
	if c.FunctionWith(f.SchemaID, f.Name, f.Inputs()) != nil {
		return sqlerr.New(sqlerr.DuplicateFunction, "function %s already exists%s", bind.FunctionSignature(f), where)
	}
	s.r.Unbind(parent, old)
	s.r.Bind(f.SchemaID, schema.BoundName(f), f.ID, 0)
	s.r.Put(f)
	return nil
}

func (s *stmt) ownFunction(ctx context.Context, n *pg.AlterOwnerStmt) error {
	f, err := s.findFunction(ctx, n.Object.GetObjectWithArgs(), n.ObjectType, false)
	if err != nil {
		return err
	}
	return s.changeOwner(ctx, f, n.Newowner)
}

// alterFunction is ALTER FUNCTION … IMMUTABLE and the like.
func (s *stmt) alterFunction(ctx context.Context, n *pg.AlterFunctionStmt) error {
	f, err := s.findFunction(ctx, n.Func, n.Objtype, false)
	if err != nil {
		return err
	}
	if err := s.hold(ctx, "ALTER FUNCTION", f.ID); err != nil {
		return err
	}
	o, err := s.copyOf(ctx, f.ID)
	if err != nil {
		return err
	}
	f = o.(*schema.Function)
	for _, x := range n.Actions {
		if err := s.functionOption(f, x.GetDefElem()); err != nil {
			return err
		}
	}
	s.r.Put(f)
	return nil
}
