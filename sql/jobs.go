package sql

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/ddl"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/pgcatalog"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/txn"
)

// RunJobs has this node do jobs that nobody works on, until ctx ends; then it
// leaves its own to others.
func (s *Server) RunJobs(ctx context.Context) { s.jobs.Run(ctx) }

func (s *Server) newJobs() *jobs.Registry {
	return jobs.NewRegistry(jobs.Config{Store: s.store, Clock: s.cfg.DB.Clock(), NodeID: s.cfg.NodeID, Logger: s.log,
		Work: s.workOnJob})
}

// workOnJob does a job in a session of its own, of which nobody knows.
func (s *Server) workOnJob(ctx context.Context, h *jobs.Handle) error {
	snap, err := s.cfg.Catalog.Snapshot(ctx)
	if err != nil {
		return err
	}
	db := snap.DatabaseByID(h.Record().Database)
	if db == nil {
		return h.Update(ctx, func(r *jobs.Record) error {
			r.State, r.Error = jobs.Failed, jobs.Problem{Code: string(sqlerr.InvalidCatalogName), Message: "the database was dropped"}
			return nil
		})
	}
	sess, err := s.makeSession(snap, db, SessionArgs{User: schema.RootUser, Database: db.Name})
	if err != nil {
		return err
	}
	defer sess.close()
	sess.ec.Ctx = ctx
	env := sess.ddlEnv(snap)
	env.JobFault = s.jobFault
	return ddl.RunJob(ctx, env, h)
}

// ddlEnv is the part of ddl.Env that does not depend on a transaction.
func (s *Session) ddlEnv(snap *schema.Snapshot) ddl.Env {
	env := s.bindEnv(snap)
	return ddl.Env{Catalog: s.srv.cfg.Catalog, Store: s.srv.store, Jobs: s.srv.jobs, CountRows: s.srv.countRows, BackfillShare: s.srv.backfillShare,
		Awaits:   s.noteAwaits,
		Guard:    s.guard,
		Database: s.db, SearchPath: s.searchPath(snap.Contents), Temp: &s.temp, User: s.user(), Setting: s.settingToKeep, Bind: env, Engine: engine{s},
		NoPLpgSQL: !s.srv.knows(plpgsqlVersion), UncheckedBodies: s.vars.get("check_function_bodies") == "off"}
}

// backfillShare is how much of its time, in percent, a job works that reads all
// rows of a table; it rests in between. It is the cluster's alone.
const (
	backfillShare        = "cairn.backfill_share"
	backfillShareDefault = 25
)

func parseShare(v string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(v), "%"))
	return n, err == nil && n >= 1 && n <= 100
}

func applyBackfillShare(_ *Session, v string) (string, error) {
	n, ok := parseShare(v)
	if !ok {
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "%s is between 1 and 100, in percent of the time", backfillShare)
	}
	return strconv.Itoa(n), nil
}

// backfillShare is all of a job's time while nobody is at work whom it could
// disturb; else what the setting says.
func (s *Server) backfillShare(ctx context.Context) int {
	if !s.othersAtWork(ctx) {
		return 100
	}
	if v, ok := s.settings.view.Load().get(backfillShare); ok {
		if n, ok := parseShare(v); ok {
			return n
		}
	}
	return backfillShareDefault
}

// quietAfter is how long nobody must have begun a statement for the cluster to
// be quiet; it is looked at as often.
const quietAfter = time.Second

// othersAtWork says whether statements run in the cluster, or did so just now,
// but for those that wait for jobs. Of a node that does not answer, they do.
func (s *Server) othersAtWork(ctx context.Context) bool {
	s.quiet.Lock()
	defer s.quiet.Unlock()
	if time.Since(s.quiet.looked) < quietAfter {
		return s.quiet.busy
	}
	ctx, cancel := context.WithTimeout(ctx, quietAfter)
	defer cancel()
	s.quiet.busy = s.anyAtWork(ctx)
	s.quiet.looked = time.Now()
	return s.quiet.busy
}

func (s *Server) anyAtWork(ctx context.Context) bool {
	if s.cfg.Peers == nil {
		return s.Sessions(&SessionQuery{}).atWork()
	}
	for _, n := range s.cfg.Peers.Nodes() {
		if l, err := s.cfg.Peers.Sessions(ctx, n, &SessionQuery{}); err != nil || l.atWork() {
			return true
		}
	}
	return false
}

func (l *SessionList) atWork() bool {
	return slices.ContainsFunc(l.Sessions, func(x SessionState) bool {
		return !x.Awaits && (x.Running || x.NowNanos-x.SinceNanos < int64(quietAfter))
	})
}

// countRows guesses how many rows a table has: by its statistics, or by the keys
// in its ranges, which hold the entries of its indexes too.
func (s *Server) countRows(ctx context.Context, id schema.DescID) int64 {
	if known, err := s.statistics(ctx, []schema.DescID{id}); err == nil && known[id] != nil {
		return int64(known[id].Rows)
	}
	snap, err := s.cfg.Catalog.Snapshot(ctx)
	if err != nil || s.cfg.Cluster == nil {
		return 0
	}
	t := snap.Table(id)
	ranges, err := s.cfg.Cluster.Ranges(ctx)
	if err != nil || t == nil {
		return 0
	}
	perRow := int64(1)
	for i := range t.Indexes {
		if t.Indexes[i].IsPublic() {
			perRow++
		}
	}
	var keys int64
	for _, r := range ranges {
		if r.TableID == id {
			keys += r.LiveKeys
		}
	}
	return keys / perRow
}

// ExplainChange implements builtins.Jobs: the steps of a statement that changes
// the schema, found out in a transaction beside the session's.
func (s *Session) ExplainChange(ctx context.Context, query string) ([]string, error) {
	stmts, err := parser.Parse(query)
	if err != nil {
		return nil, err
	}
	if len(stmts) != 1 {
		return nil, sqlerr.New(sqlerr.InvalidParameterValue, "one statement is expected")
	}
	t := s.srv.cfg.DB.Begin(txn.Options{Name: "explain a schema change"})
	defer t.Rollback(context.WithoutCancel(ctx))
	r := s.srv.cfg.Catalog.Resolver(t)
	defer r.Finish(ctx, false)
	snap, err := r.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	env := s.ddlEnv(snap)
	env.Resolver, env.Txn = r, t
	return ddl.Explain(ctx, env, stmts[0])
}

// jobRows feeds cairn.jobs.
func (s *Session) jobRows(ctx context.Context) ([]pgcatalog.Job, error) {
	recs, err := s.srv.jobs.List(ctx)
	out := make([]pgcatalog.Job, 0, len(recs))
	for _, r := range recs {
		out = append(out, pgcatalog.Job{Record: r, Doing: ddl.PhaseName(r)})
	}
	return out, err
}

// AskJob implements builtins.Jobs: it puts a request on record, at once and
// beside the session's transaction. The job's user and superusers may.
func (s *Session) AskJob(ctx context.Context, id int64, what string) error {
	g, jid := s.srv.jobs, jobs.ID(id)
	r, err := g.Get(ctx, jid)
	if err != nil {
		return err
	}
	if r == nil || int64(jid) != id {
		return sqlerr.New(sqlerr.UndefinedObject, "job %d does not exist", id)
	}
	if c := s.pg.Contents; !c.IsSuperuser(s.user()) && !c.IsMember(s.user(), r.User) {
		return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied for job %d", id).
			WithDetail("It is a job of role \"%s\".", r.User)
	}
	was := r.State
	switch what {
	case "pause":
		r, err = g.Ask(ctx, jid, jobs.RequestPause)
	case "cancel":
		r, err = g.Ask(ctx, jid, jobs.RequestCancel)
	case "resume":
		r, err = g.Resume(ctx, jid)
	default:
		return errors.New("sql: unknown request of a job: " + what)
	}
	switch {
	case err != nil:
		return err
	case r == nil:
		e := sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "job %d has ended", id)
		if was.Ended() {
			e = e.WithDetail("Its status is \"%s\".", was)
		}
		return e
	case r.State == jobs.Reverting && what != "cancel":
		return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "job %d takes back what it has done", id).
			WithHint("It cannot be stopped from doing that.")
	}
	return nil
}
