package load

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// Rows of pgbench's tables for each unit of scale.
const (
	accountsPerScale = 100_000
	tellersPerScale  = 10
)

// TPCB runs pgbench's transaction on pgbench's tables, and marks every entry of
// the history table with a name, so that afterwards each transaction is known
// to have happened or not.
type TPCB struct {
	Scale int
	// Accounts for each unit of Scale, if not pgbench's.
	Accounts int
	mu       struct {
		sync.Mutex
		outcomes map[string]history.Outcome
		// stories says for each that was not acknowledged when and why.
		stories map[string]string
		// problems are what Final found.
		problems []string
	}
}

func (b *TPCB) accounts() int {
	if b.Accounts > 0 {
		return b.Accounts * b.Scale
	}
	return accountsPerScale * b.Scale
}

// Create makes pgbench's tables, as pgbench -i does.
func (b *TPCB) Create(ctx context.Context, conn *pgx.Conn) error {
	return execAll(ctx, conn,
		"CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))",
		"CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84))",
		"CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))",
		"CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88))",
		fmt.Sprintf("INSERT INTO pgbench_branches SELECT g, 0 FROM generate_series(1, %d) AS g", b.Scale),
		fmt.Sprintf("INSERT INTO pgbench_tellers SELECT g, (g-1)/%d+1, 0 FROM generate_series(1, %d) AS g", tellersPerScale, tellersPerScale*b.Scale),
		fmt.Sprintf("INSERT INTO pgbench_accounts SELECT g, (g-1)/%d+1, 0 FROM generate_series(1, %d) AS g", b.accounts()/b.Scale, b.accounts()))
}

// execAll runs statements one after the other.
func execAll(ctx context.Context, conn *pgx.Conn, stmts ...string) error {
	for _, stmt := range stmts {
		if _, err := conn.Exec(ctx, stmt); err != nil {
			return fmt.Errorf("%s: %w", stmt, err)
		}
	}
	return nil
}

// Run works on every target with so many clients until ctx ends.
func (b *TPCB) Run(ctx context.Context, targets []Target, each int, pulse *Pulse) {
	b.mu.outcomes, b.mu.stories = map[string]history.Outcome{}, map[string]string{}
	start := time.Now()
	var mu sync.Mutex
	serial := map[history.Client]int{}
	crew(ctx, targets, each, pulse, func(ctx context.Context, c *client) {
		mu.Lock()
		serial[c.id]++
		name := fmt.Sprintf("c%d-%d", c.id, serial[c.id])
		mu.Unlock()
		began := time.Since(start)
		outcome, err := b.transaction(ctx, c, name)
		ended := time.Since(start)
		c.note(err)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.mu.outcomes[name] = outcome
		if err != nil {
			b.mu.stories[name] = fmt.Sprintf("%s, %v to %v: %v", c.where(), began, ended, err)
		}
	})
}

// transaction is pgbench's "TPC-B (sort of)".
func (b *TPCB) transaction(ctx context.Context, c *client, name string) (history.Outcome, error) {
	aid := c.rng.IntN(b.accounts()) + 1
	tid := c.rng.IntN(tellersPerScale*b.Scale) + 1
	bid := c.rng.IntN(b.Scale) + 1
	delta := c.rng.IntN(10_001) - 5000
	if err := b.body(ctx, c.conn, aid, tid, bid, delta, name); err != nil {
		c.rollback(ctx)
		return history.Fail, fmt.Errorf("before COMMIT: %w", err)
	}
	if _, err := c.conn.Exec(ctx, "COMMIT"); err != nil {
		return commitOutcome(err), fmt.Errorf("at COMMIT: %w", err)
	}
	return history.OK, nil
}

func (b *TPCB) body(ctx context.Context, conn *pgx.Conn, aid, tid, bid, delta int, name string) error {
	if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2", delta, aid); err != nil {
		return err
	}
	var balance int
	if err := conn.QueryRow(ctx, "SELECT abalance FROM pgbench_accounts WHERE aid = $1", aid).Scan(&balance); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2", delta, tid); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "UPDATE pgbench_branches SET bbalance = bbalance + $1 WHERE bid = $2", delta, bid); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime, filler) VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP, $5)",
		tid, bid, aid, delta, name)
	return err
}

// Count returns how many transactions ended this way.
func (b *TPCB) Count(o history.Outcome) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, got := range b.mu.outcomes {
		if got == o {
			n++
		}
	}
	return n
}

// Compare compares the history table with what clients were told (doc.go of
// acceptance, I1 and I2). Entries without a name are pgbench's own; it returns
// how many there are.
func (b *TPCB) Compare(ctx context.Context, conn *pgx.Conn) (unnamed int, problems []string, err error) {
	rows, err := conn.Query(ctx, "SELECT filler FROM pgbench_history")
	if err != nil {
		return 0, nil, err
	}
	seen := map[string]int{}
	var filler *string
	_, err = pgx.ForEachRow(rows, []any{&filler}, func() error {
		if filler == nil {
			unnamed++
		} else {
			seen[trimBlanks(*filler)]++
		}
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	return unnamed, b.compare(seen), nil
}

func (b *TPCB) compare(seen map[string]int) (problems []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, outcome := range b.mu.outcomes {
		switch n := seen[name]; {
		case n > 1:
			problems = append(problems, fmt.Sprintf("transaction %s (%s) happened %d times", name, outcome, n))
		case n == 0 && outcome == history.OK:
			problems = append(problems, fmt.Sprintf("transaction %s was acknowledged and is not there", name))
		case n == 1 && outcome == history.Fail:
			problems = append(problems, fmt.Sprintf("transaction %s was refused and is there: %s", name, b.mu.stories[name]))
		}
	}
	for name := range seen {
		if _, ok := b.mu.outcomes[name]; !ok {
			problems = append(problems, fmt.Sprintf("transaction %s is nobody's", name))
		}
	}
	return problems
}

// trimBlanks removes the padding of char(n).
func trimBlanks(s string) string {
	for len(s) > 0 && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// Sums are the four totals that agree in every state of pgbench's tables.
type Sums struct {
	Accounts, Tellers, Branches, History int64
	Entries                              int64
}

// Agree reports whether no money was made or lost.
func (s Sums) Agree() bool {
	return s.Accounts == s.History && s.Tellers == s.History && s.Branches == s.History
}

// ReadSums reads the totals in one statement, so in one snapshot.
func ReadSums(ctx context.Context, conn *pgx.Conn) (s Sums, err error) {
	err = conn.QueryRow(ctx, `SELECT (SELECT coalesce(sum(abalance), 0) FROM pgbench_accounts),
		(SELECT coalesce(sum(tbalance), 0) FROM pgbench_tellers),
		(SELECT coalesce(sum(bbalance), 0) FROM pgbench_branches),
		(SELECT coalesce(sum(delta), 0) FROM pgbench_history),
		(SELECT count(*) FROM pgbench_history)`).Scan(&s.Accounts, &s.Tellers, &s.Branches, &s.History, &s.Entries)
	return s, err
}
