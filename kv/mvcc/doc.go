// Package mvcc keeps versions of keys, and locks on them, in an engine. A
// write leaves the versions before it readable at their timestamps; a write
// of a transaction is provisional until the transaction's fate is known.
//
//	user key space                      lock table ("\x01z" + user key)
//	  acct/7 @ 30  "50"   provisional    acct/7 / Intent / txn 9f  ──┐
//	  acct/7 @ 20  "70"   committed        {txn meta @30, flags}     │
//	  acct/7 @ 10  "90"   committed            ▲                     │
//	      ▲                                    └─ one record, ───────┘
//	      └── newest first                        naming the version @30
//
// An intent is a provisional version plus a record in the lock table. A read
// looks at the lock table of its span first, which is nearly always empty,
// and then walks versions without asking of each whether it is provisional.
// The rejected alternative, a mark in the value, makes every read of every
// version pay for the few that are locked.
//
// A value is one flags byte, an optional local timestamp, and the payload;
// see value.go. The local timestamp is the leaseholder's clock when the
// version was written, kept when it lies below the version's timestamp: a
// reader's uncertainty about clocks ends where the writer's clock was, however
// far a push or a refresh has moved the version since.
//
// Invariants
//
//	I1  At most one intent per key (checked by putIntent and by the model test).
//	I2  No committed version of a key lies at or above its intent's timestamp
//	    (every write checks the newest version; model test).
//	I3  A provisional version exists iff its lock record does, at the record's
//	    timestamp (resolve asserts; model test).
//	I4  The statistics delta of every operation equals the difference that
//	    Recompute sees (model test, after every operation).
//	I5  Locks and versions are read from one state of the engine
//	    (storage.Reader I5).
//	I6  Collection at a threshold changes no read above it, whatever becomes of
//	    the intents (gc.go; model test, TestCollectionIsInvisible).
//
// What goes wrong. A lock of another transaction is ErrLockConflict with the
// locks found; a newer version under a write is ErrWriteTooOld; a version
// that may have been written before the reader began is ErrUncertain. All are
// *kvapi.Error behind the error interface. Anything else is a fault of the
// engine, or a broken invariant, which panics.
//
// One version of a transaction carries its signature, by which its coordinator
// finds out whether it was committed when no record says so: signed.go.
//
// Durable locks (SELECT … FOR UPDATE) are records beside it in the lock table,
// without a version: durable.go.
//
// A released lock leaves a tombstone, or on a hot key an empty record, see
// lockRecord.hot; the locks of a large transaction leave one for many (releaseRun).
//
// A transaction may write a key again before it commits; the second write
// replaces the first. There is no history of an intent's values: rolling back
// to a point between the two is refused by the coordinator.
//
// Not here: which requests may run side by side (kv/concurrency), what a
// transaction record says (kv/batcheval), when versions are collected (kv/gc).
//
// Read next: get.go, put.go, resolve.go, gc.go.
package mvcc
