package plan

import (
	"fmt"
	"slices"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/pushdown"
	"github.com/cairndb/cairn/sql/stats"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// Plan is a statement ready to run. It is immutable.
type Plan struct {
	Stmt *bind.Stmt
	Root exec.Node
	// Out are the registers of the result's columns.
	Out    []bind.ColID
	Slots  int
	States int
	// Subplans are the plans of subqueries in expressions, for EXPLAIN.
	Subplans []exec.Node
	// Estimates are what was expected of operators, for EXPLAIN.
	Estimates map[exec.Node]Estimate
}

// Options change planning.
type Options struct {
	// Wrap, if not nil, is put around every operator (EXPLAIN ANALYZE).
	Wrap func(exec.Node) exec.Node
	// Avoid are methods to be taken only where there is no other way.
	Avoid Methods
	// Stats is what is known of a table's data, nil if nothing is; may be nil itself.
	Stats func(*schema.Table) *stats.Table
	// Eval computes conditions over values that statistics name; may be nil.
	Eval *builtins.EvalContext
}

// Methods are what EXPLAIN's readers and tests turn off, to see the others.
type Methods struct {
	Hash, Loop, Index bool
	// Rewrites: joins stay in the order written, subqueries where they stand, outer joins outer.
	Rewrites bool
}

type planner struct {
	st   *bind.Stmt
	c    exec.Compiler
	o    Options
	ctes map[*bind.CTE]*exec.CTE
	cods map[*schema.Table]*tablekv.Codec
	// unlocked says that a scan leaves the locks of an UPDATE or DELETE to be
	// taken, if at all, on the rows that are left of it.
	unlocked bool
	// cols are the stored columns that registers hold.
	cols map[bind.ColID]*colInfo
	// est are the estimates of operators; sub is the cost of a subquery's plan.
	est map[exec.Node]Estimate
	sub map[bind.Rel]float64
	// away are the plans of subqueries in what was planned aside.
	away [][]exec.Node
	// cteRows are the rows expected of WITH queries.
	cteRows map[*bind.CTE]float64
	// beside are the scans whose conditions are all asked beside the data, by the operator above the conditions.
	beside map[exec.Node]besideScan
}

type besideScan struct {
	scan *exec.IndexScan
	work *pushdown.Scan
}

// Build plans a statement.
func Build(st *bind.Stmt, o Options) (*Plan, error) {
	p := &planner{st: st, o: o, ctes: map[*bind.CTE]*exec.CTE{}, cods: map[*schema.Table]*tablekv.Codec{},
		cols: map[bind.ColID]*colInfo{}, est: map[exec.Node]Estimate{}, sub: map[bind.Rel]float64{},
		cteRows: map[*bind.CTE]float64{}, beside: map[exec.Node]besideScan{}}
	p.collect(st.Rel)
	p.c.Plan = func(r bind.Rel) (exec.Node, error) {
		if !o.Avoid.Rewrites {
			simplifyOuter(r, nil)
		}
		out, err := p.plan(r, nil, nil)
		if err != nil {
			return nil, err
		}
		p.sub[r] = out.cost
		return out.node, nil
	}
	if !o.Avoid.Rewrites {
		simplifyOuter(st.Rel, nil)
	}
	root, err := p.plan(st.Rel, nil, nil)
	if err != nil {
		return nil, err
	}
	out := &Plan{Stmt: st, Root: root.node, Slots: st.NumCols, States: p.c.States, Subplans: p.c.Subplans,
		Estimates: p.est}
	for _, c := range st.Cols {
		out.Out = append(out.Out, c.ID)
	}
	return out, nil
}

// planned is an operator and what is known of its output.
type planned struct {
	node exec.Node
	rows float64
	// cost is that of all its rows, what is below included.
	cost float64
	// ordered says that the order asked for is the output's.
	ordered bool
}

// wanted is what the operator above would like: rows in this order, and how many.
type wanted struct {
	keys  []bind.SortKey
	limit exec.Eval // rows wanted at most; nil: all
}

func (p *planner) wrap(n exec.Node) exec.Node {
	if p.o.Wrap != nil {
		return p.o.Wrap(n)
	}
	return n
}

// done finishes an operator.
func (p *planner) done(n exec.Node, rows, cost float64) planned {
	out := planned{node: p.wrap(n), rows: rows, cost: cost}
	p.note(out)
	return out
}

// note keeps an operator's estimate for EXPLAIN.
func (p *planner) note(out planned) {
	switch out.node.(type) {
	case *exec.Project, exec.OneRow, *exec.With: // not shown, or not to be told apart
	default:
		p.est[out.node] = Estimate{out.rows, out.cost}
	}
}

func (p *planner) codec(t *schema.Table) *tablekv.Codec {
	c := p.cods[t]
	if c == nil {
		c = tablekv.NewCodec(t)
		p.cods[t] = c
	}
	return c
}

func (p *planner) layout(r bind.Rel) []bind.ColID { return exec.NewLayout(bind.Output(r), p.st.Used) }

// plan plans a relation under conditions that come from above it.
func (p *planner) plan(r bind.Rel, preds []bind.Expr, w *wanted) (planned, error) {
	switch r := r.(type) {
	case *bind.Scan:
		return p.scan(r, preds, w)
	case *bind.Filter:
		if r.Secure {
			return p.secured(r, preds, w)
		}
		return p.plan(r.In, append(p.factored(conjuncts(r.Pred)), preds...), w)
	case *bind.Project:
		return p.project(r, preds, w)
	case *bind.Join:
		return p.join(r, preds)
	case *bind.LockRows:
		return p.lockRows(r, preds, w)
	case *bind.Sample:
		return p.sample(r, preds, w)
	case *bind.Limit:
		return p.filtered(r, preds, func() (planned, error) { return p.limit(r) })
	case *bind.Sort:
		return p.filtered(r, preds, func() (planned, error) { return p.sort(r, w) })
	case *bind.Agg:
		return p.aggUnder(r, preds)
	case *bind.VirtualScan:
		return p.filtered(r, preds, func() (planned, error) { return p.virtualScan(r, preds) })
	}
	return p.filtered(r, preds, func() (planned, error) { return p.other(r) })
}

// filtered puts conditions above an operator that cannot use them. Subqueries among them may still
// become joins.
func (p *planner) filtered(r bind.Rel, preds []bind.Expr, build func() (planned, error)) (planned, error) {
	in, err := build()
	if err != nil || len(preds) == 0 {
		return in, err
	}
	out := bind.Output(r)
	cheap, costly := splitCostly(preds)
	if in, err = p.filter(in, out, cheap); err != nil || len(costly) == 0 {
		return in, err
	}
	rest, semi := p.splitSemi(costly)
	if len(semi) > 0 {
		if in, err = p.semiJoins(in, out, semi); err != nil {
			return in, err
		}
	}
	return p.filter(in, out, rest)
}

// filter adds a Filter; below is what the relation in yields, if conditions may be turned into joins
// with it.
func (p *planner) filter(in planned, below bind.Set, preds []bind.Expr) (planned, error) {
	if len(preds) == 0 {
		return in, nil
	}
	if below != nil && !p.o.Avoid.Rewrites {
		var err error
		if in, preds, err = p.decorrelate(in, below, preds); err != nil {
			return in, err
		}
	}
	pred := all(preds)
	e, err := p.c.Compile(pred)
	if err != nil {
		return in, err
	}
	cost := in.cost + in.rows*evalCost*float64(len(preds)) + p.subqueryCost(pred, in.rows)
	out := p.done(&exec.Filter{In: in.node, Pred: e, Text: bind.Format(pred)}, max(in.rows*p.selectivity(preds), 1), cost)
	out.ordered = in.ordered
	return out, nil
}

// subqueryCost is what the subqueries of an expression cost over some rows: those that read nothing of
// the row run once.
func (p *planner) subqueryCost(e bind.Expr, rows float64) float64 {
	cost := 0.0
	bind.WalkExpr(e, func(bind.Rel) {}, func(x bind.Expr) {
		s, ok := x.(*bind.Subquery)
		switch {
		case !ok:
		case len(bind.OuterRefs(s.Rel)) == 0:
			cost += p.sub[s.Rel]
		default:
			cost += p.sub[s.Rel] * rows
		}
	})
	return cost
}

func all(preds []bind.Expr) bind.Expr {
	if len(preds) == 1 {
		return preds[0]
	}
	return &bind.And{Args: preds}
}

// conjuncts splits a condition at its ANDs.
func conjuncts(e bind.Expr) []bind.Expr {
	a, ok := e.(*bind.And)
	if !ok {
		return []bind.Expr{e}
	}
	var out []bind.Expr
	for _, x := range a.Args {
		out = append(out, conjuncts(x)...)
	}
	return out
}

func (p *planner) items(items []bind.Item) ([]exec.Item, error) {
	out := make([]exec.Item, len(items))
	for i, it := range items {
		e, err := p.c.Compile(it.E)
		if err != nil {
			return nil, err
		}
		out[i] = exec.Item{ID: it.ID, E: e}
	}
	return out, nil
}

// project passes on the conditions that do not read what it computes.
func (p *planner) project(r *bind.Project, preds []bind.Expr, w *wanted) (planned, error) {
	own := bind.Set{}
	for _, it := range r.Items {
		own[it.ID] = struct{}{}
	}
	var above, below []bind.Expr
	for _, e := range preds {
		if intersects(bind.Refs(e), own) {
			above = append(above, e)
		} else {
			below = append(below, e)
		}
	}
	if w != nil {
		w = &wanted{keys: virtualKeys(r, w.keys), limit: w.limit}
	}
	if w != nil && (len(above) > 0 || orderUses(w.keys, own)) {
		w = nil
	}
	in, err := p.plan(r.In, below, w)
	if err != nil {
		return in, err
	}
	list := r.Items
	if w == nil || w.limit == nil && !in.ordered {
		if in, list, err = p.decorrelateItems(in, bind.Output(r.In), list); err != nil {
			return in, err
		}
	}
	if slices.ContainsFunc(list, func(it bind.Item) bool { return callsWriter(it.E) }) {
		in = p.readFirst(in, r.In)
	}
	items, err := p.items(list)
	if err != nil {
		return in, err
	}
	in.node = &exec.Project{In: in.node, Items: items}
	in.cost += in.rows * evalCost * float64(len(items))
	for _, it := range list {
		in.cost += p.subqueryCost(it.E, in.rows)
	}
	return p.filter(in, nil, above)
}

func orderUses(keys []bind.SortKey, s bind.Set) bool {
	for _, k := range keys {
		if s.Has(k.ID) {
			return true
		}
	}
	return false
}

func intersects(a, b bind.Set) bool {
	for id := range a {
		if b.Has(id) {
			return true
		}
	}
	return false
}

func subset(a, b bind.Set) bool {
	for id := range a {
		if !b.Has(id) {
			return false
		}
	}
	return true
}

// other plans the operators that neither take conditions nor care for order.
func (p *planner) other(r bind.Rel) (planned, error) {
	switch r := r.(type) {
	case *bind.OneRow:
		return planned{node: exec.OneRow{}, rows: 1}, nil
	case *bind.Values:
		return p.values(r)
	case *bind.FuncScan:
		return p.funcScan(r)
	case *bind.ProjectSet:
		return p.projectSet(r)
	case *bind.GroupingSets:
		return p.groupingSets(r)
	case *bind.DistinctRel:
		return p.distinct(r)
	case *bind.SetOp:
		return p.setOp(r)
	case *bind.With:
		return p.with(r)
	case *bind.CTERef:
		c := p.ctes[r.CTE]
		if c == nil {
			return planned{}, fmt.Errorf("plan: WITH query %s is read before it is planned", r.CTE.Name)
		}
		rows := p.cteRows[r.CTE]
		if rows == 0 {
			rows = EstimateRows
		}
		return p.done(&exec.CTEScan{CTE: c, Cols: r.Cols, Work: r.Work}, rows, rows*emitCost), nil
	case *bind.Window:
		return p.window(r)
	case *bind.Insert:
		return p.insert(r)
	case *bind.Update:
		return p.update(r)
	case *bind.Delete:
		return p.delete(r)
	case *bind.Merge:
		return p.merge(r)
	}
	return planned{}, fmt.Errorf("plan: no operator for %T", r)
}

func (p *planner) values(r *bind.Values) (planned, error) {
	n := &exec.Values{Cols: r.Cols}
	for _, row := range r.Rows {
		es, err := p.c.CompileAll(row)
		if err != nil {
			return planned{}, err
		}
		n.Rows = append(n.Rows, es)
	}
	return p.done(n, float64(len(r.Rows)), float64(len(r.Rows))*evalCost), nil
}

func (p *planner) funcs(fs []bind.TableFunc) ([]exec.Func, error) {
	var out []exec.Func
	for _, f := range fs {
		args, err := p.c.CompileAll(f.Args)
		if err != nil {
			return nil, err
		}
		x := exec.Func{Args: args, Cols: f.Cols}
		if f.Scalar != nil {
			x.Name = bind.Format(f.Scalar)
			if x.Scalar, err = p.c.Compile(f.Scalar); err != nil {
				return nil, err
			}
		} else {
			x.Name, x.Strict = f.M.Name, f.M.Strict
			series := f.M.Series
			x.Series = func(r *exec.Run, args []types.Datum) (exec.Rows, error) { return series(r.EC, args) }
		}
		out = append(out, x)
	}
	return out, nil
}

func exprTypes(es []bind.Expr) []types.T {
	ts := make([]types.T, len(es))
	for i, e := range es {
		ts[i] = e.Type()
	}
	return ts
}

func (p *planner) funcScan(r *bind.FuncScan) (planned, error) {
	fs, err := p.funcs(r.Funcs)
	return p.done(&exec.FuncScan{Funcs: fs, Ord: r.Ord}, 100, 100*emitCost), err
}

func (p *planner) projectSet(r *bind.ProjectSet) (planned, error) {
	in, err := p.plan(r.In, nil, nil)
	if err != nil {
		return in, err
	}
	if slices.ContainsFunc(r.Funcs, func(f bind.TableFunc) bool { return f.M.Writer }) {
		in = p.readFirst(in, r.In)
	}
	fs, err := p.funcs(r.Funcs)
	return p.done(&exec.ProjectSet{In: in.node, Funcs: fs}, in.rows*10, in.cost+in.rows*10*emitCost), err
}

// callsWriter says whether an expression calls a routine that may write.
func callsWriter(e bind.Expr) bool {
	found := false
	bind.WalkExpr(e, func(bind.Rel) {}, func(x bind.Expr) {
		if c, ok := x.(*bind.Call); ok {
			found = found || c.M.Writer
		}
	})
	return found
}

// readFirst has all rows read before the first one goes on: what is written for one is not among those that
// follow.
func (p *planner) readFirst(in planned, r bind.Rel) planned {
	if in.rows <= 1 && len(bind.Output(r)) == 0 {
		return in
	}
	out := p.done(&exec.Sort{In: in.node, Cols: p.layout(r)}, in.rows, in.cost+in.rows*emitCost)
	out.ordered = in.ordered
	return out
}

// aggUnder moves conditions on columns that are grouped by below the aggregation: what they drop
// would be whole groups.
func (p *planner) aggUnder(r *bind.Agg, preds []bind.Expr) (planned, error) {
	var above, below []bind.Expr
	grouped := bind.Set{}
	for _, g := range r.Groups {
		if id, ok := g.E.(*bind.Col); ok && id.ID == g.ID {
			grouped[g.ID] = struct{}{}
		}
	}
	own := bind.Output(r)
	for _, e := range preds {
		refs := bind.Refs(e)
		down := !isVolatile(e) && !hasSubquery(e) && r.Sets == nil && intersects(refs, grouped)
		for id := range refs {
			down = down && (grouped.Has(id) || !own.Has(id))
		}
		if down {
			below = append(below, e)
		} else {
			above = append(above, e)
		}
	}
	return p.filtered(r, above, func() (planned, error) { return p.agg(r, below) })
}

func (p *planner) agg(r *bind.Agg, preds []bind.Expr) (planned, error) {
	if out, ok, err := p.minMax(r, preds); ok || err != nil {
		return out, err
	}
	in, err := p.plan(r.In, preds, nil)
	if err != nil {
		return in, err
	}
	n := &exec.Agg{In: in.node, InCols: p.layout(r.In), Global: r.Global, State: -1}
	if r.Sets != nil {
		n.Always = emptySets(r.Sets, r.Groups)
	}
	if n.Groups, err = p.items(r.Groups); err != nil {
		return in, err
	}
	for i, g := range r.Groups {
		if r.Sets == nil || i < len(r.Sets.Items) {
			n.Text = append(n.Text, bind.Format(g.E))
		}
	}
	for i := range r.Aggs {
		f, err := p.aggFunc(&r.Aggs[i])
		if err != nil {
			return in, err
		}
		n.Funcs = append(n.Funcs, f)
	}
	p.aggregateBeside(n, r)
	rows := 1.0
	if !r.Global {
		rows = p.groups(r.Groups, in.rows)
	}
	return p.done(n, rows, in.cost+in.rows*(groupCost+evalCost*float64(len(r.Aggs)))), nil
}

// aggregateBeside has the scan below n aggregate what it can beside the data.
func (p *planner) aggregateBeside(n *exec.Agg, r *bind.Agg) {
	b, ok := p.beside[n.In]
	if !ok {
		return
	}
	work := b.work.Aggregating(r)
	if work == nil {
		return
	}
	for _, g := range r.Groups {
		n.GroupTypes = append(n.GroupTypes, g.E.Type())
	}
	n.State = p.c.States
	p.c.States++
	b.scan.Beside = &exec.Beside{Program: work.Text, Aggregates: true, Sink: n.State}
}

func (p *planner) aggFunc(a *bind.AggCall) (exec.AggFunc, error) {
	f := exec.AggFunc{ID: a.ID, ArgTypes: exprTypes(a.Args), Distinct: a.Distinct, Strict: a.M.Strict,
		Star: a.Star && a.M.Name == "count", Order: a.Order, New: a.M.NewAgg, Name: a.M.Name}
	var err error
	if f.Args, err = p.c.CompileAll(a.Args); err != nil {
		return f, err
	}
	f.Filter, err = p.c.Compile(a.Filter)
	return f, err
}

// distinct plans DISTINCT. That of DISTINCT ON is over input in the order of its columns: what ORDER BY
// says, and behind it the columns that it does not name.
func (p *planner) distinct(r *bind.DistinctRel) (planned, error) {
	if r.First {
		r = sortedOn(r)
	}
	in, err := p.plan(r.In, nil, nil)
	if err != nil {
		return in, err
	}
	return p.done(&exec.Distinct{In: in.node, InCols: p.layout(r.In), On: r.On, First: r.First}, max(in.rows*0.5, 1), in.cost+in.rows*groupCost), nil
}

func sortedOn(r *bind.DistinctRel) *bind.DistinctRel {
	in, sort := r.In, &bind.Sort{In: r.In}
	if x, ok := in.(*bind.Sort); ok {
		sort.In, sort.Keys = x.In, slices.Clone(x.Keys)
	}
	for _, id := range r.On {
		if !slices.ContainsFunc(sort.Keys, func(k bind.SortKey) bool { return k.ID == id }) {
			sort.Keys = append(sort.Keys, bind.SortKey{ID: id})
		}
	}
	return &bind.DistinctRel{In: sort, On: r.On, First: true}
}

func (p *planner) setOp(r *bind.SetOp) (planned, error) {
	l, err := p.plan(r.L, nil, nil)
	if err != nil {
		return l, err
	}
	rr, err := p.plan(r.R, nil, nil)
	if err != nil {
		return rr, err
	}
	n := &exec.SetOp{Kind: r.Kind, All: r.All || r.Kind == bind.Union, L: l.node, R: rr.node, LCols: r.LCols, RCols: r.RCols, Cols: r.Cols}
	rows, cost := l.rows+rr.rows, l.cost+rr.cost+(l.rows+rr.rows)*emitCost
	out := p.done(n, rows, cost)
	if r.Kind == bind.Union && !r.All {
		out = p.done(&exec.Distinct{In: out.node, InCols: r.Cols, On: r.Cols}, max(rows*0.5, 1), cost+rows*groupCost)
	}
	return out, nil
}

func (p *planner) with(r *bind.With) (planned, error) {
	n := &exec.With{}
	cost := 0.0
	for _, c := range r.CTEs {
		x := &exec.CTE{State: p.c.States, Name: c.Name, UnionAll: c.UnionAll, RecCols: c.RecCols}
		p.c.States++
		for _, col := range c.Cols {
			x.Cols = append(x.Cols, col.ID)
		}
		p.ctes[c] = x
		pl, err := p.plan(c.Rel, nil, nil)
		if err != nil {
			return pl, err
		}
		x.Plan = pl.node
		cost += pl.cost
		p.cteRows[c] = pl.rows
		if c.Recursive != nil {
			if pl, err = p.plan(c.Recursive, nil, nil); err != nil {
				return pl, err
			}
			x.Recursive = pl.node
		}
		n.CTEs = append(n.CTEs, x)
		if c.Modifies {
			n.Run = append(n.Run, x)
		}
	}
	in, err := p.plan(r.In, nil, nil)
	n.In = in.node
	return planned{node: n, rows: in.rows, cost: cost + in.cost}, err
}

func (p *planner) lockRows(r *bind.LockRows, preds []bind.Expr, w *wanted) (planned, error) {
	if out, ok, err := p.lockInScan(r, preds); ok || err != nil {
		return out, err
	}
	n := &exec.LockRows{Cols: p.layout(r.In), Batch: exec.LookupBatchMax}
	if w != nil && w.limit != nil {
		n.Batch = 1
	}
	for _, s := range r.Scans {
		n.Targets = append(n.Targets, exec.LockTarget{Codec: p.codec(s.Table), Base: s.Base,
			Opts: txn.GetOptions{Lock: s.Lock, Wait: s.Wait, Durable: s.Explicit}})
		s.Lock = kvapi.LockNone // the scan itself reads without
	}
	in, err := p.plan(r.In, preds, w)
	n.In = in.node
	out := p.done(n, in.rows, in.cost+in.rows*pointCost)
	out.ordered = in.ordered
	return out, err
}

// lockInScan locks where it reads when every row read is a result: a point look-up.
func (p *planner) lockInScan(r *bind.LockRows, preds []bind.Expr) (planned, bool, error) {
	if len(r.Scans) != 1 || !chainTo(r.In, r.Scans[0]) {
		return planned{}, false, nil
	}
	out, err := p.plan(r.In, preds, nil)
	if err != nil {
		return out, false, err
	}
	n := out.node
	for {
		switch x := n.(type) {
		case *exec.Project:
			n = x.In
			continue
		case *exec.IndexScan:
			return out, x.Access.Unique, nil
		}
		return planned{}, false, nil
	}
}

// chainTo says that r is nothing but filters and projections over a scan.
func chainTo(r bind.Rel, s *bind.Scan) bool {
	for {
		switch x := r.(type) {
		case *bind.Filter:
			r = x.In
		case *bind.Project:
			r = x.In
		case *bind.Scan:
			return x == s
		default:
			return false
		}
	}
}
