package load

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
)

// Sets inserts rows blindly into several tables and reads them all: sets,
// sequential, comments and counter are ways of it.
type Sets struct {
	recorder
	name   string
	tables int
	begin  string
	rules  check.SetRules
	// counted keeps a row with the number of inserts, in their transaction.
	counted bool
	log     history.Log[history.SetOp]
	values  atomic.Int64
	// sessions numbers the connections.
	sessions atomic.Int64
}

// setSizeMax is when a set is left for another.
const setSizeMax = 250

func newSets() *Sets { return &Sets{name: "sets", tables: 1, begin: "BEGIN"} }

func newSequential() *Sets {
	return &Sets{name: "sequential", tables: 3, begin: "BEGIN", rules: check.SetRules{Sessions: true}}
}

func newComments() *Sets {
	return &Sets{name: "comments", tables: 3, begin: levelNames[check.Strict].begin, rules: check.SetRules{RealTime: true}}
}

func newCounter() *Sets {
	return &Sets{name: "counter", tables: 1, begin: "BEGIN", counted: true}
}

func (s *Sets) table(i int) string { return fmt.Sprintf("%s%d", s.name, i) }

// Create implements Workload.
func (s *Sets) Create(ctx context.Context, conn *pgx.Conn) error {
	for i := range s.tables {
		if err := execAll(ctx, conn, fmt.Sprintf("CREATE TABLE %s (s int, v bigint, PRIMARY KEY (s, v))", s.table(i))); err != nil {
			return err
		}
	}
	if s.counted {
		return execAll(ctx, conn, "CREATE TABLE counted (s int PRIMARY KEY, n int NOT NULL)")
	}
	return nil
}

// readsOfSets is one read in so many operations.
const readsOfSets = 6

// Run implements Workload.
func (s *Sets) Run(ctx context.Context, targets []Target, each int, pulse *Pulse) {
	crew(ctx, targets, each, pulse, func(ctx context.Context, c *client) {
		if c.session == 0 {
			c.session = int(s.sessions.Add(1))
		}
		op := history.SetOp{Session: c.session, Count: -1}
		set := int(s.values.Load() / setSizeMax)
		var outcome history.Outcome
		var err error
		if c.rng.IntN(readsOfSets) == 0 {
			if set > 0 && c.rng.IntN(4) == 0 {
				set = c.rng.IntN(set) // an old one
			}
			op.Op, op.Key = s.recorder.begin(c), setKey(set)
			outcome, err = c.transaction(ctx, s.begin, func() error { return s.read(ctx, c.conn, set, &op) })
		} else {
			v := s.values.Add(1)
			set = int((v - 1) / setSizeMax)
			op.Op, op.Key, op.Add = s.recorder.begin(c), setKey(set), history.Value(v)
			outcome, err = s.add(ctx, c, set, v)
		}
		s.end(&op.Op, outcome, err)
		s.log.Add(op)
		c.note(err)
	})
}

func setKey(set int) history.Key { return history.Key(strconv.Itoa(set)) }

// add inserts a value; its table follows from it, so that a session goes from
// table to table.
func (s *Sets) add(ctx context.Context, c *client, set int, v int64) (history.Outcome, error) {
	insert := fmt.Sprintf("INSERT INTO %s VALUES ($1, $2)", s.table(int(v)%s.tables))
	if s.begin == "BEGIN" && !s.counted {
		_, err := c.conn.Exec(ctx, insert, set, v)
		return commitOutcome(err), err
	}
	return c.transaction(ctx, s.begin, func() error {
		if s.counted {
			if _, err := c.conn.Exec(ctx, "INSERT INTO counted VALUES ($1, 1) ON CONFLICT (s) DO UPDATE SET n = counted.n + 1", set); err != nil {
				return err
			}
		}
		_, err := c.conn.Exec(ctx, insert, set, v)
		return err
	})
}

func (s *Sets) read(ctx context.Context, conn *pgx.Conn, set int, op *history.SetOp) error {
	// The last tables first: what is inserted meanwhile into the first ones
	// must not be seen without what it follows.
	for i := range s.tables {
		rows, err := conn.Query(ctx, fmt.Sprintf("SELECT v FROM %s WHERE s = $1", s.table(s.tables-1-i)), set)
		if err != nil {
			return err
		}
		vs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		for _, v := range vs {
			op.Values = append(op.Values, history.Value(v))
		}
	}
	if !s.counted {
		return nil
	}
	err := conn.QueryRow(ctx, "SELECT n FROM counted WHERE s = $1", set).Scan(&op.Count)
	if err == pgx.ErrNoRows {
		op.Count, err = 0, nil
	}
	return err
}

// Final implements Workload.
func (s *Sets) Final(ctx context.Context, conn *pgx.Conn) error {
	for set := range int(s.values.Load()/setSizeMax) + 1 {
		op := history.SetOp{Op: s.beginFinal(), Key: setKey(set), Count: -1}
		err := pgx.BeginFunc(ctx, conn, func(pgx.Tx) error { return s.read(ctx, conn, set, &op) })
		s.end(&op.Op, commitOutcome(err), err)
		s.log.Add(op)
		if err != nil {
			return err
		}
	}
	return nil
}

// Check implements Workload.
func (s *Sets) Check() error { return asError(check.Sets(s.rules, s.log.All())) }

// Tested implements Workload.
func (s *Sets) Tested() (string, error) {
	n := map[string]int{"inserts": 0, "reads": 0}
	for _, o := range s.log.All() {
		switch {
		case o.Outcome != history.OK:
		case o.Add != history.Absent:
			n["inserts"]++
		case o.Client != final && len(o.Values) > 0:
			n["reads"]++
		}
	}
	return enough(n)
}

// Monotonic reads the largest value of several tables and inserts the next.
type Monotonic struct {
	recorder
	log history.Log[history.SetOp]
}

const (
	monotonicTables   = 3
	monotonicPauseMax = 150 * time.Millisecond
)

func newMonotonic() *Monotonic { return &Monotonic{} }

// Create implements Workload.
func (m *Monotonic) Create(ctx context.Context, conn *pgx.Conn) error {
	for i := range monotonicTables {
		if err := execAll(ctx, conn, fmt.Sprintf("CREATE TABLE mono%d (id bigint PRIMARY KEY, v bigint NOT NULL)", i),
			fmt.Sprintf("CREATE INDEX ON mono%d (v)", i)); err != nil {
			return err
		}
	}
	return nil
}

// Run implements Workload.
func (m *Monotonic) Run(ctx context.Context, targets []Target, each int, pulse *Pulse) {
	var ids atomic.Int64
	crew(ctx, targets, each, pulse, func(ctx context.Context, c *client) {
		op := history.SetOp{Op: m.begin(c), Key: "all", Count: -1}
		outcome, err := c.transaction(ctx, "BEGIN", func() error {
			next := int64(0)
			for i := range monotonicTables {
				var most *int64
				if err := c.conn.QueryRow(ctx, fmt.Sprintf("SELECT max(v) FROM mono%d", i)).Scan(&most); err != nil {
					return err
				}
				if most != nil {
					next = max(next, *most)
				}
			}
			op.Add = history.Value(next + 1)
			_, err := c.conn.Exec(ctx, fmt.Sprintf("INSERT INTO mono%d VALUES ($1, $2)", c.rng.IntN(monotonicTables)), ids.Add(1), next+1)
			return err
		})
		m.end(&op.Op, outcome, err)
		if op.Add != history.Absent {
			m.log.Add(op)
		}
		c.note(err)
		// All conflict with all: without a pause the client nearest to the data
		// has all the turns.
		time.Sleep(time.Duration(c.rng.Int64N(int64(monotonicPauseMax))))
	})
}

// Final implements Workload.
func (m *Monotonic) Final(ctx context.Context, conn *pgx.Conn) error {
	op := history.SetOp{Op: m.beginFinal(), Key: "all", Count: -1}
	rows, err := conn.Query(ctx, "SELECT v FROM mono0 UNION ALL SELECT v FROM mono1 UNION ALL SELECT v FROM mono2")
	if err == nil {
		var vs []int64
		vs, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		for _, v := range vs {
			op.Values = append(op.Values, history.Value(v))
		}
	}
	m.end(&op.Op, commitOutcome(err), err)
	m.log.Add(op)
	return err
}

// Check implements Workload.
func (m *Monotonic) Check() error { return asError(check.Monotonic(m.log.All())) }

// Tested implements Workload.
func (m *Monotonic) Tested() (string, error) {
	n := map[string]int{"values": 0}
	for _, o := range m.log.All() {
		if o.Outcome == history.OK && o.Client != final {
			n["values"]++
		}
	}
	return enough(n)
}

// Pairs tries to insert both halves of a pair at once, into two tables, each
// only if a predicate finds none of the pair.
type Pairs struct {
	recorder
	log   history.Log[history.PairOp]
	begun atomic.Int64
}

func newPairs() *Pairs { return &Pairs{} }

// Create implements Workload.
func (p *Pairs) Create(ctx context.Context, conn *pgx.Conn) error {
	return execAll(ctx, conn,
		"CREATE TABLE half0 (id bigint PRIMARY KEY, k int NOT NULL, v int NOT NULL)", "CREATE INDEX ON half0 (k, v)",
		"CREATE TABLE half1 (id bigint PRIMARY KEY, k int NOT NULL, v int NOT NULL)", "CREATE INDEX ON half1 (k, v)")
}

// Run implements Workload.
func (p *Pairs) Run(ctx context.Context, targets []Target, each int, pulse *Pulse) {
	// As many at a time try the same pair as there are targets.
	together := int64(max(2, len(targets)))
	crew(ctx, targets, each, pulse, func(ctx context.Context, c *client) {
		n := p.begun.Add(1)
		k := int(n / together)
		op := history.PairOp{Op: p.begin(c), Key: history.Key(strconv.Itoa(k)), Half: int(n % 2)}
		outcome, err := c.transaction(ctx, "BEGIN", func() error {
			var found int
			if err := c.conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM half0 WHERE k = $1 AND v % 3 = 0)
				+ (SELECT count(*) FROM half1 WHERE k = $1 AND v BETWEEN 10 AND 50)`, k).Scan(&found); err != nil {
				return err
			}
			if found > 0 {
				return nil
			}
			op.Inserted = true
			_, err := c.conn.Exec(ctx, fmt.Sprintf("INSERT INTO half%d VALUES ($1, $2, 30)", op.Half), n, k)
			return err
		})
		p.end(&op.Op, outcome, err)
		p.log.Add(op)
		c.note(err)
	})
}

// Final implements Workload.
func (p *Pairs) Final(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, "SELECT k, 0 FROM half0 UNION ALL SELECT k, 1 FROM half1")
	if err != nil {
		return err
	}
	var k, half int
	_, err = pgx.ForEachRow(rows, []any{&k, &half}, func() error {
		op := history.PairOp{Op: p.beginFinal(), Key: history.Key(strconv.Itoa(k)), Half: half, Inserted: true}
		p.end(&op.Op, history.OK, nil)
		p.log.Add(op)
		return nil
	})
	return err
}

// Check implements Workload.
func (p *Pairs) Check() error { return asError(check.Pairs(p.log.All())) }

// Tested implements Workload.
func (p *Pairs) Tested() (string, error) {
	n := map[string]int{"halves": 0}
	met := map[history.Key][]history.PairOp{}
	for _, o := range p.log.All() {
		if o.Client == final {
			continue
		}
		if o.Outcome == history.OK && o.Inserted {
			n["halves"]++
		}
		met[o.Key] = append(met[o.Key], o)
	}
	n["pairs tried at once"] = 0
	for _, ops := range met {
		if slices.ContainsFunc(ops[1:], func(o history.PairOp) bool { return o.Call < ops[0].Return && ops[0].Call < o.Return }) {
			n["pairs tried at once"]++
		}
	}
	return enough(n)
}
