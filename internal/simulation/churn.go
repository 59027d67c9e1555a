package simulation

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/kv/kvapi"
)

// churnEvery is the mean time between changes of membership: four in a run of
// the usual length.
const churnEvery = 8 * time.Second

// Churn draws moves of replicas, by hand and by nodes that are to leave the
// cluster and may not have to in the end. They have a source of their own, as
// Combined has.
func Churn(rng *rand.Rand, nodes int, within time.Duration, splits []kvapi.Key) []Fault {
	kinds := []FaultKind{Move, Move, Move, MoveStorm, MoveCrash, Decommission}
	var out []Fault
	for at := churnAfter(rng); at < within; at += churnAfter(rng) {
		f := draw(rng, nodes, splits)
		f.Kind, f.At = kinds[rng.IntN(len(kinds))], at
		f.For = min(time.Duration(rng.Int64N(int64(10*time.Second))), within-at)
		if nodes <= replicas {
			f.Kind = Rereplica // there is nowhere to move to
		}
		out = append(out, f)
	}
	return out
}

// replicas is how many each range has.
const replicas = 3

func churnAfter(rng *rand.Rand) time.Duration {
	return time.Duration(rng.Int64N(int64(2 * churnEvery)))
}

// deadAfter is how long a node of this run may be silent: in every other run so
// short that faults take longer at times, and replicas are made anew.
func deadAfter(s Seed) time.Duration {
	if s.source("dead after").IntN(2) == 0 {
		return 15 * time.Second
	}
	return allocator.DeadAfterDefault
}

// moveOf is a change that moves a replica of the range of a key: off node B if
// it has one, and onto a node that has none, A if it can be.
func (c *Cluster) moveOf(ctx context.Context, f Fault) *kvapi.ReplicaChange {
	ranges, err := c.ranges(ctx)
	if err != nil {
		return nil
	}
	for _, r := range ranges {
		if !r.Desc.ContainsKey(f.Key) {
			continue
		}
		change := &kvapi.ReplicaChange{}
		for i := range c.nodes {
			to := c.nodes[(f.A+i)%len(c.nodes)].id
			off := c.nodes[(f.B+i)%len(c.nodes)].id
			if _, has := r.Desc.Replica(to); !has && len(change.Add) == 0 {
				change.Add = []kvapi.NodeID{to}
			}
			if _, has := r.Desc.Replica(off); has && off != r.Lease.Holder.NodeID && len(change.Remove) == 0 {
				change.Remove = []kvapi.NodeID{off}
			}
		}
		return change
	}
	return nil
}

// moveStorm moves replicas of several ranges at once, and of one range twice.
func (c *Cluster) moveStorm(ctx context.Context, f Fault) {
	var moving sync.WaitGroup
	for i, k := range append([]kvapi.Key{f.Key, f.Key}, c.splits...) {
		if i > 4 {
			break
		}
		move := f
		move.Kind, move.Key, move.A, move.B = Move, k, (f.A+i)%len(c.nodes), (f.B+2*i)%len(c.nodes)
		moving.Go(func() { c.administer(ctx, move) })
		time.Sleep(10 * time.Millisecond)
	}
	moving.Wait()
}

// moveAndCrash cuts a node's power some milliseconds after a move has begun.
func (c *Cluster) moveAndCrash(ctx context.Context, f Fault) *Node {
	const delayMax = 300 * time.Millisecond
	move := f
	move.Kind = Move
	var asking sync.WaitGroup
	asking.Go(func() { c.administer(ctx, move) })
	time.Sleep((f.Offset + skewMax) * delayMax / (2 * skewMax))
	n := c.nodes[f.victim()]
	n.Crash()
	asking.Wait()
	return n
}

// decommission begins to take a node out, and calls it off after the fault's
// time, unless the node has left by then.
func (c *Cluster) decommission(ctx context.Context, f Fault) (cancel func()) {
	set := func(ctx context.Context, m allocator.Membership) {
		ctx, stop := context.WithTimeout(ctx, adminTimeout)
		defer stop()
		s, err := c.nodes[f.B].Connect(ctx)
		if err != nil {
			return
		}
		defer s.Close()
		ctx, end := s.Context(ctx)
		defer end()
		err = s.l.core.SetMembership(ctx, c.nodes[f.A].id, m)
		c.log.Debug("operator", "what", f.String(), "to", m, "err", err)
	}
	c.mu.Lock()
	if c.mu.leaving == nil {
		c.mu.leaving = map[*Node]bool{}
	}
	c.mu.leaving[c.nodes[f.A]] = true
	c.mu.Unlock()
	set(ctx, allocator.Decommissioning)
	return func() { set(context.WithoutCancel(ctx), allocator.Member) }
}

// callOff calls off what decommissionings are under way still, for whoever was to
// do so may not have reached the cluster: with two nodes of four leaving, no range
// can have three replicas. A node that has left for good stays away.
func (c *Cluster) callOff(ctx context.Context) error {
	c.mu.Lock()
	leaving := slices.Collect(maps.Keys(c.mu.leaving))
	c.mu.Unlock()
	for _, n := range leaving {
		err := c.eventually(ctx, fmt.Sprintf("call off that %s is taken out", n), func() error {
			err := c.nodes[0].Core().SetMembership(ctx, n.id, allocator.Member)
			if err != nil && strings.Contains(err.Error(), "has been decommissioned") {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
