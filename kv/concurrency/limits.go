package concurrency

import "time"

const (
	// pushDelay is how long a waiter stays behind the same holder before it
	// pushes: longer than most transactions last, much shorter than people
	// notice. Every push before its time is a remote call for nothing.
	pushDelay = 20 * time.Millisecond
	// pushErrorsMax is how many pushes in a row may fail for reasons of the
	// world (the holder's range has no leader) before the waiter gives up.
	// Senders already retry for seconds.
	pushErrorsMax = 10
	// rotateAfter is how many ticks of pushDelay a waiter with several
	// holders in its way pushes one of them before it turns to the next.
	rotateAfter = 10
	// roundsMax bounds the evaluations of one request that find locks with
	// which the lock table sees no conflict.
	roundsMax = 1000
	// implicitMax is how long a writer waits for the record of a transaction
	// that is committed by its writes before it treats its intent like any
	// other and pushes: several consensus rounds under load.
	implicitMax = 100 * time.Millisecond
	// turnIdleMax is how long a turn lasts without a request of its transaction: a
	// way around the world and back, and a client that thinks a little between.
	turnIdleMax = 500 * time.Millisecond
	// turnMax is how long it lasts in all.
	turnMax = 2 * time.Second
	// turnHeldMax is how long a request waits for a turn whose transaction may hold
	// locks that the turn's own may be waiting for: no longer than what a deadlock
	// may cost, as which nobody finds it.
	turnHeldMax = 100 * time.Millisecond
	// turnsMax bounds the turns of a range, those that wait for theirs included, and
	// turnSpansMax the spans of one; what is read beyond is nobody's turn.
	turnsMax     = 16
	turnSpansMax = 16
)
