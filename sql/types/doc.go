// Package types holds SQL values and types: how they are kept, compared, read, written and cast.
//
// Problem: a row engine in Go spends most of its time boxing values into interfaces. So a value,
// Datum, is 24 plain bytes, and everything that depends on the SQL type takes the type beside it.
//
//	text "1.50"       wire bytes            pgtype-like formats
//	    |  ParseText      |  ParseBinary
//	    v                 v
//	+-----------------------------+   Cast      another type's Datum
//	| Datum: pointer, n, kind     | --------->
//	+-----------------------------+   Coerce    varchar(3), numeric(5,2)
//	    |  AppendText     |  AppendBinary
//	    v                 v
//	as psql prints    as drivers read
//
// Invariants:
//
//	I1  a Datum's pointer is read only as what its kind says (Datum.must; Str looks at the kind)
//	I2  Compare is a total order on values of one family, Postgres's order: NaN above all, text by
//	    bytes (collation C), char(n) without trailing blanks (TestHashAgreesWithEqual)
//	I3  values that are Equal have equal Hash (TestHashAgreesWithEqual)
//	I4  ParseText(AppendText(d)) is d, and so in binary (TestTextRoundTrip)
//	I5  numerics have no positive exponent and no negative zero (NewDecimal)
//
// What goes wrong: a Datum whose kind is not that of its column's type panics at the first accessor
// rather than returning another value's memory.
//
// Types that users made come with their definition (T.User, package usertype). A value of an enum
// holds a pointer to its label; one of a domain is a value of the type below (T.Plain), and whoever
// makes it one of the domain checks it (bind.DomainCheck). A value of a composite type is a record.
//
// Addresses (inet, cidr, macaddr), times with a zone and bit strings are kept as bytes in the order of the values: packed.go.
//
// A range holds its bounds as values of the subtype, and is canonical from its making on: range.go.
//
// Not here: collations other than C.
//
// Read next: rowenc for values in keys and rows, builtins for what is computed with them; the
// Postgres manual, chapters 8 and 10.
package types
