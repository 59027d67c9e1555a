package schema

import (
	"slices"
	"strconv"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// RowIDName is the hidden primary key of tables declared without one.
const RowIDName = "rowid"

// Column returns the column of a name, hidden ones too, or nil.
func (t *Table) Column(name string) *Column {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}

// ColumnByID returns the column of a number, or nil.
func (t *Table) ColumnByID(id ColumnID) *Column {
	if i := t.ColumnOrdinal(id); i >= 0 {
		return &t.Columns[i]
	}
	return nil
}

// ColumnOrdinal returns the position of a column in Columns, or -1.
func (t *Table) ColumnOrdinal(id ColumnID) int {
	for i := range t.Columns {
		if t.Columns[i].ID == id {
			return i
		}
	}
	return -1
}

// VisibleColumns returns the columns that * stands for.
func (t *Table) VisibleColumns() []Column {
	out := make([]Column, 0, len(t.Columns))
	for _, c := range t.Columns {
		if !c.Hidden {
			out = append(out, c)
		}
	}
	return out
}

// HasRowID reports whether the primary key is the hidden one.
func (t *Table) HasRowID() bool {
	return len(t.Primary.Columns) == 1 && t.ColumnByID(t.Primary.Columns[0].ID).Hidden
}

// AllIndexes returns the primary index and then the others.
func (t *Table) AllIndexes() []*Index {
	out := make([]*Index, 0, 1+len(t.Indexes))
	out = append(out, &t.Primary)
	for i := range t.Indexes {
		out = append(out, &t.Indexes[i])
	}
	return out
}

// IndexByName returns the index of a name, the primary one too, or nil.
func (t *Table) IndexByName(name string) *Index {
	for _, ix := range t.AllIndexes() {
		if ix.Name == name {
			return ix
		}
	}
	return nil
}

// IndexByID returns the index of a number, or nil.
func (t *Table) IndexByID(id IndexID) *Index {
	for _, ix := range t.AllIndexes() {
		if ix.ID == id {
			return ix
		}
	}
	return nil
}

// IndexByOID returns the index of an oid, the primary one too, or nil.
func (t *Table) IndexByOID(oid DescID) *Index {
	for _, ix := range t.AllIndexes() {
		if ix.OID == oid {
			return ix
		}
	}
	return nil
}

// ForeignKey returns the foreign key of a name, or nil.
func (t *Table) ForeignKey(name string) *ForeignKey {
	for i := range t.ForeignKeys {
		if t.ForeignKeys[i].Name == name {
			return &t.ForeignKeys[i]
		}
	}
	return nil
}

// RefersTo reports whether one of the table's foreign keys is to another.
func (t *Table) RefersTo(target DescID) bool {
	return slices.ContainsFunc(t.ForeignKeys, func(fk ForeignKey) bool { return fk.Target == target })
}

// IndexPrefix returns the start of the keys of an index of this table.
func (t *Table) IndexPrefix(id IndexID) kvapi.Key { return keys.Index(uint32(t.ID), uint32(id)) }

// IsPublic reports whether the index may be read, and is unique if it says so.
func (ix *Index) IsPublic() bool { return ix.State == IndexPublic }

// Has reports whether the column is a key column of the index.
func (ix *Index) Has(id ColumnID) bool {
	return slices.ContainsFunc(ix.Columns, func(c IndexColumn) bool { return c.ID == id })
}

// SuffixColumns returns the primary key columns that the index does not have:
// what completes its key if it is not unique, or where a key column is NULL.
func (t *Table) SuffixColumns(ix *Index) []ColumnID {
	var out []ColumnID
	for _, c := range t.Primary.Columns {
		if !ix.Has(c.ID) {
			out = append(out, c.ID)
		}
	}
	return out
}

// AddVirtual adds a virtual column for an expression over the table's others.
func (t *Table) AddVirtual(expr string, typ Type) ColumnID {
	id := t.NextColumnID
	t.NextColumnID++
	t.Columns = append(t.Columns, Column{ID: id, Name: "?" + strconv.Itoa(int(id)) + "?", Type: typ, Default: expr,
		Generated: true, Virtual: true, Hidden: true})
	return id
}

// RemoveIndex removes a secondary index and the virtual columns that are its own. If it
// is written anew by a Rewriting, that ends too, and written is its number there.
func (t *Table) RemoveIndex(id IndexID) (written IndexID) {
	ix := t.IndexByID(id)
	own := []ColumnID{ix.Where}
	for _, c := range ix.Columns {
		own = append(own, c.ID)
	}
	own = slices.DeleteFunc(own, func(id ColumnID) bool {
		return !slices.ContainsFunc(t.Columns, func(c Column) bool { return c.ID == id && c.Virtual })
	})
	if rw := t.Rewriting; rw != nil {
		rw.Indexes = slices.DeleteFunc(rw.Indexes, func(x Index) bool {
			if x.OID != ix.OID {
				return false
			}
			written = x.ID
			return true
		})
	}
	t.Indexes = slices.DeleteFunc(t.Indexes, func(x Index) bool { return x.ID == id })
	t.Columns = slices.DeleteFunc(t.Columns, func(c Column) bool { return slices.Contains(own, c.ID) || slices.Contains(own, c.Replaces) })
	return written
}

// IsPlain reports whether an index is on columns alone and has every row: what
// foreign keys can refer to.
func (t *Table) IsPlain(ix *Index) bool {
	return ix.Where == 0 && !slices.ContainsFunc(ix.Columns, func(c IndexColumn) bool { return t.ColumnByID(c.ID).Virtual })
}

// SequenceValueKey holds the sequence's last value.
func (s *Sequence) SequenceValueKey() kvapi.Key { return sequenceKey(s.ID) }
