// Package txn is the client's side of a transaction.
package txn
