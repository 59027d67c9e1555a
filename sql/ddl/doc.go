// Package ddl runs the statements that change the schema: tables, indexes,
// sequences, views, schemas, databases and roles.
//
// Problem: such a statement changes descriptors that others are using, and
// may have to read or write every row of a table; yet it has to happen as a
// whole or not at all.
//
//	parse tree ─► names, checks ─► Hold (others leave the table)
//	                                 │
//	                 rewrite: rows ──┤  new indexes, under numbers that
//	                 (chunks)        │  nobody reads yet
//	                                 ▼
//	              changed descriptors, in the session's transaction ─► commit
//
// An index on a large table, which would be held for long, is built while the
// table is in use, in steps that a job takes (online.go, indexjob.go):
//
//	CREATE INDEX ──► index, delete-only, and job: one commit
//	                    │   any node that has the job's claim:
//	                    ▼
//	     write-only ──► backfill in chunks ──► public     (else all the way back)
//
// So are constraints on large tables: added at once, NOT VALID, for all who
// write, and proven by a job for the rows that are there (constraintjob.go).
//
// And a new column of which each row has a value of its own is hidden until a job
// has given it to all rows (columnjob.go).
//
// Other types of columns and another primary key need all rows in another form: a
// job makes a second copy of them, which all writers keep up meanwhile, and then has
// it be the table (rewriting.go, rewritejob.go).
//
// What is atomic: everything. A statement's effect becomes visible with the
// commit of the session's transaction and not before, alone or with the other
// statements of a transaction block. What is refused in a block, rather than
// half done: CREATE and DROP DATABASE, CONCURRENTLY, and reading more than
// rowsInTxnMax rows of a table that the block did not create.
//
// Not rolled back, as in Postgres: numbers drawn from sequences. Done right
// after the commit and not with it: TRUNCATE … RESTART IDENTITY and ALTER
// SEQUENCE … RESTART.
//
// Invariants:
//
//	I1  A table that exists is changed only while it is held, or in a step
//	    (Resolver.Put panics otherwise).
//	I2  Rows are written only under index numbers that no committed descriptor
//	    names, or by the session's transaction (rewrite.go).
//	I3  Each row is converted once and in the table's order, however often a
//	    chunk is tried (readChunk), so that what counts rows counts right.
//	I4  A constraint that a descriptor states, and not as NOT VALID, holds for
//	    every row (checkRow, writeEntry, checkReferences).
//	I5  A table's ReferencedBy lists exactly the tables with a foreign key to
//	    it: both descriptors are held and change in one commit (foreignkey.go).
//	I6  An index that is public has exactly the entries of the table's rows,
//	    whoever wrote them while it was built and whichever nodes died
//	    (indexJob; sql, TestIndexBuildsUnderLoadAndKills).
//	I7  A constraint becomes valid by a job only after every row has been looked
//	    at, later than the last transaction that did not keep it (constraintJob;
//	    sql, TestConstraintsHoldAfterLoadAndKills).
//	I8  A column shows only when every row has its value, whoever wrote the row
//	    meanwhile (columnJob; sql, TestColumnsAreFilledUnderLoadAndKills).
//	I9  A copy that becomes the table has each of its rows, in the form that it is to
//	    have, and nothing else (rewriteJob; sql, TestChangesUnderLoadWithFailures).
//
// What goes wrong: a gateway that dies during a rewrite leaves a held table,
// which is freed when the marks expire, and index data, which is cleared some
// hours later (schema.Resolver.Announce).
//
// Not here: what foreign keys do to rows (package sql, references.go).
//
// Read next: ddl.go, table.go, alter.go, rewrite.go, job.go; package schema.
package ddl
