package types

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/cairndb/cairn/schema/usertype"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// IsComposite says whether the type is a row with names: made by CREATE TYPE … AS, or a table's.
func (t T) IsComposite() bool {
	return t.User != nil && t.User.Kind == usertype.Composite && uint32(t.OID) == t.User.OID
}

// RecordOf is the type record where the columns are known. To clients it is a record.
func RecordOf(names []string, ts []T) T {
	u := &usertype.Type{Kind: usertype.Composite, OID: uint32(OIDRecord), ArrayOID: 2287, Schema: "pg_catalog", Name: "record"}
	for i, t := range ts {
		u.Fields = append(u.Fields, usertype.Field{Name: names[i], OID: uint32(t.OID), Mod: t.Mod, User: t.User})
	}
	return OfUser(u)
}

// Fields are a composite type's columns.
func (t T) Fields() (names []string, ts []T) {
	fs := t.User.Fields
	names, ts = make([]string, len(fs)), make([]T, len(fs))
	for i := range fs {
		names[i], ts[i] = fs[i].Name, t.FieldType(i)
	}
	return names, ts
}

// FieldType is the type of a column of a composite type.
func (t T) FieldType(i int) T {
	f := &t.User.Fields[i]
	return T{OID(f.OID), f.Mod, f.User}
}

// Field finds a column of a composite type, -1 for none.
func (t T) Field(name string) int {
	for i := range t.User.Fields {
		if t.User.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

// NewComposite makes a value of a composite type.
func NewComposite(t T, vals []Datum) Datum {
	names, ts := t.Fields()
	return NewRecord(names, ts, vals)
}

// parseRecord reads (a,"b c",): what is empty and not quoted is NULL.
func parseRecord(t T, s string, env *Env) (Datum, error) {
	p := recordParser{s: trimSpace(s), all: s}
	if !strings.HasPrefix(p.s, "(") {
		return Null, p.malformed("Missing left parenthesis.")
	}
	p.i = 1
	n := len(t.User.Fields)
	vals := make([]Datum, n)
	for i := range vals {
		if i > 0 {
			if p.peek() != ',' {
				return Null, p.malformed("Too few columns.")
			}
			p.i++
		}
		text, null, err := p.column()
		if err == nil && !null {
			vals[i], err = ParseText(t.FieldType(i), text, env)
		}
		if err != nil {
			return Null, err
		}
	}
	switch {
	case p.peek() == ',':
		return Null, p.malformed("Too many columns.")
	case p.i != len(p.s)-1:
		return Null, p.malformed("Junk after right parenthesis.")
	}
	return NewComposite(t, vals), nil
}

type recordParser struct {
	s, all string
	i      int
}

func (p *recordParser) malformed(detail string) error {
	return sqlerr.New(sqlerr.InvalidTextRepresentation, "malformed record literal: \"%s\"", p.all).WithDetail("%s", detail)
}

// peek is the next byte, 0 at the end.
func (p *recordParser) peek() byte {
	if p.i >= len(p.s) {
		return 0
	}
	return p.s[p.i]
}

// column reads up to a comma or parenthesis, which it leaves.
func (p *recordParser) column() (text string, null bool, err error) {
	if c := p.peek(); c == ',' || c == ')' {
		return "", true, nil
	}
	var b []byte
	quoted := false
	for ; quoted || p.peek() != ',' && p.peek() != ')'; p.i++ {
		if p.i >= len(p.s) {
			return "", false, p.malformed("Unexpected end of input.")
		}
		c := p.s[p.i]
		switch {
		case c == '\\' && p.i+1 < len(p.s), c == '"' && quoted && p.i+1 < len(p.s) && p.s[p.i+1] == '"':
			p.i++
			b = append(b, p.s[p.i])
		case c == '"':
			quoted = !quoted
		default:
			b = append(b, c)
		}
	}
	return string(b), false, nil
}

func parseBinaryRecord(t T, b []byte) (Datum, error) {
	be := binary.BigEndian
	n := len(t.User.Fields)
	if len(b) < 4 {
		return Null, badBinary(t)
	}
	if got := int64(be.Uint32(b)); got != int64(n) {
		return Null, sqlerr.New(sqlerr.DatatypeMismatch, "wrong number of columns: %d, expected %d", got, n)
	}
	b = b[4:]
	vals := make([]Datum, n)
	for i := range vals {
		if len(b) < 8 {
			return Null, badBinary(t)
		}
		ft, oid, size := t.FieldType(i), OID(be.Uint32(b)), be.Uint32(b[4:])
		b = b[8:]
		if oid != ft.OID {
			return Null, sqlerr.New(sqlerr.DatatypeMismatch, "binary data has type %d (%s) instead of expected %d (%s) in record column %d",
				oid, T{OID: oid, Mod: -1}, ft.OID, ft.Base(), i+1)
		}
		if size == math.MaxUint32 {
			continue
		}
		if uint64(size) > uint64(len(b)) {
			return Null, badBinary(t)
		}
		var err error
		if vals[i], err = ParseBinary(ft, b[:size]); err != nil {
			return Null, err
		}
		b = b[size:]
	}
	if len(b) != 0 {
		return Null, badBinary(t)
	}
	return NewComposite(t, vals), nil
}

// ComparableRecords refuses to compare rows whose columns do not have the same types.
func ComparableRecords(a, b *RecordValue) error {
	for i := 0; i < len(a.Types) && i < len(b.Types); i++ {
		if x, y := a.Types[i].Plain(), b.Types[i].Plain(); x.OID != y.OID {
			return sqlerr.New(sqlerr.DatatypeMismatch, "cannot compare dissimilar column types %s and %s at record column %d", x.Base(), y.Base(), i+1)
		}
	}
	if len(a.Types) != len(b.Types) {
		return sqlerr.New(sqlerr.DatatypeMismatch, "cannot compare record types with different numbers of columns")
	}
	return nil
}
