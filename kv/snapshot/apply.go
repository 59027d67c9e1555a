package snapshot

import (
	"context"

	"github.com/cairndb/cairn/kv/raftgroup"
)

// Install is what a snapshot installs beside the range's data.
type Install struct {
	// HardState is the replica's newest, with Commit raised to the
	// snapshot's index if it is below.
	HardState raftgroup.HardState
}

// Apply replaces the range's data, log, HardState and TruncatedState in one
// durable step. The caller holds the replica's Raft mutex, nothing reads the
// replica meanwhile, and the log writer has passed a Barrier. Afterwards it
// calls Log.Reset.
func (r *Receiver) Apply(ctx context.Context, in Install) error { panic("todo") }
