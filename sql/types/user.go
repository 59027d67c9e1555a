package types

import (
	"strings"

	"github.com/cairndb/cairn/schema/usertype"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// OfUser gives the type of a definition.
func OfUser(u *usertype.Type) T { return T{OID(u.OID), -1, u} }

// IsEnum and IsDomain say what kind of user's type it is; arrays of such are neither.
func (t T) IsEnum() bool { return t.User != nil && t.User.Kind == usertype.Enum && !t.isUserArray() }

// IsDomain says whether the type is a domain.
func (t T) IsDomain() bool {
	return t.User != nil && t.User.Kind == usertype.Domain && uint32(t.OID) == t.User.OID
}

func (t T) isUserArray() bool { return uint32(t.OID) == t.User.ArrayOID }

// Plain is the type under a domain, or t itself: what values of it are held and computed as.
func (t T) Plain() T {
	for t.IsDomain() {
		t = T{OID(t.User.BaseOID), t.User.BaseMod, t.User.Base}
	}
	return t
}

// userInfo answers for user's types what the catalog does for Postgres's.
func (t T) userInfo() *info {
	u := t.User
	switch {
	case t.isUserArray():
		return &info{oid: t.OID, name: "_" + u.Name, sqlName: userName(u) + "[]", len: -1, category: CategoryArray, kind: KindArray}
	case u.Kind == usertype.Enum && uint32(t.OID) == u.OID:
		return &info{oid: t.OID, name: u.Name, sqlName: userName(u), len: 4, byVal: true, category: CategoryEnum,
			array: OID(u.ArrayOID), kind: KindEnum}
	case t.IsComposite():
		return &info{oid: t.OID, name: u.Name, sqlName: userName(u), len: -1, category: CategoryComposite,
			array: OID(u.ArrayOID), kind: KindRecord}
	case t.IsDomain():
		base := *t.Plain().info()
		base.oid, base.name, base.sqlName, base.array, base.preferred = t.OID, u.Name, userName(u), OID(u.ArrayOID), false
		return &base
	}
	return nil
}

func (t T) userElem() (T, bool) {
	switch {
	case t.isUserArray():
		return T{OID(t.User.OID), t.Mod, t.User}, true
	case t.IsDomain():
		return t.Plain().Elem()
	}
	return T{}, false
}

// userName is the type's name as format_type prints it. It does not know the search path: public is
// taken to be on it.
func userName(u *usertype.Type) string {
	if u.Schema == "public" {
		return quoteName(u.Name)
	}
	return quoteName(u.Schema) + "." + quoteName(u.Name)
}

// quoteName quotes an identifier that is not a plain lower-case word.
func quoteName(name string) string {
	plain := name != ""
	for i, r := range name {
		plain = plain && (r == '_' || r >= 'a' && r <= 'z' || i > 0 && (r >= '0' && r <= '9' || r == '$'))
	}
	if plain {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func parseEnum(t T, s string) (Datum, error) {
	l := t.User.Label(s)
	if l == nil {
		return Null, sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input value for enum %s: \"%s\"", t.Base(), s)
	}
	return NewEnum(l), nil
}

// EnumAt is the value at a stored position; ok is false if the type has no such label.
func (t T) EnumAt(position int64) (d Datum, ok bool) {
	if t.User == nil {
		return Null, false
	}
	l := t.User.LabelAt(position)
	if l == nil {
		return Null, false
	}
	return NewEnum(l), true
}
