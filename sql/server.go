package sql

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/contain"
	"github.com/cairndb/cairn/sql/ddl"
	"github.com/cairndb/cairn/sql/exec"
	"github.com/cairndb/cairn/sql/pgcatalog"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/statements"
	"github.com/cairndb/cairn/sql/stats"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// Config is what a Server is made of.
type Config struct {
	DB      *txn.DB
	Catalog *schema.Catalog
	// Cluster feeds the tables of schema cairn and pg_stat_activity; may be nil.
	Cluster pgcatalog.Cluster
	// StatementBytesMax is a statement's memory budget; 0 is exec.MemoryBytesDefault.
	StatementBytesMax int64
	// MemoryBytesMax bounds what all statements hold; 0 is no bound.
	MemoryBytesMax int64
	// ClusterVersion is the cluster's version as this node knows it; nil is the first.
	ClusterVersion func() uint32
	// TempDir is where operators write what memory has no room for; "" is the system's folder.
	TempDir string
	Logger  *slog.Logger
	// NodeID is the node's. Hidden row ids of two nodes differ by it, and rows under them are written
	// blindly: two nodes with one number would overwrite each other's rows.
	NodeID kvapi.NodeID
	// Peers reaches the other nodes; nil: there are none.
	Peers Peers
	// LooksAfter reports whether this node is the one to do what one node is to do for a table; nil: it
	// always is.
	LooksAfter func(schema.DescID) bool
}

// Server holds what all sessions of a node share.
type Server struct {
	// quiet is what othersAtWork saw last.
	quiet struct {
		sync.Mutex
		looked time.Time
		busy   bool
	}
	cfg   Config
	store schema.Store
	log   *slog.Logger
	rows  rowIDs
	// contention are the conflicts of this node's sessions.
	contention contention
	sessions   sessionSet
	ended      endedTxns
	settings   clusterSettings
	stats      *stats.Cache
	auto       autoAnalyze
	hba        hbaRules
	// countChanges is auto.counter, made once.
	countChanges func(*schema.Table) *atomic.Int64
	memory       *exec.Pool
	// statements are what this node's sessions ran.
	statements *statements.Table
	// whoseBudget bounds how often others are asked who was in the way.
	whoseBudget budget
	jobs        *jobs.Registry
	// jobFault is ddl.Env.JobFault of this node's jobs.
	jobFault func(*jobs.Record) error
	// incarnation tells this run of the node from others, lastTemp numbers its sessions.
	incarnation string
	lastTemp    atomic.Uint64
	swept       sync.Once
	outbox      outbox
}

// NewServer makes a Server.
func NewServer(cfg Config) *Server {
	if cfg.StatementBytesMax == 0 {
		cfg.StatementBytesMax = exec.MemoryBytesDefault
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, store: schema.NewStore(cfg.DB), log: cfg.Logger, stats: newStatsCache(cfg.DB), memory: exec.NewPool(cfg.MemoryBytesMax),
		statements: statements.NewTable(time.Now()),
		rows:       rowIDs{node: int64(cfg.NodeID) & rowIDNodeMask}, incarnation: fmt.Sprintf("%016x", rand.Uint64())}
	s.jobs = s.newJobs()
	s.countChanges = s.auto.counter
	return s
}

func (s *Server) lookupRole(ctx context.Context, name string) (Role, bool, error) {
	snap, err := s.cfg.Catalog.Snapshot(ctx)
	if err != nil {
		return Role{}, false, mapError(err, nil)
	}
	r := snap.Role(name)
	if r == nil { // it may be new
		if snap, err = s.cfg.Catalog.Refresh(ctx); err != nil {
			return Role{}, false, mapError(err, nil)
		}
		if r = snap.Role(name); r == nil {
			return Role{}, false, nil
		}
	}
	old, err := expired(r, time.Now())
	if err != nil {
		s.log.Warn("VALID UNTIL of a role cannot be read", "role", name, "err", err)
	}
	return Role{Name: r.Name, Superuser: r.Superuser, CanLogin: r.Login, Verifier: r.Verifier, Expired: old || err != nil}, true, nil
}

// Session is one client's connection as SQL sees it.
type Session struct {
	srv  *Server
	args SessionArgs
	// role is what SET ROLE named, "" for the user who connected.
	role string
	db   *schema.Database

	env  *types.Env
	vars vars
	ec   builtins.EvalContext
	pg   pgcatalog.Env

	statements map[string]*prepared
	portals    map[string]*portal
	texts      textCache

	tx *txnState
	// replay is what the extended protocol did in the present implicit transaction (replay.go).
	replay replay

	run     exec.Run // reused by statements that run to their end at once
	running bool
	row     types.Row

	advisory advisory
	// internalPlans are those of the acts of foreign keys, by text.
	internalPlans map[string]*prepared

	// routines are the bodies of functions and procedures that are called, calls how deep they are in each
	// other, calledEffects what bind.Stmt.Effects is of their statements, and out where notices go.
	routines      map[string]*routine
	calls         int
	calledEffects bool
	out           ResultWriter

	cursors     map[string]*cursor
	cursorCount int

	currval map[schema.DescID]int64
	temp    ddl.Temp
	// filling is the materialized view that DDL fills at present, nil for none.
	filling *schema.Table
	listen  listening
	lastSeq schema.DescID
	started time.Time
	act     activity
	count   counting
	// completed is where the end of the last statement's output begins.
	completed Mark

	causality causality
	// standing says how often in a row transactions of the client have lost.
	standing txn.Standing
	draws    draws

	timeout stmtTimeout

	mu struct {
		sync.Mutex
		cancel context.CancelCauseFunc
	}
}

func (s *Server) newSession(ctx context.Context, args SessionArgs) (*Session, error) {
	if args.Database == "" {
		args.Database = args.User
	}
	snap, err := s.cfg.Catalog.Snapshot(ctx)
	if err != nil {
		return nil, mapError(err, nil)
	}
	if snap.Database(args.Database) == nil || snap.Role(args.User) == nil {
		if snap, err = s.cfg.Catalog.Refresh(ctx); err != nil {
			return nil, mapError(err, nil)
		}
	}
	if snap.Role(args.User) == nil {
		return nil, sqlerr.New(sqlerr.InvalidAuthorizationSpecification, "role \"%s\" does not exist", args.User).
			WithSeverity(sqlerr.SeverityFatal)
	}
	db := snap.Database(args.Database)
	if db == nil {
		return nil, sqlerr.New(sqlerr.InvalidCatalogName, "database \"%s\" does not exist", args.Database).
			WithSeverity(sqlerr.SeverityFatal)
	}
	if snap.Granted(args.User, db, schema.PrivConnect) == 0 {
		return nil, sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied for database \"%s\"", args.Database).
			WithDetail("User does not have CONNECT privilege.").WithSeverity(sqlerr.SeverityFatal)
	}
	if err := s.admit(ctx, snap.Role(args.User)); err != nil {
		return nil, sqlerr.From(mapError(err, nil)).WithSeverity(sqlerr.SeverityFatal)
	}
	sess, err := s.makeSession(snap, db, args)
	if err == nil {
		s.swept.Do(func() { s.sweepTemp(snap) })
		s.sessions.add(sess)
	}
	return sess, err
}

// makeSession makes a session that is not among those of clients yet.
func (s *Server) makeSession(snap *schema.Snapshot, db *schema.Database, args SessionArgs) (*Session, error) {
	sess := &Session{srv: s, args: args, db: db, env: &types.Env{}, statements: map[string]*prepared{},
		portals: map[string]*portal{}, currval: map[schema.DescID]int64{}, started: time.Now()}
	sess.temp.Session = s.tempSession(s.lastTemp.Add(1))
	sess.vars = newVars(sess)
	sess.advisory.s = sess
	sess.setUpEval(snap.Contents)
	sess.vars.syncCluster()
	sess.beginWith(snap.Role(args.User))
	for k, v := range args.Params {
		if err := sess.guard(func() error { return sess.vars.startup(k, v) }); err != nil {
			return nil, sqlerr.From(err).WithSeverity(sqlerr.SeverityFatal)
		}
	}
	return sess, nil
}

// guard contains panics of evaluation (package contain) and logs them.
func (s *Session) guard(f func() error) error {
	err := contain.Do(f)
	if err != nil {
		contain.Log(s.srv.log, err, "user", s.args.User, "database", s.db.Name)
	}
	return err
}

// setUpEval connects functions with the session.
func (s *Session) setUpEval(c *schema.Contents) {
	s.pg = pgcatalog.Env{Contents: c, Database: s.db, User: s.args.User, Settings: s.vars.settings,
		Sequences: s.srv.cfg.Catalog.SequenceValue, Cluster: s.srv.cfg.Cluster, Contention: s.conflicts, Locks: s.locks, Cursors: s.cursorList, Prepared: s.preparedList, Jobs: s.jobRows,
		Statistics: s.srv.statistics, Statements: s.statementRows, ConnectionRules: s.srv.ruleRows}
	names := pgcatalog.Names{Env: &s.pg}
	s.env.Reg = names
	s.ec = builtins.EvalContext{Env: s.env, Clock: time.Now, RowID: s.srv.rows.next, Session: sessionInfo{s}, Sequences: sequences{s}, Catalog: names,
		Advisory: &s.advisory, Outcomes: s, Tables: s, Jobs: s, Notifier: s, Draws: &s.draws, Statements: s, Sessions: s, Routines: s}
}

// searchPath lists the schemas of search_path that exist, without pg_catalog.
func (s *Session) searchPath(c *schema.Contents) []string {
	var out []string
	for _, p := range strings.Split(s.vars.get("search_path"), ",") {
		p = strings.Trim(strings.TrimSpace(p), `"`)
		if p == "$user" {
			p = s.args.User
		}
		if p == "pg_catalog" || p == "" {
			continue
		}
		if p == "pg_temp" && len(out) > 0 && s.temp.Name != "" { // not the first, as it else is
			p = s.temp.Name
		}
		if c.Schema(s.db.ID, p) != nil || p == "information_schema" || p == "cairn" {
			out = append(out, p)
		}
	}
	return out
}

func (s *Session) bindEnv(snap *schema.Snapshot) bind.Env {
	path := s.temp.Path(snap.Contents, s.db.ID, s.searchPath(snap.Contents))
	s.pg.Contents, s.pg.SearchPath, s.pg.Temp = snap.Contents, path, s.temp.Name
	var filling schema.DescID
	if s.filling != nil {
		filling, path = s.filling.ID, s.filling.Matview.SearchPath
	}
	return bind.Env{Snap: snap, Database: s.db.ID, SearchPath: path, Filling: filling, Temp: s.temp.Name, Types: s.env, Eval: &s.ec, Virtual: virtualTable,
		User: s.user(), RowSecurityOff: s.vars.rowSecurityOff}
}

// virtualTables keeps one bind.VirtualTable per computed table: plans compare by it.
var virtualTables sync.Map

func virtualTable(schemaName, name string) *bind.VirtualTable {
	t := pgcatalog.Lookup(schemaName, name)
	if t == nil {
		return nil
	}
	if v, ok := virtualTables.Load(t); ok {
		return v.(*bind.VirtualTable)
	}
	v := &bind.VirtualTable{Schema: t.Schema, Name: t.Name, OID: t.OID, Columns: t.Columns, Keys: t.Keys, Impl: t}
	virtualTables.Store(t, v)
	return v
}

func (s *Session) cancelRunning() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.cancel != nil {
		s.mu.cancel(errUserCancel)
	}
}

var (
	errUserCancel = sqlerr.New(sqlerr.QueryCanceled, "canceling statement due to user request")
	errTimeout    = sqlerr.New(sqlerr.QueryCanceled, "canceling statement due to statement timeout")
)

func (s *Session) idleTimeout() IdleTimeout {
	if s.tx != nil && s.tx.explicit {
		return IdleTimeout{After: s.vars.idleInTxnTimeout, InTransaction: true}
	}
	return IdleTimeout{After: s.vars.idleTimeout}
}

func (s *Session) close() {
	s.srv.sessions.remove(s)
	s.closePortals()
	if s.tx != nil {
		s.rollback(context.Background())
	}
	s.advisory.close()
	s.endTemp()
}
