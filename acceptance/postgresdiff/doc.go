// Package postgresdiff runs the same scripts against Cairn and against a
// PostgreSQL 15 and compares everything a client can see.
//
// "Feels like Postgres" cannot be tested by expectations somebody wrote down:
// they would hold the same misunderstanding as the code. So the other server is
// the expectation.
//
//	testdata/*.sql ──► script ──┬─ simple protocol ───┬─► Cairn ──────┐
//	                            └─ extended, binary ──┴─► Postgres ───┴─► compared
//
// Each script runs in four fresh databases: both servers, both protocols.
// Compared are column names, type ids, modifiers and formats, rows (in order
// where the statement orders them, else sorted), command tags, notices, the
// transaction state, and of errors SQLSTATE, message, detail, hint, position,
// context and the names of the objects.
//
// Invariants:
//
//	I1  Every statement of a script runs on both servers in both protocols, or
//	    the script says why not, in words (script.go).
//	I2  A difference that is allowed names the fields it is in and the reason,
//	    beside its statement; one that is gone is a failure too (diff.go).
//
// What can go wrong: a statement whose answer is random, or depends on time or
// object ids, compares unequal; ask for a property of the answer instead.
//
// Not here: speed, faults, concurrency beyond two sessions in turn. The test is
// skipped where there is no PostgreSQL to run.
//
// Read next: script.go for the language, then testdata.
package postgresdiff
