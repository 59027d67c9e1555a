// Package rowenc turns SQL values into key bytes that sort as the values do, and rows into value
// bytes from which single columns can be read.
//
// Problem: the key-value layer knows byte order only. An index on (a DESC, b) must come out of a
// scan in SQL order, and a point read must not decode columns nobody asked for.
//
//	key    tag body | tag body | …          one per key column, tag < 0x80
//	       every byte complemented for DESC  so tag >= 0x80
//	value  0x01 | uvarint(Δid<<4|wire) payload | …   columns ascending, NULL absent (or, where
//	                                                 absent means another value, as wire 5)
//
// Invariants:
//
//	I1  key(x) < key(y) iff x < y in the SQL order with NULL last, also for tuples, and reversed
//	    for DESC (TestKeyOrder)
//	I2  no encoded value is a prefix of another one of its type (follows from the terminators;
//	    TestKeyOrder compares concatenations)
//	I3  decode(encode(x)) equals x; where NeedsValue(x) says no, it is also identical
//	    (TestKeyRoundTrip)
//	I4  no input makes a decoder panic or allocate more than its size (FuzzDecode)
//	I5  tags never change once released (TestGoldenTags)
//
// Some values compare equal and print differently: 1.0 and 1.00, -0 and 0, '1 mon' and '30 days'.
// Equal values must have equal keys, or a unique index would hold both; so the key keeps the class
// and the exact form is repeated in the row's value (NeedsValue, RowDecoder.KeepAbsent).
//
// What goes wrong: corrupt bytes give an error of SQLSTATE XX001.
//
// Not here: which columns go where (schema), table and index prefixes (kv/keys), collations.
//
// Read next: key.go, then row.go.
package rowenc
