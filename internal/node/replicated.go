package node

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A cluster begins as one node with one replica of everything. Its nodes let SQL
// clients in when every range has as many voters as it is to have, so that what
// is acknowledged is on a majority of those. Ranges that are made later are
// born with the replicas of the range they are split from.
//
// How many nodes will come nobody knows but the operator, who named them: the
// --join addresses. Waiting without a limit would make a cluster useless whose
// third node is late, or listed and never meant to come; so after a time the
// node says in its log what is missing, and serves.
const (
	// replicatedMax is how long a new node waits for the ranges' replicas.
	replicatedMax = 10 * time.Second
	// replicatedAgainMax is how long a restarted node does: what it waited for at
	// its first start is mostly there.
	replicatedAgainMax = 2 * time.Second
	// replicatedPoll is how often it looks.
	replicatedPoll = 50 * time.Millisecond
)

// votersWanted is how many voters the ranges will have when the nodes that were
// named have joined.
func (n *Node) votersWanted() int {
	named := map[string]bool{n.rpcAddr: true}
	for _, addr := range n.cfg.Join {
		named[addr] = true
	}
	factor := n.cfg.ReplicationFactor
	if factor == 0 {
		factor = 3
	}
	return min(factor, len(named))
}

// waitReplicated returns when every range has the voters it is to have, or that
// takes too long.
func (n *Node) waitReplicated(ctx context.Context, core *Core) error {
	want := n.votersWanted()
	if want == 1 {
		return nil
	}
	limit := replicatedAgainMax
	if n.isNew {
		limit = replicatedMax
	}
	patience, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := core.allReplicated(patience, want)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(replicatedPoll):
		case <-patience.Done():
			if ctx.Err() != nil {
				return errors.Join(ctx.Err(), err)
			}
			n.cfg.Log.Warn("serving clients although ranges lack replicas: writes are on fewer disks than they should be",
				"waited", limit, "reason", err)
			return nil
		}
	}
}

// allReplicated returns an error that names a range with fewer voters.
func (c *Core) allReplicated(ctx context.Context, want int) error {
	descs, err := c.rangeDescriptors(ctx)
	if err != nil {
		return err
	}
	for i := range descs {
		voters := 0
		for _, rep := range descs[i].Replicas {
			if rep.Type.Votes() {
				voters++
			}
		}
		if voters < want {
			return fmt.Errorf("%s has %d voters of %d", descs[i].RangeID, voters, want)
		}
	}
	return nil
}
