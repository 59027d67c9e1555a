// Package mysql translates statements of the MySQL dialect into Postgres's.
//
// Problem: applications and dumps written for MySQL should run here without a second SQL engine.
// So a statement is parsed by a grammar made for MySQL (TiDB's), printed as Postgres SQL, and
// parsed again by package parser: binding, planning and execution know one tree only.
//
//	text ──scan──▶ nesting, places of ? ──TiDB's grammar──▶ its tree ──translator──▶ Postgres text
//	                                                                                     │
//	      Statement{ First, Rest, Notices }  ◀──────────────── package parser ───────────┘
//
// One MySQL statement may be several of Postgres: CREATE TABLE with its keys and comments. They are
// First and Rest, run together and answered as one.
//
// What Postgres's grammar cannot say is said by names that no table has, which package bind
// understands where parser.Stmt.MySQL is set:
//
//	ON CONFLICT DO UPDATE without a target      every unique index is an arbiter
//	SET "*" = EXCLUDED."*"                      every column, for REPLACE
//	t."*"                                       t's primary key, for UPDATE and DELETE with LIMIT
//	NULL for an identity column                 its default
//
// Invariants:
//
//	I1  no input makes this package panic or recurse without bound: nesting is bounded by scan
//	    before TiDB's recursive tree is made, and by translator.enter after (FuzzTranslate)
//	I2  what comes out parses as Postgres's, or the error says what is not supported: nothing of
//	    a statement is dropped in silence that changes its result (TestTranslate)
//	I3  a placeholder's number is its place among the ? of the query string, however often and
//	    where its expression is printed (TestPlaceholders)
//	I4  an identifier is printed in lower case and quoted; only names of the result's columns keep
//	    their case
//	I5  an expression is printed either as a condition (boolean) or as a value (1 and 0 for truth),
//	    as its place asks for (expr.go)
//
// What goes wrong: types. MySQL converts any operand to any type; here the conversions are
// Postgres's, and a comparison of text with a number is an error when the statement is bound.
//
// Not here: names and types (package bind); reading a dump file and running it (cmd/cairn).
//
// Read next: translate.go, then expr.go; docs/mysql.md for users.
package mysql
