// Package keys is the map of the one ordered keyspace: which key holds what,
// and by which user key a key is routed.
//
//	\x01           local keys, never addressed by clients
//	  i<range id>r   replicated state of a range: applied state, lease, GC threshold
//	  i<range id>u   a replica's own state: Raft log, hard state, replica id, tombstone
//	  k<user key>    replicated, belongs to a user key: range descriptor, txn record
//	  s              the node's own state: identity, clock bound
//	  z<user key>    the lock table
//	\x02 \x03      meta1, meta2: addressing records, in the first range
//	\x04           system keys: cluster id, id generators, descriptors, settings
//	\x10           tables: table id · index id · columns
//	\xff\xff       the end
//
// Invariants:
//
//	I1 Local keys sort before all others, so a range's span never holds one.
//	I2 What belongs to a user key (k, z) sorts as the user keys do, so that a
//	   split at a key splits it too.                     (keys_test.go)
//	I3 Addr is the only way from a key to its route: client and server agree
//	   on where a transaction record is, also after a split.
//	I4 Every table starts at a key of its own, Table(id).
//
// Not here: the encoding of columns (package sql/rowenc), the timestamp suffix
// of versions (package kv/storage).
package keys
