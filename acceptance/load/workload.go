package load

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
)

// Workload is clients of one kind, and the judgement of what they saw.
type Workload interface {
	// Create makes its tables.
	Create(ctx context.Context, conn *pgx.Conn) error
	// Run has so many clients for each target at work until ctx ends.
	Run(ctx context.Context, targets []Target, each int, pulse *Pulse)
	// Final reads what is left, when all operations have ended.
	Final(ctx context.Context, conn *pgx.Conn) error
	// Check returns a *check.Violation, another error, or nil. Without a last read
	// it judges what can be judged.
	Check() error
	// Tested is what was tried and told: a run without it proves nothing. An
	// error says what is missing.
	Tested() (string, error)
}

// Spec names a workload.
type Spec struct {
	Name, Does string
	New        func() Workload
}

// Specs lists the workloads.
func Specs() []Spec {
	return []Spec{
		{"register", "reads, writes and compare-and-set of single rows: linearizable", func() Workload { return &Registers{Keys: 12} }},
		{"list-append", "transactions that read lists and append to them: serializable", func() Workload { return newLists(check.Serializable) }},
		{"list-append-snapshot", "the same at REPEATABLE READ: snapshot isolation", func() Workload { return newLists(check.Snapshot) }},
		{"list-append-committed", "the same at READ COMMITTED", func() Workload { return newLists(check.ReadCommitted) }},
		{"list-append-strict", "the same with cairn.consistency = strict: strictly serializable", func() Workload { return newLists(check.Strict) }},
		{"bank", "transfers, and reads of all accounts: the total never changes", func() Workload { return &Bank{Opening: check.Opening{Accounts: 12, Balance: 50}} }},
		{"sets", "blind inserts and reads of everything: nothing acknowledged is missing", func() Workload { return newSets() }},
		{"sequential", "inserts of a session into several tables: seen in its order", func() Workload { return newSequential() }},
		{"comments", "the same of all sessions, strict: no effect without its cause", func() Workload { return newComments() }},
		{"monotonic", "max+1 over several tables: no value twice, none out of order", func() Workload { return newMonotonic() }},
		{"g2", "inserts that each exclude the other by a predicate: only one happens", func() Workload { return newPairs() }},
		{"index", "random rows in a table with indexes: an index has what its table has", func() Workload { return newIndexes() }},
		{"counter", "increments with a name: each happens once, also if its answer is lost", func() Workload { return newCounter() }},
		{"mutex", "SELECT FOR UPDATE and FOR SHARE held for a while: one holder", func() Workload { return newMutex() }},
		{"savepoint", "random savepoints and errors on rows of one's own: a map in memory agrees", func() Workload { return newSavepoints() }},
		{"long-fork", "inserts, and reads of the past by the nearest replica: one past for all", func() Workload { return newLongFork() }},
		{"ddl", "one client changes tables at random, the others rows: indexes, rules and rows agree", func() Workload { return newDDL() }},
		{"mixed", "batches of a thousand rows beside small transactions: all of each or nothing", func() Workload { return newMixed() }},
		{"queue", "SKIP LOCKED: each job is done once, none is lost", func() Workload { return newQueue() }},
		{"pgbench", "TPC-B with a name for each transaction: all sums agree", func() Workload { return &TPCB{Scale: 1, Accounts: 1000} }},
	}
}

// SpecNamed finds a workload by name.
func SpecNamed(name string) (Spec, error) {
	specs := Specs()
	i := slices.IndexFunc(specs, func(s Spec) bool { return s.Name == name })
	if i < 0 {
		names := make([]string, len(specs))
		for j, s := range specs {
			names[j] = s.Name
		}
		return Spec{}, fmt.Errorf("no workload is called %q; there are %s", name, strings.Join(names, ", "))
	}
	return specs[i], nil
}

// recorder is what the workloads of this package share: moments, and the end of
// an operation.
type recorder struct{ moments history.Counter }

func (r *recorder) begin(c *client) history.Op {
	return history.Op{Client: c.id, Where: c.where(), Call: r.moments.Now()}
}

func (r *recorder) end(op *history.Op, o history.Outcome, err error) {
	op.Return, op.Outcome, op.Err = r.moments.Now(), o, text(err)
	if o == history.Info {
		op.Return = history.Never
	}
}

// final is the client of the reads at the end.
const final history.Client = 9999

func (r *recorder) beginFinal() history.Op {
	return history.Op{Client: final, Where: "at the end", Call: r.moments.Now()}
}

// transaction runs body between begin and COMMIT. What fails before COMMIT is
// sent has certainly not happened.
func (c *client) transaction(ctx context.Context, begin string, body func() error) (history.Outcome, error) {
	if _, err := c.conn.Exec(ctx, begin); err != nil {
		return history.Fail, err
	}
	if err := body(); err != nil {
		c.rollback(ctx)
		return history.Fail, err
	}
	tag, err := c.conn.Exec(ctx, "COMMIT")
	if err == nil && tag.String() == "ROLLBACK" {
		return history.Fail, fmt.Errorf("COMMIT of a transaction that had failed")
	}
	return commitOutcome(err), err
}

// enough is an error if nothing of a kind was acknowledged.
func enough(counts map[string]int) (string, error) {
	text := ""
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%d %s", counts[k], k)
	}
	for k, n := range counts {
		if n == 0 {
			return text, fmt.Errorf("no %s: the run tested nothing", k)
		}
	}
	return text, nil
}

// asError keeps a nil violation from becoming an error that is not nil.
func asError(v *check.Violation) error {
	if v == nil {
		return nil
	}
	return v
}

// Final implements Workload: a register needs no last read.
func (r *Registers) Final(context.Context, *pgx.Conn) error { return nil }

// Check implements Workload.
func (r *Registers) Check() error { return asError(check.Registers(r.Log.All())) }

// Tested implements Workload.
func (r *Registers) Tested() (string, error) {
	n := map[string]int{"reads": 0, "writes": 0, "swaps": 0}
	for _, o := range r.Log.All() {
		switch {
		case o.Outcome != history.OK:
		case o.Kind == history.Read:
			n["reads"]++
		case o.Kind == history.Write:
			n["writes"]++
		case o.Swapped:
			n["swaps"]++
		}
	}
	return enough(n)
}

// Final implements Workload.
func (b *Bank) Final(ctx context.Context, conn *pgx.Conn) error { return b.FinalRead(ctx, conn) }

// Tested implements Workload.
func (b *Bank) Tested() (string, error) {
	n := map[string]int{"transfers": 0, "reads": 0}
	for _, t := range b.Transfers.All() {
		if t.Outcome == history.OK && !t.Refused {
			n["transfers"]++
		}
	}
	for _, r := range b.Reads.All() {
		if r.Outcome == history.OK {
			n["reads"]++
		}
	}
	return enough(n)
}

// Final implements Workload.
func (b *TPCB) Final(ctx context.Context, conn *pgx.Conn) error {
	sums, err := ReadSums(ctx, conn)
	if err != nil {
		return err
	}
	_, problems, err := b.Compare(ctx, conn)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !sums.Agree() {
		problems = append(problems, fmt.Sprintf("the sums disagree: %+v", sums))
	}
	b.mu.problems = problems
	return err
}

// Check implements Workload.
func (b *TPCB) Check() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.mu.problems) == 0 {
		return nil
	}
	return &check.Violation{Anomaly: check.LedgerMismatch, Story: b.mu.problems}
}

// Tested implements Workload.
func (b *TPCB) Tested() (string, error) {
	return enough(map[string]int{"transactions": b.Count(history.OK)})
}
