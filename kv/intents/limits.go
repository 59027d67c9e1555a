package intents

import "time"

const (
	// batchMax bounds the locks resolved, or writes queried, in one batch:
	// one Raft command of about 10 KB.
	batchMax = 100
	// parallelMax bounds the batches of one call in flight.
	parallelMax = 4
	// rangeKeysMax bounds the keys that one command resolves in a span: as many as
	// a batch of a flush writes. Mostly they are one deletion.
	rangeKeysMax = 4096
	// queueMax bounds the updates waiting for background resolution.
	queueMax = 20000
	// workersMax bounds the goroutines that resolve in the background. Most of
	// them wait: their ranges hold such work back to do it together.
	workersMax = 64
	// forgetFor is how long records are collected before they are forgotten:
	// one batch then does it for all of them.
	forgetFor = 100 * time.Millisecond
	// asyncTimeout bounds one background batch: its range may be gone.
	asyncTimeout = 30 * time.Second
	// pushesMax bounds the pushes of one PushTxn: one, a recovery, another,
	// and again if the coordinator came back to life in between.
	pushesMax = 5
)
