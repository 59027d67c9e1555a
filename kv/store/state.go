package store

import "github.com/cairndb/cairn/kv/kvapi"

// appliedState is the part of a range's replicated state that every command
// changes, written in the batch of the command itself.
type appliedState struct {
	Index         kvapi.LogIndex        `wire:"1"`
	Term          kvapi.Term            `wire:"2"`
	LeaseSequence kvapi.LeaseSequence   `wire:"3"`
	Stats         kvapi.RangeStatistics `wire:"4"`
}

// Ident says whose store this is; written once.
type Ident struct {
	ClusterID kvapi.ClusterID `wire:"1"`
	NodeID    kvapi.NodeID    `wire:"2"`
}

// replicaIdentity is written when a replica comes to be, also by a message
// (CockroachDB #75761: without it a restart forgets that the replica existed,
// and with it the votes it cast).
type replicaIdentity struct {
	ReplicaID kvapi.ReplicaID `wire:"1"`
}

// tombstone remembers a removed replica: none below NextReplicaID may come back.
type tombstone struct {
	NextReplicaID kvapi.ReplicaID `wire:"1"`
}
