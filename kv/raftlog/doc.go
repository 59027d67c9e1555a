// Package raftlog keeps the Raft logs of all of a node's ranges in its one
// engine, and answers when what was appended is durable.
//
//	range workers          writer goroutine
//	Writer.Append ──▶ queue ──▶ one batch of all ──▶ sync ──▶ done(responses)
//	  (memory state    ▲          ranges' appends               │
//	   moves at once)  └────────── what came meanwhile ◀────────┘
//
// The writer takes whatever has queued up while the last batch became durable,
// commits it as one batch, waits for its sync and calls the ranges back. So any
// number of ranges share commits and syncs. The simpler idea, each range
// committing with sync, costs a sync per range. The next better one, a second
// goroutine that waits for the syncs while the writer commits more, gains
// little, since a disk that is syncing does not sync what comes meanwhile
// either; it costs smaller batches, more syncs, and a switch of goroutines for
// each. Between two syncs the disk is idle for as long as it takes to build a
// batch, some tens of microseconds.
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
