// Package sqlerr holds the one error type that reaches a SQL client, and the SQLSTATE codes.
//
// Problem: a client decides by the five-letter code (retry on 40001, show "duplicate key" on
// 23505), a person by the wording and by the place in the statement. So both are fixed where the
// error is found, and the wire layer only writes them out.
//
//	layer that finds it      New(Code, "…").WithHint(…).WithPos(…)
//	layers between           fmt.Errorf("…: %w", err)     nothing is lost
//	pgwire                   From(err)                    *Error, XX000 if it never was one
//
// Invariants:
//
//	I1  a Code is five characters of [0-9A-Z] (TestCodesAreWellFormed)
//	I2  From never returns nil for a non-nil error, and finds an *Error at any depth (TestFrom)
//
// What goes wrong: wording that differs from Postgres breaks drivers which match on text; copy the
// words of Postgres where it has the same error.
//
// Not here: severities other than those of an error report, and translation.
//
// Read next: Postgres manual, appendix A "PostgreSQL Error Codes", and section 55.8.
package sqlerr
