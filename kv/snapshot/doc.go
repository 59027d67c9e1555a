// Package snapshot moves a whole range from one store to another.
//
//	sender: engine snapshot at applied index i        receiver
//	  header ─ chunk ─ chunk ─ … ─ trailer ──stream──▶ Receiver.Add
//	  (paced, each chunk checksummed)                   │ ≤ smallMax: memory
//	                                                    │ larger: tables on disk
//	                                                    ▼
//	                                   Receiver.Apply, one atomic step:
//	     clear + data of 4 spans, emptied log, HardState, TruncatedState
//
// The spans of a range: its replicated state by id, the local keys of its
// user keys, their locks, the user keys with all versions. What a replica
// alone knows (log, votes, its id) is not sent.
//
// A small snapshot is applied as one synced batch: an ingest that overlaps
// the memtable would flush it and make every range of the store wait. A large
// one is written to tables as it arrives, so that it is never in memory, and
// the tables are ingested in one step that excises what was there.
//
// Invariants
//
//	I1  After a crash at any point a range is as before or as after Apply,
//	    never between: one batch, or one ingest with all spans in it.
//	    Checked by TestCrashAtEveryWrite.
//	I2  A barrier precedes the ingest (kv/storage): tables overtake the WAL,
//	    and what the snapshot builds on (the replica's id, votes) is in it.
//	I3  HardState, TruncatedState and the emptied log are in the same step.
//	    The vote is never older than the one on disk: Install carries it.
//	I4  Nothing is applied unless the trailer's count and checksum agree.
//	I5  Every key is in the span of the header's descriptor, and keys ascend.
//	    Checked by Add.
//
// What goes wrong: a sender that dies leaves a Receiver without trailer;
// Close removes its files, and CleanDir those of an earlier process. A replica
// of another range must not overlap the span: the store keeps a placeholder.
//
// Not here: who sends to whom and when (kv/store); the Raft message that
// announces the snapshot.
//
// Read next: sender.go, receiver.go, apply.go.
package snapshot
