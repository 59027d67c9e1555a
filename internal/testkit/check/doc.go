// Package check judges histories: whether a database kept its promises to
// clients that wrote down what they saw.
//
//	[]RegisterOp ─▶ Registers   one order per key explains every answer
//	[]BankRead   ─▶ Bank        the total never changes; the ledger explains
//	                            every balance; acknowledged entries are there
//	[]Txn        ─▶ ListAppend  no cycle of dependencies; what was
//	                            acknowledged is read
//	[]KVTxn      ─▶ KV          every read and write is what the versions kept
//	  + []Version               by the database say at the commit timestamp
//	[]SetOp      ─▶ Sets        what was acknowledged is in every later read;
//	                            sessions, or all, in order; counters agree
//	             ─▶ Monotonic   max+1 gives each its own, in order
//	[]PairOp     ─▶ Pairs       of two inserts that each exclude the other, one
//	[]QueueOp    ─▶ Queue       everything is taken once, or left
//	[]ModelTxn   ─▶ Model       a client alone finds what it wrote, savepoints too
//	[]Hold       ─▶ Mutex       one holder at a time
//	[]IndexRead  ─▶ Index       an index has the rows of its table
//
// A checker knows nothing of the product. It answers a *Violation that names
// the anomaly and tells the shortest story that shows it, or nil.
//
// Invariants of the checkers themselves, each a table in testdata:
//
//	I1  A history that a correct database can produce is never refused,
//	    whatever outcomes are unknown.
//	I2  Each named anomaly is found in the smallest history that shows it.
//
// ListAppend infers what happened from the lists alone (Kingsbury and Alvaro,
// "Elle: Inferring Isolation Anomalies from Experimental Observations", 2020):
// a list tells the order of all writes to its key, so who read and wrote
// before whom is known without guessing. Anomalies have the names of Adya,
// "Weak Consistency", 1999: G0, G1a, G1b, G1c, G-single, G2.
//
// Registers uses porcupine, which searches for an order of operations that
// explains all answers; it may in theory take exponential time, so there is a
// limit, and reaching it is an error and not a pass.
//
// Not here: how histories come to be (package workload of the product, or the
// acceptance suite).
package check
