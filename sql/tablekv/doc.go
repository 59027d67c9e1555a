// Package tablekv maps rows of a table to key-value pairs and back.
//
// Problem: executor, COPY, index creation and constraint errors must agree to the byte on where a
// row and its index entries lie. So this mapping stands alone; package rowenc below it knows single
// values, this package knows tables.
//
//	primary     /table/index/pk…             → the columns that are not in the key
//	index       /table/index/cols…/pk rest…  → stored columns
//	unique      /table/index/cols…           → pk rest, stored columns
//	inverted    /table/index/term/pk…        → as index; one for each term of the column (EachKey)
//	unique, a column NULL: as a non-unique index, so that NULLs never collide
//
// A column whose key form loses something (numeric 1.00 against 1.0) is repeated in the value.
//
// Invariants:
//
//	I1  two rows have the same primary key bytes iff their key columns are equal (TestRoundTrip)
//	I2  decoding gives back exactly what was encoded (TestRoundTrip)
//	I3  a row is one pair, an index entry is one pair
//	I4  a virtual column is never in the primary index: who decodes a row from there computes it
//	I5  a row that does not hold a column that was added with a default has that default, not NULL;
//	    so NULLs of such columns are written (TestMissingValues)
//	I6  the entries of a table to be (schema.Rewriting) are those that its own codec makes, but for
//	    columns that it does not know (TestRewrittenEntries)
//
// What goes wrong: keys above KeyBytesMax are refused, as their index pages would be in Postgres.
//
// Not here: which index to read (package plan), uniqueness (package exec).
//
// Read next: package rowenc.
package tablekv
