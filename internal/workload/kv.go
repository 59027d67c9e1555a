package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// kv runs random transactions of everything that package txn can do on a few
// keys. They are judged by the versions that the cluster keeps.
type kv struct {
	moments *history.Counter
	log     history.Log[history.KVTxn]
	values  atomic.Int64
}

const (
	kvKeys     = 16
	kvStepsMax = 8
	// kvBufferMaxBytes holds the buffer of some transactions to one or two
	// writes, so that they are flushed as intents before the commit.
	kvBufferMaxBytes = 300
	// kvPastMax is how far back some transactions read, beyond what some
	// simulated clusters keep.
	kvPastMax = 10 * time.Second
)

func newKV(m *history.Counter) *kv { return &kv{moments: m} }

func (w *kv) Name() Name { return KV }

func (w *kv) Setup(context.Context, Gateway) error { return nil }

func (w *kv) Operations() int { return len(w.log.All()) }

func (w *kv) SplitKeys() []kvapi.Key {
	return []kvapi.Key{key(kvTable, ""), kvKey(kvName(4)), kvKey(kvName(9)), kvKey(kvName(13)), key(kvTable, "z")}
}

// Finish does nothing: the verdict reads versions.
func (w *kv) Finish(context.Context, Gateway) error { return nil }

// Check says nothing without versions; see CheckVersions.
func (w *kv) Check() error { return nil }

// VersionedSpan implements VersionChecker.
func (w *kv) VersionedSpan() kvapi.Span { return tableSpan(kvTable) }

// CheckVersions implements VersionChecker.
func (w *kv) CheckVersions(raw []Version) error {
	versions := make([]history.Version, len(raw))
	for i, r := range raw {
		versions[i] = history.Version{Key: kvNameOf(r.Key), At: r.At}
		if r.Tombstone {
			continue
		}
		v, err := decodeValue(r.Value)
		if err != nil {
			return fmt.Errorf("%s at %s: %w", r.Key, r.At, err)
		}
		versions[i].Value = v
	}
	if v := check.KV(w.log.All(), versions); v != nil {
		return v
	}
	return nil
}

func kvName(i int) history.Key { return history.Key(fmt.Sprintf("k%02d", i)) }

func kvKey(n history.Key) kvapi.Key { return key(kvTable, string(n)) }

func kvNameOf(k kvapi.Key) history.Key { return history.Key(k[len(key(kvTable, "")):]) }

func (w *kv) Client(id history.Client, rng *rand.Rand) Client { return &kvClient{w, id, rng} }

type kvClient struct {
	w   *kv
	id  history.Client
	rng *rand.Rand
}

// Do implements Client.
func (c *kvClient) Do(ctx context.Context, g Gateway) error {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	plan := c.plan()
	o := txn.Options{Name: "kv"}
	if c.rng.IntN(3) == 0 {
		o.BufferMaxBytes = kvBufferMaxBytes
	}
	t := history.KVTxn{Op: begin(c.w.moments, c.id, g)}
	if onlyReads(plan) && c.rng.IntN(2) == 0 {
		// What it finds may be below a threshold of collection.
		ago := time.Duration(c.rng.Int64N(int64(kvPastMax)))
		o.ReadOnly, o.ReadTimestamp, t.Past = true, g.DB().Clock().Now().Timestamp().AddNanos(-int64(ago)), true
	}
	var last *txn.Txn
	err := g.DB().Run(ctx, o, func(ctx context.Context, x *txn.Txn) error {
		// What an attempt before this one wrote must be nowhere: it is not
		// remembered, and values are new.
		last, t.Steps = x, nil
		return c.execute(ctx, x, plan, &t)
	})
	if err == nil {
		t.At = last.CommitTimestamp()
	}
	end(c.w.moments, &t.Op, g, err)
	c.w.log.Add(t)
	return err
}

func onlyReads(plan []history.KVStep) bool {
	return !slices.ContainsFunc(plan, func(s history.KVStep) bool {
		return s.Locked || s.Kind != history.KVGet && s.Kind != history.KVScan
	})
}

// plan draws the steps.
func (c *kvClient) plan() []history.KVStep {
	var plan []history.KVStep
	var savepoints []int
	onlyReads := c.rng.IntN(5) == 0
	for i := range 1 + c.rng.IntN(kvStepsMax) {
		s := history.KVStep{Key: kvName(c.rng.IntN(kvKeys)), Locked: !onlyReads && c.rng.IntN(4) == 0}
		n := c.rng.IntN(20)
		switch {
		case n < 4 || onlyReads && n < 10:
			s.Kind = history.KVGet
		case n < 9 || onlyReads:
			c.planScan(&s)
		case n < 15:
			s.Kind = history.KVPut
		case n < 17:
			s.Kind = history.KVDelete
		case n < 18 || len(savepoints) == 0:
			s.Kind = history.KVSavepoint
			savepoints = append(savepoints, i)
		default:
			// To it, and not to any after it, may be rolled back again.
			s.Kind = history.KVRollback
			n := c.rng.IntN(len(savepoints))
			s.Savepoint = savepoints[n]
			savepoints = savepoints[:n+1]
		}
		plan = append(plan, s)
	}
	return plan
}

func (c *kvClient) planScan(s *history.KVStep) {
	s.Kind = history.KVScan
	from := c.rng.IntN(kvKeys)
	s.Span = history.KVSpan{Start: kvName(from), End: kvName(from + 1 + c.rng.IntN(kvKeys-from))}
	s.Limit, s.Reverse = c.rng.IntN(5), c.rng.IntN(2) == 0
}

func (c *kvClient) execute(ctx context.Context, x *txn.Txn, plan []history.KVStep, t *history.KVTxn) error {
	savepoints := map[int]txn.Savepoint{}
	for i, s := range plan {
		var err error
		switch s.Kind {
		case history.KVGet:
			err = kvGet(ctx, x, &s)
		case history.KVScan:
			err = kvScan(ctx, x, &s)
		case history.KVPut:
			s.Value = history.Value(c.w.values.Add(1))
			err = x.Put(ctx, kvKey(s.Key), encodeValue(s.Value))
		case history.KVDelete:
			err = x.Delete(ctx, kvKey(s.Key))
		case history.KVSavepoint:
			savepoints[i] = x.Savepoint()
		case history.KVRollback:
			err = x.RollbackTo(savepoints[s.Savepoint])
		}
		t.Steps = append(t.Steps, s)
		if err != nil {
			return err
		}
	}
	return nil
}

func kvLock(s *history.KVStep) kvapi.LockStrength {
	switch {
	case !s.Locked:
		return kvapi.LockNone
	case s.Key < kvName(kvKeys/2):
		return kvapi.LockShared
	}
	return kvapi.LockExclusive
}

func kvGet(ctx context.Context, x *txn.Txn, s *history.KVStep) error {
	b, ok, err := x.Get(ctx, kvKey(s.Key), txn.GetOptions{Lock: kvLock(s)})
	if err != nil || !ok {
		return err
	}
	s.Value, err = decodeValue(b)
	return err
}

func kvScan(ctx context.Context, x *txn.Txn, s *history.KVStep) error {
	rows, resume, err := x.Scan(ctx, kvapi.Span{Key: kvKey(s.Span.Start), EndKey: kvKey(s.Span.End)},
		txn.ScanOptions{Reverse: s.Reverse, MaxKeys: int64(s.Limit), Lock: kvLock(s)})
	if err != nil {
		return err
	}
	for _, row := range rows {
		v, err := decodeValue(row.Value)
		if err != nil {
			return err
		}
		s.Rows = append(s.Rows, history.KVRow{Key: kvNameOf(row.Key), Value: v})
	}
	if resume != nil {
		s.Resume = &history.KVSpan{Start: kvNameOf(resume.Key), End: kvNameOf(resume.EndKey)}
	}
	return nil
}
