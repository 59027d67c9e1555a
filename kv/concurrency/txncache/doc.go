// Package txncache is a store's memory of what became of transactions whose
// locks others ran into. One push then answers for every lock of a dead
// coordinator: whoever meets the next of its ten thousand intents finds the
// answer here and resolves it without asking.
//
//	push's answer, EndTxn's effect ──Add──▶ [id → record, bounded] ◀──Get── lock table
//	                                             │
//	                                    Watch ───┴──▶ signal to those who wait
//
// Invariants
//
//	I1  Committed is never replaced. Aborted may be, by Committed only: once a
//	    committed transaction's locks are all resolved its record goes, and a
//	    push that comes too late finds "aborted", which then concerns no lock.
//	    Checked in TestSupersedes.
//	I2  A pending record is kept only for its write timestamp, which only
//	    rises: a transaction pushed above t stays above t. Add.
//	I3  Forgetting is always right: the next waiter pushes again.
//	I4  An implicit commit is a commit: its values may be read at once, also
//	    under a lock. But its intents are the only proof of it until its record
//	    says so, so nothing may take their place. It is replaced by Committed
//	    alone. AddImplicit; mvcc.FinishedTxns.
//
// Not here: records on disk; why a transaction ended.
//
// Read next: package locktable, which asks; package txnwait, which watches.
package txncache
