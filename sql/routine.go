package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/parser"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// How a routine that is called (sql/bind/routine.go) runs: its statements one after the other, inside of
// the statement that calls it, in the same transaction.
//
//	SELECT f(x) FROM t ──operator──▶ EvalContext.Routines ──▶ CallRoutine
//	                                                            statement 1, settled
//	                                                            statement 2, settled
//	                                                            its rows ◀── the last one
//
// Each statement sees what those before it wrote. The statement that calls sees it in what it has not read
// yet. All is run again with the statement that calls, and taken back with it.
//
// Limits: the rows that a body returns are held in memory, within the statement's budget; bodies may be
// nested callsMax deep.

const (
	// callsMax bounds the depth of calls; each level takes some 10 KB of stack.
	callsMax = 1000
	// whereBytesMax is the length of an error's context to which nothing is added.
	whereBytesMax = 200
	// routinesMax bounds the bodies that a session keeps with their plans.
	routinesMax = 200
)

// routine is a body with its plans: statements, or a procedure if it is in PL/pgSQL.
type routine struct {
	f     *schema.Function
	stmts []*prepared
	proc  *procedure
}

// CallRoutine implements builtins.Routines.
func (s *Session) CallRoutine(ctx context.Context, c builtins.RoutineCall, args []types.Datum) ([]types.Row, error) {
	if s.calls >= callsMax {
		return nil, sqlerr.New(sqlerr.StatementTooComplex, "stack depth limit exceeded").
			WithHint("Functions called each other more than %d levels deep.", callsMax)
	}
	s.calls++
	defer func() { s.calls-- }()
	defer s.tx.refs.within()()
	r, err := s.routineOf(ctx, c)
	if err != nil {
		return nil, err
	}
	if r.proc != nil {
		rows, err := s.runProcedure(ctx, r.proc, args)
		if c.Ret.OID == types.OIDVoid { // which is not NULL, other than that of a function in SQL
			rows = []types.Row{{types.NewText("")}}
		}
		return rows, err
	}
	var rows []types.Row
	vals := slices.Clone(args)
	for i, p := range r.stmts {
		if rows, err = s.runBody(ctx, p, vals); err != nil {
			return nil, inRoutine(mapError(err, s), r.f, fmt.Sprintf("statement %d", i+1))
		}
	}
	if c.Ret.OID == types.OIDVoid {
		rows = []types.Row{{types.Null}}
	}
	return rows, nil
}

// inRoutine adds the place to an error, as Postgres words it.
func inRoutine(err error, f *schema.Function, where string) error {
	var e *sqlerr.Error
	if !errors.As(err, &e) || isRetryable(err) {
		return err
	}
	if len(e.Where) > whereBytesMax {
		return err
	}
	context := fmt.Sprintf("SQL function \"%s\" %s", f.Name, where)
	if e.Where != "" {
		context = e.Where + "\n" + context
	}
	c := *e
	c.Position, c.Where = 0, context
	return &c
}

// routineOf finds a body, and plans that were made for the same types of arguments.
func (s *Session) routineOf(ctx context.Context, c builtins.RoutineCall) (*routine, error) {
	snap, err := s.tx.r.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	f, ok := snap.Object(schema.DescID(c.OID)).(*schema.Function)
	if !ok {
		return nil, sqlerr.New(sqlerr.UndefinedFunction, "function with OID %d does not exist", c.OID)
	}
	var key strings.Builder
	fmt.Fprint(&key, c.OID, f.Version, c.Ret.OID)
	for _, t := range c.Args {
		fmt.Fprint(&key, " ", t.OID, t.Mod)
	}
	// f may be one that this transaction made, or changed more than once, and a row type changes with its table.
	own := s.tx.r.ChangeCount() > 0 || slices.ContainsFunc(c.Args, func(t types.T) bool { return t.User != nil && t.User.OfTable() })
	if r := s.routines[key.String()]; r != nil && !own {
		return r, nil
	}
	r := &routine{f: f}
	if f.Language == schema.PLpgSQL {
		if r.proc, err = s.compile(ctx, f, s.shownName(snap, f), c.Args, c.Ret); err != nil {
			return nil, err
		}
	}
	var stmts []parser.Stmt
	if r.proc == nil {
		if stmts, err = bind.BodyStatements(f); err != nil {
			return nil, inRoutine(err, f, "during startup")
		}
	}
	for i, st := range stmts {
		if err := inBody(f, st); err != nil {
			return nil, inRoutine(err, f, "during startup")
		}
		r.stmts = append(r.stmts, &prepared{stmt: parser.Stmt{Tree: st.Tree, Query: st.Query}, hints: c.Args,
			body: &bind.Body{Function: f, Args: c.Args, Ret: c.Ret, Last: i == len(stmts)-1}})
	}
	if !own {
		if s.routines == nil || len(s.routines) >= routinesMax {
			s.routines = map[string]*routine{}
		}
		s.routines[key.String()] = r
	}
	return r, nil
}

// shownName is a function as errors name it, with its schema where the search path does not find it.
func (s *Session) shownName(snap *schema.Snapshot, f *schema.Function) string {
	name := bind.FunctionSignature(f)
	sc, _ := snap.Object(f.SchemaID).(*schema.Schema)
	if sc != nil && !slices.Contains(s.bindEnv(snap).SearchPath, sc.Name) {
		return sc.Name + "." + name
	}
	return name
}

// inBody refuses statements that no routine may run.
func inBody(f *schema.Function, st parser.Stmt) error {
	switch n := st.Tree.Node.(type) {
	case *pg.Node_TransactionStmt:
		return sqlerr.New(sqlerr.FeatureNotSupported, "%s is not allowed in an SQL function", transactionWord(n.TransactionStmt))
	case *pg.Node_CopyStmt:
		if n.CopyStmt.Filename == "" {
			return sqlerr.New(sqlerr.FeatureNotSupported, "cannot COPY to/from client in an SQL function")
		}
	}
	if !planned(st.Tree) && !f.Procedure {
		return sqlerr.Unsupported("a statement of this kind in a function").WithHint("Write a procedure, and CALL it.")
	}
	return nil
}

func transactionWord(n *pg.TransactionStmt) string {
	words := map[pg.TransactionStmtKind]string{pg.TransactionStmtKind_TRANS_STMT_BEGIN: "BEGIN", pg.TransactionStmtKind_TRANS_STMT_START: "START TRANSACTION",
		pg.TransactionStmtKind_TRANS_STMT_COMMIT: "COMMIT", pg.TransactionStmtKind_TRANS_STMT_ROLLBACK: "ROLLBACK",
		pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT: "SAVEPOINT", pg.TransactionStmtKind_TRANS_STMT_RELEASE: "RELEASE"}
	if w, ok := words[n.Kind]; ok {
		return w
	}
	return "ROLLBACK"
}

// runBody runs a statement of a body and returns its rows.
func (s *Session) runBody(ctx context.Context, p *prepared, params []types.Datum) ([]types.Row, error) {
	if !planned(p.stmt.Tree) {
		s.tx.done++ // what it does to the schema takes effect with the transaction, as in a transaction block
		w := &silentWriter{s.out}
		return nil, s.utilities(ctx, p, w, utilityOptions{})
	}
	po := &portal{p: p, params: params}
	defer po.close(s)
	if err := s.openPlan(ctx, po, false); err != nil {
		return nil, err
	}
	if po.plan.Stmt.Effects {
		s.calledEffects = true
	}
	var rows []types.Row
	for {
		ok, err := po.cur.Next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if !p.body.Last || !po.plan.Stmt.Returning {
			continue
		}
		row := make(types.Row, len(po.plan.Out))
		for i, id := range po.plan.Out {
			row[i] = po.run.Slots[id]
		}
		if err := po.run.Keep(row); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	po.run.Quiesce()
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	return rows, nil
}
