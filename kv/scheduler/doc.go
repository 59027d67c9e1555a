// Package scheduler drives all of a node's replicas with a few workers. An
// idle range costs nothing: no goroutine, no timer, no memory.
//
//	EnqueueMessages(r7) ─┐      ┌─ shard 0: r2 r8        ─ workers ─┐
//	EnqueueTicks(r2 r8)  ├─ r%n ┤                                   ├─▶ Processor
//	EnqueueReady(r7)    ─┘      └─ shard 1: r7 {messages,ready}  ─┘
//
// A range in a queue has a set of events. A worker takes a range with all its
// events and handles messages first, then ticks, then the Ready they led to,
// so that one pass handles everything that arrived while the range waited.
// Events that arrive meanwhile put the range at the end of its queue.
//
// A goroutine and channels per range would be simpler to read; 100,000 idle
// ranges would then hold gigabytes of stacks, and every message would cost a
// wake-up of its own.
//
// Invariants
//
//	I1  A range is on one worker at most. Checked by TestOneWorkerPerRange.
//	I2  An event is handled by a pass that begins after it was enqueued.
//	    Checked by the property test against a counter per range.
//	I3  A range is in its shard's queue at most once, and ranges are taken in
//	    the order in which they got into it.
//	I4  After Stop returned no Processor method runs; what was enqueued before
//	    Stop has been handled.
//
// What goes wrong: a Processor that blocks holds a worker; enough of them hold
// a shard. Ticks that pile up behind it are dropped beyond ticksMax, so a
// stalled node does not race through elections when it wakes.
//
// Not here: what handling means (kv/store), which ranges tick.
package scheduler
