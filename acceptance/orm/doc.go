// Package orm has gorm, as its users have it, make a schema and work on it. It is a
// module of its own, so that the product's has none of this.
//
// Problem: an object-relational mapper asks the catalog in its own way, alters what it
// finds different, prepares statements under changing schemas, and nobody reads the SQL
// that it sends. It works as on PostgreSQL, or it is of no use.
//
// The server is at CAIRN_URL. Package acceptance starts one and runs this against it
// (TestAnORMWorksUnmodified); against PostgreSQL, which shows that the test itself is right:
//
//	CAIRN_URL=postgres://… go test .
//
// Not here: what other tools were run by hand, docs/compatibility.md.
package orm
