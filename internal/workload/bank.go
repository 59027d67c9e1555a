package workload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// bank moves money between accounts that lie in several ranges, and writes
// down each transfer in a ledger.
type bank struct {
	moments   *history.Counter
	transfers history.Log[history.Transfer]
	reads     history.Log[history.BankRead]
	ids       atomic.Int64
}

var opening = check.Opening{Accounts: 8, Balance: 100}

func newBank(m *history.Counter) *bank { return &bank{moments: m} }

func (b *bank) Name() Name { return Bank }

func (b *bank) Operations() int { return len(b.transfers.All()) + len(b.reads.All()) }

func accountKey(a history.Account) kvapi.Key { return key(accountTable, fmt.Sprintf("%04d", a)) }

func ledgerKey(id history.Value) kvapi.Key { return key(ledgerTable, fmt.Sprintf("%08d", id)) }

func (b *bank) SplitKeys() []kvapi.Key {
	return []kvapi.Key{accountKey(0), accountKey(2), accountKey(5), keys.Table(ledgerTable)}
}

// Setup opens the accounts.
func (b *bank) Setup(ctx context.Context, g Gateway) error {
	return g.DB().Run(ctx, txn.Options{Name: "open accounts"}, func(ctx context.Context, t *txn.Txn) error {
		for a := range opening.Accounts {
			if err := t.Put(ctx, accountKey(history.Account(a)), encodeAmount(opening.Balance)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bank) Check() error {
	if v := check.Bank(opening, b.transfers.All(), b.reads.All()); v != nil {
		return v
	}
	return nil
}

// Finish reads accounts and ledger.
func (b *bank) Finish(ctx context.Context, g Gateway) error {
	return (&bankClient{b: b, id: 99}).read(ctx, g, true)
}

func (b *bank) Client(id history.Client, rng *rand.Rand) Client {
	return &bankClient{b: b, id: id, rng: rng}
}

type bankClient struct {
	b   *bank
	id  history.Client
	rng *rand.Rand
}

// Do implements Client.
func (c *bankClient) Do(ctx context.Context, g Gateway) error {
	if c.rng.IntN(4) == 0 {
		return c.read(ctx, g, false)
	}
	return c.transfer(ctx, g)
}

var errTooLittle = errors.New("the account has too little")

func (c *bankClient) transfer(ctx context.Context, g Gateway) error {
	from := c.rng.IntN(opening.Accounts)
	to := (from + 1 + c.rng.IntN(opening.Accounts-1)) % opening.Accounts
	tr := history.Transfer{Op: begin(c.b.moments, c.id, g), ID: history.Value(c.b.ids.Add(1)),
		From: history.Account(from), To: history.Account(to), Amount: 1 + c.rng.Int64N(40)}
	var lock txn.GetOptions
	if c.rng.IntN(3) == 0 {
		lock = txn.GetOptions{Lock: kvapi.LockNoKeyUpdate, Durable: c.rng.IntN(2) == 0}
	}
	err := run(ctx, g, txn.Options{Name: "transfer"}, func(ctx context.Context, t *txn.Txn) error { return move(ctx, t, tr, lock) })
	if errors.Is(err, errTooLittle) {
		tr.Refused, err = true, nil
	}
	end(c.b.moments, &tr.Op, g, err)
	c.b.transfers.Add(tr)
	return err
}

func move(ctx context.Context, t *txn.Txn, tr history.Transfer, lock txn.GetOptions) error {
	from, err := balance(ctx, t, tr.From, lock)
	if err != nil {
		return err
	}
	if from < tr.Amount {
		return errTooLittle
	}
	to, err := balance(ctx, t, tr.To, lock)
	if err != nil {
		return err
	}
	if err := t.Put(ctx, accountKey(tr.From), encodeAmount(from-tr.Amount)); err != nil {
		return err
	}
	if err := t.Put(ctx, accountKey(tr.To), encodeAmount(to+tr.Amount)); err != nil {
		return err
	}
	return t.Put(ctx, ledgerKey(tr.ID), fmt.Appendf(nil, "%d %d %d", tr.From, tr.To, tr.Amount))
}

func balance(ctx context.Context, t *txn.Txn, a history.Account, lock txn.GetOptions) (int64, error) {
	v, ok, err := t.Get(ctx, accountKey(a), lock)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, fmt.Errorf("account %d is gone", a)
	}
	return decodeAmount(v)
}

func (c *bankClient) read(ctx context.Context, g Gateway, ledger bool) error {
	r := history.BankRead{Op: begin(c.b.moments, c.id, g)}
	err := run(ctx, g, txn.Options{Name: "read all"}, func(ctx context.Context, t *txn.Txn) error {
		rows, err := scanAll(ctx, t, tableSpan(accountTable), txn.ScanOptions{MaxKeys: 3})
		if err != nil {
			return err
		}
		if r.Balances, err = decodeBalances(rows); err != nil || !ledger {
			return err
		}
		if rows, err = scanAll(ctx, t, tableSpan(ledgerTable), txn.ScanOptions{}); err != nil {
			return err
		}
		r.Ledger, err = decodeLedger(rows)
		return err
	})
	end(c.b.moments, &r.Op, g, err)
	c.b.reads.Add(r)
	return err
}

func decodeBalances(rows []kvapi.KeyValue) (map[history.Account]int64, error) {
	out := map[history.Account]int64{}
	for _, row := range rows {
		a, err := strconv.Atoi(string(bytes.TrimPrefix(row.Key, keys.Table(accountTable))))
		if err != nil {
			return nil, err
		}
		if out[history.Account(a)], err = decodeAmount(row.Value); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func decodeLedger(rows []kvapi.KeyValue) ([]history.Transfer, error) {
	out := []history.Transfer{}
	for _, row := range rows {
		id, err := strconv.Atoi(string(bytes.TrimPrefix(row.Key, keys.Table(ledgerTable))))
		if err != nil {
			return nil, err
		}
		t := history.Transfer{ID: history.Value(id)}
		if _, err := fmt.Sscanf(string(row.Value), "%d %d %d", &t.From, &t.To, &t.Amount); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func encodeAmount(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

func decodeAmount(b []byte) (int64, error) { return strconv.ParseInt(string(b), 10, 64) }
