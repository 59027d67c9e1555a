// Package load is clients that put a cluster to work and write down what they
// were told.
//
//	targets ──▶ crew: k clients each, one connection each, reconnecting
//	               │ one operation after another until told to stop
//	               ▼
//	            a Workload: Registers, Lists, Bank, Sets, … (workload.go lists them)
//	               │
//	               ▼
//	            history (package testkit/history) and Pulse: when each target
//	            last answered, and its longest silence
//
// The one rule that everything rests on:
//
//	I1 an outcome is never guessed: what did not clearly happen or clearly fail
//	   is unknown (history.Info)              outcome.go
//	I2 a client never repeats an operation; a retry is a new one with a new
//	   name                                   every driver
//
// Not here: faults (package cluster) and verdicts (package testkit/check, and
// TPCB.Compare).
package load
