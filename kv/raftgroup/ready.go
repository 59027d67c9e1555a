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

// split cuts an append that has both a snapshot and entries after it (they
// arrived in one turn) in two: the first installs the snapshot, the second
// appends to the log it leaves and answers for both. The first must not claim
// that entries are committed which only the second writes.
func split(a *StorageAppend) (first, rest *StorageAppend) {
	if a.Snapshot == nil || len(a.Entries) == 0 {
		return a, nil
	}
	first = &StorageAppend{Snapshot: a.Snapshot, HardState: a.HardState}
	if !first.HardState.IsEmpty() {
		first.HardState.Commit = a.Snapshot.Index
	}
	return first, &StorageAppend{Entries: a.Entries, HardState: a.HardState, Responses: a.Responses}
}
