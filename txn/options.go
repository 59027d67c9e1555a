package txn

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Options say how a transaction begins.
type Options struct {
	// Name is for people: application and statement.
	Name string
	// Priority decides pushes; zero draws a normal one at random.
	Priority kvapi.Priority
	// Isolation is Serializable unless the caller can do with less.
	Isolation Isolation
	// ReadOnly transactions refuse writes and locks.
	ReadOnly bool
	// ReadTimestamp, if set, fixes where a read-only transaction reads.
	ReadTimestamp hlc.Timestamp
	// Causality, if set, is a timestamp the caller has seen the effects of:
	// the transaction reads at or above it.
	Causality hlc.Timestamp
	// BufferMaxBytes, if set, is when the write buffer is flushed as intents,
	// instead of bufferMaxBytes: for whoever has little memory, and for tests.
	BufferMaxBytes int64
}

// bufferMax is when the write buffer is flushed.
func (o *Options) bufferMax() int64 {
	if o.BufferMaxBytes > 0 {
		return min(o.BufferMaxBytes, bufferMaxBytes)
	}
	return bufferMaxBytes
}

// GetOptions say how keys are read. With a Lock the key is locked, also when
// it holds no value; Wait says what happens at a lock in the way (WaitError:
// LockConflictError; WaitSkip: the key reads as absent). A WaitSkip without a
// Lock looks for keys that are about to be locked with it: it passes over what
// is being written, and nothing of what it has read need hold.
type GetOptions struct {
	Lock kvapi.LockStrength
	Wait kvapi.WaitPolicy
	// Durable replicates the lock, for a round of consensus: it holds until
	// the transaction ends, whatever becomes of the range's leader. Without, a
	// change of leader loses it, which a serializable transaction notices only
	// by what was written meanwhile.
	Durable bool
	// Since, if set, has a read that locks and skips (WaitSkip) leave out a key
	// that was changed after it: it was found by a read at Since.
	Since hlc.Timestamp
	// FoundMax, if set, bounds the keys that GetMany returns as there: it tries,
	// and locks, no more of them once it has so many.
	FoundMax int64
}

// ScanOptions say how a span is read.
type ScanOptions struct {
	// Reverse reads from the span's end down.
	Reverse bool
	// MaxKeys and TargetBytes bound the rows returned, 0 for no bound. At
	// least one row is returned if there is one.
	MaxKeys     int64
	TargetBytes int64
	// Lock locks the rows returned, not the gaps between them; Durable is as
	// in GetOptions.
	Lock    kvapi.LockStrength
	Wait    kvapi.WaitPolicy
	Durable bool
	// Program works on the rows where they lie (kvapi.Programs): those that it
	// takes are not returned. Taken is told how many it took, and what it made of
	// them. Rows that the transaction has written itself come with all that lie
	// about them, untouched by the program. Not with Lock, MaxKeys or Reverse.
	Program []byte
	Taken   func(n int64, partials []kvapi.Partial)
}

// Value is a value or its absence.
type Value struct {
	Data   []byte
	Exists bool
	// Left says that the key was not read (GetOptions.FoundMax).
	Left bool
}

// Savepoint is a moment of a transaction to which its writes can be rolled
// back. It stays good after RollbackTo and dies with an earlier savepoint's
// rollback.
type Savepoint struct {
	seq   kvapi.TxnSeq
	epoch kvapi.Epoch
	id    kvapi.TxnID
}

// Stats counts what a transaction cost.
type Stats struct {
	// Batches counts the batches handed to the sender, Refreshes the refresh
	// batches among them, Retries the attempts that began anew.
	Batches   int64
	Refreshes int64
	Retries   int64
	// FollowerReads counts the parts of batches that replicas without the lease
	// have answered.
	FollowerReads int64
	// Flushes counts early flushes of the write buffer.
	Flushes int64
	// OnePhase and Parallel say how it committed.
	OnePhase bool
	Parallel bool
}
