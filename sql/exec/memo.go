package exec

import (
	"slices"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/types"
)

// memo keeps the results of a subquery by the outer values that it read: rows that agree in them have one
// answer, which is computed once. It is for subqueries without volatile functions. Values that may be
// equal and yet print differently (1.0 and 1.00) are not looked up: the subquery might tell them apart.
type memo struct {
	m       *rowMap
	results []types.Datum
	mem     account
}

const (
	// memoMax is how many results are kept; then it begins anew.
	memoMax = 10_000
	// memoEntry is what one takes beside its values.
	memoEntry = rowMapEntry + 24
)

// memoized wraps the evaluation of a correlated subquery.
func (c *Compiler) memoized(e *bind.Subquery, eval Eval) Eval {
	if !steady(e.Rel) {
		return eval
	}
	var outer []bind.ColID
	for id := range bind.OuterRefs(e.Rel) {
		outer = append(outer, id)
	}
	slices.Sort(outer)
	state := c.States
	c.States++
	return func(r *Run) (types.Datum, error) {
		var room [4]types.Datum
		key := room[:0]
		for _, id := range outer {
			if d := r.Slots[id]; !exact(d) {
				return eval(r)
			} else {
				key = append(key, d)
			}
		}
		m, ok := r.state[state].(*memo)
		if !ok {
			m = &memo{m: newRowMap(), mem: account{r: r}}
			r.state[state] = m
		}
		h := hashVals(key)
		if at := m.m.findHashed(h, key); at >= 0 {
			return m.results[at], nil
		}
		own, size := m.m.s.own(key) // before the subquery runs: the outer row's page may be gone after it
		d, err := eval(r)
		if err != nil {
			return d, err
		}
		if len(m.results) >= memoMax {
			m.m, m.results = newRowMap(), nil
			m.mem.release()
		}
		if err := m.mem.add(size + d.SizeBytes() + memoEntry); err != nil {
			return types.Null, err
		}
		m.m.insert(h, own)
		m.results = append(m.results, d)
		return d, nil
	}
}

// exact says that values of this kind that are equal are the same.
func exact(d types.Datum) bool {
	switch d.Kind() {
	case types.KindDecimal, types.KindFloat, types.KindBPChar, types.KindInterval, types.KindJSON, types.KindJSONB, types.KindArray, types.KindRecord, types.KindRange:
		return false
	}
	return true
}

// steady says that a relation gives the same rows each time in one statement.
func steady(rel bind.Rel) bool {
	ok := true
	bind.WalkRel(rel, func(r bind.Rel) {
		switch r.(type) {
		case *bind.VirtualScan, *bind.LockRows, *bind.Insert, *bind.Update, *bind.Delete, *bind.FuncScan, *bind.ProjectSet:
			ok = false
		}
	}, func(e bind.Expr) {
		if c, isCall := e.(*bind.Call); isCall && c.M.Vol == 'v' {
			ok = false
		}
	})
	return ok
}
