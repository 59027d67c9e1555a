package plan

import (
	"regexp/syntax"
	"slices"

	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/types"
)

// Computed tables, as those of pg_catalog, have columns by whose value their rows are found
// (bind.VirtualTable.Keys). psql and ORMs ask for a table's columns, indexes and constraints by joins over a
// dozen of them: each is then a look-up, and the number of tables matters no more.

const (
	virtualRows    = 200
	virtualCost    = 2000
	virtualKeyRows = 4
	virtualKeyCost = 8
)

// virtualScan plans the scan of a computed table under conditions, which all are asked again above it.
func (p *planner) virtualScan(r *bind.VirtualScan, preds []bind.Expr) (planned, error) {
	n := &exec.VirtualScan{Table: r.Table, Cols: r.Cols, TableOID: r.TableOID, Alias: r.Alias}
	k := p.virtualKey(r, preds)
	if k == nil {
		return p.done(n, virtualRows, virtualCost), nil
	}
	var err error
	n.KeyCol, n.Text = k.col, bind.Format(k.cond)
	if n.Key, err = p.c.Compile(k.value); err != nil {
		return planned{}, err
	}
	return p.done(n, virtualKeyRows, virtualKeyCost), nil
}

// virtualKey is a key column with a value that a condition gives.
type virtualKey struct {
	col   int
	value bind.Expr
	cond  bind.Expr
}

// virtualKey finds a condition that gives a value of a key column, nil if there is none.
func (p *planner) virtualKey(r *bind.VirtualScan, preds []bind.Expr) *virtualKey {
	if p.o.Avoid.Index {
		return nil
	}
	for _, e := range preds {
		c, ok := e.(*bind.Call)
		if !ok || !c.M.Op || len(c.Args) != 2 {
			continue
		}
		for i := range c.Args {
			id, ok := plainCol(c.Args[i])
			col := slices.Index(r.Cols, id)
			if !ok || col < 0 || !slices.Contains(r.Table.Keys, col) {
				continue
			}
			switch value := c.Args[1-i]; {
			case c.M.Name == "=" && isGiven(value, r, r.Table.Columns[col].Type):
				return &virtualKey{col, value, e}
			case c.M.Name == "~" && i == 0:
				if name := onlyMatch(value); name != nil {
					return &virtualKey{col, name, e}
				}
			}
		}
	}
	return nil
}

// isGiven reports whether a value of a column's type is known before the scan begins.
func isGiven(e bind.Expr, r *bind.VirtualScan, t types.T) bool {
	if e.Type().Kind() != t.Kind() || hasSubquery(e) || isVolatile(e) {
		return false
	}
	refs := bind.Refs(e)
	for _, id := range r.Cols {
		if _, own := refs[id]; own {
			return false
		}
	}
	_, own := refs[r.TableOID]
	return !own
}

// onlyMatch is the one text that a pattern matches, as psql writes names: ^(name)$; nil if it is no constant, or
// matches others.
func onlyMatch(e bind.Expr) bind.Expr {
	c, ok := e.(*bind.Const)
	if !ok || c.D.IsNull() || c.D.Kind() != types.KindText {
		return nil
	}
	re, err := syntax.Parse(c.D.Str(), syntax.Perl)
	if err != nil {
		return nil
	}
	re = re.Simplify()
	if re.Op != syntax.OpConcat || len(re.Sub) != 3 || re.Sub[0].Op != syntax.OpBeginText || re.Sub[2].Op != syntax.OpEndText {
		return nil
	}
	mid := re.Sub[1]
	if mid.Op == syntax.OpCapture {
		mid = mid.Sub[0]
	}
	if mid.Op != syntax.OpLiteral || mid.Flags&syntax.FoldCase != 0 {
		return nil
	}
	return &bind.Const{D: types.NewText(string(mid.Rune)), T: types.Text, Pos: -1}
}

// virtualBelow finds the scan of a right side that is a computed table under conditions.
func virtualBelow(r bind.Rel, preds []bind.Expr) (*bind.VirtualScan, []bind.Expr) {
	for {
		switch x := r.(type) {
		case *bind.Filter:
			if x.Secure {
				return nil, nil
			}
			preds = append(conjuncts(x.Pred), preds...)
			r = x.In
		case *bind.VirtualScan:
			return x, preds
		default:
			return nil, nil
		}
	}
}
