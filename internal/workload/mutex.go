package workload

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// mutex takes durable locks on a few keys, as SELECT … FOR UPDATE and FOR SHARE
// do, and holds them for a while that other clients, lease transfers and power
// cuts may fall into. Nothing is ever written to the keys: what serializable
// transactions notice by reading again would not show a second holder.
type mutex struct {
	moments *history.Counter
	log     history.Log[history.Hold]
}

// mutexHoldMax is the longest hold, longer than a lease transfer takes.
const mutexHoldMax = 400 * time.Millisecond

var mutexKeys = []string{"a", "b"}

func newMutex(m *history.Counter) *mutex { return &mutex{moments: m} }

func (m *mutex) Name() Name { return Mutex }

func (m *mutex) Setup(context.Context, Gateway) error { return nil }

func (m *mutex) Operations() int { return len(m.log.All()) }

func (m *mutex) SplitKeys() []kvapi.Key {
	return []kvapi.Key{key(mutexTable, "a"), key(mutexTable, "b")}
}

// Finish takes every lock once more: none is left behind.
func (m *mutex) Finish(ctx context.Context, g Gateway) error {
	for _, k := range mutexKeys {
		if err := m.hold(ctx, g, history.Hold{Op: history.Op{Client: 99}, Key: history.Key(k)}, 0); err != nil {
			return err
		}
	}
	return nil
}

func (m *mutex) Check() error {
	if v := check.Mutex(m.log.All()); v != nil {
		return v
	}
	return nil
}

func (m *mutex) Client(id history.Client, rng *rand.Rand) Client {
	return &mutexClient{m: m, id: id, rng: rng}
}

type mutexClient struct {
	m   *mutex
	id  history.Client
	rng *rand.Rand
}

// Do implements Client.
func (c *mutexClient) Do(ctx context.Context, g Gateway) error {
	h := history.Hold{Op: history.Op{Client: c.id}, Key: history.Key(mutexKeys[c.rng.IntN(len(mutexKeys))]), Shared: c.rng.IntN(3) == 0}
	return c.m.hold(ctx, g, h, time.Duration(c.rng.Int64N(int64(mutexHoldMax))))
}

// hold takes a lock and gives it up after d. The hold lasts until the commit is
// asked for; that the commit succeeds says that the lock was there until then.
func (m *mutex) hold(ctx context.Context, g Gateway, h history.Hold, d time.Duration) error {
	o := txn.GetOptions{Lock: kvapi.LockExclusive, Durable: true}
	if h.Shared {
		o.Lock = kvapi.LockShared
	}
	released := history.Never
	err := run(ctx, g, txn.Options{Name: "mutex"}, func(ctx context.Context, t *txn.Txn) error {
		if _, _, err := t.Get(ctx, key(mutexTable, string(h.Key)), o); err != nil {
			return err
		}
		who := h.Client
		h.Op = begin(m.moments, who, g)
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
		released = m.moments.Now()
		return nil
	})
	end(m.moments, &h.Op, g, err)
	if h.Outcome == history.OK {
		h.Return = released
	}
	m.log.Add(h)
	return err
}
