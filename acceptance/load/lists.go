package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
)

// Lists runs transactions that read lists and append to them, at a level. The
// lists lie in several tables; half of the reads find theirs by an index.
type Lists struct {
	recorder
	level check.Level
	log   history.Log[history.Txn]
	mu    struct {
		sync.Mutex
		// inUse are the lists in use, appended counts what was appended to each.
		inUse    [listsInUse]int
		appended map[int]history.Value
		made     int
	}
}

const (
	listsInUse = 6
	listTables = 3
	// listLengthMax is when a list is left for another.
	listLengthMax = 32
	listStepsMax  = 4
)

// levelNames are the names in SQL, and the prefix of the tables.
var levelNames = map[check.Level]struct{ begin, prefix string }{
	check.ReadCommitted: {"BEGIN ISOLATION LEVEL READ COMMITTED", "lc"},
	check.Snapshot:      {"BEGIN ISOLATION LEVEL REPEATABLE READ", "ls"},
	check.Serializable:  {"BEGIN ISOLATION LEVEL SERIALIZABLE", "la"},
	check.Strict:        {"BEGIN ISOLATION LEVEL SERIALIZABLE; SET LOCAL cairn.consistency = 'strict'", "lt"},
}

func newLists(l check.Level) *Lists {
	x := &Lists{level: l}
	x.mu.appended = map[int]history.Value{}
	for i := range x.mu.inUse {
		x.mu.made++
		x.mu.inUse[i] = x.mu.made
	}
	return x
}

func (l *Lists) table(key int) string {
	return fmt.Sprintf("%s%d", levelNames[l.level].prefix, key%listTables)
}

// Create implements Workload.
func (l *Lists) Create(ctx context.Context, conn *pgx.Conn) error {
	for i := range listTables {
		t := l.table(i)
		if err := execAll(ctx, conn, fmt.Sprintf("CREATE TABLE %s (k int PRIMARY KEY, also int NOT NULL, v text NOT NULL)", t),
			fmt.Sprintf("CREATE INDEX ON %s (also)", t)); err != nil {
			return err
		}
	}
	return nil
}

// Run implements Workload.
func (l *Lists) Run(ctx context.Context, targets []Target, each int, pulse *Pulse) {
	crew(ctx, targets, each, pulse, func(ctx context.Context, c *client) {
		t := history.Txn{Steps: l.plan(c.rng)}
		byIndex := c.rng.IntN(2) == 0
		t.Op = l.begin(c)
		outcome, err := c.transaction(ctx, levelNames[l.level].begin, func() error {
			for i := range t.Steps {
				if err := l.step(ctx, c.conn, &t.Steps[i], byIndex); err != nil {
					return err
				}
			}
			return nil
		})
		l.end(&t.Op, outcome, err)
		l.log.Add(t)
		c.note(err)
	})
}

// plan draws the steps of a transaction.
func (l *Lists) plan(rng *rand.Rand) []history.Micro {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []history.Micro
	onlyReads := rng.IntN(4) == 0
	for range 1 + rng.IntN(listStepsMax) {
		slot := rng.IntN(listsInUse)
		if l.mu.appended[l.mu.inUse[slot]] >= listLengthMax {
			l.mu.made++
			l.mu.inUse[slot] = l.mu.made
		}
		k := l.mu.inUse[slot]
		m := history.Micro{Append: !onlyReads && rng.IntN(2) == 0, Key: history.Key(strconv.Itoa(k))}
		if m.Append {
			l.mu.appended[k]++
			m.Value = l.mu.appended[k]
		}
		out = append(out, m)
	}
	return out
}

func (l *Lists) step(ctx context.Context, conn *pgx.Conn, m *history.Micro, byIndex bool) error {
	k, err := strconv.Atoi(string(m.Key))
	if err != nil {
		return err
	}
	t := l.table(k)
	if m.Append {
		_, err := conn.Exec(ctx, fmt.Sprintf("INSERT INTO %s VALUES ($1, $1, $2) ON CONFLICT (k) DO UPDATE SET v = %[1]s.v || ' ' || excluded.v", t),
			k, m.Value.String())
		return err
	}
	column := "k"
	if byIndex {
		column = "also"
	}
	var v string
	err = conn.QueryRow(ctx, fmt.Sprintf("SELECT v FROM %s WHERE %s = $1", t, column), k).Scan(&v)
	if err == pgx.ErrNoRows {
		return nil
	}
	if err != nil {
		return err
	}
	m.List, err = parseList(v)
	return err
}

func parseList(text string) ([]history.Value, error) {
	var out []history.Value
	for _, f := range strings.Fields(text) {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return nil, err
		}
		out = append(out, history.Value(n))
	}
	return out, nil
}

// Final implements Workload: it reads every list there ever was.
func (l *Lists) Final(ctx context.Context, conn *pgx.Conn) error {
	t := history.Txn{Op: l.beginFinal()}
	err := pgx.BeginFunc(ctx, conn, func(pgx.Tx) error {
		for k := 1; k <= l.mu.made; k++ {
			m := history.Micro{Key: history.Key(strconv.Itoa(k))}
			if err := l.step(ctx, conn, &m, false); err != nil {
				return err
			}
			t.Steps = append(t.Steps, m)
		}
		return nil
	})
	l.end(&t.Op, commitOutcome(err), err)
	l.log.Add(t)
	return err
}

// Check implements Workload.
func (l *Lists) Check() error { return asError(check.ListAppendAt(l.level, l.log.All())) }

// Tested implements Workload.
func (l *Lists) Tested() (string, error) {
	n := map[string]int{"appends": 0, "reads of something": 0}
	for _, t := range l.log.All() {
		for _, m := range t.Steps {
			switch {
			case t.Outcome != history.OK:
			case m.Append:
				n["appends"]++
			case len(m.List) > 0:
				n["reads of something"]++
			}
		}
	}
	return enough(n)
}
