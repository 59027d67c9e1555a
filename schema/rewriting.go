package schema

import "slices"

// Rewritten returns the table that a Rewriting is to make of the table.
func (t *Table) Rewritten() *Table {
	n := t.Clone()
	rw := n.Rewriting
	n.endRewriting()
	if rw.RowID != 0 {
		n.ColumnByID(rw.RowID).Filling = false
	}
	for i := range t.Columns {
		if c := &t.Columns[i]; c.Replaces != 0 {
			n.ColumnByID(c.Replaces).Type = c.Type
		}
	}
	for i := range n.Columns { // every row holds every column
		n.Columns[i].Missing = nil
	}
	for _, id := range rw.NotNull {
		n.ColumnByID(id).NotNull = true
	}
	rowID := ColumnID(0)
	if n.HasRowID() {
		rowID = n.Primary.Columns[0].ID
	}
	for _, ix := range rw.Indexes {
		ix = ix.clone()
		ix.State = IndexPublic
		old := n.IndexByOID(ix.OID)
		if old != nil { // it may have been renamed meanwhile
			ix.Name, ix.Comment, ix.ConstraintComment = old.Name, old.Comment, old.ConstraintComment
			ix.State, ix.ConstraintOID = old.State, old.ConstraintOID // who builds it goes on, or back, or is done
		}
		if ix.ID == rw.Primary {
			n.Primary = ix
		} else if old != nil {
			*old = ix
		}
	}
	if rowID != 0 && !n.Primary.Has(rowID) {
		n.Columns = slices.DeleteFunc(n.Columns, func(c Column) bool { return c.ID == rowID })
	}
	return n
}

// EndRewriting gives up to rewrite the table, and returns the numbers of the
// indexes that were written for that.
func (t *Table) EndRewriting() (written []IndexID) {
	for _, ix := range t.RewrittenIndexes() {
		written = append(written, ix.ID)
	}
	if id := t.Rewriting.RowID; id != 0 {
		t.Columns = slices.DeleteFunc(t.Columns, func(c Column) bool { return c.ID == id })
	}
	t.endRewriting()
	return written
}

func (t *Table) endRewriting() {
	unfit := t.Rewriting.Unfit
	t.Columns = slices.DeleteFunc(t.Columns, func(c Column) bool { return c.Replaces != 0 || c.ID == unfit })
	t.Rewriting = nil
}

// RewrittenIndexes returns the indexes that are written for a Rewriting, Refused
// among them; none without one.
func (t *Table) RewrittenIndexes() []*Index {
	if t.Rewriting == nil {
		return nil
	}
	out := make([]*Index, 0, 1+len(t.Rewriting.Indexes))
	for i := range t.Rewriting.Indexes {
		out = append(out, &t.Rewriting.Indexes[i])
	}
	return append(out, &t.Rewriting.Refused)
}

// ReplacedBy returns the column that has the values that a column is to get by a
// Rewriting; nil if it keeps its own.
func (t *Table) ReplacedBy(id ColumnID) *Column {
	for i := range t.Columns {
		if t.Columns[i].Replaces == id && id != 0 {
			return &t.Columns[i]
		}
	}
	return nil
}
