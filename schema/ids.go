package schema

import "strconv"

// DescID numbers a database, schema, table, sequence or view, and is what
// Postgres's catalogs show as its oid. Indexes and constraints draw their oid
// from the same generator. Never reused.
type DescID uint32

// Numbers below FirstUserID belong to what bootstrap creates and to the fixed
// objects of pg_catalog, as in Postgres.
const FirstUserID DescID = 16384

// ColumnID numbers a column within its table, from 1, and is Postgres's
// attnum. Never reused within a table.
type ColumnID uint32

// IndexID numbers the keys of an index. It is drawn from the generator of
// DescIDs and never reused, so that entries left behind by a failed or dropped
// index can never be read as another's. Truncation gives an index a new one.
type IndexID uint32

// DescVersion counts the published versions of one descriptor, from 1.
type DescVersion uint64

// CatalogVersion counts the commits that changed any descriptor, name or role.
type CatalogVersion uint64

// ChangeID names one schema change that holds a descriptor, see Change.
type ChangeID [16]byte

// IsZero reports whether the id is none.
func (c ChangeID) IsZero() bool { return c == ChangeID{} }

// String prints the number.
func (d DescID) String() string { return strconv.FormatUint(uint64(d), 10) }
