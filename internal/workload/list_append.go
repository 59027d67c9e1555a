package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// listAppend runs transactions that read lists and append to them, at a level.
type listAppend struct {
	variant
	moments *history.Counter
	log     history.Log[history.Txn]
	mu      struct {
		sync.Mutex
		// inUse are the lists in use, appended counts what was appended to
		// each, made how many lists there ever were.
		inUse    [listsInUse]history.Key
		appended map[history.Key]history.Value
		made     int
	}
}

const (
	listsInUse = 5
	// listLengthMax is when a list is retired.
	listLengthMax = 24
)

// variant is how listAppend runs, and what it is held to.
type variant struct {
	name      Name
	table     uint32
	isolation txn.Isolation
	strict    bool
	level     check.Level
}

// variants of listAppend, one for each level.
var variants = [...]variant{
	{name: ListAppend, table: listTable, isolation: txn.Serializable, level: check.Serializable},
	{name: ListAppendCommitted, table: listCommittedTable, isolation: txn.ReadCommitted, level: check.ReadCommitted},
	{name: ListAppendSnapshot, table: listSnapshotTable, isolation: txn.Snapshot, level: check.Snapshot},
	{name: ListAppendStrict, table: listStrictTable, isolation: txn.Serializable, strict: true, level: check.Strict},
}

func newListAppend(m *history.Counter, v variant) *listAppend {
	l := &listAppend{variant: v, moments: m}
	l.mu.appended = map[history.Key]history.Value{}
	for i := range l.mu.inUse {
		l.makeLocked(i)
	}
	return l
}

func (l *listAppend) makeLocked(slot int) {
	l.mu.made++
	k := history.Key(fmt.Sprintf("l%d/%04d", slot, l.mu.made))
	l.mu.inUse[slot], l.mu.appended[k] = k, 0
}

// pick returns a list in use, and a value to append.
func (l *listAppend) pick(rng *rand.Rand, appends bool) (history.Key, history.Value) {
	l.mu.Lock()
	defer l.mu.Unlock()
	slot := rng.IntN(listsInUse)
	if l.mu.appended[l.mu.inUse[slot]] >= listLengthMax {
		l.makeLocked(slot)
	}
	k := l.mu.inUse[slot]
	if !appends {
		return k, 0
	}
	l.mu.appended[k]++
	return k, l.mu.appended[k]
}

func (l *listAppend) Name() Name { return l.name }

func (l *listAppend) Operations() int { return len(l.log.All()) }

func (l *listAppend) Setup(context.Context, Gateway) error { return nil }

func (l *listAppend) SplitKeys() []kvapi.Key {
	return []kvapi.Key{key(l.table, ""), key(l.table, "l1"), key(l.table, "l2"), key(l.table, "l3"), key(l.table, "l4")}
}

// Finish reads every list there ever was.
func (l *listAppend) Finish(ctx context.Context, g Gateway) error {
	l.mu.Lock()
	var all []history.Key
	for k := range l.mu.appended {
		all = append(all, k)
	}
	l.mu.Unlock()
	for _, k := range all {
		t := history.Txn{Steps: []history.Micro{{Key: k}}}
		if err := l.execute(ctx, g, 99, t, kvapi.LockNone); err != nil {
			return err
		}
	}
	return nil
}

func (l *listAppend) Check() error {
	if v := check.ListAppendAt(l.level, l.log.All()); v != nil {
		return v
	}
	return nil
}

func (l *listAppend) Client(id history.Client, rng *rand.Rand) Client {
	return &listClient{l: l, id: id, rng: rng}
}

type listClient struct {
	l   *listAppend
	id  history.Client
	rng *rand.Rand
}

// Do implements Client.
func (c *listClient) Do(ctx context.Context, g Gateway) error {
	var t history.Txn
	onlyReads := c.rng.IntN(4) == 0
	for range 1 + c.rng.IntN(4) {
		appends := !onlyReads && c.rng.IntN(2) == 0
		k, v := c.l.pick(c.rng, appends)
		t.Steps = append(t.Steps, history.Micro{Append: appends, Key: k, Value: v})
	}
	lock := kvapi.LockNone
	if c.rng.IntN(4) == 0 {
		lock = kvapi.LockExclusive
	}
	return c.l.execute(ctx, g, c.id, t, lock)
}

// execute runs the steps. lock is how appends read what they append to.
func (l *listAppend) execute(ctx context.Context, g Gateway, id history.Client, t history.Txn, lock kvapi.LockStrength) error {
	t.Op = begin(l.moments, id, g)
	err := run(ctx, g, txn.Options{Name: string(l.name), Isolation: l.isolation}, func(ctx context.Context, x *txn.Txn) error {
		x.SetStrict(l.strict)
		for i := range t.Steps {
			if err := l.statement(ctx, x, &t.Steps[i], lock); err != nil {
				return err
			}
		}
		return nil
	})
	end(l.moments, &t.Op, g, err)
	l.log.Add(t)
	return err
}

// statementTriesMax is how often a statement is tried before its transaction is.
const statementTriesMax = 10

// statement runs a step as SQL does: it begins at the present where the level
// says so, and again if only it is in conflict.
func (l *listAppend) statement(ctx context.Context, x *txn.Txn, m *history.Micro, lock kvapi.LockStrength) error {
	for try := 1; ; try++ {
		st := x.BeginStatement()
		err := l.step(ctx, x, m, lock)
		if err == nil || try == statementTriesMax || x.RetryStatement(st, err) != nil {
			return err
		}
	}
}

func (l *listAppend) step(ctx context.Context, x *txn.Txn, m *history.Micro, lock kvapi.LockStrength) error {
	k := key(l.table, string(m.Key))
	if !m.Append {
		lock = kvapi.LockNone
	}
	b, _, err := x.Get(ctx, k, txn.GetOptions{Lock: lock})
	if err != nil {
		return err
	}
	if !m.Append {
		m.List, err = decodeList(b)
		return err
	}
	return x.Put(ctx, k, append(append([]byte(nil), b...), m.Value.String()+" "...))
}

func decodeList(b []byte) ([]history.Value, error) {
	var out []history.Value
	for _, f := range strings.Fields(string(b)) {
		v, err := decodeValue([]byte(f))
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}
