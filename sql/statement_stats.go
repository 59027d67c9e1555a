package sql

import (
	"context"
	"sync"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/pgcatalog"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/statements"
	"github.com/cairndb/cairn/sql/types"
)

// Counting statements, for pg_stat_statements (package statements). A prepared statement keeps its
// entry, so that an execution costs a reading of the clock and a few additions.
//
// As in Postgres, what failed is not counted, and of PREPARE, EXECUTE and DEALLOCATE the statement
// that is executed. The time of a statement that writes in a transaction of its own includes the
// commit, in which Cairn does most of the work of such a statement; Postgres counts it to nothing.

// counting is what is known of the statement that runs.
type counting struct {
	// p is what is executed; nil: what the client sent.
	p    *prepared
	rows int64
	// late is a statement that has run and whose commit is to come.
	late struct {
		e     *statements.Entry
		spent time.Duration
		rows  int64
	}
}

// Settings of what is counted.
const (
	statementsTrack   = "pg_stat_statements.track"
	statementsUtility = "pg_stat_statements.track_utility"
)

// applyTrack: statements inside of DO blocks are not counted, so that all is as top.
func applyTrack(s *Session, v string) (string, error) {
	if v != "none" && v != "top" && v != "all" {
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter \"%s\": \"%s\"", statementsTrack, v).
			WithHint("Available values: none, top, all.")
	}
	s.vars.trackNothing = v == "none"
	return v, nil
}

func applyTrackUtility(s *Session, v string) (string, error) {
	s.vars.trackNoUtility = v == "off"
	return v, nil
}

// isSuperuser says whether the session's user may do everything; also before its first statement.
func (s *Session) isSuperuser() bool {
	return s.pg.Contents != nil && s.pg.Contents.IsSuperuser(s.user())
}

// entryOf is where a statement is counted, nil for nowhere.
func (s *Session) entryOf(p *prepared) *statements.Entry {
	if e := p.stat; e != nil && !e.Gone() && e.Who.User == s.user() {
		return e
	}
	if p.internal || p.stmt.Text == "" {
		return nil
	}
	var sh statements.Shape
	if p.stat != nil {
		sh = p.stat.Shape
	} else {
		err := s.guard(func() error {
			sh = statements.Normalize(p.stmt.Text, shapeOptions(p.stmt.Tree))
			return nil
		})
		if err != nil {
			return nil
		}
	}
	who := statements.Who{User: s.user(), Database: int64(s.db.ID)}
	if r := s.pg.Contents.Role(who.User); r != nil {
		who.RoleID = int64(r.OID)
	}
	p.stat = s.srv.statements.Entry(who, sh)
	return p.stat
}

// shapeOptions: as in PostgreSQL 15, a statement that is not planned keeps its constants; but
// passwords are not for others to see.
func shapeOptions(n *pg.Node) statements.Options {
	switch {
	case planned(n):
		return statements.Options{}
	case n.GetCreateRoleStmt() != nil, n.GetAlterRoleStmt() != nil:
		return statements.Options{StringsOnly: true}
	}
	return statements.Options{Keep: true}
}

// uncounted are statements in whose place another is counted, or nothing.
func uncounted(n *pg.Node) bool {
	return n.GetPrepareStmt() != nil || n.GetDeallocateStmt() != nil || n.GetExecuteStmt() != nil
}

// countBegin is called before a statement runs.
func (s *Session) countBegin() { s.count.p, s.count.rows = nil, 0 }

// countEnd counts a statement that has run.
func (s *Session) countEnd(p *prepared) {
	if s.count.late.e != nil {
		s.countLate(0)
	}
	if s.vars.trackNothing {
		return
	}
	if s.count.p != nil {
		p = s.count.p
	} else if p.plan == nil && (s.vars.trackNoUtility || uncounted(p.stmt.Tree)) {
		return
	}
	e := s.entryOf(p)
	if e == nil {
		return
	}
	spent := time.Since(s.act.since) // only this goroutine writes it
	if s.tx != nil && !s.tx.explicit && p.plan != nil && p.plan.Stmt.Writes {
		s.count.late.e, s.count.late.spent, s.count.late.rows = e, spent, s.count.rows
		return
	}
	e.Executed(spent, s.count.rows)
}

// countPortal counts a portal that has been executed; one that is read in parts is counted when its
// end is reached, with the time of the last part.
func (s *Session) countPortal(po *portal) {
	if po.cur == nil {
		s.countEnd(po.p)
	}
}

// countLate counts the statement whose commit has taken so long.
func (s *Session) countLate(commit time.Duration) {
	l := &s.count.late
	if l.e != nil {
		l.e.Executed(l.spent+commit, l.rows)
		l.e = nil
	}
}

// countCommit runs the commit of an implicit transaction.
func (s *Session) countCommit(commit func() error) error {
	if s.count.late.e == nil {
		return commit()
	}
	begin := time.Now()
	err := commit()
	if err == nil {
		s.countLate(time.Since(begin))
	}
	return err
}

// countPlan counts a planning.
func (s *Session) countPlan(p *prepared, d time.Duration) {
	if s.vars.trackNothing {
		return
	}
	if e := s.entryOf(p); e != nil {
		e.Planned(d)
	}
}

// StatementQuery asks a node for what it has counted or, with Reset, tells it to forget that of a
// role, a database and a number; 0 means all.
type StatementQuery struct {
	Reset    bool  `wire:"1"`
	Role     int64 `wire:"2"`
	Database int64 `wire:"3"`
	Number   int64 `wire:"4"`
}

// StatementList answers a StatementQuery.
type StatementList struct {
	Rows []StatementRow `wire:"1"`
	// Dealloc is how often entries were evicted, since SinceNanos.
	Dealloc    int64 `wire:"2"`
	SinceNanos int64 `wire:"3"`
}

// StatementRow is statements.Row on the wire.
type StatementRow struct {
	Role     int64          `wire:"1"`
	Database int64          `wire:"2"`
	Number   int64          `wire:"3"`
	Text     string         `wire:"4"`
	Rows     int64          `wire:"5"`
	Plans    StatementTimes `wire:"6"`
	Execs    StatementTimes `wire:"7"`
}

// StatementTimes is statements.Times on the wire.
type StatementTimes struct {
	Count  int64   `wire:"1"`
	Total  float64 `wire:"2"`
	Min    float64 `wire:"3"`
	Max    float64 `wire:"4"`
	Mean   float64 `wire:"5"`
	SumVar float64 `wire:"6"`
}

// Statements answers what a peer asks.
func (s *Server) Statements(q *StatementQuery) *StatementList {
	if q.Reset {
		s.statements.Reset(q.Role, q.Database, q.Number, time.Now())
		return &StatementList{}
	}
	rows, dealloc, since := s.statements.Report()
	out := &StatementList{Rows: make([]StatementRow, len(rows)), Dealloc: dealloc, SinceNanos: since.UnixNano()}
	for i, r := range rows {
		out.Rows[i] = StatementRow{Role: r.Role, Database: r.Database, Number: r.Number, Text: r.Text, Rows: r.Rows,
			Plans: StatementTimes(r.Plans), Execs: StatementTimes(r.Execs)}
	}
	return out
}

// statementsAskMax is how long each node has to tell what it counted. What one that does not answer
// has is missing.
const statementsAskMax = 2 * time.Second

// askStatements asks all nodes, this one included.
func (s *Server) askStatements(ctx context.Context, q *StatementQuery) (lists []*StatementList) {
	if s.cfg.Peers == nil {
		return []*StatementList{s.Statements(q)}
	}
	ctx, cancel := context.WithTimeout(ctx, statementsAskMax)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, n := range s.cfg.Peers.Nodes() {
		wg.Go(func() {
			list, err := s.cfg.Peers.Statements(ctx, n, q)
			if err != nil {
				s.log.Warn("a node does not tell of its statements", "node", n, "err", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			lists = append(lists, list)
		})
	}
	wg.Wait()
	return lists
}

// ClusterStatements are the statements of all nodes, the most expensive first; how often entries
// were evicted; and since when at least one node has counted.
func (s *Server) ClusterStatements(ctx context.Context) (rows []statements.Row, dealloc int64, since time.Time) {
	var lists [][]statements.Row
	for _, l := range s.askStatements(ctx, &StatementQuery{}) {
		dealloc += l.Dealloc
		if at := time.Unix(0, l.SinceNanos); since.IsZero() || at.Before(since) {
			since = at
		}
		rows := make([]statements.Row, len(l.Rows))
		for i := range l.Rows {
			r := &l.Rows[i]
			rows[i] = statements.Row{Role: r.Role, Database: r.Database, Number: r.Number, Text: r.Text, Rows: r.Rows,
				Plans: statements.Times(r.Plans), Execs: statements.Times(r.Execs)}
		}
		lists = append(lists, rows)
	}
	return statements.Merge(lists...), dealloc, since
}

// statementRows are the rows of pg_stat_statements. Texts of others are for superusers only.
func (s *Session) statementRows(ctx context.Context) ([]pgcatalog.Statement, pgcatalog.StatementsInfo) {
	rows, dealloc, since := s.srv.ClusterStatements(ctx)
	super := s.isSuperuser()
	me := s.pg.Contents.Role(s.user())
	out := make([]pgcatalog.Statement, len(rows))
	for i, r := range rows {
		out[i] = pgcatalog.Statement{Role: schema.DescID(r.Role), Database: schema.DescID(r.Database), Number: r.Number, Text: r.Text,
			Plans: r.Plans, Execs: r.Execs, Rows: r.Rows, Hidden: !super && (me == nil || int64(me.OID) != r.Role)}
	}
	return out, pgcatalog.StatementsInfo{Dealloc: dealloc, Since: since}
}

// ResetStatements implements builtins.Statements.
func (s *Session) ResetStatements(ctx context.Context, role, database types.OID, number int64) error {
	if !s.isSuperuser() {
		return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied for function pg_stat_statements_reset")
	}
	s.srv.askStatements(ctx, &StatementQuery{Reset: true, Role: int64(role), Database: int64(database), Number: number})
	return nil
}
