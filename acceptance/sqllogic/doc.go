// Package sqllogic runs scripts in sqlite's sqllogictest format against Cairn, and
// against a PostgreSQL beside it if there is one.
//
// The corpus of that format, some seven million queries with their answers, is
// public and too large to keep here: whoever has it names its folder.
//
//	go test ./acceptance/sqllogic -v -args -corpus DIR [-every 40] [-queries 200] [-match select] [-extended]
//
//	statement ok | statement error        query IRT [nosort|rowsort|valuesort] [label]
//	SQL                                    SQL
//	                                       ----
//	                                       a value a line, or "N values hashing to MD5"
//
// The corpus was written for sqlite, so PostgreSQL passes not all of it either; what
// matters is the records that it passes and Cairn does not, and those that both fail
// with different answers. Each file runs in a schema of its own.
//
// Not here: PostgreSQL's own errors, types and texts (package postgresdiff).
//
// Read next: record.go for the format, server.go for how values are written.
package sqllogic
