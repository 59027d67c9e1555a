package plan

import (
	"slices"
	"strings"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/types"
)

func (p *planner) groupingSets(r *bind.GroupingSets) (planned, error) {
	in, err := p.plan(r.In, nil, nil)
	if err != nil {
		return in, err
	}
	n := &exec.GroupingSets{In: in.node, SetID: r.SetID}
	if n.Items, err = p.items(r.Items); err != nil {
		return in, err
	}
	for _, set := range r.Sets {
		has, names := make([]bool, len(r.Items)), make([]string, 0, len(set))
		for _, i := range set {
			has[i] = true
			names = append(names, bind.Format(r.Items[i].E))
		}
		n.Has = append(n.Has, has)
		text := "Group Key: ()"
		if len(names) > 0 {
			text = "Group Key: " + strings.Join(names, ", ")
		}
		n.Text = append(n.Text, text)
	}
	for _, b := range r.Bits {
		x := exec.GroupingBits{ID: b.ID}
		for _, set := range r.Sets {
			x.Vals = append(x.Vals, types.NewInt(b.Value(set)))
		}
		n.Bits = append(n.Bits, x)
	}
	rows := in.rows * float64(len(r.Sets))
	return p.done(n, rows, in.cost+rows*emitCost), nil
}

// emptySets are the groups of an aggregation that are there without rows: of the empty sets.
func emptySets(r *bind.GroupingSets, groups []bind.Item) [][]types.Datum {
	var out [][]types.Datum
	for i, set := range r.Sets {
		if len(set) > 0 {
			continue
		}
		key := make([]types.Datum, len(groups))
		for at, g := range groups {
			key[at] = types.Null
			if g.ID == r.SetID {
				key[at] = types.NewInt(int64(i))
			}
			if b := slices.IndexFunc(r.Bits, func(b bind.GroupingBits) bool { return b.ID == g.ID }); b >= 0 {
				key[at] = types.NewInt(r.Bits[b].Value(set))
			}
		}
		out = append(out, key)
	}
	return out
}
