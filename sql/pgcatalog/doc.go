// Package pgcatalog computes pg_catalog, information_schema and the tables of
// schema cairn from the catalog that a transaction sees.
//
// Problem: psql, drivers and migration tools ask Postgres's catalogs what
// there is, with joins over a dozen tables; Cairn keeps descriptors instead.
//
//	columns.txt ──► Table (names, types)      schema.Contents ──► rows
//	                   ▲                              ▲
//	   Lookup(schema, name)             Table.Rows(ctx, Env)     Names: regclass,
//	                                                             pg_get_indexdef, …
//
// Numbers: databases, schemas, tables, sequences and views have their
// descriptor's id as oid; indexes, constraints and defaults one of their own
// from the same generator; types and operator classes have Postgres's.
//
// Invariants:
//
//	I1  Every table that Postgres clients join with exists with the columns of
//	    PostgreSQL 15; one that is empty is empty because there is nothing of
//	    its kind (TestColumnsAgreeWithTypes, TestFilledTables).
//	I2  An oid found in one table is found in the table it points to
//	    (TestReferences).
//	I3  Hidden columns and the index on them do not show.
//
// What goes wrong: what shows more than the catalog's contents is computed for each
// scan, and so is all in a transaction that has changed the catalog (kept.go); then
// a join over the catalogs of ten thousand tables takes a while. Functions and
// operators have made-up numbers.
//
// Left out, so that asking for them is an error and not a wrong answer:
// statistics views (pg_stat_*), pg_cast, pg_aggregate and text search.
//
// Not here: who may see what; every role sees all of the catalog, but
// passwords.
//
// Read next: table.go, relations.go, define.go, kept.go.
package pgcatalog
