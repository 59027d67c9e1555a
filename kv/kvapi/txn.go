package kvapi

import (
	"fmt"

	"github.com/cairndb/cairn/hlc"
)

// TxnStatus is the state of a transaction record.
type TxnStatus uint8

// Transaction states; Staging is the parallel commit's: committed if all
// in-flight writes of the record succeeded, otherwise undecided.
const (
	Pending TxnStatus = iota
	Staging
	Committed
	Aborted
)

// IsFinal reports whether the state never changes again.
func (s TxnStatus) IsFinal() bool { return s == Committed || s == Aborted }

// String prints the state's name.
func (s TxnStatus) String() string {
	return [...]string{"pending", "staging", "committed", "aborted"}[s]
}

// TxnMeta is the part of a transaction that its locks carry.
type TxnMeta struct {
	ID TxnID `wire:"1"`
	// AnchorKey is a key the transaction writes; its record lives on the
	// anchor's range.
	AnchorKey Key   `wire:"2"`
	Epoch     Epoch `wire:"3"`
	// WriteTimestamp is where the transaction's writes stand; it only rises.
	WriteTimestamp hlc.Timestamp `wire:"4"`
	// MinTimestamp is the first timestamp the transaction ever had.
	MinTimestamp hlc.Timestamp `wire:"5"`
	Seq          TxnSeq        `wire:"6"`
	Priority     Priority      `wire:"7"`
	// Coordinator is the gateway that runs the transaction.
	Coordinator NodeID `wire:"8"`
}

// SequencedWrite names a write that a staging record promises.
type SequencedWrite struct {
	Key Key    `wire:"1"`
	Seq TxnSeq `wire:"2"`
}

// ObservedTimestamp is a node's clock when the transaction first visited it.
type ObservedTimestamp struct {
	NodeID    NodeID             `wire:"1"`
	Timestamp hlc.ClockTimestamp `wire:"2"`
}

// Transaction is a transaction as its coordinator sees it, and with Status,
// LastHeartbeat, LockSpans and InFlightWrites its record. A Transaction in a
// request is read-only; servers clone before they change it.
type Transaction struct {
	TxnMeta       `wire:"1"`
	Status        TxnStatus     `wire:"2"`
	ReadTimestamp hlc.Timestamp `wire:"3"`
	// GlobalUncertaintyLimit is first read timestamp + maximum clock offset:
	// values above the read timestamp and up to here may have been written
	// before the transaction began. It never moves.
	GlobalUncertaintyLimit hlc.Timestamp       `wire:"4"`
	ObservedTimestamps     []ObservedTimestamp `wire:"5"`
	LastHeartbeat          hlc.Timestamp       `wire:"6"`
	// LockSpans covers every replicated lock of every epoch.
	LockSpans      []Span           `wire:"7"`
	InFlightWrites []SequencedWrite `wire:"8"`
	// IgnoredSeqNums are rolled-back ranges of sequence numbers.
	IgnoredSeqNums []SeqRange `wire:"9"`
	// HasFlushed says that intents of this epoch may exist from before the
	// commit batch; without it only the commit batch writes.
	HasFlushed bool `wire:"10"`
	// Name is for people: application and statement.
	Name string `wire:"11"`
}

// SeqRange is a closed range of sequence numbers.
type SeqRange struct {
	Start TxnSeq `wire:"1"`
	End   TxnSeq `wire:"2"`
}

// Clone returns a copy that may be changed at will; keys are shared.
func (t *Transaction) Clone() *Transaction {
	c := *t
	c.ObservedTimestamps = append([]ObservedTimestamp(nil), t.ObservedTimestamps...)
	c.LockSpans = append([]Span(nil), t.LockSpans...)
	c.InFlightWrites = append([]SequencedWrite(nil), t.InFlightWrites...)
	c.IgnoredSeqNums = append([]SeqRange(nil), t.IgnoredSeqNums...)
	return &c
}

// Observed returns the clock of node n at the transaction's first visit.
func (t *Transaction) Observed(n NodeID) (hlc.ClockTimestamp, bool) {
	for _, o := range t.ObservedTimestamps {
		if o.NodeID == n {
			return o.Timestamp, true
		}
	}
	return hlc.ClockTimestamp{}, false
}

// IsLocking reports whether the transaction has an anchor, hence may hold locks.
func (t *Transaction) IsLocking() bool { return len(t.AnchorKey) > 0 }

// String prints the transaction on one line.
func (t *Transaction) String() string {
	return fmt.Sprintf("txn %s %s epoch %d read %s write %s", t.ID.Short(), t.Status, t.Epoch,
		t.ReadTimestamp, t.WriteTimestamp)
}

// LockStrength orders what a lock excludes.
type LockStrength uint8

// Lock strengths, each excluding all that the one before it does. They are
// Postgres's row locks, and the intent of a write:
//
//	                held by another: KEY SHARE  SHARE  NO KEY UPDATE  UPDATE  intent
//	LockKeyShare    FOR KEY SHARE                                       x       x
//	LockShared      FOR SHARE                             x             x       x
//	LockNoKeyUpdate FOR NO KEY UPDATE             x       x             x       x
//	LockExclusive   FOR UPDATE           x        x       x             x       x
//	LockIntent      any write            x        x       x             x       x
//
// An UPDATE that leaves the columns of all unique keys alone locks and writes
// as LockNoKeyUpdate, and so passes those who hold LockKeyShare. In the other
// direction Cairn is stricter than Postgres: whoever wants LockKeyShare waits
// for an intent whatever wrote it, because it reads what it locks. Plain reads
// (LockNone) wait only for intents at or below their timestamp.
const (
	LockNone LockStrength = iota
	LockKeyShare
	LockShared
	LockNoKeyUpdate
	LockExclusive
	LockIntent
)

// ConflictsWith reports whether two transactions may not hold s and o on one
// key. It is symmetric.
func (s LockStrength) ConflictsWith(o LockStrength) bool {
	switch weak, strong := min(s, o), max(s, o); weak {
	case LockNone:
		return false
	case LockKeyShare:
		return strong >= LockExclusive
	case LockShared:
		return strong >= LockNoKeyUpdate
	default:
		return true
	}
}

// String prints the strength as SQL names it.
func (s LockStrength) String() string {
	return [...]string{"none", "key share", "share", "no key update", "update", "intent"}[s]
}

// WaitPolicy says what a request does at a conflicting lock.
type WaitPolicy uint8

// Wait policies: WaitBlock queues, WaitError fails at once (NOWAIT),
// WaitSkip leaves the key out (SKIP LOCKED).
const (
	WaitBlock WaitPolicy = iota
	WaitError
	WaitSkip
)

// Lock is a lock as found on disk or in memory.
type Lock struct {
	Key      Key          `wire:"1"`
	Txn      TxnMeta      `wire:"2"`
	Strength LockStrength `wire:"3"`
	// Replicated locks are on disk (an intent, or a durable lock).
	Replicated bool `wire:"4"`
}

// LockState is a lock that is held or waited for, for people.
type LockState struct {
	// Lock.Txn is who holds the lock or, of one that waits, who wants it: zero
	// if that is no transaction.
	Lock Lock `wire:"1"`
	// Waits says that the lock is not held.
	Waits bool `wire:"2"`
	// SinceNanos is the wall clock when the wait began.
	SinceNanos int64 `wire:"3"`
	// Name is the waiter's, for people; of a holder it is not known.
	Name string `wire:"4"`
}

// LockList are the locks of a node's ranges.
type LockList struct {
	Locks []LockState `wire:"1"`
}

// LockUpdate tells what became of a lock's transaction: move it to a higher
// timestamp (Pending), make it a committed value, or remove it.
type LockUpdate struct {
	Span           Span       `wire:"1"`
	Txn            TxnMeta    `wire:"2"`
	Status         TxnStatus  `wire:"3"`
	IgnoredSeqNums []SeqRange `wire:"4"`
}
