package exec

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/bind"
	"github.com/cairndb/cairn/sql/builtins"
	"github.com/cairndb/cairn/sql/tablekv"
	"github.com/cairndb/cairn/sql/types"
	"github.com/cairndb/cairn/txn"
)

// KV is what execution needs of a transaction; *txn.Txn is one.
type KV interface {
	Get(ctx context.Context, key kvapi.Key, o txn.GetOptions) ([]byte, bool, error)
	GetMany(ctx context.Context, keys []kvapi.Key, o txn.GetOptions) ([]txn.Value, error)
	Scan(ctx context.Context, span kvapi.Span, o txn.ScanOptions) ([]kvapi.KeyValue, *kvapi.Span, error)
	ScanMany(ctx context.Context, spans []kvapi.Span, targetBytes int64) ([][]kvapi.KeyValue, error)
	Put(ctx context.Context, key kvapi.Key, value []byte) error
	PutNonKey(ctx context.Context, key kvapi.Key, value []byte) error
	PutIfAbsent(ctx context.Context, key kvapi.Key, value []byte) error
	Delete(ctx context.Context, key kvapi.Key) error
	ReadTimestamp() hlc.Timestamp
}

// Run is one execution of a statement: its registers and all it may touch.
type Run struct {
	Ctx    context.Context
	KV     KV
	EC     *builtins.EvalContext
	Slots  []types.Datum
	Params []types.Datum
	// MemoryMax bounds what operators hold, WorkMem what one of them holds before it writes to
	// temporary files (0: it never does), and Pool what the statements of a node hold.
	MemoryMax, WorkMem int64
	Pool               *Pool
	Temp               TempFiles
	// Spilled counts what was written to temporary files, for EXPLAIN ANALYZE.
	Spilled struct{ Files, Bytes int64 }
	// Blind allows conditions to be checked at commit: the statement is all of its transaction, so
	// that an error there is still the statement's.
	Blind bool
	// DurableLocks has locks that a user asked for replicated: the transaction goes on after the
	// statement.
	DurableLocks bool
	// LockRows has UPDATE and DELETE lock every row before they change it: a
	// weak transaction may then run the statement again, where a serializable
	// one finds out at commit what it would have waited for. One that has lost
	// by that queues for the rows, too: it might lose for ever.
	LockRows bool
	// Wrote is called with each table before the first row of it is written.
	Wrote func(*schema.Table)
	// Changed is called for every row written of a table with foreign keys, or
	// to which some refer, after it was written. The rows may be kept.
	Changed func(c *tablekv.Codec, old, next types.Row) error
	// ReadAhead lets scans read their next page while the present one is worked on. Only statements that
	// write nothing may, and before anybody else uses the transaction, Quiesce must have returned.
	ReadAhead bool
	// CountChanges gives the counter of a table's changed rows; nil: nobody counts.
	CountChanges func(*schema.Table) *atomic.Int64
	// VirtualRows opens a computed table: all of it or, if by is not nil, at least the rows that have that
	// value.
	VirtualRows func(ctx context.Context, t *bind.VirtualTable, by *ColumnValue) (Rows, error)
	// Affected counts the rows that the statement's outermost modification changed.
	Affected int64
	// KVCalls counts calls for EXPLAIN ANALYZE.
	KVCalls int64
	KVRows  int64
	// KVBeside counts rows that were dropped or aggregated beside the data.
	KVBeside int64
	// BesideAtOnce has that done from a scan's first page on, NoBeside never.
	BesideAtOnce, NoBeside bool

	// kv is held during a call: one goroutine at a time uses the transaction. ahead are the calls of
	// scans that read ahead.
	kv sync.Mutex
	// foundAt is the lowest timestamp at which keys to be locked with SKIP LOCKED were found.
	foundAt hlc.Timestamp
	ahead   sync.WaitGroup

	held, pooled int64
	spill        spillFile
	tempBytes    int64
	ticks        int
	stack        []types.Datum
	// domain is VALUE while a domain's condition is computed.
	domain types.Datum
	state  []any // per subquery and CTE, by number

	counted *Target // whose rows changes counts
	changes *atomic.Int64
}

// Rows is a source of rows from outside, as computed tables.
type Rows interface {
	Next() (types.Row, bool, error)
}

// Node is a planned operator. It is immutable and may be opened by several Runs at a time.
type Node interface {
	Open(r *Run) (Cursor, error)
	// Explain describes the operator for EXPLAIN.
	Explain() Explained
}

// Cursor is an operator at work. Next returns false at the end.
type Cursor interface {
	Next() (bool, error)
	Close()
}

// Explained is a line of EXPLAIN: a title, more lines, and the operators below.
type Explained struct {
	Title   string
	Details []string
	Kids    []Node
}

// Eval computes an expression.
type Eval func(r *Run) (types.Datum, error)

// Reset prepares a Run for another execution with n registers and as many caches as the plan says.
func (r *Run) Reset(slots, states int) {
	r.Slots = resize(r.Slots, slots)
	if states > 0 {
		r.state = make([]any, states)
	} else {
		r.state = nil
	}
	r.Done()
	r.ReadAhead = false
	r.foundAt = hlc.Timestamp{}
	r.Affected, r.KVCalls, r.KVRows, r.KVBeside = 0, 0, 0, 0
	r.Spilled.Files, r.Spilled.Bytes = 0, 0
	r.stack = r.stack[:0]
	r.counted, r.changes = nil, nil
}

func resize(s []types.Datum, n int) []types.Datum {
	if cap(s) < n {
		return make([]types.Datum, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// tick holds I4.
func (r *Run) tick() error {
	if r.ticks++; r.ticks < tickEvery {
		return nil
	}
	r.ticks = 0
	return r.Ctx.Err()
}

// evalBool computes a condition: NULL is false.
func evalBool(r *Run, e Eval) (bool, error) {
	d, err := e(r)
	return d.Bool(), err
}

// Quiesce waits for what scans read ahead.
func (r *Run) Quiesce() { r.ahead.Wait() }

func (r *Run) get(key kvapi.Key, o txn.GetOptions) ([]byte, bool, error) {
	r.kv.Lock()
	defer r.kv.Unlock()
	r.KVCalls++
	o.Durable = o.Durable && r.DurableLocks
	defer r.noteFound(o.Lock, o.Wait)
	return r.KV.Get(r.Ctx, key, o)
}

// noteFound is called after a read; r.kv is held.
func (r *Run) noteFound(l kvapi.LockStrength, w kvapi.WaitPolicy) {
	if l != kvapi.LockNone || w != kvapi.WaitSkip {
		return
	}
	if at := r.KV.ReadTimestamp(); r.foundAt.IsEmpty() || at.Less(r.foundAt) {
		r.foundAt = at
	}
}

func (r *Run) getMany(keys []kvapi.Key, o txn.GetOptions) ([]txn.Value, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	r.kv.Lock()
	defer r.kv.Unlock()
	r.KVCalls++
	r.KVRows += int64(len(keys))
	o.Durable = o.Durable && r.DurableLocks
	defer r.noteFound(o.Lock, o.Wait)
	return r.KV.GetMany(r.Ctx, keys, o)
}

func (r *Run) scan(s kvapi.Span, o txn.ScanOptions) ([]kvapi.KeyValue, *kvapi.Span, error) {
	r.kv.Lock()
	defer r.kv.Unlock()
	r.KVCalls++
	o.Durable = o.Durable && r.DurableLocks
	defer r.noteFound(o.Lock, o.Wait)
	rows, resume, err := r.KV.Scan(r.Ctx, s, o)
	r.KVRows += int64(len(rows))
	return rows, resume, err
}

// scanMany reads the rows of several spans, which ascend.
func (r *Run) scanMany(spans []kvapi.Span) ([][]kvapi.KeyValue, error) {
	if len(spans) == 0 {
		return nil, nil
	}
	r.kv.Lock()
	defer r.kv.Unlock()
	r.KVCalls++
	out, err := r.KV.ScanMany(r.Ctx, spans, scanManyBytes)
	for _, rows := range out {
		r.KVRows += int64(len(rows))
	}
	return out, err
}
