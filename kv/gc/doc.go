// Package gc decides when old versions go: how far back they are kept, which
// ranges are worth a look, and what is protected from it. It removes nothing;
// kv/mvcc does, by commands of kv/batcheval that kv/store sends.
//
//	                 now - TTL ─┐
//	protections (system keys) ──┴─▶ Target ──▶ threshold of the range ──▶ versions
//	statistics of the range ──────▶ Due        (replicated, kv/store)
//
// A range's threshold is a promise: no read at or below it is answered any
// more. It rises first; only then are versions removed that no read above it
// can see. So whoever reads the past is told that it is gone
// (ErrBelowGCThreshold), and never shown half of it.
//
// # Protection
//
// A record under keys.ProtectionPrefix keeps what is visible at its timestamp
// and later. It is honoured by all who read the records after it was written;
// those who read them before are made to fail:
//
//	Protect                              a store's collection
//	1 write the record, at W             1 read the records, at R
//	2 ask each range: CheckProtection    2 raise the threshold, naming R
//	  threshold >= timestamp: too late     R < W of anything asked here, or
//	  else the store remembers W           R < start of the lease: refused
//
// If R >= W the record was seen, for it is read at R like any other key. If R <
// W, step 2 of one comes first at the range: either Protect finds the threshold
// raised and fails, or the store knows W, or has a lease that began after the
// one who knew it had answered (TestProtectionOrCollection runs both in all
// orders; TestProtectionSurvivesLeases).
//
// Invariants
//
//	I1  A threshold is never above Target of the records read at R.
//	I2  What was protected successfully stays readable at and above the
//	    protected timestamp until Release, or the record's expiry.
//
// What can go wrong: a record whose owner died holds versions until it expires;
// it says for whom it is.
//
// Not here: the store's loop and its pace (kv/store/gc.go), TTLs of tables
// (internal/node, from table options).
//
// Read next: plan.go, protection.go, then kv/store/gc.go.
package gc
