package schema

// Placement is what is asked for the replicas of rows: how many there are, 0 for as
// many as the cluster's setting says, and where, as nodes say of themselves
// (region=eu), "" for anywhere.
type Placement struct {
	Replicas int
	Locality string
}

// IsEmpty reports whether nothing is asked for.
func (p Placement) IsEmpty() bool { return p == Placement{} }

// or takes from q what p does not ask for.
func (p Placement) or(q Placement) Placement {
	if p.Replicas == 0 {
		p.Replicas = q.Replicas
	}
	if p.Locality == "" {
		p.Locality = q.Locality
	}
	return p
}

// Placement is what the table asks for itself.
func (t *Table) Placement() Placement { return Placement{t.Replicas, t.Locality} }

// Placement is what the database asks for its tables.
func (d *Database) Placement() Placement { return Placement{d.Replicas, d.Locality} }

// PlacementOf is what counts for a table: what it asks for itself, and for the rest
// what its database does.
func (c *Contents) PlacementOf(t *Table) Placement {
	if db := c.DatabaseByID(t.DatabaseID); db != nil {
		return t.Placement().or(db.Placement())
	}
	return t.Placement()
}

// KeepsApart reports whether a table, or its database, asks for something that counts
// for whole ranges, so that it is to share none: the longest time for which old
// versions stay, say, would count for all tables in a range.
func (c *Contents) KeepsApart(t *Table) bool {
	return t.GCTTL != 0 || !c.PlacementOf(t).IsEmpty()
}
