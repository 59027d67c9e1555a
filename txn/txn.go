package txn

import (
	"context"
	"sync"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// state is where a Txn stands for its user.
type state uint8

const (
	open state = iota
	committed
	rolledBack
	// unknown: a commit was sent and its fate could not be found out. Nothing
	// may be sent for this transaction any more, least of all an abort.
	unknown
)

// Txn is a transaction. It is for one goroutine at a time.
//
// After a RetryError or DeadlockError only PrepareForRetry and Rollback may
// be called. After any other error the transaction goes on, except that a
// failed Commit or flush has ended it.
type Txn struct {
	db    *DB
	opts  Options
	state state
	// failed is the error that only PrepareForRetry or Rollback gets past.
	failed error

	mu struct {
		sync.Mutex
		// proto is replaced, never changed: requests and heartbeats share it.
		proto *kvapi.Transaction
		// aborted says that the record is, or counts as, aborted.
		aborted bool
		// finishing says that a commit was sent.
		finishing bool
		// registered says that the heartbeats know the transaction.
		registered bool
	}

	// isolation is the level that holds now; MakeSerializable raises it. held
	// is what weak levels have locked.
	isolation Isolation
	held      held

	// The stack, from the user down; each file says why it stands there.
	buf       writeBuffer
	committer committer
	refresher refresher
	tracker   tracker
	gate      gate

	seq kvapi.TxnSeq
	// flushedSeq is the last sequence sent as an intent in this epoch,
	// flushedBytes what was sent.
	flushedSeq   kvapi.TxnSeq
	flushedBytes int64
	replaced     replacements
	// privates are the spans of SetPrivate, asideSeq the last sequence
	// written aside; privateOff says that there may be intents in them.
	privates   []*private
	asideSeq   kvapi.TxnSeq
	privateOff bool
	// wrote says that some write of some epoch may have become an intent, or a
	// lock durable; durable says the latter alone.
	wrote, durable bool
	// outlives says that the locks are a Locker's: a deadlock costs it only the
	// lock that it waits for.
	outlives bool
	// signed is the key of a write that carries the transaction's signature, in
	// the last batch that it sent writes in; nil for none (ambiguity.go).
	signed    kvapi.Key
	signedSeq kvapi.TxnSeq
	// recorded says that the transaction's record was written ahead.
	recorded bool

	standing Standing

	strict         bool
	deadline       hlc.Timestamp
	lockTimeout    time.Duration
	split          *kvapi.SplitTrigger
	changeReplicas *kvapi.ChangeReplicasTrigger
	merge          *kvapi.MergeTrigger
	commitTS       hlc.Timestamp
	stats          Stats
}

func newTxn(db *DB, o Options) *Txn {
	t := &Txn{db: db, opts: o, isolation: o.Isolation}
	t.gate = gate{t: t}
	t.tracker = tracker{t: t, next: &t.gate, locks: spanList{maxBytes: lockSpansMaxBytes}}
	t.refresher = refresher{t: t, next: &t.tracker, reads: spanList{maxBytes: refreshSpansMaxBytes}}
	t.committer = committer{t: t, next: &t.refresher}
	t.mu.proto = t.newProto()
	return t
}

// newProto draws a transaction as of now.
func (t *Txn) newProto() *kvapi.Transaction {
	c := t.db.cfg.Clock
	now := c.Now()
	ts := now.Timestamp().Max(t.opts.Causality)
	p := &kvapi.Transaction{
		TxnMeta: kvapi.TxnMeta{ID: kvapi.NewTxnID(), WriteTimestamp: ts, MinTimestamp: ts,
			Priority: drawPriority(t.opts.Priority), Coordinator: t.db.cfg.NodeID},
		ReadTimestamp:          ts,
		GlobalUncertaintyLimit: ts.AddNanos(int64(c.MaxOffset())),
		ObservedTimestamps:     []kvapi.ObservedTimestamp{{NodeID: t.db.cfg.NodeID, Timestamp: now}},
		Name:                   t.opts.Name,
	}
	if at := t.opts.ReadTimestamp; !at.IsEmpty() {
		p.ReadTimestamp, p.WriteTimestamp, p.MinTimestamp, p.GlobalUncertaintyLimit = at, at, at, at
	}
	return p
}

// snapshot returns the transaction as it is now; it must not be changed.
func (t *Txn) snapshot() *kvapi.Transaction {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.proto
}

// update replaces the transaction by a changed copy.
func (t *Txn) update(change func(*kvapi.Transaction)) *kvapi.Transaction {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := *t.mu.proto
	change(&p)
	t.mu.proto = &p
	return &p
}

// fixed reports whether the read timestamp was chosen by the user.
func (t *Txn) fixed() bool { return !t.opts.ReadTimestamp.IsEmpty() }

func (t *Txn) finished() bool { return t.state != open }

// usable returns why the transaction cannot go on, nil if it can.
func (t *Txn) usable() error {
	if t.state != open {
		return &FinishedError{Committed: t.state == committed}
	}
	return t.failed
}

// fail translates an error and remembers it if the user must retry.
func (t *Txn) fail(ctx context.Context, e *kvapi.Error) error {
	err := wrapError(ctx, e)
	if IsRetryable(err) {
		t.failed = err
	}
	return err
}

// onRecordAborted takes in what a heartbeat found out.
func (t *Txn) onRecordAborted(id kvapi.TxnID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.proto.ID == id && !t.mu.finishing {
		t.mu.aborted = true
	}
}

// Put writes a key blindly. Key and value must not be changed afterwards.
func (t *Txn) Put(ctx context.Context, key kvapi.Key, value []byte) error {
	return t.write(ctx, key, version{value: value})
}

// PutNonKey is Put of a row whose unique keys stay as they are. Unlike any
// other write it does not wait for those who hold LockKeyShare on the key.
func (t *Txn) PutNonKey(ctx context.Context, key kvapi.Key, value []byte) error {
	return t.write(ctx, key, version{value: value, nonKey: true})
}

// Delete removes a key blindly.
func (t *Txn) Delete(ctx context.Context, key kvapi.Key) error {
	return t.write(ctx, key, version{tombstone: true})
}

// PutIfAbsent writes a key that must be absent. Unless the transaction wrote
// the key itself, that is found out at commit (or flush), in the same batch
// that writes: ConditionFailedError may come from there.
func (t *Txn) PutIfAbsent(ctx context.Context, key kvapi.Key, value []byte) error {
	return t.writeIf(ctx, key, value, condition{})
}

// ConditionalPut writes a key that must hold expected; like PutIfAbsent the
// condition may be checked at commit.
func (t *Txn) ConditionalPut(ctx context.Context, key kvapi.Key, value, expected []byte) error {
	return t.writeIf(ctx, key, value, condition{exists: true, expected: expected})
}

// writeIf decides a condition on a key the transaction wrote itself, and
// leaves others to the server.
func (t *Txn) writeIf(ctx context.Context, key kvapi.Key, value []byte, c condition) error {
	v := version{value: value}
	if e := t.buf.get(key); e == nil {
		v.cond = &c
	} else if err := c.check(e); err != nil {
		return err
	}
	return t.write(ctx, key, v)
}

// check decides the condition against a buffered write.
func (c condition) check(e *buffered) error {
	last := e.last()
	if c.exists != last.tombstone && (!c.exists || string(c.expected) == string(last.value)) {
		return nil
	}
	return &ConditionFailedError{Key: e.key, Actual: last.value, Exists: !last.tombstone}
}

func (t *Txn) write(ctx context.Context, key kvapi.Key, v version) error {
	if err := t.usable(); err != nil {
		return err
	}
	if t.opts.ReadOnly || t.fixed() {
		return ReadOnlyError{}
	}
	if size(key, &v) > writeMaxBytes {
		return &TooLargeError{What: "a key and its value", MaxBytes: writeMaxBytes}
	}
	t.seq++
	v.seq = t.seq
	if t.isolation != Serializable {
		v.from = t.snapshot().ReadTimestamp
	}
	t.buf.add(key, v)
	if t.buf.bytes > t.opts.bufferMax() {
		return t.flush(ctx)
	}
	return nil
}

// Rollback ends the transaction without effect. Locks are released in the
// background. It is a no-op on a finished transaction.
func (t *Txn) Rollback(ctx context.Context) error {
	if t.state != open {
		return nil
	}
	t.finish(rolledBack)
	t.db.metrics.RolledBack.Add(1)
	t.abandon(ctx)
	return nil
}

// finish ends the transaction for its user and for the heartbeats.
func (t *Txn) finish(s state) {
	t.state = s
	t.buf.reset()
	t.unregister()
}

// PrepareForRetry makes the transaction as new after a retryable error: empty
// buffer, later timestamps; locks are kept where that is possible. Cause is
// the error that made it necessary.
func (t *Txn) PrepareForRetry(cause error) error {
	if t.state != open {
		return &FinishedError{Committed: t.state == committed}
	}
	if !IsRetryable(cause) {
		return cause
	}
	t.db.metrics.Restarts.Add(1)
	t.stats.Retries++
	t.lose()
	if t.recordAborted() {
		t.abandon(ctx0())
		t.renew()
	} else {
		t.restart(cause)
	}
	t.failed, t.deadline, t.split, t.changeReplicas, t.merge = nil, hlc.Timestamp{}, nil, nil, nil
	t.buf.reset()
	t.refresher.reset()
	t.held.reset()
	t.seq, t.flushedSeq, t.flushedBytes = 0, 0, 0
	t.privates, t.asideSeq, t.privateOff = nil, 0, false
	t.signed, t.replaced = nil, replacements{}
	return nil
}

// ctx0 is for what outlives its caller and has its own time limit.
func ctx0() context.Context { return context.Background() }

func (t *Txn) recordAborted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.aborted
}

// restart begins a new epoch: the same record, the same locks. Intents of
// earlier epochs count as absent and are covered by the lock spans.
func (t *Txn) restart(cause error) {
	now := t.db.cfg.Clock.Now().Timestamp()
	ts := now.Max(t.snapshot().WriteTimestamp).Max(retryAt(cause))
	t.update(func(p *kvapi.Transaction) {
		p.Epoch++
		p.Seq = 0
		p.ReadTimestamp, p.WriteTimestamp = ts, ts
		p.HasFlushed = false
		p.IgnoredSeqNums = nil
	})
	t.mu.Lock()
	t.mu.finishing = false
	t.mu.Unlock()
}

// renew begins anew under another id. The uncertainty limit stays that of the
// first attempt: what was committed before the user began lies below it.
func (t *Txn) renew() {
	t.unregister()
	old := t.snapshot()
	p := t.newProto()
	p.GlobalUncertaintyLimit = old.GlobalUncertaintyLimit
	p.Priority = max(old.Priority, p.Priority)
	t.mu.Lock()
	t.mu.proto, t.mu.aborted, t.mu.finishing = p, false, false
	t.mu.Unlock()
	t.tracker.locks.reset()
	t.wrote, t.durable, t.recorded = false, false, false
}

// SetDeadline sets the first timestamp the commit must not reach; an earlier
// deadline stays.
func (t *Txn) SetDeadline(ts hlc.Timestamp) {
	if t.deadline.IsEmpty() || ts.Less(t.deadline) {
		t.deadline = ts
	}
}

// SetName changes what people are told of the transaction from here on.
func (t *Txn) SetName(name string) {
	if t.snapshot().Name != name {
		t.update(func(p *kvapi.Transaction) { p.Name = name })
	}
}

// SetLockTimeout bounds the waits for locks from here on, each by d; 0 is no
// bound. What waits too long fails with a LockTimeoutError, and the transaction
// goes on.
func (t *Txn) SetLockTimeout(d time.Duration) { t.lockTimeout = d }

// ReadTimestamp returns where the transaction reads. It may rise until the
// transaction ends.
func (t *Txn) ReadTimestamp() hlc.Timestamp { return t.snapshot().ReadTimestamp }

// CommitTimestamp returns where the transaction committed.
func (t *Txn) CommitTimestamp() hlc.Timestamp { return t.commitTS }

// IsReadOnlySoFar reports whether the transaction has neither written nor locked.
func (t *Txn) IsReadOnlySoFar() bool {
	return t.buf.empty() && t.flushedSeq == 0 && len(t.tracker.locks.spans) == 0
}

// ID returns the transaction's id; PrepareForRetry may change it.
func (t *Txn) ID() kvapi.TxnID { return t.snapshot().ID }

// Stats returns what the transaction cost so far.
func (t *Txn) Stats() Stats { return t.stats }

// SetSplitTrigger makes the commit split a range. The commit is then never
// parallel, and the record lies on the range that is split: set the trigger
// before anything is locked or flushed.
func (t *Txn) SetSplitTrigger(s *kvapi.SplitTrigger) { t.split = s }

// SetChangeReplicas makes the commit change a range's replicas; see
// SetSplitTrigger.
func (t *Txn) SetChangeReplicas(c *kvapi.ChangeReplicasTrigger) { t.changeReplicas = c }

// SetMerge makes the commit merge two ranges; see SetSplitTrigger. It may be
// set again, for the same left range.
func (t *Txn) SetMerge(m *kvapi.MergeTrigger) { t.merge = m }

// Commit commits. A nil error is a durable commit; AmbiguousError may be one;
// after any other error nothing was committed. Only after a retryable error
// may the Txn be used again, by PrepareForRetry.
func (t *Txn) Commit(ctx context.Context) error {
	if err := t.usable(); err != nil {
		return err
	}
	err := t.committer.commit(ctx)
	switch {
	case err == nil:
		t.finish(committed)
		t.db.metrics.Committed.Add(1)
		if t.strict && !t.fixed() {
			t.db.waitOut(t.commitTS)
		}
	case IsAmbiguous(err):
		t.finish(unknown)
		t.db.metrics.Ambiguous.Add(1)
	case IsRetryable(err):
		t.failed = err
	default:
		_ = t.Rollback(ctx)
	}
	return err
}
