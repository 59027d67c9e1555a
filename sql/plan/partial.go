package plan

import (
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/tablekv"
)

// virtual is what a virtual column of a scan is computed from, nil for other columns.
func virtual(s *bind.Scan, ordinal int) bind.Expr {
	for _, v := range s.Virtual {
		if v.ID == s.Base+bind.ColID(ordinal) {
			return v.E
		}
	}
	return nil
}

// predicate is the condition of a partial index over a scan's registers, nil for one with all rows.
func predicate(s *bind.Scan, ic *tablekv.IndexCodec) bind.Expr {
	if ic.Index.Where == 0 {
		return nil
	}
	return virtual(s, s.Table.ColumnOrdinal(ic.Index.Where))
}

// holdsAll says that an index has every row that fulfils the conditions.
func holdsAll(s *bind.Scan, ic *tablekv.IndexCodec, preds []bind.Expr) bool {
	if ic.Index.Where == 0 {
		return true
	}
	return bind.ImpliedBy(preds, predicate(s, ic))
}

// computed are the virtual columns of a scan that something reads.
func (p *planner) computed(s *bind.Scan) ([]exec.Item, error) {
	var items []bind.Item
	for _, v := range s.Virtual {
		if p.st.Used[v.ID] {
			items = append(items, v)
		}
	}
	return p.items(items)
}

// virtualKeys has an order by expressions over a table be one by virtual columns where there are
// such: an index on the expression then gives it.
func virtualKeys(r *bind.Project, keys []bind.SortKey) []bind.SortKey {
	s, _ := scanBelow(r.In, nil)
	if s == nil || len(s.Virtual) == 0 {
		return keys
	}
	out := append([]bind.SortKey(nil), keys...)
	for i, k := range keys {
		for _, it := range r.Items {
			if it.ID != k.ID {
				continue
			}
			for _, v := range s.Virtual {
				if bind.Same(it.E, v.E) {
					out[i].ID = v.ID
				}
			}
		}
	}
	return out
}
