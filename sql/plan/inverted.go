package plan

import (
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/types"
)

// inverted finds what a predicate says about the terms that inverted indexes have: that one of the
// terms it asks for is among them. Rows with the term are not all that satisfy it, so it is asked again.
func (p *planner) inverted(s *bind.Scan, e *bind.Call, pred int) []condition {
	if !e.M.Op || len(e.Args) != 2 {
		return nil
	}
	var out []condition
	for i := range s.Table.Indexes {
		ix := &s.Table.Indexes[i]
		if ix.Inverted == "" {
			continue
		}
		on := invertedOn(s, s.Table.ColumnOrdinal(ix.Columns[0].ID))
		if on == nil {
			continue
		}
		left, op, right := e.Args[0], e.M.Name, e.Args[1]
		if !bind.Same(left, on) {
			switch op { // it may stand on the right
			case "<@":
				op = "@>"
			case "=":
			default:
				continue
			}
			if left, right = right, left; !bind.Same(left, on) {
				continue
			}
		}
		m, ok := builtins.GinQuery(ix.Inverted, op)
		if !ok || intersects(bind.Refs(right), ownCols(s)) || isVolatile(right) || hasSubquery(right) || !sameElements(on, right, ix.Inverted) {
			continue
		}
		out = append(out, condition{ordinal: s.Table.ColumnOrdinal(ix.Columns[0].ID), op: "=", pred: pred, recheck: true,
			vals: []bind.Expr{&bind.Call{M: m, Args: []bind.Expr{right}}}})
	}
	return out
}

// invertedOn is what an inverted index whose terms are a virtual column is on.
func invertedOn(s *bind.Scan, ordinal int) bind.Expr {
	for _, v := range s.Virtual {
		if int(v.ID-s.Base) == ordinal {
			if c, ok := v.E.(*bind.Call); ok && len(c.Args) == 1 {
				return c.Args[0]
			}
		}
	}
	return nil
}

// sameElements says that the elements of two arrays are encoded alike.
func sameElements(on, right bind.Expr, class string) bool {
	if class != "array_ops" {
		return true
	}
	kind := func(e bind.Expr) types.Kind {
		t, _ := e.Type().Plain().Elem()
		return t.Kind()
	}
	return kind(on) == kind(right)
}
