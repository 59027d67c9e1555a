package builtins

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// EvalContext is what a function may know beside its arguments. A session fills it once and sets
// the times per transaction and statement. The interfaces may be nil where functions that need
// them are not called; those then fail with a clear error.
type EvalContext struct {
	Ctx context.Context
	// Env carries the time zone, the transaction's time for 'now', and names for regclass.
	Env *types.Env

	TxnTime  time.Time // now(), current_timestamp
	StmtTime time.Time // statement_timestamp()
	Clock    func() time.Time

	Rand *rand.Rand // random(); nil uses the process's generator
	// RowID gives the next key of a table without a declared one; nil refuses.
	RowID func() int64

	Session   Session
	Sequences Sequences
	Catalog   Catalog
	Advisory  Advisory
	Outcomes  Outcomes
	Jobs      Jobs
	Tables    TableChecker
	// Statements are those that pg_stat_statements counts.
	Statements Statements
	Notifier   Notifier
	Sessions   Sessions
	Routines   Routines
	// Draws, if set, sees what draws return, or decides it.
	Draws Draws
}

// Draws remembers what the draws of a statement returned, to hand it out again when the statement
// must run once more.
type Draws interface {
	// Watching says whether Draw is to be called.
	Watching() bool
	// Draw returns what draw, of a function, returns or returned.
	Draw(function string, draw func() (types.Datum, error)) (types.Datum, error)
}

// draws are the volatile functions that may be called once more than the user sees: numbers are not
// given back anyway, and the others leave nothing.
var draws = map[string]bool{"nextval": true, "currval": true, "lastval": true, "unique_rowid": true, "random": true,
	"gen_random_uuid": true, "clock_timestamp": true}

// IsDraw reports whether a volatile function has no effect that anybody could miss, or see twice: all
// that matters is what it returned.
func (o *Overload) IsDraw() bool { return o.Vol == Volatile && draws[o.Name] }

// RoutineCall is what a statement knows of a routine that it calls: which one, the types of its arguments,
// and what it returns.
type RoutineCall struct {
	OID  types.OID
	Args []types.T
	Ret  types.T
}

// Routines runs the functions and procedures in SQL that are no part of the statement that calls them.
type Routines interface {
	// CallRoutine runs a body and returns the rows of its last statement.
	CallRoutine(ctx context.Context, c RoutineCall, args []types.Datum) ([]types.Row, error)
}

// CallRoutine calls a routine of a user.
func (ec *EvalContext) CallRoutine(c RoutineCall, args []types.Datum) ([]types.Row, error) {
	if ec == nil || ec.Routines == nil {
		return nil, sqlerr.Unsupported("calling a function made by a user here")
	}
	return ec.Routines.CallRoutine(ec.ctx(), c, args)
}

// TableChecker compares a table's indexes with its rows.
type TableChecker interface {
	CheckTable(ctx context.Context, table types.OID) (string, error)
}

// Outcomes tells what became of transactions with an idempotency key.
type Outcomes interface {
	TransactionOutcome(ctx context.Context, key string) (string, error)
}

// Jobs takes requests to pause, resume or cancel a job, and says what a schema
// change would do.
type Jobs interface {
	AskJob(ctx context.Context, id int64, what string) error
	ExplainChange(ctx context.Context, query string) ([]string, error)
}

// Sessions interrupts other sessions.
type Sessions interface {
	// SignalSession cancels what a session runs, or ends the session; false: there is none of this number.
	SignalSession(ctx context.Context, pid int32, terminate bool) (bool, error)
}

// Statements are the counts of pg_stat_statements.
type Statements interface {
	// ResetStatements forgets, on all nodes, those of a role, a database and a number; 0 means all.
	ResetStatements(ctx context.Context, role, database types.OID, number int64) error
}

// Session is the session's identity and settings.
type Session interface {
	User() string        // current_user
	SessionUser() string // session_user
	Database() string    // current_database()
	SearchPath() []string
	BackendPID() int32
	Setting(name string) (value string, ok bool)
	SetSetting(name, value string, local bool) error
	// Info answers rarely asked things by name: "server_addr", "server_port", "client_addr",
	// "client_port", "txid", "start_time"; ok is false for what is not known (SQL NULL).
	Info(name string) (value string, ok bool)
}

// Sequences are the operations behind nextval and its relatives.
type Sequences interface {
	Nextval(ctx context.Context, seq types.OID) (int64, error)
	Currval(ctx context.Context, seq types.OID) (int64, error)
	Setval(ctx context.Context, seq types.OID, value int64, isCalled bool) error
	Lastval(ctx context.Context) (int64, error)
}

// Catalog answers what functions of pg_catalog ask about objects. ok false is SQL NULL.
type Catalog interface {
	// Describe says for people what the object of a class (an oid of pg_class) is.
	Describe(ctx context.Context, class, object types.OID, column int) (text string, ok bool, err error)
	IndexDef(ctx context.Context, index types.OID, column int, pretty bool) (def string, ok bool, err error)
	ConstraintDef(ctx context.Context, constraint types.OID) (def string, ok bool, err error)
	ViewDef(ctx context.Context, view types.OID) (def string, ok bool, err error)
	// FunctionPart prints a function that a user made, or a part of it.
	FunctionPart(ctx context.Context, fn types.OID, part FunctionPart) (text string, ok bool, err error)
	UserName(ctx context.Context, role types.OID) (name string, ok bool, err error)
	RelationVisible(ctx context.Context, rel types.OID) (visible, ok bool, err error)
	RelationSizeBytes(ctx context.Context, rel types.OID) (size int64, ok bool, err error)
	// SerialSequence is the qualified name of the sequence owned by a column.
	SerialSequence(ctx context.Context, table types.OID, column string) (name string, ok bool, err error)
	// Expr is a stored expression of a table as the session has to write it.
	Expr(ctx context.Context, text string, table types.OID) string
	// Privilege says whether a role has a privilege (as has_table_privilege takes it: one or several
	// with commas, perhaps WITH GRANT OPTION) on an object, or on a column of a table. Objects and
	// roles are given by name or number; ok is false for a number that nothing has.
	Privilege(ctx context.Context, q PrivilegeQuestion) (has, ok bool, err error)
	// Comment is that on an object of a system catalog ("": any), or on its column (0: none).
	Comment(ctx context.Context, catalog string, object types.OID, column int) (text string, ok bool, err error)
}

// PrivilegeQuestion is what has_table_privilege and its relatives ask.
type PrivilegeQuestion struct {
	// Role is a name, or the number RoleOID if ByOID; Me is the session's role.
	Me      bool
	Role    string
	RoleOID types.OID
	// Kind is table, schema, database, sequence, type, column, any_column or role (membership).
	Kind string
	// Object is a name, or the number ObjectOID if that is not 0. Column may be "".
	Object    string
	ObjectOID types.OID
	Column    string
	ColumnNum int
	Privilege string
}

func (ec *EvalContext) env() *types.Env {
	if ec == nil {
		return nil
	}
	return ec.Env
}

func (ec *EvalContext) loc() *time.Location {
	if ec == nil || ec.Env == nil || ec.Env.Loc == nil {
		return time.UTC
	}
	return ec.Env.Loc
}

func (ec *EvalContext) txnTime() time.Time {
	if ec == nil || ec.TxnTime.IsZero() {
		return time.Now()
	}
	return ec.TxnTime
}

func (ec *EvalContext) ctx() context.Context {
	if ec == nil || ec.Ctx == nil {
		return context.Background()
	}
	return ec.Ctx
}
