package ddl

import (
	"context"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Env is what a session gives to a statement that changes the schema.
type Env struct {
	Catalog  *schema.Catalog
	Resolver *schema.Resolver
	// Txn is the session's transaction; the resolver writes the catalog in it.
	Txn Txn
	// Store runs the side transactions of index builds.
	Store schema.Store
	// Jobs does what takes long while tables are in use; nil: nothing is done so.
	Jobs *jobs.Registry
	// CountRows estimates how many rows a table has, 0 for unknown; may be nil.
	CountRows func(context.Context, schema.DescID) int64
	// BackfillShare is how much of its time, in percent, a job works, all of it
	// where it disturbs nobody; nil: all.
	BackfillShare func(context.Context) int
	// Awaits is told when the statement begins to wait for a job, and when that
	// is over; may be nil.
	Awaits func(bool)
	// Guard contains panics of evaluation (package contain). Any goroutine may call it.
	Guard func(func() error) error
	// JobFault, if set, is asked before each step of a job and after each of its
	// chunks whether it goes wrong: for tests.
	JobFault func(*jobs.Record) error
	Database *schema.Database
	// SearchPath are the schemas that exist, in order, without pg_catalog.
	SearchPath []string
	// Temp is the session's temporary schema, nil where there can be none.
	Temp *Temp
	User string
	// Setting checks what SET or RESET says of a parameter that sessions are to begin
	// with, and returns its name and value; set is false if it is to go.
	Setting func(n *pg.VariableSetStmt) (to schema.Setting, set bool, err error)
	// NoPLpgSQL: a node of the cluster is of a build that does not run functions in PL/pgSQL.
	NoPLpgSQL bool
	// UncheckedBodies: bodies of functions are kept unseen (check_function_bodies is off).
	UncheckedBodies bool
	// Explicit says that the transaction holds other statements than this one.
	Explicit bool
	// Bind is what expressions and type names are bound against; Exec sets its snapshot.
	Bind bind.Env
	// Notice sends a notice to the client.
	Notice func(*sqlerr.Error)
	// NoticeNow, if set, sends one while the statement goes on; it can then not
	// be run again unseen.
	NoticeNow func(*sqlerr.Error)
	// Plan, if set, hears of the steps that take long or that others notice, and
	// none of them is taken (Explain).
	Plan   func(step string)
	Engine Engine
}

// Txn is what index builds inside the session's transaction ask for beside
// schema.Txn; *txn.Txn has it.
type Txn interface {
	schema.Txn
	PutIfAbsent(ctx context.Context, key kvapi.Key, value []byte) error
	// SetPrivate allows keys of a span that nobody else knows of to be written
	// ahead of the commit, after announce.
	SetPrivate(span kvapi.Span, announce func(context.Context) error)
}

// Engine is the part of the executor that some statements need.
type Engine interface {
	// Compile prepares an expression for one row after the other.
	Compile(e bind.Expr) (Eval, error)
	// Columns binds a SELECT and gives its result's columns.
	Columns(ctx context.Context, query parser.Stmt) ([]bind.ResultCol, error)
	// Exec runs a statement in the transaction and returns the rows affected.
	Exec(ctx context.Context, query string) (rows int64, err error)
	// Fill is Exec of a statement that changes a materialized view, under the view's search path.
	Fill(ctx context.Context, view *schema.Table, query string) (rows int64, err error)
}

// Eval computes an expression over a row of a table (nil: it has no columns).
// It is used by one goroutine at a time.
type Eval func(ctx context.Context, row types.Row) (types.Datum, error)

// stmt is one statement at work.
type stmt struct {
	Env
	r     *schema.Resolver
	query string
	// text is this statement's part of query.
	text string
	// made are the constraints that the statement has made.
	made []schema.DescID
	// others are the jobs that the statement waits for, nil in a transaction block.
	others *jobs.Registry
}

// Handles reports whether Exec is for this statement.
func Handles(n *pg.Node) bool {
	switch n.Node.(type) {
	case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt,
		*pg.Node_TransactionStmt, *pg.Node_CopyStmt, *pg.Node_ExplainStmt, *pg.Node_PrepareStmt,
		*pg.Node_ExecuteStmt, *pg.Node_DeallocateStmt, *pg.Node_VariableSetStmt,
		*pg.Node_VariableShowStmt, *pg.Node_DiscardStmt:
		return false
	}
	return true
}

// Exec runs a statement that changes the schema and returns its command tag.
// Nothing is visible to others before the session's transaction commits, and
// nothing remains if it does not. Statements that Cairn does not do are
// refused by name.
func Exec(ctx context.Context, env Env, in parser.Stmt) (tag string, err error) {
	s := &stmt{Env: env, r: env.Resolver, query: in.Query, text: in.Text}
	if run := s.withoutChange(in.Tree); run != nil {
		return run(ctx)
	}
	run := s.statement(in)
	if run == nil {
		return "", unsupportedStatement(in.Tree)
	}
	if err := s.r.BeginChange(ctx); err != nil {
		return "", err
	}
	if env.Explicit {
		s.r.InBlock()
	} else {
		s.others = env.Jobs
	}
	if s.Bind.Snap, err = s.r.Snapshot(ctx); err != nil {
		return "", err
	}
	return run(ctx)
}

type runner func(context.Context) (string, error)

// done makes a runner of a function and its command tag.
func done(tag string, fn func(context.Context) error) runner {
	return func(ctx context.Context) (string, error) { return tag, fn(ctx) }
}

func (s *stmt) statement(in parser.Stmt) runner {
	switch n := in.Tree.Node.(type) {
	case *pg.Node_CreateStmt:
		return done("CREATE TABLE", func(ctx context.Context) error { return s.createTable(ctx, n.CreateStmt) })
	case *pg.Node_CreateTableAsStmt:
		return func(ctx context.Context) (string, error) { return s.createTableAs(ctx, n.CreateTableAsStmt) }
	case *pg.Node_IndexStmt:
		return done("CREATE INDEX", func(ctx context.Context) error { return s.createIndex(ctx, n.IndexStmt) })
	case *pg.Node_AlterTableStmt:
		return s.alter(n.AlterTableStmt)
	case *pg.Node_RenameStmt:
		return s.rename(n.RenameStmt)
	case *pg.Node_TruncateStmt:
		return done("TRUNCATE TABLE", func(ctx context.Context) error { return s.truncate(ctx, n.TruncateStmt) })
	case *pg.Node_DropStmt:
		return s.drop(n.DropStmt)
	case *pg.Node_CreateSeqStmt:
		return done("CREATE SEQUENCE", func(ctx context.Context) error { return s.createSequence(ctx, n.CreateSeqStmt) })
	case *pg.Node_AlterSeqStmt:
		return done("ALTER SEQUENCE", func(ctx context.Context) error { return s.alterSequence(ctx, n.AlterSeqStmt) })
	case *pg.Node_ViewStmt:
		return done("CREATE VIEW", func(ctx context.Context) error { return s.createView(ctx, n.ViewStmt) })
	case *pg.Node_CreateFunctionStmt:
		tag := "CREATE FUNCTION"
		if n.CreateFunctionStmt.IsProcedure {
			tag = "CREATE PROCEDURE"
		}
		return done(tag, func(ctx context.Context) error { return s.createFunction(ctx, n.CreateFunctionStmt) })
	case *pg.Node_AlterFunctionStmt:
		return done("ALTER "+objectWords(n.AlterFunctionStmt.Objtype), func(ctx context.Context) error { return s.alterFunction(ctx, n.AlterFunctionStmt) })
	case *pg.Node_RefreshMatViewStmt:
		return done("REFRESH MATERIALIZED VIEW", func(ctx context.Context) error { return s.refresh(ctx, n.RefreshMatViewStmt) })
	case *pg.Node_CreatePolicyStmt:
		return done("CREATE POLICY", func(ctx context.Context) error { return s.createPolicy(ctx, n.CreatePolicyStmt) })
	case *pg.Node_AlterPolicyStmt:
		return done("ALTER POLICY", func(ctx context.Context) error { return s.alterPolicy(ctx, n.AlterPolicyStmt) })
	case *pg.Node_CommentStmt:
		return done("COMMENT", func(ctx context.Context) error { return s.comment(ctx, n.CommentStmt) })
	case *pg.Node_AlterOwnerStmt:
		return s.alterOwner(n.AlterOwnerStmt)
	case *pg.Node_AlterObjectSchemaStmt:
		return s.setSchema(n.AlterObjectSchemaStmt)
	}
	if run := s.typeStatement(in.Tree); run != nil {
		return run
	}
	return s.globalStatement(in.Tree)
}

// globalStatement are statements about databases, schemas and roles.
func (s *stmt) globalStatement(tree *pg.Node) runner {
	switch n := tree.Node.(type) {
	case *pg.Node_CreatedbStmt:
		return done("CREATE DATABASE", func(ctx context.Context) error { return s.createDatabase(ctx, n.CreatedbStmt) })
	case *pg.Node_AlterDatabaseStmt:
		return done("ALTER DATABASE", func(ctx context.Context) error { return s.alterDatabase(ctx, n.AlterDatabaseStmt) })
	case *pg.Node_DropdbStmt:
		return done("DROP DATABASE", func(ctx context.Context) error { return s.dropDatabase(ctx, n.DropdbStmt) })
	case *pg.Node_CreateSchemaStmt:
		return done("CREATE SCHEMA", func(ctx context.Context) error { return s.createSchema(ctx, n.CreateSchemaStmt) })
	case *pg.Node_CreateRoleStmt:
		return done("CREATE ROLE", func(ctx context.Context) error { return s.createRole(ctx, n.CreateRoleStmt) })
	case *pg.Node_AlterRoleStmt:
		return done("ALTER ROLE", func(ctx context.Context) error { return s.alterRole(ctx, n.AlterRoleStmt) })
	case *pg.Node_AlterRoleSetStmt:
		return done("ALTER ROLE", func(ctx context.Context) error { return s.alterRoleSet(ctx, n.AlterRoleSetStmt) })
	case *pg.Node_AlterDatabaseSetStmt:
		return done("ALTER DATABASE", func(ctx context.Context) error {
			return s.setInDatabase(ctx, n.AlterDatabaseSetStmt.Dbname, n.AlterDatabaseSetStmt.Setstmt)
		})
	case *pg.Node_GrantStmt:
		tag := "REVOKE"
		if n.GrantStmt.IsGrant {
			tag = "GRANT"
		}
		return done(tag, func(ctx context.Context) error { return s.grant(ctx, n.GrantStmt) })
	case *pg.Node_GrantRoleStmt:
		tag := "REVOKE ROLE"
		if n.GrantRoleStmt.IsGrant {
			tag = "GRANT ROLE"
		}
		return done(tag, func(ctx context.Context) error { return s.grantRole(ctx, n.GrantRoleStmt) })
	case *pg.Node_CreateExtensionStmt:
		return done("CREATE EXTENSION", func(ctx context.Context) error { return s.createExtension(ctx, n.CreateExtensionStmt) })
	case *pg.Node_AlterDefaultPrivilegesStmt:
		return done("ALTER DEFAULT PRIVILEGES", func(ctx context.Context) error {
			return s.alterDefaultPrivileges(ctx, n.AlterDefaultPrivilegesStmt)
		})
	case *pg.Node_ReassignOwnedStmt:
		return done("REASSIGN OWNED", func(ctx context.Context) error { return s.reassignOwned(ctx, n.ReassignOwnedStmt) })
	case *pg.Node_DropOwnedStmt:
		return done("DROP OWNED", func(ctx context.Context) error { return s.dropOwned(ctx, n.DropOwnedStmt) })
	case *pg.Node_DropRoleStmt:
		return done("DROP ROLE", func(ctx context.Context) error { return s.dropRole(ctx, n.DropRoleStmt) })
	}
	return nil
}

// withoutChange are statements that Postgres has and that change nothing here.
func (s *stmt) withoutChange(tree *pg.Node) runner {
	nothing := func(context.Context) error { return nil }
	switch tree.Node.(type) {
	case *pg.Node_ClusterStmt:
		return done("CLUSTER", nothing)
	case *pg.Node_CheckPointStmt:
		return done("CHECKPOINT", nothing)
	case *pg.Node_ReindexStmt:
		return done("REINDEX", nothing)
	}
	return nil
}

func (s *stmt) notice(e *sqlerr.Error) {
	if s.Notice != nil {
		s.Notice(e.WithSeverity(sqlerr.SeverityNotice))
	}
}

// present sends the notice of IF NOT EXISTS, which has the code that the error would have.
func (s *stmt) present(code sqlerr.Code, format string, args ...any) error {
	s.notice(sqlerr.New(code, format, args...))
	return nil
}

// skipped sends the notice of IF EXISTS.
func (s *stmt) skipped(format string, args ...any) error {
	s.notice(sqlerr.New(sqlerr.SuccessfulCompletion, format, args...))
	return nil
}

// pos turns a location of the tree into a position for the client.
func (s *stmt) pos(location int32) int {
	if location < 0 {
		return 0
	}
	return sqlerr.CharPosition(s.query, int(location))
}
