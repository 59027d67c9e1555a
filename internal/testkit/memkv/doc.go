// Package memkv is a key-value cluster of the simplest kind, for tests of the
// layers above: one mutex, one ordered map, no disk, no replication, but the
// behaviour of the real thing - ranges that split, leaseholders that move,
// MVCC, intents, locks, a timestamp cache, transaction records, parallel
// commits and their recovery.
//
//	rangecache.Sender ──▶ Cluster.Send(node, batch)     (a Transport)
//	                        │ fault hook: before, after
//	                        ▼
//	              range and lease check ─▶ evaluate ─▶ undo on error
//	                                          │ lock in the way
//	                                          ▼
//	                            settle its holder, or wait and try again
//
// Invariants
//
//	I1  A batch is atomic: an error undoes all of it (the undo log).
//	I2  The timestamp cache never forgets downward (cells, then the floor).
//	I3  Whatever happens, a committed transaction's intents become values and
//	    an aborted one's vanish, whoever settles them.
//
// It is slow in principle (every batch excludes every other) and fast enough
// in practice. What is not here: uncertainty of other clocks (all nodes share
// one), closed timestamps, and anything durable.
//
// Read on: cluster.go, eval.go.
package memkv
