// Package raftlog keeps the Raft logs of all of a node's ranges in its one
// engine, and answers when what was appended is durable.
//
//	range workers          writer goroutine         waiter goroutine
//	Writer.Append ──▶ queue ──▶ one batch of all ──▶ FIFO ──▶ Wait (sync)
//	  (memory state               ranges' appends,             │
//	   moves at once)             CommitPipelined              ▼
//	                                                     done(responses)
//
// The writer takes whatever has queued up while it wrote the last batch and
// commits it as one, without waiting for its sync; the waiter waits for the
// syncs in order and calls the ranges back. So any number of ranges share
// commits and syncs, and the disk is never idle while somebody waits.
// The simpler idea, each range committing with sync, costs a sync per range;
// the next simpler, one goroutine that commits and waits, leaves the disk
// idle while it builds batches and the builder idle while the disk syncs.
//
// On disk, below the range's unreplicated prefix: "hard" (HardState),
// "truncated" (TruncatedState), "log" + index (an entry, with checksum).
//
// Invariants
//
//	I1  done is called after the append and every earlier append of the store
//	    are durable, in order of Append. Checked by
//	    TestNothingCommittedIsLost, and that it would notice by
//	    TestAckBeforeSyncIsCaught.
//	I2  A vote or an acknowledgement leaves the node only through done.
//	I3  HardState and the entries of one append are one batch; so a commit
//	    index never covers entries that a crash takes away. A change of the
//	    commit index alone may wait in memory for the next append: Raft
//	    learns it anew. Checked by Load and by the crash tests.
//	I4  The log has no gaps and ends at LastIndex: an append that begins at or
//	    below it deletes the stale suffix in the same batch. Checked by Load
//	    and by Append.
//	I5  Truncated index ≤ applied index on disk: a truncation is enacted in
//	    the batch that applies it, and one WAL keeps the order.
//	I6  The entry cache may be ahead of what is durable, never of what was
//	    handed to the writer, and holds one contiguous suffix per range.
//	I7  Nothing is called back once the engine failed: Fatal is, once.
//
// What goes wrong: an engine error ends the writer; it calls Fatal, and the
// node must stop before it answers anybody. Which appends reached the disk is
// unknown then, so none is acknowledged.
//
// Not here: when a log may be truncated (kv/store decides), snapshots
// (kv/snapshot writes the records of this package beside the data).
//
// Read next: log.go, writer.go, then cache.go.
package raftlog
