// Package stats is what is known of the data in a table: how many rows, how many different values a
// column has, how often the common ones occur, and how the others are spread.
//
// Problem: which index, which join order and which join method are best depends on how many rows a
// condition keeps. That is guessed from a sample.
//
//	rows ──Sampler──▶ 30,000 of them ──▶ Table, Column ──wire──▶ keys.Stats(table)
//	                                          ▲                       │
//	          planner: Equal, Below, Distinct ┘◀──── Cache of a node ─┘
//
// Values are kept as keys (rowenc): their bytes compare as the values do, so a position in a
// histogram, also between two of its bounds, needs no type.
//
// How a value's frequency is guessed, as in PostgreSQL: common values (Common) are known one by one;
// the rest of the rows is shared evenly by the rest of the different values. A range is the common
// values in it and a part of the histogram, whose buckets hold equally many rows.
//
// Invariants:
//
//	I1  a sample is uniform over the rows read (TestSampleIsUniform)
//	I2  fractions are between 0 and 1, and Below grows with its key (TestFractions)
//	I3  statistics never change an answer, only the way to it
//	I4  a Table in the cache never changes; a newer one takes its place, and plans made with the
//	    old one are made anew
//
// What goes wrong: statistics are old. They are gathered again when a fifth of the rows changed
// (package sql, autoanalyze.go); until then plans may be slow.
//
// Not here: correlations between columns, statistics of expressions, who gathers when.
//
// Read next: stats.go, collect.go, cache.go.
package stats

//go:generate go run ../../internal/wiregen sql/stats
