package bind

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// TypeName resolves a type name of a declaration, where the row type of a table is none.
func TypeName(env Env, query string, tn *pg.TypeName) (t types.T, err error) {
	b := &binder{env: env, query: query, noRowTypes: true}
	defer catch(&err)
	return b.typeName(tn), nil
}

// ParamTypeName is TypeName for a parameter of a function, which may be a row of a table.
func ParamTypeName(env Env, query string, tn *pg.TypeName) (t types.T, err error) {
	b := &binder{env: env, query: query}
	defer catch(&err)
	return b.typeName(tn), nil
}

func (b *binder) typeName(tn *pg.TypeName) types.T {
	names := stringList(tn.Names)
	if len(names) == 0 || tn.PctType {
		b.unsupported(tn.Location, "this type name")
	}
	name := names[len(names)-1]
	t, ok := types.T{}, false
	if len(names) == 1 || names[0] == "pg_catalog" {
		t, ok = types.ByTypName(name)
	}
	if !ok {
		t, ok = b.userType(names)
	}
	if hint := missingTypes[name]; !ok && hint != "" {
		b.at(tn.Location, sqlerr.Unsupported("type %s", name).WithHint("%s", hint))
	}
	if !ok {
		b.failf(tn.Location, sqlerr.UndefinedObject, "type \"%s\" does not exist", strings.Join(names, "."))
	}
	t = b.withMods(t, tn)
	if len(tn.ArrayBounds) > 0 {
		a, ok := t.Array()
		if !ok {
			b.failf(tn.Location, sqlerr.UndefinedObject, "type \"%s[]\" does not exist", name)
		}
		t = a
	}
	return t
}

// userType finds a type that users made, along the search path or in the schema that names it.
func (b *binder) userType(names []string) (types.T, bool) {
	path, name := b.env.SearchPath, names[len(names)-1]
	if len(names) > 1 {
		path = names[len(names)-2 : len(names)-1]
	}
	if b.env.Snap == nil {
		return types.T{}, false
	}
	name, array := strings.CutPrefix(name, "_")
	for _, p := range path {
		sc := b.env.Snap.Schema(b.env.Database, p)
		if sc == nil {
			continue
		}
		if array {
			if ut := b.env.Snap.Type(sc.ID, "_"+name); ut != nil {
				return types.OfUser(&ut.Def), true
			}
		}
		ut := b.env.Snap.Type(sc.ID, name)
		switch {
		case ut == nil && !array && !b.noRowTypes:
			if t, ok := b.tableRowType(sc, name); ok {
				return t, true
			}
		case ut == nil:
		case array:
			return types.OfUser(&ut.Def).Array()
		default:
			return types.OfUser(&ut.Def), true
		}
	}
	return types.T{}, false
}

func (b *binder) withMods(t types.T, tn *pg.TypeName) types.T {
	var mods []int32
	for _, m := range tn.Typmods {
		c := m.GetAConst()
		if c == nil || c.GetIval() == nil {
			if c != nil && c.GetIval() == nil && c.Val != nil {
				b.failf(tn.Location, sqlerr.InvalidParameterValue, "type modifiers must be simple constants or identifiers")
			}
			mods = append(mods, 0)
			continue
		}
		mods = append(mods, c.GetIval().Ival)
	}
	if len(mods) == 0 {
		return t
	}
	switch t.OID {
	case types.OIDVarchar, types.OIDBPChar:
		return b.charMod(t, mods[0], tn.Location)
	case types.OIDNumeric:
		return b.numericMod(mods, tn.Location)
	case types.OIDBit, types.OIDVarbit:
		t, err := t.ApplyMods(mods)
		b.check(tn.Location, err)
		return t
	case types.OIDTime, types.OIDTimeTZ, types.OIDTimestamp, types.OIDTimestampTZ:
		return t.WithMod(min(mods[0], 6))
	case types.OIDInterval:
		return t
	}
	b.failf(tn.Location, sqlerr.SyntaxError, "type modifier is not allowed for type \"%s\"", t)
	return t
}

func (b *binder) charMod(t types.T, n, pos int32) types.T {
	if n < 1 {
		b.failf(pos, sqlerr.InvalidParameterValue, "length for type %s must be at least 1", shortName(t))
	}
	if n > 10485760 {
		b.failf(pos, sqlerr.InvalidParameterValue, "length for type %s cannot exceed 10485760", shortName(t))
	}
	if t.OID == types.OIDVarchar {
		return types.VarcharN(n)
	}
	return types.CharN(n)
}

func shortName(t types.T) string {
	if t.OID == types.OIDVarchar {
		return "varchar"
	}
	return "char"
}

func (b *binder) numericMod(mods []int32, pos int32) types.T {
	p, s := mods[0], int32(0)
	if len(mods) > 1 {
		s = mods[1]
	}
	if p < 1 || p > 1000 {
		b.failf(pos, sqlerr.InvalidParameterValue, "NUMERIC precision %d must be between 1 and 1000", p)
	}
	if s < -1000 || s > 1000 {
		b.failf(pos, sqlerr.InvalidParameterValue, "NUMERIC scale %d must be between -1000 and 1000", s)
	}
	return types.NumericPS(p, s)
}

// stringList reads a list of String nodes.
func stringList(ns []*pg.Node) []string {
	out := make([]string, 0, len(ns))
	for _, n := range ns {
		if s := n.GetString_(); s != nil {
			out = append(out, s.Sval)
		}
	}
	return out
}
