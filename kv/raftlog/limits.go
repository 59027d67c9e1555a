package raftlog

const (
	// cacheBytesDefault holds the entries between append and application of
	// every busy range and of followers a little behind; what falls out is
	// read from the engine.
	cacheBytesDefault = 8 << 20
	// queueBytesMax bounds what waits for the writer. It is above the largest
	// append, so that one always fits into an empty queue.
	queueBytesMax = 32 << 20
	// batchBytesMax ends a batch, so that the first of many appends does not
	// wait for megabytes of others.
	batchBytesMax = 1 << 20
	// rangeDeleteMin is the number of keys from which one range deletion is
	// cheaper than a point deletion each. Every read of the log below a range
	// deletion pays for it until it is flushed.
	rangeDeleteMin = 64
)
