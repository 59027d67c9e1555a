package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// register reads, writes and swaps single keys.
type register struct {
	moments *history.Counter
	log     history.Log[history.RegisterOp]
	// begun counts operations: it chooses the keys in use. values gives each
	// write its own value.
	begun, values atomic.Int64
}

const (
	registersInUse = 3
	// registerUses is after how many operations the keys in use are retired.
	registerUses = 180
)

func newRegister(m *history.Counter) *register { return &register{moments: m} }

func (r *register) Name() Name { return Register }

func (r *register) Setup(context.Context, Gateway) error { return nil }

func (r *register) Operations() int { return len(r.log.All()) }

func (r *register) SplitKeys() []kvapi.Key {
	return []kvapi.Key{key(registerTable, ""), key(registerTable, "r1"), key(registerTable, "r2")}
}

// Finish reads the keys last in use.
func (r *register) Finish(ctx context.Context, g Gateway) error {
	c := &registerClient{r: r, id: 99}
	generation := r.begun.Load() / registerUses
	for i := range registersInUse {
		if err := c.read(ctx, g, registerName(i, generation)); err != nil {
			return err
		}
	}
	return nil
}

func (r *register) Check() error {
	if v := check.Registers(r.log.All()); v != nil {
		return v
	}
	return nil
}

func (r *register) Client(id history.Client, rng *rand.Rand) Client {
	return &registerClient{r: r, id: id, rng: rng}
}

type registerClient struct {
	r   *register
	id  history.Client
	rng *rand.Rand
	// last is what the client saw last: what it guesses to swap.
	last history.Value
}

func registerName(i int, generation int64) string { return fmt.Sprintf("r%d/%04d", i, generation) }

// Do implements Client.
func (c *registerClient) Do(ctx context.Context, g Gateway) error {
	k := registerName(c.rng.IntN(registersInUse), c.r.begun.Add(1)/registerUses)
	switch c.rng.IntN(5) {
	case 0, 1:
		return c.read(ctx, g, k)
	case 2:
		return c.swapAtCommit(ctx, g, k)
	case 3:
		return c.swapByReading(ctx, g, k)
	}
	return c.write(ctx, g, k)
}

func (c *registerClient) begin(g Gateway, kind history.RegisterKind, k string) history.RegisterOp {
	return history.RegisterOp{Op: begin(c.r.moments, c.id, g), Kind: kind, Key: history.Key(k)}
}

func (c *registerClient) end(op history.RegisterOp, g Gateway, err error) error {
	end(c.r.moments, &op.Op, g, err)
	c.r.log.Add(op)
	return err
}

func (c *registerClient) read(ctx context.Context, g Gateway, k string) error {
	op := c.begin(g, history.Read, k)
	err := run(ctx, g, txn.Options{Name: "read"}, func(ctx context.Context, t *txn.Txn) (err error) {
		op.Value, err = readRegister(ctx, t, k)
		return err
	})
	c.last = op.Value
	return c.end(op, g, err)
}

func readRegister(ctx context.Context, t *txn.Txn, k string) (history.Value, error) {
	b, ok, err := t.Get(ctx, key(registerTable, k), txn.GetOptions{})
	if err != nil || !ok {
		return history.Absent, err
	}
	return decodeValue(b)
}

func (c *registerClient) write(ctx context.Context, g Gateway, k string) error {
	op := c.begin(g, history.Write, k)
	op.Value = history.Value(c.r.values.Add(1))
	return c.end(op, g, run(ctx, g, txn.Options{Name: "write"}, func(ctx context.Context, t *txn.Txn) error {
		return t.Put(ctx, key(registerTable, k), encodeValue(op.Value))
	}))
}

func (c *registerClient) beginSwap(g Gateway, k string) history.RegisterOp {
	op := c.begin(g, history.CompareAndSet, k)
	op.Value, op.Expected, op.Swapped = history.Value(c.r.values.Add(1)), c.last, true
	return op
}

// swapAtCommit lets the server compare.
func (c *registerClient) swapAtCommit(ctx context.Context, g Gateway, k string) error {
	op := c.beginSwap(g, k)
	err := run(ctx, g, txn.Options{Name: "swap"}, func(ctx context.Context, t *txn.Txn) error {
		if op.Expected == history.Absent {
			return t.PutIfAbsent(ctx, key(registerTable, k), encodeValue(op.Value))
		}
		return t.ConditionalPut(ctx, key(registerTable, k), encodeValue(op.Value), encodeValue(op.Expected))
	})
	var failed *txn.ConditionFailedError
	if errors.As(err, &failed) {
		op.Swapped, err = false, nil
	}
	return c.end(op, g, err)
}

// swapByReading compares here.
func (c *registerClient) swapByReading(ctx context.Context, g Gateway, k string) error {
	op := c.beginSwap(g, k)
	err := run(ctx, g, txn.Options{Name: "swap"}, func(ctx context.Context, t *txn.Txn) error {
		now, err := readRegister(ctx, t, k)
		if err != nil {
			return err
		}
		if op.Swapped = now == op.Expected; !op.Swapped {
			return nil
		}
		return t.Put(ctx, key(registerTable, k), encodeValue(op.Value))
	})
	return c.end(op, g, err)
}

func encodeValue(v history.Value) []byte { return strconv.AppendInt(nil, int64(v), 10) }

func decodeValue(b []byte) (history.Value, error) {
	n, err := strconv.ParseInt(string(b), 10, 64)
	return history.Value(n), err
}
