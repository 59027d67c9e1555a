// Package spanset says what a batch touches before it runs: the spans to
// latch, the spans whose locks matter, and, after it ran, the spans it read.
// It is the vocabulary between evaluation, which knows what each command
// touches, and concurrency control, which keeps conflicting batches apart.
//
//	DeclareSpans(batch) ─▶ Spans{Latches, Locks} ─▶ latch manager, lock table
//	ReadSpans(batch, response) ─▶ []ReadSpan    ─▶ timestamp cache
//
// Invariants
//
//	I1  A latch span covers every key, local ones included, whose value can
//	    change the outcome of the command or is changed by it. Checked by
//	    kv/batcheval's tests with a reader that refuses undeclared keys.
//	I2  A latch with the zero timestamp conflicts with every overlapping latch
//	    of which one writes. A read at t passes a write above t.
//
// What is not here: the structures that hold latches, locks and reads; see
// kv/concurrency.
package spanset
