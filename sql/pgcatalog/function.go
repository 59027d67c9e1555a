package pgcatalog

import (
	"context"
	"strings"
	"sync"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
)

// languageOIDs are the languages of the functions that users make; PostgreSQL gives plpgsql a number when a
// cluster is made.
var languageOIDs = map[schema.Language]int64{schema.SQL: 14, schema.PLpgSQL: 13700}

func fillUserProc(env *Env, w *writer) {
	for _, f := range env.Contents.Functions(env.Database.ID) {
		in := []int64{}
		defaults, variadic := 0, any(0)
		for _, a := range f.Inputs() {
			in = append(in, int64(a.Type.OID))
			if a.Default != "" {
				defaults++
			}
			if a.Mode == schema.ArgVariadic {
				if e, ok := tablekv.TypeOf(a.Type).Elem(); ok {
					variadic = e.OID
				}
			}
		}
		c := cells{"oid": f.ID, "proname": f.Name, "pronamespace": f.SchemaID, "proowner": ownerOID(env, f.Owner), "prolang": languageOIDs[f.Language],
			"procost": 100.0, "prokind": kindLetter(f), "proisstrict": f.Strict, "proleakproof": f.Leakproof, "proretset": f.SetOf,
			"provolatile": string(rune(f.Volatility)), "proparallel": string(rune(f.Parallel)), "pronargs": len(in),
			"pronargdefaults": defaults, "provariadic": variadic, "prorettype": int64(f.Result.OID), "proargtypes": in, "proacl": aclOf(f)}
		if f.SetOf {
			c["prorows"] = 1000.0
		}
		var all []int64
		var modes, names []string
		named := false
		for _, a := range f.Args {
			all, modes, names = append(all, int64(a.Type.OID)), append(modes, string(rune(a.Mode))), append(names, a.Name)
			named = named || a.Name != ""
		}
		if len(f.Outputs()) > 0 || variadic != any(0) {
			c["proallargtypes"], c["proargmodes"] = all, modes
		}
		if named {
			c["proargnames"] = names
		}
		if f.Form == schema.BodyText {
			c["prosrc"] = f.Body
		} else {
			c["prosqlbody"] = functionBody(f)
		}
		w.add(c)
	}
}

// kindLetter is pg_proc.prokind.
func kindLetter(f *schema.Function) string {
	if f.Procedure {
		return "p"
	}
	return "f"
}

// FunctionPart implements builtins.Catalog.
func (n Names) FunctionPart(_ context.Context, oid types.OID, part builtins.FunctionPart) (string, bool, error) {
	f, ok := n.Env.Contents.Object(schema.DescID(oid)).(*schema.Function)
	if !ok {
		s := builtinPart(oid, part)
		return s, s != "" || part == builtins.FunctionArguments || part == builtins.FunctionIdentity, nil
	}
	switch part {
	case builtins.FunctionArguments:
		return n.functionArgs(f, true), true, nil
	case builtins.FunctionIdentity:
		return n.functionArgs(f, false), true, nil
	case builtins.FunctionResult:
		return n.functionResult(f), !f.Procedure, nil
	case builtins.FunctionBody:
		return functionBody(f), f.Form != schema.BodyText, nil
	}
	return n.functionDef(f), true, nil
}

// builtinByOID are the functions that are built in, by number.
var builtinByOID = sync.OnceValue(func() map[types.OID]*builtins.Overload {
	out := map[types.OID]*builtins.Overload{}
	for _, o := range builtins.All() {
		if !o.Op {
			out[types.OID(madeOID(o))] = o
		}
	}
	return out
})

// builtinPart is a part of a function that is built in: what it takes, or returns.
func builtinPart(oid types.OID, part builtins.FunctionPart) string {
	o := builtinByOID()[oid]
	if o == nil {
		return ""
	}
	switch part {
	case builtins.FunctionArguments, builtins.FunctionIdentity:
		var args []string
		for i, a := range o.Args {
			text := a.String()
			if o.Variadic && i == len(o.Args)-1 {
				text = "VARIADIC " + text
			}
			args = append(args, text)
		}
		return strings.Join(args, ", ")
	case builtins.FunctionResult:
		if o.Class == builtins.SetReturning {
			return "SETOF " + o.Ret.String()
		}
		return o.Ret.String()
	}
	return ""
}

var argWords = map[schema.ArgMode]string{schema.ArgOut: "OUT ", schema.ArgInOut: "INOUT ", schema.ArgVariadic: "VARIADIC "}

func (n Names) functionArgs(f *schema.Function, defaults bool) string {
	var out []string
	for _, a := range f.Args {
		if a.Mode == schema.ArgTable {
			continue
		}
		s := argWords[a.Mode]
		if f.Procedure && s == "" {
			s = "IN "
		}
		if a.Name != "" {
			s += quoteIdent(a.Name) + " "
		}
		s += n.typeText(a.Type)
		if defaults && a.Default != "" {
			s += " DEFAULT " + a.Default
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func (n Names) typeText(t schema.Type) string {
	if t.User != nil {
		if u := n.Env.Contents.RowTypeByOID(t.User.OID); u != nil && t.User.OfTable() {
			t.User = u
		}
		return n.TypeName(tablekv.TypeOf(t))
	}
	return tablekv.TypeOf(t).String()
}

func (n Names) functionResult(f *schema.Function) string {
	var cols []string
	for _, a := range f.Args {
		if a.Mode == schema.ArgTable {
			cols = append(cols, quoteIdent(a.Name)+" "+n.typeText(a.Type))
		}
	}
	if len(cols) > 0 {
		return "TABLE(" + strings.Join(cols, ", ") + ")"
	}
	out := n.typeText(f.Result)
	if f.RowsOf != 0 {
		out, _ = n.RelationName(types.OID(f.RowsOf))
	}
	if f.SetOf {
		out = "SETOF " + out
	}
	return out
}

// functionBody is a body in the form of the SQL standard.
func functionBody(f *schema.Function) string {
	switch f.Form {
	case schema.BodyReturn:
		return "RETURN " + strings.TrimPrefix(f.Body, "SELECT ")
	case schema.BodyAtomic:
		return "BEGIN ATOMIC\n " + f.Body + ";\nEND"
	}
	return ""
}

func (n Names) functionDef(f *schema.Function) string {
	var b strings.Builder
	kind, returns := "function", "\n RETURNS "+n.functionResult(f)
	if f.Procedure {
		kind, returns = "procedure", ""
	}
	b.WriteString("CREATE OR REPLACE " + strings.ToUpper(kind) + " " + quoteIdent(namespaceOf(n.Env, &f.Header)) + "." + quoteIdent(f.Name) +
		"(" + n.functionArgs(f, true) + ")" + returns + "\n LANGUAGE " + f.Language.String() + "\n")
	var words []string
	words = appendIf(words, f.Volatility == 'i', "IMMUTABLE")
	words = appendIf(words, f.Volatility == 's', "STABLE")
	words = appendIf(words, f.Parallel == 's', "PARALLEL SAFE")
	words = appendIf(words, f.Parallel == 'r', "PARALLEL RESTRICTED")
	words = appendIf(words, f.Strict, "STRICT")
	words = appendIf(words, f.Leakproof, "LEAKPROOF")
	if len(words) > 0 {
		b.WriteString(" " + strings.Join(words, " ") + "\n")
	}
	if f.Form != schema.BodyText {
		return b.String() + functionBody(f) + "\n"
	}
	tag := kind
	for strings.Contains(f.Body, "$"+tag+"$") {
		tag += "x"
	}
	return b.String() + "AS $" + tag + "$" + f.Body + "$" + tag + "$\n"
}

func appendIf(words []string, yes bool, word string) []string {
	if yes {
		return append(words, word)
	}
	return words
}

// FunctionByName implements types.RegResolver.
func (n Names) FunctionByName(name string) (types.OID, error) {
	parts, err := splitName(name)
	if err != nil {
		return 0, err
	}
	last := parts[len(parts)-1]
	var found []types.OID
	if len(parts) == 1 || parts[len(parts)-2] == "pg_catalog" {
		for _, o := range builtins.Lookup(last) {
			found = append(found, types.OID(madeOID(o)))
		}
		if oid := ioByName(last); oid != 0 && len(found) == 0 {
			found = append(found, oid)
		}
	}
	path := n.Env.SearchPath
	if len(parts) > 1 {
		path = parts[len(parts)-2 : len(parts)-1]
	}
	for _, p := range path {
		if sc := n.Env.Contents.Schema(n.Env.Database.ID, p); sc != nil && len(found) == 0 {
			for _, f := range n.Env.Contents.FunctionsNamed(sc.ID, last) {
				found = append(found, types.OID(f.ID))
			}
		}
	}
	switch len(found) {
	case 0:
		return 0, sqlerr.New(sqlerr.UndefinedFunction, "function \"%s\" does not exist", name)
	case 1:
		return found[0], nil
	}
	return 0, sqlerr.New(sqlerr.AmbiguousFunction, "more than one function named \"%s\"", name)
}

// qualifyFunctions writes schemas before the functions of users that a query calls, where the session's
// search path is not the one by which they are found.
func qualifyFunctions(env *Env, path []string, tree *pg.Node) (changed bool) {
	parser.Walk(tree, func(m proto.Message) {
		fc, ok := m.(*pg.FuncCall)
		if !ok || len(fc.Funcname) != 1 {
			return
		}
		name := fc.Funcname[0].GetString_().GetSval()
		if len(builtins.Lookup(name)) > 0 {
			return
		}
		for _, p := range path {
			sc := env.Contents.Schema(env.Database.ID, p)
			if sc == nil || len(env.Contents.FunctionsNamed(sc.ID, name)) == 0 {
				continue
			}
			for _, s := range env.SearchPath {
				if s == p {
					return
				}
			}
			fc.Funcname = []*pg.Node{pg.MakeStrNode(p), fc.Funcname[0]}
			changed = true
			return
		}
	})
	return changed
}
