package builtins

import "github.com/cairndb/cairn/sql/types"

// Mergeable is an Aggregator of which several may each see a part of a group's rows: State is what one has seen,
// and Merge has another take that in as if it had seen the rows itself. The result must not depend on how
// the rows were divided, which is why sums of floats are none.
type Mergeable interface {
	Aggregator
	// StateTypes are the types of State, of an aggregate over values of type arg.
	StateTypes(arg types.T) []types.T
	State() []types.Datum
	Merge(state []types.Datum) error
}

// StateTypes implements Mergeable.
func (c *counter) StateTypes(types.T) []types.T { return []types.T{types.Int8} }

// State implements Mergeable.
func (c *counter) State() []datum { return []datum{types.NewInt(c.n)} }

// Merge implements Mergeable.
func (c *counter) Merge(s []datum) error { c.n += s[0].Int(); return nil }

// StateTypes implements Mergeable.
func (s *intSum) StateTypes(types.T) []types.T { return []types.T{types.Int8} }

// State implements Mergeable.
func (s *intSum) State() []datum {
	if !s.some {
		return []datum{types.Null}
	}
	return []datum{types.NewInt(s.sum)}
}

// Merge implements Mergeable.
func (s *intSum) Merge(st []datum) error {
	if st[0].IsNull() {
		return nil
	}
	return s.Add(nil, st)
}

// StateTypes implements Mergeable.
func (s *numericSum) StateTypes(types.T) []types.T { return []types.T{types.Numeric, types.Int8} }

// State implements Mergeable.
func (s *numericSum) State() []datum {
	total, err := (&numericSum{small: s.small, less: s.less, big: s.big, n: s.n}).Result(nil)
	if err != nil { // a sum of what has been summed up cannot fail
		panic("builtins: a sum that was: " + err.Error())
	}
	return []datum{total, types.NewInt(s.n)}
}

// Merge implements Mergeable.
func (s *numericSum) Merge(st []datum) error {
	if st[0].IsNull() {
		return nil
	}
	s.n += st[1].Int() - 1
	return s.Add(nil, st[:1])
}

// StateTypes implements Mergeable.
func (b *boolAgg) StateTypes(types.T) []types.T { return []types.T{types.Bool} }

// State implements Mergeable.
func (b *boolAgg) State() []datum {
	d, _ := b.Result(nil)
	return []datum{d}
}

// Merge implements Mergeable.
func (b *boolAgg) Merge(s []datum) error {
	if s[0].IsNull() {
		return nil
	}
	return b.Add(nil, s)
}

// StateTypes implements Mergeable.
func (e *extreme) StateTypes(arg types.T) []types.T { return []types.T{arg} }

// State implements Mergeable.
func (e *extreme) State() []datum { return []datum{e.best} }

// Merge implements Mergeable.
func (e *extreme) Merge(s []datum) error {
	if s[0].IsNull() {
		return nil
	}
	return e.Add(nil, s)
}
