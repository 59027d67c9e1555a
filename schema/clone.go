package schema

import "slices"

// clone returns a copy whose mark may be changed.
func (h Header) clone() Header {
	if h.Change != nil {
		c := *h.Change
		h.Change = &c
	}
	h.ACL = slices.Clone(h.ACL)
	return h
}

// Clone returns a deep copy.
func (d *Database) Clone() *Database {
	c := &Database{Header: d.Header.clone(), Extensions: slices.Clone(d.Extensions), Defaults: slices.Clone(d.Defaults),
		Settings: slices.Clone(d.Settings)}
	for i := range c.Defaults {
		c.Defaults[i].ACL = slices.Clone(c.Defaults[i].ACL)
	}
	return c
}

// Clone returns a deep copy.
func (s *Schema) Clone() *Schema { return &Schema{Header: s.Header.clone(), TempOf: s.TempOf} }

// Clone returns a deep copy.
func (t *Table) Clone() *Table {
	c := *t
	c.Header = t.Header.clone()
	c.Columns = slices.Clone(t.Columns)
	for i := range c.Columns {
		c.Columns[i].ACL = slices.Clone(c.Columns[i].ACL)
	}
	c.Primary = t.Primary.clone()
	c.Indexes = slices.Clone(t.Indexes)
	for i := range c.Indexes {
		c.Indexes[i] = c.Indexes[i].clone()
	}
	c.Checks = slices.Clone(t.Checks)
	for i := range c.Checks {
		c.Checks[i].Columns = slices.Clone(c.Checks[i].Columns)
	}
	c.Options = slices.Clone(t.Options)
	c.ForeignKeys = slices.Clone(t.ForeignKeys)
	for i := range c.ForeignKeys {
		fk := &c.ForeignKeys[i]
		fk.Columns, fk.TargetColumns = slices.Clone(fk.Columns), slices.Clone(fk.TargetColumns)
		fk.SetColumns = slices.Clone(fk.SetColumns)
	}
	c.ReferencedBy = slices.Clone(t.ReferencedBy)
	if t.Matview != nil {
		mv := *t.Matview
		mv.SearchPath, mv.DependsOn = slices.Clone(mv.SearchPath), slices.Clone(mv.DependsOn)
		c.Matview = &mv
	}
	c.Rewriting = t.Rewriting.clone()
	c.Policies = slices.Clone(t.Policies)
	for i := range c.Policies {
		p := &c.Policies[i]
		p.Roles, p.Columns, p.SearchPath = slices.Clone(p.Roles), slices.Clone(p.Columns), slices.Clone(p.SearchPath)
	}
	return &c
}

func (rw *Rewriting) clone() *Rewriting {
	if rw == nil {
		return nil
	}
	c := *rw
	c.Indexes = slices.Clone(rw.Indexes)
	for i := range c.Indexes {
		c.Indexes[i] = c.Indexes[i].clone()
	}
	c.Refused = rw.Refused.clone()
	c.NotNull, c.Checks = slices.Clone(rw.NotNull), slices.Clone(rw.Checks)
	return &c
}

func (ix Index) clone() Index {
	ix.Columns = slices.Clone(ix.Columns)
	ix.Stored = slices.Clone(ix.Stored)
	return ix
}

// Clone returns a deep copy.
func (s *Sequence) Clone() *Sequence {
	c := *s
	c.Header = s.Header.clone()
	return &c
}

// Clone returns a deep copy.
func (v *View) Clone() *View {
	c := *v
	c.Header = v.Header.clone()
	c.Columns = slices.Clone(v.Columns)
	c.SearchPath = slices.Clone(v.SearchPath)
	c.DependsOn = slices.Clone(v.DependsOn)
	return &c
}

// Clone returns a deep copy.
func (t *UserType) Clone() *UserType {
	return &UserType{Header: t.Header.clone(), Def: *t.Def.Clone(), Parts: slices.Clone(t.Parts)}
}

// CloneObject implements Object.
func (d *Database) CloneObject() Object { return d.Clone() }

// CloneObject implements Object.
func (s *Schema) CloneObject() Object { return s.Clone() }

// CloneObject implements Object.
func (t *Table) CloneObject() Object { return t.Clone() }

// CloneObject implements Object.
func (s *Sequence) CloneObject() Object { return s.Clone() }

// CloneObject implements Object.
func (v *View) CloneObject() Object { return v.Clone() }

// CloneObject implements Object.
func (t *UserType) CloneObject() Object { return t.Clone() }
