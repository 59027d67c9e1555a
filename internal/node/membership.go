package node

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cairndb/cairn/gossip"
	"github.com/cairndb/cairn/internal/rpc"
	"github.com/cairndb/cairn/internal/rpc/rpcpb"
	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// A node leaves the cluster for good by a job of the cluster, whose whole state
// is the node's record:
//
//	(none)            a member
//	decommissioning   every node reads the records every membersEvery; leases
//	                  leave the node, its replicas are replaced (kv/allocator)
//	decommissioned    the node that leads the record's range has seen that no
//	                  descriptor names it any more. It ends itself, and is
//	                  refused for ever (admitMember)
//
// Nobody has to wait for it: whoever asked may go, and any node may crash. A
// decommissioning can be cancelled, until it is over. The node may be dead all
// the while.
//
// The alternative, a flag that nodes gossip about themselves, cannot be set for
// a node that is dead.

// memberRecord is a node's record (keys.Node).
type memberRecord struct {
	NodeID     kvapi.NodeID `wire:"1"`
	Membership uint8        `wire:"2"`
	// SinceNanos is when it became so.
	SinceNanos int64 `wire:"3"`
}

const (
	// membersEvery is how often each node reads the records: one small read.
	membersEvery = 3 * time.Second
	// membersTimeout bounds what a turn does.
	membersTimeout = 10 * time.Second
	// stillThereTimeout is how long a node that may be running is asked.
	stillThereTimeout = time.Second
)

// members is what this node knows of the records.
type members struct {
	sync.Mutex
	records map[kvapi.NodeID]memberRecord
	// begun counts reads; taken is the one that records are from.
	begun, taken uint64
}

// of returns a node's membership.
func (m *members) of(id kvapi.NodeID) allocator.Membership {
	m.Lock()
	defer m.Unlock()
	return allocator.Membership(m.records[id].Membership)
}

// begin is called before the records are read; set takes its result.
func (m *members) begin() (turn uint64) {
	m.Lock()
	defer m.Unlock()
	m.begun++
	return m.begun
}

// set takes in the records and reports whether they are news. What was read
// before what is known is not: it may have missed a change.
func (m *members) set(turn uint64, records map[kvapi.NodeID]memberRecord) bool {
	m.Lock()
	defer m.Unlock()
	if turn < m.taken {
		return false
	}
	news := !maps.Equal(m.records, records)
	m.records, m.taken = records, turn
	return news
}

// all returns the records, of nodes that are more than members.
func (m *members) all() map[kvapi.NodeID]memberRecord {
	m.Lock()
	defer m.Unlock()
	return maps.Clone(m.records)
}

func (c *Core) liveNodes() liveNodes { return liveNodes{c.Gossip, c.members, c.cfg.DeadAfter} }

// tendMembers reads the records, ends departures that are over, and tells this
// node of its own.
func (c *Core) tendMembers() {
	t := time.NewTicker(membersEvery)
	defer t.Stop()
	told := false
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-t.C:
		}
		ctx, cancel := context.WithTimeout(c.ctx, membersTimeout)
		err := c.readMembers(ctx)
		if err == nil {
			err = c.endDepartures(ctx)
		}
		cancel()
		if err != nil && c.ctx.Err() == nil {
			c.cfg.Log.Debug("the nodes' records", "err", err)
		}
		if !told && c.members.of(c.Ident.NodeID) == allocator.Decommissioned {
			told = true
			if c.cfg.OnDecommissioned != nil {
				c.cfg.OnDecommissioned()
			}
		}
	}
}

// readMembers reads all records.
func (c *Core) readMembers(ctx context.Context) error {
	turn := c.members.begin()
	var records map[kvapi.NodeID]memberRecord
	err := c.DB.Run(ctx, txn.Options{Name: "node records"}, func(ctx context.Context, t *txn.Txn) error {
		records = map[kvapi.NodeID]memberRecord{}
		for span := (&kvapi.Span{Key: keys.NodePrefix, EndKey: keys.NodePrefix.PrefixEnd()}); span != nil; {
			rows, resume, err := t.Scan(ctx, *span, txn.ScanOptions{MaxKeys: rangesPage})
			if err != nil {
				return err
			}
			for _, row := range rows {
				var m memberRecord
				if err := m.UnmarshalWire(row.Value); err != nil {
					return fmt.Errorf("record %s: %w", row.Key, err)
				}
				records[m.NodeID] = m
			}
			span = resume
		}
		return nil
	})
	if err == nil && c.members.set(turn, records) {
		c.Store.KickReplicate()
	}
	return err
}

// endDepartures marks nodes that have given up everything as decommissioned. The
// node that serves the records does it.
func (c *Core) endDepartures(ctx context.Context) error {
	for id, m := range c.members.all() {
		if allocator.Membership(m.Membership) != allocator.Decommissioning || !c.Store.Serves(keys.Node(id)) {
			continue
		}
		d, err := c.departure(ctx, id)
		if err != nil || d.replicas > 0 {
			return err
		}
		if err := c.SetMembership(ctx, id, allocator.Decommissioned); err != nil {
			return err
		}
		c.cfg.Log.Info("a node is decommissioned", "node", id)
	}
	return nil
}

// membershipError is a change that makes no sense.
type membershipError struct{ why string }

// Error implements error.
func (e *membershipError) Error() string { return e.why }

// SetMembership changes a node's record.
func (c *Core) SetMembership(ctx context.Context, id kvapi.NodeID, to allocator.Membership) error {
	if !c.knows(id) {
		return &membershipError{fmt.Sprintf("there is no node %d", id)}
	}
	err := c.DB.Run(ctx, txn.Options{Name: "membership"}, func(ctx context.Context, t *txn.Txn) error {
		var m memberRecord
		b, ok, err := t.Get(ctx, keys.Node(id), txn.GetOptions{Lock: kvapi.LockExclusive})
		if err != nil {
			return err
		}
		if ok {
			if err := m.UnmarshalWire(b); err != nil {
				return err
			}
		}
		was := allocator.Membership(m.Membership)
		switch {
		case was == to:
			return nil
		case was == allocator.Decommissioned:
			return &membershipError{fmt.Sprintf("node %d has been decommissioned: start it with an empty store to make it a new node", id)}
		case to == allocator.Decommissioned && was != allocator.Decommissioning:
			return &membershipError{fmt.Sprintf("the decommissioning of node %d was cancelled", id)}
		case to == allocator.Member:
			return t.Delete(ctx, keys.Node(id))
		}
		m = memberRecord{NodeID: id, Membership: uint8(to), SinceNanos: c.Clock.Now().WallTime}
		return t.Put(ctx, keys.Node(id), m.AppendWire(nil))
	})
	if err != nil {
		return err
	}
	return c.readMembers(ctx)
}

func (c *Core) knows(id kvapi.NodeID) bool {
	return slices.ContainsFunc(c.Gossip.Nodes(), func(n gossip.Node) bool { return n.NodeID == id })
}

// departure is where a node's leaving stands, or what it would mean.
type departure struct {
	record   memberRecord
	replicas int64
	// to counts replicas by where they would go now, blockers by why they cannot.
	to       map[kvapi.NodeID]int64
	blockers map[string]*rpcpb.Blocker
}

// departure looks at all ranges, as if the node were leaving.
func (c *Core) departure(ctx context.Context, id kvapi.NodeID) (*departure, error) {
	if !c.knows(id) {
		return nil, &membershipError{fmt.Sprintf("there is no node %d", id)}
	}
	descs, err := c.rangeDescriptors(ctx)
	if err != nil {
		return nil, err
	}
	d := &departure{to: map[kvapi.NodeID]int64{}, blockers: map[string]*rpcpb.Blocker{}}
	d.record = c.members.all()[id]
	var nodes []allocator.Node
	for _, n := range c.liveNodes().Nodes() {
		if n.ID == id && n.Membership == allocator.Member {
			n.Membership = allocator.Decommissioning
		}
		nodes = append(nodes, n.Node)
	}
	view := allocator.NewView(c.Store.ReplicationFactor(), nodes)
	wants, err := (&placementPolicy{c: c}).Placements(ctx)
	if err != nil {
		return nil, err
	}
	for i := range descs {
		d.look(view, &descs[i], id, wants(descs[i].Span()))
	}
	return d, nil
}

func (d *departure) look(view *allocator.View, desc *kvapi.RangeDescriptor, leaving kvapi.NodeID, wants allocator.Placement) {
	if _, ok := desc.Replica(leaving); !ok {
		return
	}
	d.replicas++
	// Whoever leads the range decides; its lease would leave the node first.
	r := allocator.Range{Desc: desc, Leaseholder: leaving, Wants: wants}
	for _, rep := range desc.Replicas {
		if rep.NodeID != leaving && rep.Type == kvapi.Voter {
			r.Leaseholder = rep.NodeID
		}
	}
	a := allocator.Decide(view, r)
	view.Applied(a, 0)
	switch {
	case a.Kind == allocator.Blocked:
		b := d.blockers[a.Why]
		if b == nil {
			b = &rpcpb.Blocker{Why: a.Why, ExampleRangeId: uint64(desc.RangeID)}
			d.blockers[a.Why] = b
		}
		b.Ranges++
	case a.Add != 0:
		d.to[a.Add]++
	}
}

func (d *departure) proto() *rpcpb.DecommissionResponse {
	out := &rpcpb.DecommissionResponse{Membership: allocator.Membership(d.record.Membership).String(),
		SinceNanos: d.record.SinceNanos, Replicas: d.replicas}
	for _, to := range slices.Sorted(maps.Keys(d.to)) {
		out.Plan = append(out.Plan, &rpcpb.PlannedMoves{To: uint32(to), Replicas: d.to[to]})
	}
	out.Blockers = slices.SortedFunc(maps.Values(d.blockers), func(a, b *rpcpb.Blocker) int { return cmp.Compare(b.Ranges, a.Ranges) })
	return out
}

// admitMember says why a node that has been a member may not come back: it has
// left for ever, or it is running already, so that this is a copy of its store.
func (c *Core) admitMember(ctx context.Context, id kvapi.NodeID, address string) error {
	if id == 0 {
		return nil
	}
	if id == c.Ident.NodeID {
		return fmt.Errorf("node %d is running at %s: this store is a copy of its store", id, c.cfg.Describe().RPCAddress)
	}
	if err := c.readMembers(ctx); err != nil {
		c.cfg.Log.Debug("the nodes' records", "err", err) // what was read last must do
	}
	if c.members.of(id) == allocator.Decommissioned {
		return fmt.Errorf("node %d has been decommissioned: start it with an empty store to make it a new node", id)
	}
	for _, n := range c.Gossip.Nodes() {
		if n.NodeID == id && n.Live && n.RPCAddress != address && c.isThere(ctx, id) {
			return fmt.Errorf("node %d is running at %s: this store is a copy of its store", id, n.RPCAddress)
		}
	}
	return nil
}

// isThere asks a node whether it is.
func (c *Core) isThere(ctx context.Context, id kvapi.NodeID) bool {
	ctx, cancel := context.WithTimeout(ctx, stillThereTimeout)
	defer cancel()
	_, err := c.Transport.Call(ctx, id, rpc.System, methodAreYouThere, rpc.Raw(nil))
	return err == nil
}

// leasesToHandOver counts leases that another voter could have.
func (c *Core) leasesToHandOver() (n int) {
	for _, r := range c.Store.RangeInfos() {
		if r.LeaseValid && r.Desc.Voters() > 1 {
			n++
		}
	}
	return n
}
