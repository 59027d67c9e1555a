package load

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
)

// Bank moves money between accounts in transactions, and reads all of them.
type Bank struct {
	Opening   check.Opening
	Transfers history.Log[history.Transfer]
	Reads     history.Log[history.BankRead]
	counter   history.Counter
	ids       atomic.Int64
}

// Create makes the tables and opens the accounts.
func (b *Bank) Create(ctx context.Context, conn *pgx.Conn) error {
	return execAll(ctx, conn,
		"CREATE TABLE bank (id int PRIMARY KEY, balance bigint NOT NULL)",
		"CREATE TABLE ledger (id bigint PRIMARY KEY, src int NOT NULL, dst int NOT NULL, amount bigint NOT NULL)",
		fmt.Sprintf("INSERT INTO bank SELECT g, %d FROM generate_series(0, %d) AS g", b.Opening.Balance, b.Opening.Accounts-1))
}

// readShare is one read of everything in so many operations.
const readShare = 8

// Run works on every target until ctx ends.
func (b *Bank) Run(ctx context.Context, targets []Target, each int, pulse *Pulse) {
	crew(ctx, targets, each, pulse, func(ctx context.Context, c *client) {
		if c.rng.IntN(readShare) == 0 {
			c.note(b.read(ctx, c))
		} else {
			c.note(b.transfer(ctx, c))
		}
	})
}

func (b *Bank) read(ctx context.Context, c *client) error {
	r := history.BankRead{Op: history.Op{Client: c.id, Where: c.where(), Call: b.counter.Now()}}
	var err error
	r.Balances, err = balances(ctx, c.conn)
	b.finish(&r.Op, commitOutcome(err), err)
	b.Reads.Add(r)
	return err
}

func balances(ctx context.Context, conn *pgx.Conn) (map[history.Account]int64, error) {
	rows, err := conn.Query(ctx, "SELECT id, balance FROM bank")
	if err != nil {
		return nil, err
	}
	out := map[history.Account]int64{}
	var id, balance int64
	_, err = pgx.ForEachRow(rows, []any{&id, &balance}, func() error {
		out[history.Account(id)] = balance
		return nil
	})
	return out, err
}

func (b *Bank) finish(op *history.Op, o history.Outcome, err error) {
	op.Return, op.Outcome, op.Err = b.counter.Now(), o, text(err)
	if o == history.Info {
		op.Return = history.Never
	}
}

func (b *Bank) transfer(ctx context.Context, c *client) error {
	t := history.Transfer{Op: history.Op{Client: c.id, Where: c.where()}, ID: history.Value(b.ids.Add(1)),
		From: history.Account(c.rng.IntN(b.Opening.Accounts)), Amount: c.rng.Int64N(5) + 1}
	t.To = (t.From + 1 + history.Account(c.rng.IntN(b.Opening.Accounts-1))) % history.Account(b.Opening.Accounts)
	t.Call = b.counter.Now()
	outcome, err := b.move(ctx, c, &t)
	b.finish(&t.Op, outcome, err)
	b.Transfers.Add(t)
	return err
}

func (b *Bank) move(ctx context.Context, c *client, t *history.Transfer) (history.Outcome, error) {
	if err := b.body(ctx, c.conn, t); err != nil {
		c.rollback(ctx)
		return history.Fail, err // COMMIT was never sent
	}
	_, err := c.conn.Exec(ctx, "COMMIT")
	return commitOutcome(err), err
}

func (b *Bank) body(ctx context.Context, conn *pgx.Conn, t *history.Transfer) error {
	if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
		return err
	}
	var has int64
	if err := conn.QueryRow(ctx, "SELECT balance FROM bank WHERE id = $1", int(t.From)).Scan(&has); err != nil {
		return err
	}
	if has < t.Amount {
		t.Refused = true
		return nil
	}
	if _, err := conn.Exec(ctx, "UPDATE bank SET balance = balance - $1 WHERE id = $2", t.Amount, int(t.From)); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "UPDATE bank SET balance = balance + $1 WHERE id = $2", t.Amount, int(t.To)); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, "INSERT INTO ledger VALUES ($1, $2, $3, $4)", int64(t.ID), int(t.From), int(t.To), t.Amount)
	return err
}

// FinalRead reads balances and ledger in one transaction; the checker wants it
// after everything else has ended.
func (b *Bank) FinalRead(ctx context.Context, conn *pgx.Conn) error {
	r := history.BankRead{Op: history.Op{Where: "at the end", Call: b.counter.Now()}, Ledger: []history.Transfer{}}
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) (err error) {
		if r.Balances, err = balances(ctx, conn); err != nil {
			return err
		}
		r.Ledger, err = ledger(ctx, conn)
		return err
	})
	b.finish(&r.Op, commitOutcome(err), err)
	b.Reads.Add(r)
	return err
}

func ledger(ctx context.Context, conn *pgx.Conn) ([]history.Transfer, error) {
	rows, err := conn.Query(ctx, "SELECT id, src, dst, amount FROM ledger")
	if err != nil {
		return nil, err
	}
	out := []history.Transfer{}
	var id, src, dst, amount int64
	_, err = pgx.ForEachRow(rows, []any{&id, &src, &dst, &amount}, func() error {
		out = append(out, history.Transfer{ID: history.Value(id), From: history.Account(src), To: history.Account(dst), Amount: amount})
		return nil
	})
	return out, err
}

// Check judges the whole history, if its end was read.
func (b *Bank) Check() error {
	if !slices.ContainsFunc(b.Reads.All(), func(r history.BankRead) bool { return r.Ledger != nil && r.Outcome == history.OK }) {
		return nil
	}
	if v := check.Bank(b.Opening, b.Transfers.All(), b.Reads.All()); v != nil {
		return v
	}
	return nil
}
