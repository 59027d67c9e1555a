package schema

import "github.com/cairndb/cairn/schema/usertype"

// RowType describes the rows of a table or view as a type, which has its name and its
// number. Of other objects there are none: nil.
func (c *Contents) RowType(o Object) *usertype.Type {
	var cols []Column
	switch o := o.(type) {
	case *Table:
		cols = o.Columns
	case *View:
		cols = o.Columns
	default:
		return nil
	}
	h := o.Head()
	u := &usertype.Type{Kind: usertype.Composite, OID: uint32(h.ID), ArrayOID: uint32(h.ID) + usertype.RowArrays, Name: h.Name}
	if sc := c.SchemaByID(h.SchemaID); sc != nil {
		u.Schema = sc.Name
	}
	for i := range cols {
		if col := &cols[i]; !col.Hidden && !col.Filling {
			u.Fields = append(u.Fields, usertype.Field{Name: col.Name, OID: col.Type.OID, Mod: col.Type.Mod, User: col.Type.User})
		}
	}
	return u
}

// RowTypeByOID is RowType by the number of the type, or of arrays of it.
func (c *Contents) RowTypeByOID(oid uint32) *usertype.Type {
	return c.RowType(c.Object(DescID(oid &^ usertype.RowArrays)))
}
