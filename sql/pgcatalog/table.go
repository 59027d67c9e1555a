package pgcatalog

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/statements"
	"github.com/cairndb/cairn/sql/stats"
	"github.com/cairndb/cairn/sql/types"
)

// Table is a computed table.
type Table struct {
	Schema, Name string
	OID          types.OID
	// View says that Postgres has it as a view.
	View    bool
	Columns []builtins.Column
	notNull []bool
	index   map[string]int
	// Keys are the columns by whose values RowsBy finds rows. A table that has some is computed from the
	// catalog's contents alone, but for what amend adds.
	Keys []int
	fill filler
	// in is the registry the table belongs to: some list the others.
	in *registry
}

// Env is what the tables are computed from.
type Env struct {
	// Contents is the catalog as the session's transaction sees it.
	Contents *schema.Contents
	Database *schema.Database
	// SearchPath are the schemas that exist, in order, without pg_catalog.
	SearchPath []string
	// Temp is what the schema name pg_temp stands for, "" for nothing.
	Temp string
	User string
	// Settings are the session's parameters, for pg_settings; nil: none.
	Settings func() []Setting
	// Sequences reads a sequence's value (schema.Catalog.SequenceValue).
	Sequences func(ctx context.Context, q *schema.Sequence) (last int64, called bool, err error)
	// Cluster is what the tables of schema cairn and pg_stat_activity show;
	// nil: nothing.
	Cluster Cluster
	// Contention are the conflicts that cost this node's sessions most; nil:
	// none are known.
	Contention func() []Conflict
	// Statistics are what is known of tables' data, by table; nil: nothing is.
	Statistics func(ctx context.Context, ids []schema.DescID) (map[schema.DescID]*stats.Table, error)
	// Statements are those of all nodes, for pg_stat_statements; nil: none are known.
	Statements func(ctx context.Context) ([]Statement, StatementsInfo)
	// ConnectionRules are those of pg_hba_file_rules; nil: there are none.
	ConnectionRules func() []ConnectionRule
	// Cursors are the session's cursors, for pg_cursors; nil: none.
	Cursors func() []Cursor
	// Prepared are the session's prepared statements; nil: none.
	Prepared func() []Prepared
	// Jobs are the jobs of the cluster; nil: none.
	Jobs func(ctx context.Context) ([]Job, error)
	// Locks are the locks of all nodes, and the waits for them; nil: none.
	Locks func(ctx context.Context) ([]Lock, error)
}

// Job is a row of cairn.jobs.
type Job struct {
	*jobs.Record
	// Doing says what the job is at.
	Doing string
}

// ConnectionRule is a row of pg_hba_file_rules. Bits is the mask's length, of AddressBits.
type ConnectionRule struct {
	Line              int
	Type              string
	Databases, Users  []string
	Address           string
	Bits, AddressBits int
	Method            string
	Options           []string
}

// Statement is a row of pg_stat_statements.
type Statement struct {
	Role, Database schema.DescID
	Number         int64
	Text           string
	Plans, Execs   statements.Times
	Rows           int64
	// Hidden: the session's role may not see the text.
	Hidden bool
}

// StatementsInfo is the row of pg_stat_statements_info.
type StatementsInfo struct {
	Dealloc int64
	Since   time.Time
}

// Cursor is a row of pg_cursors.
type Cursor struct {
	Name, Statement              string
	Holdable, Binary, Scrollable bool
	Created                      time.Time
}

// Prepared is a row of pg_prepared_statements.
type Prepared struct {
	Name, Statement string
	Made            time.Time
	Params          []types.OID
	FromSQL         bool
}

// Lock is a row of pg_locks and of cairn.locks: a lock on a row or, if
// Advisory is set, of an application's own, that is held or waited for.
type Lock struct {
	DatabaseID, TableID schema.DescID
	// Key is the row's, in the form people read.
	Key      string
	Advisory *AdvisoryKey
	// Txn is a transaction, Node its gateway, PID its session; zero if unknown.
	Txn         string
	Node, PID   int64
	Application string
	Strength    string
	// Mode is Postgres's name for the strength.
	Mode             string
	Durable, Granted bool
	// Since is when the wait began.
	Since time.Time
}

// AdvisoryKey is an advisory lock's number as pg_locks has it.
type AdvisoryKey struct {
	ClassID, ObjID, ObjSubID int64
}

// Conflict is a row of cairn.contention.
type Conflict struct {
	TableID schema.DescID
	Key     string
	// Retried counts conflicts that the client did not see, Shown the others.
	Retried, Shown int64
	Reason, Other  string
	At             time.Time
}

// Setting is a parameter of the session.
type Setting struct {
	Name, Value, Unit, Description, VarType, Default string
	// Reset is what RESET goes back to, Source where the value is from, and
	// Context who may change it ("" is the user).
	Reset, Source, Context string
}

// Cluster tells of the cluster and of this node's sessions.
type Cluster interface {
	Nodes(ctx context.Context) ([]Node, error)
	Ranges(ctx context.Context) ([]Range, error)
	Sessions(ctx context.Context) ([]Session, error)
	// RangeLog is what was done to ranges, oldest first.
	RangeLog(ctx context.Context) ([]RangeEvent, error)
	// Integrity is what the last checks found.
	Integrity(ctx context.Context) ([]Integrity, error)
}

// Integrity is a row of cairn.integrity: the last check of a range or of a
// table. Checked and Proven are zero for never.
type Integrity struct {
	Kind            string
	RangeID         int64
	StartKey        string
	TableID         schema.DescID
	Outcome, Detail string
	NodeID          int64
	Checked, Proven time.Time
}

// Node is a row of cairn.nodes.
type Node struct {
	ID                         int64
	SQLAddr, RPCAddr, HTTPAddr string
	Locality                   string
	Live                       bool
	Ranges, Leases             int64
}

// Range is a row of cairn.ranges; keys are in the form people read.
type Range struct {
	ID                  int64
	StartKey, EndKey    string
	TableID             schema.DescID
	Leaseholder         int64
	Replicas            []int64
	LiveBytes, LiveKeys int64
	Generation          int64
}

// RangeEvent is a row of cairn.range_log; OtherID and Key may be empty.
type RangeEvent struct {
	At                       time.Time
	NodeID, RangeID, OtherID int64
	Kind, Key, Why           string
	TableID                  schema.DescID
}

// Session is a row of pg_stat_activity. Times are microseconds since 2000, 0
// for none.
type Session struct {
	PID                                                  int64
	Database, User, ApplicationName, ClientAddr          string
	ClientPort                                           int64
	BackendStart, TxnStart, QueryStart, StateChange      int64
	State, Query, WaitEventType, WaitEvent, BackendClass string
}

// compute computes the table's rows.
func (t *Table) compute(ctx context.Context, env *Env) ([]types.Row, error) {
	w := &writer{t: t}
	if t.fill != nil {
		if err := t.fill(ctx, env, w); err != nil {
			return nil, err
		}
	}
	return w.rows, nil
}

// columnsText lists the tables of PostgreSQL 15's catalogs, with oid, kind and
// columns (! is NOT NULL); those of schema cairn follow in own.go. A table
// that no function fills has no rows, because Cairn has nothing of its kind.
//
//go:embed columns.txt
var columnsText string

type registry struct {
	all    []*Table
	byName map[string]*Table
}

// registered is built on first use.
var registered struct {
	once sync.Once
	r    *registry
}

func tables() *registry {
	registered.once.Do(func() { registered.r = buildRegistry() })
	return registered.r
}

// Lookup finds a computed table, or nil.
func Lookup(schema, name string) *Table { return tables().byName[schema+"."+name] }

// All lists the computed tables.
func All() []*Table { return tables().all }

func buildRegistry() *registry {
	r := &registry{byName: map[string]*Table{}}
	fills := fillers()
	maps.Copy(fills, counterFillers())
	for line := range strings.Lines(columnsText + ownColumns + statementColumns) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		t := parseTable(line)
		full := t.Schema + "." + t.Name
		t.fill, t.in = fills[full], r
		for _, name := range strings.Fields(keyColumns[full]) {
			t.Keys = append(t.Keys, t.index[name])
		}
		delete(fills, full)
		r.all = append(r.all, t)
		r.byName[full] = t
	}
	for name := range fills {
		panic("pgcatalog: a function fills a table that is not there: " + name)
	}
	return r
}

// parseTable reads a line: [schema.]name oid kind: column type[!], …
func parseTable(line string) *Table {
	head, cols, _ := strings.Cut(line, ": ")
	f := strings.Fields(head)
	t := &Table{Schema: "pg_catalog", Name: f[0], View: f[2] == "v", index: map[string]int{}}
	if s, n, ok := strings.Cut(f[0], "."); ok {
		t.Schema, t.Name = s, n
	}
	oid, err := strconv.ParseUint(f[1], 10, 32)
	if err != nil {
		panic(err)
	}
	t.OID = types.OID(oid)
	for i, c := range strings.Split(cols, ", ") {
		name, typ, _ := strings.Cut(c, " ")
		typ, notNull := strings.CutSuffix(typ, "!")
		ty, ok := types.ByTypName(typ)
		if !ok {
			panic(fmt.Sprintf("pgcatalog: %s.%s has unknown type %s", t.Name, name, typ))
		}
		t.Columns = append(t.Columns, builtins.Column{Name: name, Type: ty})
		t.notNull = append(t.notNull, notNull)
		t.index[name] = i
	}
	return t
}

// writer collects rows. Columns that a row does not set are NULL, or zero
// where Postgres has NOT NULL: no oid, count 0, false.
type writer struct {
	t    *Table
	rows []types.Row
}

// cells is a row by column name. Values may be Go's own: see datum.
type cells map[string]any

func (w *writer) add(c cells) {
	row := make(types.Row, len(w.t.Columns))
	for i, nn := range w.t.notNull {
		if nn {
			row[i] = zero(w.t.Columns[i].Type)
		}
	}
	for name, v := range c {
		i, ok := w.t.index[name]
		if !ok {
			panic(fmt.Sprintf("pgcatalog: %s has no column %s", w.t.Name, name))
		}
		row[i] = datum(v, w.t.Columns[i].Type)
	}
	w.rows = append(w.rows, row)
}

func zero(t types.T) types.Datum {
	switch t.Kind() {
	case types.KindBool:
		return types.NewBool(false)
	case types.KindInt:
		return types.NewInt(0)
	case types.KindFloat:
		return types.NewFloat(0)
	case types.KindArray:
		elem, _ := t.Elem()
		return types.NewArray(elem, nil)
	}
	return types.NewText("")
}

// datum turns a Go value into one of a column's type.
func datum(v any, t types.T) types.Datum {
	switch v := v.(type) {
	case nil:
		return types.Null
	case types.Datum:
		return v
	case bool:
		return types.NewBool(v)
	case int:
		return number(int64(v), t)
	case int16:
		return number(int64(v), t)
	case int32:
		return number(int64(v), t)
	case int64:
		return number(v, t)
	case schema.DescID:
		return types.NewInt(int64(v))
	case types.OID:
		return types.NewOID(v)
	case string:
		return types.NewText(v)
	case float64:
		return types.NewFloat(v)
	case []int64:
		return ints(v, t)
	case []string:
		return texts(v, t)
	}
	panic(fmt.Sprintf("pgcatalog: no datum of %T", v))
}

func number(n int64, t types.T) types.Datum {
	switch t.Kind() {
	case types.KindFloat:
		return types.NewFloat(float64(n))
	case types.KindText:
		return types.NewText(strconv.FormatInt(n, 10))
	case types.KindTimestampTZ:
		return types.NewTimestampTZ(n)
	}
	return types.NewInt(n)
}

func ints(v []int64, t types.T) types.Datum {
	elem, _ := t.Elem()
	out := make([]types.Datum, len(v))
	for i, n := range v {
		out[i] = types.NewInt(n)
	}
	return types.NewArray(elem, out)
}

func texts(v []string, t types.T) types.Datum {
	elem, _ := t.Elem()
	out := make([]types.Datum, len(v))
	for i, s := range v {
		out[i] = types.NewText(s)
	}
	return types.NewArray(elem, out)
}

// orNull is NULL for an empty text.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// when is v if the condition holds, else NULL.
func when(ok bool, v any) any {
	if ok {
		return v
	}
	return nil
}

func (t *Table) has(column string) bool { _, ok := t.index[column]; return ok }
