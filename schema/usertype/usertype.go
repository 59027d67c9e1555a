// Package usertype describes the types that users make: enums, domains and
// composite types.
//
// Problem: whoever reads or writes a value of such a type needs its definition,
// in places that see no catalog: a row's decoder, a cast, the printing of a
// result. So the definition travels with the type: schema.Type and types.T point
// to it.
//
//	descriptor of the type ──┐ copied by whoever uses the type, and copied
//	                         ▼ anew into all of them when the type changes
//	table: column m, type {OID, Mod, *Type} ──► types.T ──► rowenc, casts, text
//
// Invariants:
//
//	I1  a Type never changes once it is in a descriptor that others may see
//	I2  the positions of an enum's labels ascend in its order, and the position
//	    of a label never changes: stored values are positions, and two versions
//	    of a type may be in use at once (Type.Insert, TestPositionsStay)
//	I3  the columns of a composite type never change: stored rows hold them by place
//	I4  an enum's label is never removed, so a stored position always has one
//
// What can go wrong: no number is left between two labels, after twenty labels
// were put one by one into the same gap; Insert says so.
//
// Not here: the catalog (package schema), the values (package types).
package usertype

import "slices"

// Kind says what a type is.
type Kind uint8

// Kinds of types.
const (
	Enum Kind = iota + 1
	Domain
	Composite
)

// Type is one version of a type's definition.
type Type struct {
	Kind Kind `wire:"1"`
	// OID is the type's number, ArrayOID that of arrays of it (0: none).
	OID      uint32 `wire:"2"`
	ArrayOID uint32 `wire:"3"`
	Schema   string `wire:"4"`
	Name     string `wire:"5"`
	// Labels are an enum's, in its order.
	Labels []Label `wire:"6"`

	// A domain's type, modifier and, if that is a user's type too, its definition.
	BaseOID uint32 `wire:"7"`
	BaseMod int32  `wire:"8"`
	Base    *Type  `wire:"9"`
	NotNull bool   `wire:"10"`
	// Default is the SQL text of a domain's default, "" for none.
	Default string  `wire:"11"`
	Checks  []Check `wire:"12"`
	// Fields are the columns of a composite type. Rows are stored by their places,
	// so they never change.
	Fields []Field `wire:"13"`
}

// Field is a column of a composite type.
type Field struct {
	Name string `wire:"1"`
	OID  uint32 `wire:"2"`
	Mod  int32  `wire:"3"`
	User *Type  `wire:"4"`
}

// Label is one value of an enum.
type Label struct {
	OID  uint32 `wire:"1"`
	Name string `wire:"2"`
	// Position orders it among the others and is what is stored.
	Position int64 `wire:"3"`
}

// Check is a domain's constraint.
type Check struct {
	OID  uint32 `wire:"1"`
	Name string `wire:"2"`
	// Expr is the SQL expression over VALUE, without the outer parentheses.
	Expr string `wire:"3"`
}

// gap is the distance of new labels from their neighbours: small enough that a
// position takes three bytes in a row, and halved twenty times before it is 1.
const gap = 1 << 20

// RowArrays is added to a table's number for that of the arrays of its rows: no
// object's number is so high.
const RowArrays = 1 << 30

// OfTable says whether it is the type of a table's rows, which changes with the table.
func (t *Type) OfTable() bool { return t.Kind == Composite && t.ArrayOID == t.OID+RowArrays }

// Label returns the label of a name, or nil.
func (t *Type) Label(name string) *Label {
	for i := range t.Labels {
		if t.Labels[i].Name == name {
			return &t.Labels[i]
		}
	}
	return nil
}

// LabelAt returns the label of a position, or nil.
func (t *Type) LabelAt(position int64) *Label {
	for i := range t.Labels {
		if t.Labels[i].Position == position {
			return &t.Labels[i]
		}
	}
	return nil
}

// Insert puts a label before index at of the order; len(Labels) is the end. False
// says that there is no position left there.
func (t *Type) Insert(at int, oid uint32, name string) bool {
	n := len(t.Labels)
	l := Label{OID: oid, Name: name}
	switch {
	case n == 0:
		l.Position = gap
	case at == n:
		l.Position = t.Labels[n-1].Position + gap
	case at == 0:
		l.Position = t.Labels[0].Position - gap
	default:
		lo, hi := t.Labels[at-1].Position, t.Labels[at].Position
		l.Position = lo + (hi-lo)/2
		if l.Position == lo {
			return false
		}
	}
	t.Labels = slices.Insert(t.Labels, at, l)
	return true
}

// Clone returns a copy that may be changed. The base type is shared.
func (t *Type) Clone() *Type {
	c := *t
	c.Labels = slices.Clone(t.Labels)
	c.Checks = slices.Clone(t.Checks)
	c.Fields = slices.Clone(t.Fields)
	return &c
}

// Uses reports whether the type is, or is made of, the type of a number.
func (t *Type) Uses(oid uint32) bool {
	for ; t != nil; t = t.Base {
		if t.OID == oid {
			return true
		}
		for i := range t.Fields {
			if t.Fields[i].User.Uses(oid) {
				return true
			}
		}
	}
	return false
}
