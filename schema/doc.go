// Package schema keeps the catalog: versioned descriptors of databases,
// schemas, tables, sequences, views and types, and the roles, as rows of the key space;
// each node's cached snapshot of it; and the protocol by which a change is
// published to every node before it counts.
//
//	transaction ── Resolver ──► Catalog (one per node)
//	                 │            │ Snapshot: all descriptors, names, roles,
//	                 │            │ good until ReadAt + L
//	  uses, deadline,│            │ renewed while in use
//	  own changes    ▼            ▼
//	                txn ───────► /sys/desc/id      descriptor
//	                             /sys/name/parent+name  → id [index]
//	                             /sys/catalog/version   counts every change
//	                             /sys/catalog/node/n    who may have a snapshot
//	  other nodes ◄── Peers.Drain ── a change, waiting
//
// # Publication
//
// A change of something that others may be using (drop, truncate, alter,
// index) runs in four steps:
//
//  1. mark: version v+1 of the descriptor is committed with a Change in it;
//     whoever reads it waits. In the same transaction the nodes on record are
//     read.
//  2. drain: every node on record moves to a snapshot with the mark and
//     answers when its last transaction on v has ended. A node that does not
//     answer is waited out: L (LeaseDuration) and the clocks' maximum offset
//     after the mark.
//  3. settle: a record is committed at a timestamp above every commit that
//     used v, and read by the change's transaction.
//  4. the change proper commits as version v+2, without mark.
//
// Creating something new needs only step 4: nobody uses what is not there, and
// who does not find a name reads the catalog anew before saying so.
//
// Outcomes: a change that fails, or whose gateway notices that it lost, takes
// its marks away. If the gateway dies, the marks are no longer renewed and
// whoever waits for them takes them away after markDuration; the change
// proper can then not commit, since it finds its mark gone. If its commit was
// ambiguous, the mark is taken away only if it is still there. A transaction
// that outlives its deadline during a drain fails with 40001. Two changes of
// one descriptor wait for each other at step 1.
//
// Invariants:
//
//	I1  A snapshot is the catalog as of ReadAt: it is read in one serializable
//	    transaction (read.go).
//	I2  A transaction that used version v commits before the expiry of a
//	    snapshot in which v was current (Resolver.PrepareCommit, keepUsing).
//	I3  Every node with an unexpired snapshot is on record: a node registers in
//	    the transaction that reads the catalog (registerNode). So a mark either
//	    sees the node or is seen by it.
//	I4  A node on record as suspect since time s has no snapshot read after s:
//	    the next reading clears the record (registerNode, askNodes).
//	I5  A change commits only onto a catalog in which all that it rests on is
//	    as it was when the change writes the catalog's version
//	    (changes.checkAgainst, writeChanges).
//	I6  The change proper commits at a higher timestamp than any use of v
//	    (Hold reads the settled record). With I2 this holds also for
//	    transactions on nodes that did not answer.
//	I7  Ids of descriptors, columns and indexes are never used again, so data
//	    left behind is never mistaken for another's (NewID, NextColumnID).
//	I8  A transaction reads no earlier than the versions it uses were committed:
//	    a new index is empty at earlier times (Resolver.acquire).
//	I9  Whoever uses a type that a user made has a copy of its definition as it
//	    was in the same version of the catalog: a change of the type holds all
//	    its users and writes them anew (sql/ddl, holdType and putType).
//	I10 An expression that an index is on, or its predicate, is a virtual column
//	    of exactly one index and goes with it (Table.AddVirtual, RemoveIndex). So
//	    rows in memory have its value, and an index is always one of columns.
//
// Rejected: asking gossip who is alive. It may be late, and one forgotten node
// is enough to lose a write; the record of I3 costs one write per node and
// start. Rejected: a snapshot per descriptor. A whole catalog of some
// thousand tables is a few megabytes, is read only after a change, and makes
// names, listings and versions consistent at no cost.
//
// What can go wrong: name resolution may be late by L in one case, a new
// object that hides one of the same name further down the search path. Dropped
// data is cleared after dropGrace, whatever its gc_ttl: without its definition nobody
// can read its past; a statement that reads longer than that
// from a dropped table in a read-only transaction could miss rows, and fails
// instead (Resolver.Check).
//
// Not here: online changes. Index states delete-only and write-only, and the
// lease per descriptor that lets two versions be in use at a time, take the
// place of step 1's full stop (Rae et al., "Online, Asynchronous Schema Change
// in F1", VLDB 2013); IndexState and Change are where they go.
//
// Read next: descriptor.go, resolver.go, hold.go, publish.go.
package schema
