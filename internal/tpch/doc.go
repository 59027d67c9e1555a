// Package tpch is the TPC-H benchmark as a workload: its tables, generated at any scale, and its 22
// queries.
//
//	Tables ── Rows(scale) ──▶ COPY … FROM STDIN ──▶ a server (Load)
//	Queries ───────────────────────────────────▶ rows and times (Run), compared with another (Same)
//
// The data have the shape that the specification asks for: the same tables, keys, domains and
// correlations between dates, prices and states, so that every query selects what it should. They
// are not those of TPC's own dbgen byte for byte, and the words of comments come from a smaller
// grammar; results compare with another server that was loaded by this package, not with published
// ones.
//
// Invariants:
//
//	I1  the rows of a table depend on the scale alone: row i is made from a generator seeded by
//	    table and i (random.go, TestRowsAreTheSameEachTime)
//	I2  what the queries look for is there: at scale 0.1 each gives rows
//
// The acceptance suite compares all answers with PostgreSQL's (acceptance/postgresdiff).
//
// Not here: the refresh functions, several streams, the metric QphH.
//
// Read next: tables.go, then queries.go; the TPC-H specification, chapters 2 and 4.
package tpch
