package snapshot

import (
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftlog"
)

// Header says what a snapshot is. It is the first chunk.
type Header struct {
	Desc kvapi.RangeDescriptor `wire:"1"`
	// Index and Term are of the last entry applied in the snapshot's state;
	// the log resumes after it.
	Index kvapi.LogIndex          `wire:"2"`
	Term  kvapi.Term              `wire:"3"`
	From  kvapi.ReplicaDescriptor `wire:"4"`
	To    kvapi.ReplicaDescriptor `wire:"5"`
	// Payload is the sender's own, such as the Raft message it answers.
	Payload []byte `wire:"6"`
}

// Truncated returns where the log stands after the snapshot, for Log.Reset.
func (h *Header) Truncated() raftlog.TruncatedState {
	return raftlog.TruncatedState{Index: h.Index, Term: h.Term}
}

// Places of a range's spans in Spans.
const (
	spanReplicated = iota
	spanRangeLocal
	spanLocalLocks
	spanLocks
	spanUser
	spanCount
)

// Spans returns what a snapshot of the range holds, in key order: replicated
// state by range id, local keys, locks on those, locks on user keys, user keys.
func Spans(d *kvapi.RangeDescriptor) [spanCount]kvapi.Span {
	replicated := keys.RangeIDReplicatedPrefix(d.RangeID)
	localStart, localEnd := keys.RangeLocalSpan(d.StartKey, d.EndKey)
	localLockStart, localLockEnd := keys.LockTableSpan(localStart, localEnd)
	lockStart, lockEnd := keys.LockTableSpan(d.StartKey, d.EndKey)
	return [spanCount]kvapi.Span{
		spanReplicated: {Key: replicated, EndKey: replicated.PrefixEnd()},
		spanRangeLocal: {Key: localStart, EndKey: localEnd},
		spanLocalLocks: {Key: localLockStart, EndKey: localLockEnd},
		spanLocks:      {Key: lockStart, EndKey: lockEnd},
		spanUser:       d.Span(),
	}
}
