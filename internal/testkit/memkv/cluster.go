package memkv

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/btree"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// defaultExpiry is how long a transaction without heartbeat counts as alive.
const defaultExpiry = 5 * time.Second

// Fault is what a test does to one batch. Before is returned instead of
// evaluating, After instead of the answer. Both may block.
type Fault struct{ Before, After *kvapi.Error }

// Hook is asked about every batch that reaches a node.
type Hook func(ctx context.Context, node kvapi.NodeID, ba *kvapi.BatchRequest) Fault

// Cluster is the whole cluster. Set the exported fields before use.
type Cluster struct {
	onSend atomic.Pointer[Hook]
	// RecoverEagerly makes any reader of an intent recover its staging
	// transaction at once, however alive the coordinator is.
	RecoverEagerly bool
	// Expiry is how long a transaction without heartbeat counts as alive.
	Expiry time.Duration
	// Programs are those of scans, nil for none.
	Programs kvapi.Programs
	// Batches counts batches that were evaluated.
	Batches atomic.Int64

	clock *hlc.Clock
	nodes []kvapi.NodeID
	mu    struct {
		sync.Mutex
		wake    chan struct{}
		ranges  []*kvapi.RangeInfo
		nextID  kvapi.RangeID
		cells   *btree.BTreeG[*cell]
		records map[kvapi.TxnID]*kvapi.Transaction
		// finished remembers what became of transactions without record.
		finished map[kvapi.TxnID]kvapi.TxnStatus
		pushedTo map[kvapi.TxnID]hlc.Timestamp
		waits    map[kvapi.TxnID]kvapi.TxnID
		spans    []readSpan
		floor    hlc.Timestamp
	}
}

// New returns a cluster of nodes 1..nodes with one range for the addressing
// records and one for everything else; node 1 leads both.
func New(clock *hlc.Clock, nodes int) *Cluster {
	c := &Cluster{clock: clock, Expiry: defaultExpiry}
	for n := 1; n <= nodes; n++ {
		c.nodes = append(c.nodes, kvapi.NodeID(n))
	}
	c.mu.wake = make(chan struct{})
	c.mu.cells = btree.NewG(32, func(a, b *cell) bool { return a.key.Less(b.key) })
	c.mu.records = map[kvapi.TxnID]*kvapi.Transaction{}
	c.mu.finished = map[kvapi.TxnID]kvapi.TxnStatus{}
	c.mu.pushedTo = map[kvapi.TxnID]hlc.Timestamp{}
	c.mu.waits = map[kvapi.TxnID]kvapi.TxnID{}
	c.mu.nextID = 3
	c.mu.ranges = []*kvapi.RangeInfo{c.newRange(1, keys.Min, keys.MetaMax), c.newRange(2, keys.MetaMax, keys.Max)}
	return c
}

func (c *Cluster) newRange(id kvapi.RangeID, start, end kvapi.Key) *kvapi.RangeInfo {
	d := kvapi.RangeDescriptor{RangeID: id, StartKey: start, EndKey: end, Generation: 1, NextReplicaID: 1}
	for _, n := range c.nodes {
		d.Replicas = append(d.Replicas, kvapi.ReplicaDescriptor{NodeID: n, ReplicaID: d.NextReplicaID})
		d.NextReplicaID++
	}
	return &kvapi.RangeInfo{Desc: d, Lease: kvapi.Lease{Sequence: 1, Holder: d.Replicas[0]}}
}

// SetOnSend sets the hook.
func (c *Cluster) SetOnSend(h Hook) { c.onSend.Store(&h) }

// FirstRange implements rangecache.FirstRangeProvider.
func (c *Cluster) FirstRange() (kvapi.RangeDescriptor, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.ranges[0].Desc, nil
}

// Ranges returns all ranges in key order.
func (c *Cluster) Ranges() []kvapi.RangeInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []kvapi.RangeInfo
	for _, r := range c.mu.ranges {
		out = append(out, *r)
	}
	return out
}

// Split makes k the start of a range.
func (c *Cluster) Split(k kvapi.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.splitLocked(k)
}

func (c *Cluster) splitLocked(k kvapi.Key) {
	i := c.rangeOfLocked(k)
	left := *c.mu.ranges[i]
	if left.Desc.StartKey.Equal(k) || i == 0 {
		return
	}
	right := left
	right.Desc.RangeID, c.mu.nextID = c.mu.nextID, c.mu.nextID+1
	right.Desc.StartKey, left.Desc.EndKey = k.Clone(), k.Clone()
	left.Desc.Generation++
	right.Desc.Generation = left.Desc.Generation
	rs := append([]*kvapi.RangeInfo(nil), c.mu.ranges[:i]...)
	c.mu.ranges = append(append(rs, &left, &right), c.mu.ranges[i+1:]...)
}

// Merge joins the range that holds k with its right neighbour.
func (c *Cluster) Merge(k kvapi.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.rangeOfLocked(k)
	if i == 0 || i+1 >= len(c.mu.ranges) {
		return
	}
	left, right := *c.mu.ranges[i], c.mu.ranges[i+1]
	left.Desc.EndKey = right.Desc.EndKey
	left.Desc.Generation = max(left.Desc.Generation, right.Desc.Generation) + 1
	rs := append([]*kvapi.RangeInfo(nil), c.mu.ranges[:i]...)
	c.mu.ranges = append(append(rs, &left), c.mu.ranges[i+2:]...)
}

// MoveLease makes node the leaseholder of the range that holds k, whose
// unreplicated locks are lost.
func (c *Cluster) MoveLease(k kvapi.Key, node kvapi.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.rangeOfLocked(k)
	r := *c.mu.ranges[i]
	if h, ok := r.Desc.Replica(node); ok {
		r.Lease = kvapi.Lease{Sequence: r.Lease.Sequence + 1, Holder: h}
		c.mu.ranges[i] = &r
		for _, e := range c.cellsIn(kvapi.Span{Key: r.Desc.StartKey, EndKey: r.Desc.EndKey}) {
			e.locks = nil
		}
		c.wakeAll()
	}
}

func (c *Cluster) rangeOfLocked(k kvapi.Key) int {
	for i, r := range c.mu.ranges {
		if r.Desc.ContainsKey(k) {
			return i
		}
	}
	panic(fmt.Sprintf("memkv: no range holds %s", k))
}

// Send implements rangecache.Transport.
func (c *Cluster) Send(ctx context.Context, node kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	var f Fault
	if h := c.onSend.Load(); h != nil {
		f = (*h)(ctx, node, ba)
	}
	if f.Before != nil {
		return nil, f.Before
	}
	br, err := c.serve(ctx, node, ba)
	if f.After != nil {
		return nil, f.After
	}
	if err != nil {
		err.Now = c.clock.Now()
		return nil, err
	}
	br.Now = c.clock.Now()
	return br, nil
}

func (c *Cluster) serve(ctx context.Context, node kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		r, err := c.routeLocked(node, ba)
		if err != nil {
			return nil, err
		}
		if ba.IsAdmin() {
			return c.adminLocked(ba)
		}
		c.Batches.Add(1)
		e := newEval(c, node, ba)
		br, err := e.run(r)
		if e.conflict == nil {
			return br, err
		}
		if err := c.settleOrWaitLocked(ctx, e); err != nil {
			return nil, err
		}
	}
}

// routeLocked checks that the batch is at the right place.
func (c *Cluster) routeLocked(node kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.RangeInfo, *kvapi.Error) {
	for _, r := range c.mu.ranges {
		if r.Desc.RangeID != ba.RangeID {
			continue
		}
		if ba.Requests[0].Kind == kvapi.LeaseInfo {
			return r, nil
		}
		if r.Lease.Holder.NodeID != node {
			err := kvapi.NewError(kvapi.ErrNotLeaseholder, "%s", r.Lease.Holder)
			err.Infos = []kvapi.RangeInfo{*r}
			return nil, err
		}
		for i := range ba.Requests {
			sp := ba.Requests[i].Span()
			if k, aerr := keys.Addr(sp.Key); aerr == nil {
				sp.Key = k
			}
			if !r.Desc.ContainsSpan(sp) {
				return nil, c.mismatchLocked(r, sp)
			}
		}
		return r, nil
	}
	return nil, kvapi.NewError(kvapi.ErrRangeNotFound, "%s", ba.RangeID)
}

func (c *Cluster) mismatchLocked(r *kvapi.RangeInfo, sp kvapi.Span) *kvapi.Error {
	err := kvapi.NewError(kvapi.ErrRangeMismatch, "%s is not in %s", sp, &r.Desc)
	err.Infos = append(err.Infos, *r)
	for _, o := range c.mu.ranges {
		if o != r && o.Desc.Span().Overlaps(sp) {
			err.Infos = append(err.Infos, *o)
		}
	}
	return err
}

func (c *Cluster) adminLocked(ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	if ba.Requests[0].Kind != kvapi.AdminSplit {
		return nil, kvapi.NewError(kvapi.ErrInternal, "memkv does not do %s", ba.Requests[0].Kind)
	}
	c.splitLocked(ba.Requests[0].Key)
	return &kvapi.BatchResponse{Responses: []kvapi.Response{{Kind: kvapi.AdminSplit}}}, nil
}

// metaRows are the addressing records, made up on demand.
func (c *Cluster) metaRows(sp kvapi.Span) []kvapi.KeyValue {
	var out []kvapi.KeyValue
	for _, r := range c.mu.ranges {
		if k := keys.RangeMetaKey(r.Desc.EndKey); sp.Contains(k) {
			out = append(out, kvapi.KeyValue{Key: k, Value: r.Desc.AppendWire(nil)})
		}
	}
	return out
}
