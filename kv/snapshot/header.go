package snapshot

import "github.com/cairndb/cairn/kv/kvapi"

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
