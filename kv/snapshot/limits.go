package snapshot

const (
	// chunkBytes is how much is read before it is sent: large enough that
	// framing is nothing, small enough that a heartbeat behind it on a slow
	// link does not wait long.
	chunkBytes = 128 << 10
	// chunkBytesMax is the largest chunk accepted: one value of the largest
	// size may make a chunk longer than chunkBytes.
	chunkBytesMax = 40 << 20
	// smallMax is up to where a snapshot is one batch.
	smallMax = 1 << 20
	// tableBytes ends a table of user keys.
	tableBytes = 64 << 20
	// RateDefault paces snapshots of one node, in bytes a second.
	RateDefault = 64 << 20
	// SendingMax and ReceivingMax bound the snapshots of one node at a time.
	SendingMax   = 2
	ReceivingMax = 1
)
