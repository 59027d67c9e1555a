package sql

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/txn"
)

// Idempotency keys: a transaction that names one commits at most once.
//
//	BEGIN; SET LOCAL cairn.idempotency_key = 'order 4711'; …; COMMIT;
//
// The commit writes a record under the key, in the same transaction, on the condition that there is
// none. So of all transactions with one key at most one commits, whatever answers are lost (K1).
// What a client does when it does not know (the connection broke, or 40003):
//
//	run it again     the SET waits for an earlier attempt that is still running, and fails with
//	                   IK001  it has committed: nothing is to be done
//	                   IK002  it was aborted by transaction_outcome: run it under another key
//	                 if neither, the transaction runs. In the rare case that the record appears
//	                 only later, the COMMIT fails with the same.
//	ask              SELECT cairn.transaction_outcome('order 4711') says
//	                   committed
//	                   aborted     it was running, and has been aborted, now or by an earlier call
//	                               (its own session is told 40001, and IK002 when it runs again)
//	                   never seen  nobody was running it
//	                 and unless it says committed, no transaction will ever commit under that key:
//	                 the call has left a record that says so (K2). What was on its way stays out.
//
// The error at the SET is what is safest to use from a driver: no statement of the second run has
// been sent yet, or is obeyed. Replaying the first run's results would need them to be stored, and
// turning the second COMMIT into a rollback would let its statements fail on what the first run did.
//
// Records are kept for cairn.idempotency_retention (7 days) after their transaction; later the key
// is as good as new. Keys are of a database. What is expired is removed in passing (sweepOutcomes).

const (
	idempotencyKey       = "cairn.idempotency_key"
	idempotencyRetention = "cairn.idempotency_retention"
	idempotencyKeyMax    = 512
)

type outcome byte

const (
	outcomeCommitted outcome = iota + 1
	outcomeAborted
	outcomeNeverSeen
)

func (o outcome) String() string { return [...]string{"", "committed", "aborted", "never seen"}[o] }

// outcomeRecord is what is known about a key.
type outcomeRecord struct {
	outcome outcome
	at      int64 // ns: when it was written
	expires int64 // ns
	key     string
}

func (r outcomeRecord) encode() []byte {
	b := append(make([]byte, 0, 18+len(r.key)), 1, byte(r.outcome))
	b = binary.BigEndian.AppendUint64(b, uint64(r.at))
	b = binary.BigEndian.AppendUint64(b, uint64(r.expires))
	return append(b, r.key...)
}

func decodeOutcome(b []byte) (outcomeRecord, error) {
	if len(b) < 18 || b[0] != 1 || b[1] == 0 || outcome(b[1]) > outcomeNeverSeen {
		return outcomeRecord{}, sqlerr.New(sqlerr.DataCorrupted, "a record of an idempotency key cannot be read")
	}
	return outcomeRecord{outcome: outcome(b[1]), at: int64(binary.BigEndian.Uint64(b[2:])),
		expires: int64(binary.BigEndian.Uint64(b[10:])), key: string(b[18:])}, nil
}

// outcomeKey spreads keys evenly, so that sweeping can begin anywhere.
func outcomeKey(db schema.DescID, key string) kvapi.Key {
	h := sha256.Sum256(append(binary.BigEndian.AppendUint32(nil, uint32(db)), key...))
	return append(keys.OutcomePrefix.Clone(), h[:]...)
}

// claim is a transaction's idempotency key.
type claim struct {
	key string
	at  kvapi.Key
	// expired is the record of before, to be replaced.
	expired []byte
}

// claimKey is SET LOCAL cairn.idempotency_key.
func (s *Session) claimKey(ctx context.Context, key string, local bool) error {
	switch {
	case !local || s.tx == nil || !s.tx.explicit:
		return sqlerr.New(sqlerr.NoActiveSQLTransaction, "%s can only be set with SET LOCAL in a transaction block", idempotencyKey)
	case s.tx.done > 0 || len(s.tx.savepoints) > 0:
		return sqlerr.New(sqlerr.ActiveSQLTransaction, "%s must be set before any query", idempotencyKey)
	case s.tx.past:
		return sqlerr.New(sqlerr.ReadOnlySQLTransaction, "a transaction that reads the past needs no idempotency key")
	case s.tx.claim != nil && s.tx.claim.key != key:
		return sqlerr.New(sqlerr.InvalidParameterValue, "a transaction has one idempotency key")
	}
	if key == "" || len(key) > idempotencyKeyMax {
		return sqlerr.New(sqlerr.InvalidParameterValue, "an idempotency key has 1 to %d bytes", idempotencyKeyMax)
	}
	c := &claim{key: key, at: outcomeKey(s.db.ID, key)}
	b, ok, err := s.tx.t.Get(ctx, c.at, txn.GetOptions{Lock: kvapi.LockExclusive})
	if err != nil {
		return err
	}
	if ok {
		r, err := s.outcomeOf(b, key)
		if err != nil {
			return err
		}
		if r.outcome != 0 {
			return outcomeError(r)
		}
		c.expired = b
	}
	s.tx.claim = c
	return nil
}

// outcomeOf reads a record; one that has expired says nothing.
func (s *Session) outcomeOf(b []byte, key string) (outcomeRecord, error) {
	r, err := decodeOutcome(b)
	switch {
	case err != nil:
		return r, err
	case r.key != key:
		return r, sqlerr.New(sqlerr.InvalidParameterValue, "idempotency keys \"%s\" and \"%s\" cannot be told apart", key, r.key)
	case r.expires <= s.srv.now().UnixNano():
		return outcomeRecord{}, nil
	}
	return r, nil
}

func outcomeError(r outcomeRecord) error {
	at := time.Unix(0, r.at).UTC().Format(time.RFC3339Nano)
	if r.outcome == outcomeCommitted {
		return sqlerr.New(sqlerr.TransactionAlreadyCommitted, "the transaction with idempotency key \"%s\" has committed already", r.key).
			WithDetail("It committed after %s.", at).WithHint("There is nothing to run again.")
	}
	return sqlerr.New(sqlerr.TransactionAlreadyAborted, "the transaction with idempotency key \"%s\" was aborted", r.key).
		WithDetail("cairn.transaction_outcome was asked about it at %s.", at).WithHint("Run the transaction under another key.")
}

// claimError is the error of a commit that found the record of another. Nil if err is another error.
func claimError(err error) error {
	var cond *txn.ConditionFailedError
	if !errors.As(err, &cond) || !bytes.HasPrefix(cond.Key, keys.OutcomePrefix) || !cond.Exists {
		return nil
	}
	r, derr := decodeOutcome(cond.Actual)
	if derr != nil {
		return derr
	}
	return outcomeError(r)
}

// writeClaim has the commit write the record (K1).
func (s *Session) writeClaim(ctx context.Context) error {
	c := s.tx.claim
	if c == nil {
		return nil
	}
	b := s.newOutcome(outcomeCommitted, c.key).encode()
	if c.expired != nil {
		return s.tx.t.ConditionalPut(ctx, c.at, b, c.expired)
	}
	return s.tx.t.PutIfAbsent(ctx, c.at, b)
}

func (s *Session) newOutcome(o outcome, key string) outcomeRecord {
	now := s.srv.now()
	ms, _ := millis(s.vars.get(idempotencyRetention))
	return outcomeRecord{outcome: o, key: key, at: now.UnixNano(),
		expires: now.Add(time.Duration(ms) * time.Millisecond).UnixNano()}
}

func applyRetention(_ *Session, v string) (string, error) {
	if ms, _ := millis(v); ms <= 0 || ms > retentionMaxMillis {
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "%s is between 1ms and 3650d", idempotencyRetention)
	}
	return v, nil
}

const retentionMaxMillis = 3650 * 24 * 3600 * 1000

// TransactionOutcome implements builtins.Outcomes. It runs beside the session's transaction, and
// before everybody else: what still runs under the key is pushed out of the way.
func (s *Session) TransactionOutcome(ctx context.Context, key string) (string, error) {
	if s.tx != nil && s.tx.claim != nil && s.tx.claim.key == key {
		return "", sqlerr.New(sqlerr.ActiveSQLTransaction, "a transaction cannot ask for its own outcome")
	}
	at := outcomeKey(s.db.ID, key)
	var found outcomeRecord
	pending := false
	o := txn.Options{Name: "cairn.transaction_outcome", Priority: kvapi.PriorityMax}
	err := s.srv.cfg.DB.Run(ctx, o, func(ctx context.Context, t *txn.Txn) error {
		b, ok, err := t.Get(ctx, at, txn.GetOptions{Lock: kvapi.LockExclusive, Wait: kvapi.WaitError})
		if errors.As(err, new(*txn.LockConflictError)) {
			pending = true
			b, ok, err = t.Get(ctx, at, txn.GetOptions{Lock: kvapi.LockExclusive})
		}
		if err != nil {
			return err
		}
		if found = (outcomeRecord{}); ok {
			if found, err = s.outcomeOf(b, key); err != nil || found.outcome != 0 {
				return err
			}
		}
		found = s.newOutcome(outcomeNeverSeen, key)
		if pending {
			found.outcome = outcomeAborted
		}
		return t.Put(ctx, at, found.encode()) // K2
	})
	return found.outcome.String(), err
}

// Limits of sweeping: one commit with a key in sweepEvery looks at sweepKeys records.
const (
	sweepEvery = 32
	sweepKeys  = 128
	sweepMax   = time.Second
)

// sweepOutcomes removes what has expired, from a random place on: often enough that on average
// each commit looks at more records than it makes.
func (s *Session) sweepOutcomes(ctx context.Context) {
	if rand.IntN(sweepEvery) == 0 {
		ctx, cancel := context.WithTimeout(ctx, sweepMax)
		defer cancel()
		from := append(keys.OutcomePrefix.Clone(), byte(rand.IntN(256)), byte(rand.IntN(256)))
		if err := s.sweepFrom(ctx, from); err != nil {
			s.srv.log.Debug("sweeping idempotency keys", "err", err)
		}
	}
}

func (s *Session) sweepFrom(ctx context.Context, from kvapi.Key) error {
	now := hlc.Timestamp{WallTime: s.srv.now().UnixNano()}
	span := kvapi.Span{Key: from, EndKey: keys.OutcomePrefix.PrefixEnd()}
	return s.srv.cfg.DB.Run(ctx, txn.Options{Name: "sweep idempotency keys"}, func(ctx context.Context, t *txn.Txn) error {
		rows, _, err := t.Scan(ctx, span, txn.ScanOptions{MaxKeys: sweepKeys})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if r, err := decodeOutcome(row.Value); err == nil && r.expires <= now.WallTime {
				if err := t.Delete(ctx, row.Key); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
