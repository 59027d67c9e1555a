package raftgroup

// Ready is work a Group wants done. Its parts may be done at the same time;
// every Append before the next Append, every Apply before the next Apply.
type Ready struct {
	// Messages go to peers at once; any may be lost.
	Messages []Message
	// Append is nil if nothing is to be written.
	Append *StorageAppend
	// Apply is nil if nothing was committed. Its entries are durable here.
	Apply *StorageApply
	// LeaderChanged says that leader or role differ from the last Ready.
	LeaderChanged bool
}

// StorageAppend is to be written to the log in one atomic step. Entries
// replace whatever the log holds from their first index on.
type StorageAppend struct {
	Entries   []Entry
	HardState HardState
	// Snapshot, if not nil, replaces log and state; Entries is then empty.
	Snapshot *Snapshot
	// Responses are delivered when this append and all before are durable:
	// those to the group itself by Step, others to peers.
	Responses []Message
}

// MustSync reports whether anybody waits for the append to be durable.
func (a *StorageAppend) MustSync() bool { return len(a.Responses) > 0 }

// StorageApply is to be applied to the state machine in order.
type StorageApply struct {
	Entries []Entry
	// Responses are stepped into the group once the entries are applied
	// (visible to the next reader; durable is not needed).
	Responses []Message
}
