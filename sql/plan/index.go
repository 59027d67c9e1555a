package plan

import (
	"slices"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/pushdown"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// condition is a predicate that an index may answer: column op value.
type condition struct {
	ordinal int
	op      string // =, <, <=, >, >=, in, any
	vals    []bind.Expr
	pred    int // which predicate it is (part of)
	// recheck says that the predicate asks for more than the condition says.
	recheck bool
	whole   bool
}

// candidate is a way to read a table.
type candidate struct {
	ic     *tablekv.IndexCodec
	eq     []*condition
	lo, hi *condition
	unique bool
	cover  bool
	// order: the rows come in the order wanted, reading backwards if reverse.
	ordered, reverse bool
	// rows are the entries read, in so many spans: this fraction of the table's.
	rows, spans, fraction float64
	cost                  float64
}

// scan chooses the index and builds the scan; what the index does not answer becomes a filter:
// first what is cheap, then the subqueries that can be joins, then those that cannot.
func (p *planner) scan(s *bind.Scan, preds []bind.Expr, w *wanted) (planned, error) {
	preds, semi := p.splitSemi(preds)
	preds, costly := p.splitUnusable(s, preds)
	best := p.choose(s, preds, w)
	n, rest, err := p.indexScan(s, best, preds)
	if err != nil {
		return planned{}, err
	}
	for _, e := range preds {
		if !slices.Contains(rest, e) {
			best.cost += p.subqueryCost(e, 1)
		}
	}
	rest, unused := splitCostly(rest)
	costly = append(costly, unused...)
	if w != nil && w.limit != nil && (len(w.keys) == 0 || best.ordered) && !best.unique && len(semi)+len(costly) == 0 {
		n.MaxRows = w.limit
	}
	p.decodeLate(n, s, best, rest)
	work := p.workBeside(n, s, rest)
	out := p.done(n, best.rows, best.cost)
	out.ordered = best.ordered
	if out, err = p.filter(out, nil, rest); err != nil {
		return out, err
	}
	if work != nil {
		p.beside[out.node] = besideScan{n, work}
	}
	out.rows = max(p.tableRows(s.Table)*p.selectivity(preds), minRows(best.unique))
	p.note(out)
	if out, err = p.semiJoins(out, bind.Output(s), semi); err != nil {
		return out, err
	}
	return p.filter(out, bind.Output(s), costly)
}

// workBeside has conditions on a scan's rows asked beside the data. The result, if not nil, can take an
// aggregation on top.
func (p *planner) workBeside(n *exec.IndexScan, s *bind.Scan, filter []bind.Expr) *pushdown.Scan {
	if n.Fetch != nil || n.Access.Unique || n.Reverse || n.MaxRows != nil || len(n.Virtual) > 0 ||
		n.Opts != (txn.GetOptions{}) {
		return nil
	}
	work, whole := pushdown.New(s.Table, n.Access.Index.Index.ID, s.Base, filter)
	if len(work.Filter) > 0 {
		n.Beside = &exec.Beside{Program: work.Text}
	}
	if !whole {
		return nil
	}
	return work
}

// minRows keeps a guess from becoming nothing, which would make all that follows free.
func minRows(unique bool) float64 {
	if unique {
		return 0.01
	}
	return 1
}

// splitCostly takes the conditions with subqueries in them out of a list.
func splitCostly(preds []bind.Expr) (cheap, costly []bind.Expr) {
	for _, e := range preds {
		if hasSubquery(e) {
			costly = append(costly, e)
		} else {
			cheap = append(cheap, e)
		}
	}
	return cheap, costly
}

// splitUnusable is splitCostly but for conditions that may say which part of an index to read: a column
// is compared with what a subquery gives once.
func (p *planner) splitUnusable(s *bind.Scan, preds []bind.Expr) (usable, costly []bind.Expr) {
	for _, e := range preds {
		if hasSubquery(e) && !(isGivenOnce(e) && len(p.conditions(s, p.codec(s.Table), []bind.Expr{e})) > 0) {
			costly = append(costly, e)
		} else {
			usable = append(usable, e)
		}
	}
	return usable, costly
}

// isGivenOnce says that the subqueries of an expression read nothing of its row, and give one value.
func isGivenOnce(e bind.Expr) bool {
	once := true
	bind.WalkExpr(e, func(bind.Rel) {}, func(x bind.Expr) {
		if s, ok := x.(*bind.Subquery); ok {
			once = once && s.Kind == bind.SubScalar && len(bind.OuterRefs(s.Rel)) == 0
		}
	})
	return once
}

func hasSubquery(e bind.Expr) bool {
	found := false
	bind.WalkExpr(e, func(bind.Rel) { found = true }, func(bind.Expr) {})
	return found
}

func (p *planner) choose(s *bind.Scan, preds []bind.Expr, w *wanted) *candidate {
	codec := p.codec(s.Table)
	conds := p.conditions(s, codec, preds)
	var best *candidate
	consider := func(ic *tablekv.IndexCodec) {
		if !ic.Index.IsPublic() || !holdsAll(s, ic, preds) {
			return
		}
		c := p.candidate(s, codec, ic, conds, preds, w)
		if ic.Index.Inverted != "" && len(c.eq) == 0 {
			return // its entries are many of one row, but under one term
		}
		if best == nil || c.cost < best.cost {
			best = c
		}
	}
	consider(&codec.Primary)
	for i := range codec.Indexes {
		consider(&codec.Indexes[i])
	}
	return best
}

// candidate fits conditions to an index: equalities on its first columns, a range on the next.
func (p *planner) candidate(s *bind.Scan, codec *tablekv.Codec, ic *tablekv.IndexCodec, conds []condition, preds []bind.Expr, w *wanted) *candidate {
	c := &candidate{ic: ic}
	c.cover = ic.IsPrimary() || s.Lock == kvapi.LockNone && p.covers(s, ic)
	n := len(ic.Keys) + len(ic.Suffix)
	combos := 1.0
	for i := 0; i < n; i++ {
		q := equality(conds, ic.KeyColAt(i).Ordinal)
		if q == nil {
			c.lo, c.hi = bounds(conds, ic.KeyColAt(i).Ordinal)
			break
		}
		c.eq = append(c.eq, q)
		if q.op == "any" {
			combos *= 10
		} else {
			combos *= float64(len(q.vals))
		}
	}
	c.unique = ic.IsPrimary() && len(c.eq) == len(ic.Keys) || !ic.IsPrimary() && ic.Index.Unique && len(c.eq) >= len(ic.Keys)
	if c.unique {
		c.eq = c.eq[:len(ic.Keys)]
		c.lo, c.hi = nil, nil
	}
	p.estimateRead(s, c, preds, combos)
	if w != nil && len(w.keys) > 0 {
		c.ordered, c.reverse = c.gives(s, codec, w.keys)
	}
	p.price(s, c, preds, w)
	return c
}

// estimateRead guesses how many entries are read, in how many spans.
func (p *planner) estimateRead(s *bind.Scan, c *candidate, preds []bind.Expr, combos float64) {
	var used []bind.Expr
	for _, q := range append(slices.Clone(c.eq), c.lo, c.hi) {
		if q != nil && (len(used) == 0 || used[len(used)-1] != preds[q.pred]) {
			used = append(used, preds[q.pred])
		}
	}
	c.spans = combos
	c.fraction = p.selectivity(used)
	if w := predicate(s, c.ic); w != nil && !bind.NotNullOnly(w) {
		part := p.selectivity(conjuncts(w))
		if p.o.Stats == nil || p.o.Stats(s.Table) == nil {
			part = min(part, partialFraction)
		}
		c.fraction *= part
	}
	c.rows = max(p.tableRows(s.Table)*c.fraction, 1)
	if c.unique {
		c.rows = min(c.rows, combos)
	}
}

// price guesses what reading costs: entries, a call for each span, each row that is not in the index,
// and the sort that an unordered way needs. A limit makes only the rows it lets through count. A
// table that is small now is taken to be larger: it may grow before anybody looks again, and a scan of
// all of it conflicts with every writer.
func (p *planner) price(s *bind.Scan, c *candidate, preds []bind.Expr, w *wanted) {
	if c.unique {
		c.cost = callCost*0.5 + c.spans*pointCost
		if !c.cover {
			c.cost += callCost*0.5 + c.spans*pointCost
		}
		return
	}
	all := max(p.tableRows(s.Table), scannedMin)
	rows := max(all*c.fraction, 1)
	sorted := 0.0
	if w != nil && w.limit != nil && (len(w.keys) == 0 || c.ordered) {
		rest := p.selectivity(preds) / max(c.fraction, 1e-9)
		rows = min(rows, 100/max(rest, 0.001))
	}
	if w != nil && len(w.keys) > 0 && !c.ordered {
		sorted = sortedCost(rows)
	}
	entry := rowCost
	if !c.ic.IsPrimary() {
		entry = indexCost
	}
	c.cost = callCost*c.spans + rows*entry + sorted
	if !c.cover {
		c.cost += callCost*(1+rows/exec.LookupBatchMax) + rows*pointCost
	}
	if !c.ic.IsPrimary() {
		c.cost += 0.5 + avoided(p.o.Avoid.Index)
	}
}

func (p *planner) covers(s *bind.Scan, ic *tablekv.IndexCodec) bool {
	for i := range s.Table.Columns {
		if p.st.Used[int(s.Base)+i] && !ic.Covers(i) {
			return false
		}
	}
	return true
}

// gives says whether the index yields an order, forwards or backwards. Columns fixed to one value
// do not matter.
func (c *candidate) gives(s *bind.Scan, codec *tablekv.Codec, keys []bind.SortKey) (ordered, reverse bool) {
	if c.unique && c.single() {
		return true, false
	}
	fixed := map[int]bool{}
	for _, q := range c.eq {
		if q.op == "=" {
			fixed[q.ordinal] = true
		} else if len(keys) > 0 {
			return false, false // several spans: ordered by the list first
		}
	}
	i, dir := 0, 0
	n := len(c.ic.Keys)
	if !c.ic.Index.Unique && !c.ic.IsPrimary() {
		n += len(c.ic.Suffix)
	}
	for _, k := range keys {
		ord := int(k.ID - s.Base)
		if ord < 0 || ord >= len(codec.Types) {
			return false, false
		}
		if fixed[ord] {
			continue
		}
		for i < n && fixed[c.ic.KeyColAt(i).Ordinal] {
			i++
		}
		if i >= n {
			return c.wholeKeyBefore(i), dir < 0
		}
		col := c.ic.KeyColAt(i)
		i++
		if col.Ordinal != ord {
			return false, false
		}
		d := 1
		if col.Desc != k.Desc {
			d = -1
		}
		if k.NullsFirst != k.Desc && !s.Table.Columns[ord].NotNull || dir != 0 && d != dir {
			return false, false
		}
		dir = d
	}
	return true, dir < 0
}

// wholeKeyBefore says that the keys used so far are the whole unique key: further order is moot.
func (c *candidate) wholeKeyBefore(i int) bool {
	return c.ic.IsPrimary() && i >= len(c.ic.Keys)
}

func (c *candidate) single() bool {
	for _, q := range c.eq {
		if q.op != "=" {
			return false
		}
	}
	return true
}

func equality(conds []condition, ord int) *condition {
	var found *condition
	for i := range conds {
		c := &conds[i]
		if c.ordinal != ord {
			continue
		}
		if c.op == "=" {
			return c
		}
		if (c.op == "in" || c.op == "any") && found == nil {
			found = c
		}
	}
	return found
}

func bounds(conds []condition, ord int) (lo, hi *condition) {
	for i := range conds {
		c := &conds[i]
		if c.ordinal != ord {
			continue
		}
		switch c.op {
		case ">", ">=":
			if lo == nil {
				lo = c
			}
		case "<", "<=":
			if hi == nil {
				hi = c
			}
		}
	}
	return lo, hi
}

// conditions finds what predicates say about single columns of the table.
func (p *planner) conditions(s *bind.Scan, codec *tablekv.Codec, preds []bind.Expr) []condition {
	var out []condition
	for i, e := range preds {
		switch e := e.(type) {
		case *bind.Call:
			if c, ok := p.comparison(s, codec, e); ok {
				c.pred = i
				out = append(out, c)
			}
			out = append(out, p.inverted(s, e, i)...)
		case *bind.In:
			ord, ok := p.column(s, codec, e.E)
			if ok && !e.Negate && p.usable(s, codec, ord, e.List) {
				out = append(out, condition{ordinal: ord, op: "in", vals: e.List, pred: i})
			}
		case *bind.Quant:
			ord, ok := p.column(s, codec, e.E)
			if ok && !e.All && e.Op.Name == "=" && e.CastElem.OID == 0 && e.ElemT.Kind() == codec.Types[ord].Kind() &&
				!intersects(bind.Refs(e.Array), ownCols(s)) {
				out = append(out, condition{ordinal: ord, op: "any", vals: []bind.Expr{e.Array}, pred: i})
			}
		case *bind.Col:
			if ord, ok := p.column(s, codec, e); ok { // a boolean column alone
				t := &bind.Const{D: types.NewBool(true), T: types.Bool, Pos: -1}
				out = append(out, condition{ordinal: ord, op: "=", vals: []bind.Expr{t}, pred: i})
			}
		}
	}
	return out
}

var mirrored = map[string]string{"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

func (p *planner) comparison(s *bind.Scan, codec *tablekv.Codec, e *bind.Call) (condition, bool) {
	if !e.M.Op || len(e.Args) != 2 || mirrored[e.M.Name] == "" {
		return condition{}, false
	}
	for i, op := range []string{e.M.Name, mirrored[e.M.Name]} {
		ord, ok := p.column(s, codec, e.Args[i])
		if !ok {
			continue
		}
		val := e.Args[1-i]
		if p.usable(s, codec, ord, []bind.Expr{val}) {
			return condition{ordinal: ord, op: op, vals: []bind.Expr{val}}, true
		}
		if codec.Types[ord].Kind() == types.KindDate {
			if op, day, ok := byDay(op, val); ok {
				return condition{ordinal: ord, op: op, vals: []bind.Expr{day}}, true
			}
		}
	}
	return condition{}, false
}

// byDay makes a comparison of a date with a timestamp one with a date: of date + interval, as people
// write bounds, the type is timestamp. A date is compared as its midnight; at another time of a day the
// bound lies between two dates.
func byDay(op string, val bind.Expr) (string, bind.Expr, bool) {
	c, ok := val.(*bind.Const)
	if !ok || c.D.IsNull() || c.T.Kind() != types.KindTimestamp {
		return "", nil, false
	}
	day, err := types.Cast(c.D, types.Timestamp, types.Date, true, &types.Env{})
	if err != nil {
		return "", nil, false
	}
	if types.Compare(day, c.D) != 0 {
		switch op {
		case "=":
			return "", nil, false
		case "<":
			op = "<="
		case ">=":
			op = ">"
		}
	}
	return op, &bind.Const{D: day, T: types.Date, Pos: -1}, true
}

// column says whether an expression is a column of the scan, as it is stored.
func (p *planner) column(s *bind.Scan, codec *tablekv.Codec, e bind.Expr) (int, bool) {
	for {
		c, ok := e.(*bind.Cast)
		if !ok || !c.Relabel {
			break
		}
		e = c.E
	}
	c, ok := e.(*bind.Col)
	if !ok {
		for _, v := range s.Virtual {
			if bind.Same(e, v.E) {
				return int(v.ID - s.Base), true
			}
		}
	}
	if !ok || c.ID < s.Base || int(c.ID-s.Base) >= len(codec.Types) {
		return 0, false
	}
	return int(c.ID - s.Base), true
}

func ownCols(s *bind.Scan) bind.Set {
	out := bind.Set{}
	for i := range s.Table.Columns {
		out[s.Base+bind.ColID(i)] = struct{}{}
	}
	return out
}

// usable says that values have the column's form in memory, do not depend on the row, and give the
// same answer each time.
func (p *planner) usable(s *bind.Scan, codec *tablekv.Codec, ord int, vals []bind.Expr) bool {
	own := ownCols(s)
	for _, v := range vals {
		if v.Type().Kind() != codec.Types[ord].Kind() || intersects(bind.Refs(v), own) || isVolatile(v) {
			return false
		}
	}
	return true
}

func isVolatile(e bind.Expr) bool {
	out := false
	bind.WalkExpr(e, func(bind.Rel) {}, func(x bind.Expr) {
		if c, ok := x.(*bind.Call); ok && c.M.Vol == 'v' {
			out = true
		}
	})
	return out
}

// indexScan builds the operator for a candidate and returns the predicates it does not answer.
func (p *planner) indexScan(s *bind.Scan, c *candidate, preds []bind.Expr) (*exec.IndexScan, []bind.Expr, error) {
	codec := p.codec(s.Table)
	a := &exec.Access{Index: c.ic, Unique: c.unique}
	done := map[int]bool{}
	for _, q := range c.eq {
		vals, err := p.c.CompileAll(q.vals)
		if err != nil {
			return nil, nil, err
		}
		if q.op == "any" {
			a.Eq = append(a.Eq, exec.EqCol{Array: vals[0]})
		} else {
			a.Eq = append(a.Eq, exec.EqCol{Vals: vals})
		}
		done[q.pred] = !q.recheck
		a.Text = append(a.Text, bind.Format(preds[q.pred]))
	}
	for _, b := range []*condition{c.lo, c.hi} {
		if b == nil {
			continue
		}
		e, err := p.c.Compile(b.vals[0])
		if err != nil {
			return nil, nil, err
		}
		bound := &exec.Bound{E: e, Incl: b.op == ">=" || b.op == "<="}
		if b == c.lo {
			a.Lo = bound
		} else {
			a.Hi = bound
		}
		done[b.pred] = true
		a.Text = append(a.Text, bind.Format(preds[b.pred]))
	}
	n := &exec.IndexScan{Table: codec, Access: a, Alias: s.Alias, Base: s.Base, Reverse: c.reverse}
	if s.Explicit || c.unique || len(c.eq) > 0 {
		n.Opts = txn.GetOptions{Lock: s.Lock, Wait: s.Wait, Durable: s.Explicit}
	} else if s.Lock != kvapi.LockNone {
		p.unlocked = true
	}
	n.Dec, n.Fetch = p.decoders(s, codec, c)
	if c.ic.IsPrimary() || n.Fetch != nil {
		var err error
		if n.Virtual, err = p.computed(s); err != nil {
			return nil, nil, err
		}
	}
	if w := predicate(s, c.ic); w != nil {
		for i, e := range preds {
			done[i] = done[i] || bind.ImpliedBy(conjuncts(w), e)
		}
	}
	var rest []bind.Expr
	for i, e := range preds {
		if !done[i] {
			rest = append(rest, e)
		}
	}
	return n, rest, nil
}

func (p *planner) decoders(s *bind.Scan, codec *tablekv.Codec, c *candidate) (dec, fetch *tablekv.Decoder) {
	at := p.places(s)
	if c.cover {
		return c.ic.NewDecoder(at), nil
	}
	return c.ic.NewDecoder(keyPlaces(s, codec)), codec.Primary.NewDecoder(at)
}

// decodeLate has a scan decode for its filter only what that reads, and the rest of rows that pass.
func (p *planner) decodeLate(n *exec.IndexScan, s *bind.Scan, c *candidate, filter []bind.Expr) {
	if len(filter) == 0 || len(n.Virtual) > 0 {
		return
	}
	early := p.places(s)
	late := slices.Clone(early)
	read := bind.Set{}
	for _, e := range filter {
		read = union(read, bind.Refs(e))
	}
	some := false
	for i, at := range early {
		switch {
		case at < 0:
		case read.Has(bind.ColID(at)):
			late[i] = -1
		default:
			early[i], some = -1, true
		}
	}
	if !some {
		return
	}
	if c.cover {
		n.Dec, n.Late = c.ic.NewDecoder(early), c.ic.NewDecoder(late)
		return
	}
	primary := &p.codec(s.Table).Primary
	n.Fetch, n.Late = primary.NewDecoder(early), primary.NewDecoder(late)
}

// places are the registers of the columns that are read; -1 for the others.
func (p *planner) places(s *bind.Scan) []int {
	at := make([]int, len(s.Table.Columns))
	for i := range at {
		at[i] = -1
		if p.st.Used[int(s.Base)+i] {
			at[i] = int(s.Base) + i
		}
	}
	return at
}

// keyPlaces are the registers of the primary key.
func keyPlaces(s *bind.Scan, codec *tablekv.Codec) []int {
	at := make([]int, len(s.Table.Columns))
	for i := range at {
		at[i] = -1
	}
	for _, k := range codec.Primary.Keys {
		at[k.Ordinal] = int(s.Base) + k.Ordinal
	}
	return at
}
