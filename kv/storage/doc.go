// Package storage is the node's one Pebble engine: opened with the settings
// this system needs, with the few operations whose durability is subtle each
// written once.
//
//	            Reader                        ReadWriter
//	   ┌──────────┼───────────┐                    │
//	Engine     Snapshot     View                 Batch ──▶ Engine.Commit(sync?)
//	   │  raft log, hard state: CommitSync, or CommitPipelined and Wait
//	   │  applied commands:     Commit without sync; the log replays them
//	   ▼
//	one WAL ─── order is durability order ───▶ memtables ─▶ sstables
//	             ▲                                             ▲
//	             Barrier: everything before is durable   IngestAndExcise:
//	                                                     outside the WAL's order
//
// Iterators are Pebble's own; a wrapper would cost a call per step in the one
// loop that matters.
//
// Keys. Every key handed to Pebble is an engine key: key bytes, a zero byte,
// then nothing (unversioned), an MVCC timestamp, or a lock's slot and
// transaction id, then the version's length. EncodeMVCCKey, EncodeKey and
// EncodeLockKey make them, DecodeKey takes them apart.
//
// Invariants
//
//	I1  Every byte string written is a valid engine key. Checked by Pebble's
//	    Comparer.ValidateKey when the `invariants` tag is set, and by the
//	    writers here, which encode themselves.
//	I2  A write without sync becomes durable no later than any later write
//	    with sync (one WAL). Checked by TestCrashKeepsPrefix.
//	I3  A sync barrier precedes every ingest: an ingested table is durable at
//	    once and would otherwise overtake unsynced writes it depends on.
//	    Checked by TestIngestAfterBarrier.
//	I4  An empty batch syncs nothing; Barrier therefore logs a byte.
//	I5  All iterators of one View or Batch show one state of the engine.
//	I6  A write that fails for want of room is tried once more after the
//	    ballast is gone (Space). Checked by TestBallastSurvivesAFullDisk.
//
// What goes wrong: a disk that fills is told by Space while there is still
// room. A full or failing one is reported by Health and by the error of the
// commit (IsDiskFull tells them apart); the caller, which cannot know what a
// failed WAL write left behind, stops the node.
//
// Not here: what the keys mean (kv/keys), versions and intents (kv/mvcc), the
// Raft log (kv/raftlog).
//
// Read next: engine.go, key.go, space.go.
package storage
