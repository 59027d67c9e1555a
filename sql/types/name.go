package types

import (
	"strconv"
	"strings"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// ByTypName finds a type by pg_type.typname (int4, bpchar, _text, char for the one-byte "char"),
// as the grammar names types.
func ByTypName(name string) (T, bool) {
	if name == "char" {
		return Char, true
	}
	oid, ok := catalog.byName[name]
	return T{OID: oid, Mod: -1}, ok
}

// ParseName finds a type by the text of a type name: numeric(10,2), int[], timestamp with time zone.
func ParseName(s string) (T, error) {
	undefined := sqlerr.New(sqlerr.UndefinedObject, "type \"%s\" does not exist", s)
	name := strings.Join(strings.Fields(s), " ")
	array := false
	for strings.HasSuffix(name, "[]") {
		name, array = strings.TrimSpace(strings.TrimSuffix(name, "[]")), true
	}
	if name = strings.TrimPrefix(name, `"pg_catalog".`); !strings.HasPrefix(name, `"`) {
		name = strings.ToLower(name)
	}
	name = strings.TrimPrefix(name, "pg_catalog.")
	if elem := strings.Trim(name, `"`); !array && strings.HasPrefix(elem, "_") { // an array's internal name
		name, array = `"`+elem[1:]+`"`, true
	}
	name, mods, ok := cutMods(name)
	if !ok {
		return T{}, undefined
	}
	oid, ok := catalog.byName[name]
	if !ok && strings.HasPrefix(name, `"`) {
		oid, ok = catalog.byName[strings.Trim(name, `"`)]
	}
	if !ok {
		return T{}, undefined
	}
	t := T{OID: oid, Mod: -1}
	if name == "bit" {
		t = t.WithMod(1)
	}
	if name == "character" || name == "char" || name == "nchar" {
		t = CharN(1)
	}
	t, err := t.ApplyMods(mods)
	if err != nil || !array {
		return t, err
	}
	if t, ok = t.Array(); !ok {
		return T{}, undefined
	}
	return t, nil
}

// cutMods takes "(10,2)" out of a name, wherever it stands.
func cutMods(name string) (base string, mods []int32, ok bool) {
	i := strings.IndexByte(name, '(')
	if i < 0 {
		return name, nil, true
	}
	j := strings.IndexByte(name, ')')
	if j < i {
		return "", nil, false
	}
	for _, m := range strings.Split(name[i+1:j], ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(m), 10, 32)
		if err != nil {
			return "", nil, false
		}
		mods = append(mods, int32(n))
	}
	return strings.TrimSpace(name[:i]) + name[j+1:], mods, true
}

// ApplyMods gives a type the modifiers written behind its name, as in varchar(10).
func (t T) ApplyMods(mods []int32) (T, error) {
	if len(mods) == 0 {
		return t, nil
	}
	base := t
	if e, ok := t.Elem(); ok {
		base = e
	}
	switch base.OID {
	case OIDVarchar, OIDBPChar:
		return t.charMods(base, mods)
	case OIDNumeric:
		return t.numericMods(mods)
	case OIDBit, OIDVarbit:
		return t.bitMods(base, mods)
	case OIDTime, OIDTimeTZ, OIDTimestamp, OIDTimestampTZ, OIDInterval:
		if mods[0] < 0 {
			return T{}, sqlerr.New(sqlerr.InvalidParameterValue, "%s(%d) precision must not be negative", strings.ToUpper(base.TypeName()), mods[0])
		}
		return t.WithMod(min(mods[0], 6)), nil
	}
	return T{}, sqlerr.New(sqlerr.SyntaxError, "type modifier is not allowed for type \"%s\"", base.TypeName())
}

func (t T) bitMods(base T, mods []int32) (T, error) {
	name := map[OID]string{OIDBit: "bit", OIDVarbit: "varbit"}[base.OID]
	if mods[0] < 1 {
		return T{}, sqlerr.New(sqlerr.InvalidParameterValue, "length for type %s must be at least 1", name)
	}
	if mods[0] > BitsMax {
		return T{}, sqlerr.New(sqlerr.InvalidParameterValue, "length for type %s cannot exceed %d", name, BitsMax)
	}
	return t.WithMod(mods[0]), nil
}

func (t T) charMods(base T, mods []int32) (T, error) {
	name := map[OID]string{OIDVarchar: "varchar", OIDBPChar: "char"}[base.OID]
	if mods[0] < 1 {
		return T{}, sqlerr.New(sqlerr.InvalidParameterValue, "length for type %s must be at least 1", name)
	}
	if mods[0] > VarcharMax {
		return T{}, sqlerr.New(sqlerr.InvalidParameterValue, "length for type %s cannot exceed %d", name, VarcharMax)
	}
	return t.WithMod(mods[0] + 4), nil
}

func (t T) numericMods(mods []int32) (T, error) {
	p, s := mods[0], int32(0)
	if len(mods) > 1 {
		s = mods[1]
	}
	if p < 1 || p > 1000 {
		return T{}, sqlerr.New(sqlerr.InvalidParameterValue, "NUMERIC precision %d must be between 1 and 1000", p)
	}
	if s < -1000 || s > 1000 {
		return T{}, sqlerr.New(sqlerr.InvalidParameterValue, "NUMERIC scale %d must be between -1000 and 1000", s)
	}
	return t.WithMod(NumericPS(p, s).Mod), nil
}
