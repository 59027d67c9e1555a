// Package schema keeps the catalog: versioned descriptors of databases,
// schemas, tables, sequences, views and types, and the roles, as rows of the key space;
// each node's cached snapshot of it; and the two protocols by which a change
// reaches every node: published before it counts, or in steps that stop nobody.
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
// # Steps
//
// Publication stops the users of a table for as long as the change takes. What
// takes long is done in steps that stop nobody (Rae et al., "Online,
// Asynchronous Schema Change in F1", VLDB 2013). A step (Catalog.Step) commits
// version v+1 while v is in use; new transactions take v+1, those that run keep
// v. So whatever is written under one must be right under the other; an index
// goes through the states of IndexState, each of which gets along with the next, and
// a column whose values differ from row to row is filled before it shows
// (Column.Filling), and rows are written in another form beside the one they have
// (Rewriting) before a publication changes over to it.
//
//	      step            step
//	v ──────────▶ v+1 ──────────▶ v+2
//	 in use │ v, v+1 in use │ v+1, v+2 in use: not before nobody uses v
//	        └─── Drained ───┘
//
// That v may still be in use is put on record with v+1 (drainingPrefix). The
// record is removed when every node on record has answered that its last
// transaction on v has ended, or has been waited out as in step 2 above, by
// whoever wants to go on: so it makes no difference who dies in between. A hold
// waits for the users of both versions.
//
// This is the lease of F1, with the roles of time exchanged. A node's right to
// use what it has read of the catalog ends LeaseDuration after the reading, for
// all descriptors at once, and moves on with every reading; it is what bounds
// the commit of its transactions, on the server that commits them (the deadline
// of EndTxn). A node that died delays a step by that and the clocks' offset,
// the next steps not at all. A transaction that uses a version for longer than
// that after it was replaced, and writes, fails with 40001; one that only reads
// goes on as long as what it reads is the same in the latest version (Check).
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
//	    rows in memory have its value, and an index is always one of columns. Those
//	    of a Rewriting are of all its indexes, and go with it (EndRewriting).
//	I11 Of one descriptor at most two adjacent versions are in use at a time:
//	    v+2 commits only where the record that v may be in use is gone
//	    (checkDrained; TestAtMostTwoVersionsAreInUse). Nobody commits with v
//	    after that.
//	I12 While a table has a Rewriting, nothing changes it that its rows to be depend
//	    on: columns, indexes, constraints, types of columns (sql/ddl, notRewritten). It
//	    may be renamed, moved and emptied; and an index that was being built when it began
//	    may be taken back by its job (RemoveIndex). Nor does one begin while a column of
//	    the table is filled (notFilled).
//	I13 The foreign keys of a table that a change holds, and those to it, are the same in
//	    its view: else it begins anew (knowsReferences).
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
// Not here: what the steps of a change are (sql/ddl), and who takes them, also
// if a node dies (package jobs). Names change by publication only.
//
// Read next: descriptor.go, resolver.go, hold.go, publish.go, step.go.
package schema
