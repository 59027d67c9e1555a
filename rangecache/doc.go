// Package rangecache knows which range holds a key and which of its replicas
// leads, and sends batches there.
//
// A caller has a batch of requests and one keyspace. Below are ranges that
// split, merge, move and change leaders at any moment. The cache remembers
// what was last heard; the Sender cuts a batch by range, sends the parts,
// follows corrections, and puts the answers together as if there were one
// range.
//
//	Send(batch) ──▶ divide ──▶ part r1 ──▶ attempt n2 ✗ not leaseholder, n1 is
//	   ▲              │                └─▶ attempt n1 ✓
//	   │              ├──────▶ part r2 ──▶ attempt n3 ✗ range mismatch, infos
//	   │              │                └─▶ divide again ──▶ r2' ✓  r7 ✓
//	   │              └ Cache.Lookup ──miss──▶ scan of meta2 (one per key)
//	   └── combine: answers in request order, resume spans exact
//
// Invariants
//
//	I1  The cache is a hint: a server checks bounds, generation and lease
//	    itself. Wrong entries cost round trips, never correctness.
//	I2  No two entries overlap, and an entry is never replaced by one with a
//	    lower generation; at one generation the lease with the higher
//	    sequence stays. Checked by the cache's fuzz test.
//	I3  Every request of a batch is answered at its position; rows come in
//	    key order (or against it), and a resume span covers exactly what was
//	    not done. Checked against a one-range twin over random layouts.
//	I4  A batch whose fate matters once (one that carries a commit, the writes
//	    sent beside it, and blind writes outside a transaction) is answered
//	    with a definite error only if no attempt of it may have been
//	    evaluated. Everything else that can go wrong is ErrAmbiguous.
//	I5  Error.MaybeApplied is false only if no part of the batch had effects.
//	    Package txn relies on it to send a commit again whole.
//
// A simpler design would send every request by itself and let the server
// forward. It costs a message per request and hides from the coordinator
// whether a commit reached one range (one phase) or several.
//
// What can go wrong: a replica that hangs without losing its connection. An
// attempt that takes long is therefore watched: all replicas are asked who
// leads, and the attempt is given up when its node does not answer or
// somebody else leads (probe.go). A request that waits long behind a lock on
// a healthy replica is left alone.
//
// Reads of the past go to the nearest replica (follow.go). It answers if it knows
// that nothing is written there any more, or else names the leaseholder, as ever.
//
// What is not here: transactions (package txn), and connections (internal/rpc).
//
// Read on: divide.go, then attempt.go.
package rangecache
