package sql

import (
	"context"
	"slices"
	"strings"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/pgcatalog"
	"github.com/cairndb/cairn/sql/plan"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/statements"
	"github.com/cairndb/cairn/sql/stats"
	"github.com/cairndb/cairn/sql/types"
)

// Limits of a session.
const (
	preparedMax   = 10_000
	portalsMax    = 10_000
	textCacheMax  = 256
	textCacheSize = 2048 // longer texts are not worth their place
)

// prepared is a parsed statement with its plan.
type prepared struct {
	name  string
	stmt  parser.Stmt // Tree is nil for an empty query
	hints []types.T
	plan  *cachedPlan
	// stat is where it is counted, nil before that.
	stat *statements.Entry
	// text is as pg_prepared_statements shows it, made when, and by PREPARE or by Parse.
	text    string
	made    time.Time
	fromSQL bool
	// dialect is what its MySQL text brought along (dialect.go); nil for a statement of Postgres's.
	dialect *dialectPart
	// noParams: a simple query, which cannot give parameters their values.
	noParams bool
	// internal statements keep a foreign key: they need no privileges, as Postgres runs them with
	// their table's owner's.
	internal bool
	// body is set for a statement of a routine's body.
	body *bind.Body
}

// cachedPlan is a plan with what it depends on.
type cachedPlan struct {
	*plan.Plan
	version schema.CatalogVersion
	path    string
	// own: it depends on changes to the schema that only this transaction sees yet. It describes
	// the statement, and is made anew for each execution.
	own   bool
	avoid plan.Methods
	// read is how its literals were read.
	read reading
	// stats are what was known of each of its tables.
	stats []*stats.Table
	// text are its columns in text format, once somebody asked; never changed.
	text []Column
}

// columns are the columns of a plan that returns any; they are read-only.
func (c *cachedPlan) columns(formats []Format) []Column {
	if slices.ContainsFunc(formats, func(f Format) bool { return f != FormatText }) {
		return planColumns(c.Stmt, formats)
	}
	if c.text == nil {
		c.text = planColumns(c.Stmt, nil)
	}
	return c.text
}

// reading is what of a session's settings the values of literals depend on.
type reading struct {
	loc         *time.Location
	dates       types.DateOrder
	byteaEscape bool
	floatDigits int
}

func (s *Session) reading() reading {
	return reading{loc: s.env.Loc, dates: s.env.DateOrder, byteaEscape: s.env.ByteaEscape, floatDigits: s.env.FloatDigits}
}

// asWritten says that the literals of a plan still have the values they were given. A statement that was
// prepared keeps those of that time, as in Postgres; the text of a simple query that comes again is a new one.
func (s *Session) asWritten(p *prepared, c *cachedPlan) bool {
	return !p.noParams || !c.Stmt.Clocked && c.read == s.reading()
}

// planned says whether a statement is one that is planned (the others are utilities).
func planned(n *pg.Node) bool {
	return bind.Bindable(n)
}

// planFor returns a plan that is good for the present transaction (I4): the cached one if nothing
// in the catalog moved, else a new one.
func (s *Session) planFor(ctx context.Context, p *prepared) (*plan.Plan, error) {
	s.ensureTxn()
	for range 20 {
		snap, err := s.tx.r.Snapshot(ctx)
		if err != nil {
			return nil, err
		}
		own := s.tx.r.ChangeCount() > 0
		path := s.vars.get("search_path") + "\x00" + s.user()
		if s.vars.rowSecurityOff {
			path += "\x00"
		}
		c := p.plan
		if c == nil || own || c.own || c.version != snap.Version || c.path != path || c.avoid != s.vars.avoid || !s.asWritten(p, c) || !s.sameStats(ctx, c) {
			if c, err = s.makePlan(ctx, p, snap, path); err != nil {
				return nil, err
			}
		} else if c.Stmt.Virtual || s.pg.Contents != snap.Contents {
			s.bindEnv(snap)
		}
		ok, err := s.useTables(ctx, c.Stmt)
		if err != nil {
			return nil, err
		}
		if !ok {
			p.plan = nil
			continue
		}
		c.own = own
		p.plan = c
		return c.Plan, nil
	}
	return nil, sqlerr.New(sqlerr.SerializationFailure, "the schema changes faster than the statement can be planned")
}

// optimizerSetting turns off what changes the form of a statement: for those who look for the reason of
// a slow plan, and for tests.
const optimizerSetting = "cairn.optimizer"

// planOptions are what planning a statement may know. Statistics that cannot be read do not stop it.
func (s *Session) planOptions(ctx context.Context, st *bind.Stmt) (plan.Options, error) {
	o := plan.Options{Eval: &s.ec, Avoid: s.vars.avoid}
	if len(st.Tables) == 0 {
		return o, nil
	}
	s.loadStats(ctx, st.Tables)
	o.Stats = func(t *schema.Table) *stats.Table {
		known, _ := s.srv.stats.Known(t.ID)
		return known
	}
	return o, ctx.Err()
}

// statsReadMax is how long planning waits for statistics: they lie in the system's range, which may have
// no leaseholder for a moment when all that the statement reads has.
const statsReadMax = 300 * time.Millisecond

// loadStats has the cache know some tables as they are now, if the store answers.
func (s *Session) loadStats(ctx context.Context, tables []*schema.Table) {
	fresh := true
	for _, t := range tables {
		_, ok := s.srv.stats.Known(t.ID)
		fresh = fresh && ok
	}
	if fresh {
		return
	}
	ids := make([]schema.DescID, len(tables))
	for i, t := range tables {
		ids[i] = t.ID
	}
	ctx, cancel := context.WithTimeout(ctx, statsReadMax)
	defer cancel()
	if err := s.srv.stats.Load(ctx, ids); err != nil {
		s.srv.log.Debug("statistics cannot be read", "err", err)
		s.srv.stats.Keep(ids)
	}
}

// sameStats says that nothing new is known of a plan's tables.
func (s *Session) sameStats(ctx context.Context, c *cachedPlan) bool {
	s.loadStats(ctx, c.Stmt.Tables)
	for i, t := range c.Stmt.Tables {
		if known, _ := s.srv.stats.Known(t.ID); known != c.stats[i] {
			return false
		}
	}
	return true
}

func (s *Session) useTables(ctx context.Context, st *bind.Stmt) (bool, error) {
	for _, t := range st.Tables {
		ok, err := s.tx.r.Use(ctx, t.ID, t.Version)
		if err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// makePlan binds and plans. A name that is not found may be new: then the catalog is read again.
func (s *Session) makePlan(ctx context.Context, p *prepared, snap *schema.Snapshot, path string) (*cachedPlan, error) {
	begin := time.Now()
	env := func() bind.Env {
		e := s.bindEnv(snap)
		e.NoParams, e.NoPolicies, e.Body = p.noParams, p.internal, p.body
		return e
	}
	st, err := bind.Bind(env(), p.stmt, p.hints)
	if err != nil && maybeNew(err) && s.tx.r.ChangeCount() == 0 {
		if err := s.tx.r.Refresh(ctx); err != nil {
			return nil, err
		}
		if snap, err = s.tx.r.Snapshot(ctx); err != nil {
			return nil, err
		}
		st, err = bind.Bind(env(), p.stmt, p.hints)
	}
	if err != nil {
		return nil, err
	}
	if !p.internal {
		if err := st.Check(snap.Contents, s.user()); err != nil {
			return nil, err
		}
	}
	opts, err := s.planOptions(ctx, st)
	if err != nil {
		return nil, err
	}
	pl, err := plan.Build(st, opts)
	if err != nil {
		return nil, err
	}
	if p.plan != nil && !p.plan.own && !sameColumns(p.plan.Stmt.Cols, st.Cols) && p.name != "" {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "cached plan must not change result type")
	}
	c := &cachedPlan{Plan: pl, version: snap.Version, path: path, avoid: opts.Avoid, read: s.reading()}
	for _, t := range st.Tables {
		known, _ := s.srv.stats.Known(t.ID)
		c.stats = append(c.stats, known)
	}
	s.countPlan(p, time.Since(begin))
	return c, nil
}

func maybeNew(err error) bool {
	return sqlerr.HasCode(err, sqlerr.UndefinedObject) || sqlerr.HasCode(err, sqlerr.UndefinedTable) ||
		sqlerr.HasCode(err, sqlerr.UndefinedFunction) || sqlerr.HasCode(err, sqlerr.UndefinedColumn)
}

func sameColumns(a, b []bind.ResultCol) bool {
	return slices.EqualFunc(a, b, func(x, y bind.ResultCol) bool { return x.Type.Same(y.Type) && x.Name == y.Name })
}

// prepare parses and, where there is something to plan, finds parameters and columns.
func (s *Session) prepare(ctx context.Context, name, query string, hints []types.T) (*prepared, error) {
	stmts, err := s.parse(query)
	if err != nil {
		return nil, err
	}
	if len(stmts) > 1 {
		return nil, sqlerr.New(sqlerr.SyntaxError, "cannot insert multiple commands into a prepared statement")
	}
	p := &prepared{}
	if len(stmts) == 1 {
		p = stmts[0]
	}
	p.name, p.hints = name, hints
	if p.stmt.Tree == nil {
		return p, nil
	}
	if s.tx != nil && s.tx.failed && !endsTxn(p.stmt.Tree) {
		return nil, errAborted()
	}
	return p, p.placed(s.describePlan(ctx, p))
}

// describePlan plans a statement outside its execution.
func (s *Session) describePlan(ctx context.Context, p *prepared) error {
	if p.stmt.Tree == nil || !planned(p.stmt.Tree) {
		return nil
	}
	fresh := s.tx == nil
	_, err := s.planFor(ctx, p)
	if fresh && s.tx != nil { // nothing ran in it
		s.rollback(ctx)
	}
	return err
}

func (p *prepared) params() []types.T {
	if p.plan != nil {
		return p.plan.Stmt.Params
	}
	return p.hints
}

// columns are the result's columns, read-only; nil means that there is no result.
func (s *Session) columns(p *prepared, formats []Format) []Column {
	if p.stmt.Tree == nil {
		return nil
	}
	if p.plan == nil {
		return withFormats(s.utilityColumns(p.stmt.Tree), formats)
	}
	if !p.plan.Stmt.Returning {
		return nil
	}
	return p.plan.columns(formats)
}

// withFormats sets the formats a client asked for.
func withFormats(cols []Column, formats []Format) []Column {
	for i := range cols {
		cols[i].Format = formatAt(formats, i)
	}
	return cols
}

func planColumns(st *bind.Stmt, formats []Format) []Column {
	out := make([]Column, len(st.Cols))
	for i, c := range st.Cols {
		out[i] = Column{Name: c.Name, TableOID: c.TableOID, AttNum: c.AttNum, Type: c.Type.Plain(), Format: formatAt(formats, i)}
	}
	return out
}

func formatAt(fs []Format, i int) Format {
	switch {
	case len(fs) == 1:
		return fs[0]
	case i < len(fs):
		return fs[i]
	}
	return FormatText
}

// textCache keeps the statements of recent simple queries, so that a text that comes again is not
// parsed and planned again.
type textCache struct {
	byText map[string]*prepared
	order  []string
}

func (c *textCache) get(q string) *prepared { return c.byText[q] }

func (c *textCache) put(q string, p *prepared) {
	if len(q) > textCacheSize {
		return
	}
	if c.byText == nil {
		c.byText = map[string]*prepared{}
	}
	if _, ok := c.byText[q]; ok {
		return
	}
	if len(c.order) >= textCacheMax {
		delete(c.byText, c.order[0])
		c.order = c.order[1:]
	}
	q = strings.Clone(q)
	c.byText[q] = p
	c.order = append(c.order, q)
}

// endsTxn says whether a statement is allowed in a failed transaction.
func endsTxn(n *pg.Node) bool {
	t := n.GetTransactionStmt()
	if t == nil {
		return false
	}
	switch t.Kind {
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT, pg.TransactionStmtKind_TRANS_STMT_ROLLBACK,
		pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		return true
	}
	return false
}

// preparedList is pg_prepared_statements.
func (s *Session) preparedList() []pgcatalog.Prepared {
	var out []pgcatalog.Prepared
	for name, p := range s.statements {
		if name == "" {
			continue
		}
		r := pgcatalog.Prepared{Name: name, Statement: p.text, Made: p.made, FromSQL: p.fromSQL}
		for _, t := range p.params() {
			r.Params = append(r.Params, t.OID)
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b pgcatalog.Prepared) int { return strings.Compare(a.Name, b.Name) })
	return out
}
