package store

import (
	"context"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/kv/storage/storagetest"
)

// cluster is several stores in one process: crashable memory for disks, and
// function calls for a network whose links can be cut.
type cluster struct {
	t     testing.TB
	knobs TestingKnobs
	// configure, if set, changes a store's configuration before it is opened.
	configure func(*Config)
	mu        sync.Mutex
	nodes     map[kvapi.NodeID]*testNode
	// cut holds the directed links that lose everything.
	cut map[[2]kvapi.NodeID]bool
	// lose, if set, picks messages that get lost.
	lose func(raftgroup.Envelope) bool
	// loseAsks, if set, does so with questions about leaders, and their answers.
	loseAsks func(from, to kvapi.NodeID) bool
	// snapshotsOff refuses snapshots.
	snapshotsOff bool
	// hidden is a node that Send does not ask.
	hidden kvapi.NodeID
	// silence is what it means that a node is down.
	silence allocator.Liveness
	// membership of those that are no plain members.
	membership map[kvapi.NodeID]allocator.Membership
	// unlisted nodes get no replicas.
	unlisted map[kvapi.NodeID]bool
}

type testNode struct {
	c     *cluster
	id    kvapi.NodeID
	fs    storagetest.CrashFS
	clock *hlc.Clock
	wg    sync.WaitGroup
	// process is the node since its last start; cluster.mu guards its change.
	*process
	// down nodes neither send nor receive.
	down bool
	// onWrite, if set before open, is called before every write to the disk.
	onWrite func()
}

// process is what a restart makes anew. It does not change, so that others may
// use what up and passes gave them while the node goes down and comes back.
type process struct {
	engine *storage.Engine
	store  *Store
	inbox  chan []byte
	done   chan struct{}
}

// testLeases says which leases the tests' stores take; tests that are about one
// kind say so themselves.
var testLeases = leaseFlag()

func leaseFlag() *LeaseMode {
	m := LeaderLeases
	flag.BoolFunc("expiration-leases", "stores take leases that are renewed by a command per range", func(string) error {
		m = ExpirationLeases
		return nil
	})
	return &m
}

const testMaxOffset = 250 * time.Millisecond

// newCluster starts n stores; the first is bootstrapped, the others wait for
// replicas.
func newCluster(t testing.TB, n int, knobs TestingKnobs) *cluster {
	return newClusterWith(t, n, knobs, nil)
}

func newClusterWith(t testing.TB, n int, knobs TestingKnobs, configure func(*Config)) *cluster {
	c := &cluster{t: t, knobs: knobs, configure: configure, nodes: map[kvapi.NodeID]*testNode{}, cut: map[[2]kvapi.NodeID]bool{}, silence: allocator.Silent}
	for i := 1; i <= n; i++ {
		id := kvapi.NodeID(i)
		node := &testNode{c: c, id: id, fs: storagetest.NewCrashFS(), clock: hlc.NewClock(hlc.SystemClock{}, testMaxOffset),
			down: true}
		c.nodes[id] = node
		node.open()
		ident := Ident{ClusterID: kvapi.ClusterID{1}, NodeID: id}
		var err error
		if i == 1 {
			err = Bootstrap(node.engine, node.clock, ident)
		} else {
			err = WriteIdent(node.engine, ident)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := 1; i <= n; i++ { // once nobody adds to c.nodes
		c.nodes[kvapi.NodeID(i)].start()
	}
	t.Cleanup(c.stop)
	return c
}

func (c *cluster) stop() {
	for id := range c.nodes {
		if !c.nodes[id].down {
			c.nodes[id].close()
		}
	}
}

func (n *testNode) open() {
	var fs vfs.FS = n.fs
	if n.onWrite != nil {
		fs = errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				n.onWrite()
			}
			return nil
		}))
	}
	eng, err := storage.Open(storage.Options{FS: fs, Dir: "data", OnFatal: func(error) {}})
	if err != nil {
		n.c.t.Fatal(err)
	}
	n.become(&process{engine: eng})
}

func (n *testNode) become(p *process) {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	n.process, n.down = p, p.store == nil
}

func (n *testNode) start() {
	p := &process{engine: n.engine, inbox: make(chan []byte, 4096), done: make(chan struct{})}
	cfg := Config{
		Engine: n.engine, Clock: n.clock, Transport: testTransport{n}, Txns: testTxns{n.c}, Sender: n.c, Peers: n.c,
		Nodes: n.c, Knobs: n.c.knobs, Leases: *testLeases,
		MergeAfter: -1, // tests that merge say so
		Fatal: func(err error) {
			if !n.isDown() {
				panic(err)
			}
		},
	}
	if n.c.configure != nil {
		n.c.configure(&cfg)
	}
	s, err := Open(context.Background(), cfg)
	if err != nil {
		n.c.t.Fatal(err)
	}
	p.store = s
	n.become(p)
	n.wg.Go(p.receive)
	s.Start()
}

func (n *testNode) isDown() bool {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	return n.down
}

func (p *process) receive() {
	for {
		select {
		case b := <-p.inbox:
			envs, err := raftgroup.DecodeEnvelopes(b)
			if err != nil {
				panic(err)
			}
			p.store.HandleRaft(envs)
		case <-p.done:
			return
		}
	}
}

func (n *testNode) close() {
	n.store.Stop()
	close(n.done)
	n.wg.Wait()
	if err := n.engine.Close(); err != nil {
		n.c.t.Error(err)
	}
}

// crash takes the node down as a power failure would: what was not synced is
// lost with the given chance.
func (n *testNode) crash(rng *rand.Rand, keepPercent int) {
	n.c.mu.Lock()
	n.down = true
	n.c.mu.Unlock()
	fs := n.fs.Crash(keepPercent, rng)
	n.close()
	n.fs = fs
}

// stopNode takes the node down in good order.
func (n *testNode) stopNode() {
	n.c.mu.Lock()
	n.down = true
	n.c.mu.Unlock()
	n.close()
}

func (n *testNode) restart() {
	n.open()
	n.start()
}

// LiveNodes implements NodeLister.
func (c *cluster) LiveNodes() []kvapi.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []kvapi.NodeID
	for id, n := range c.nodes {
		if !n.down && !c.unlisted[id] {
			out = append(out, id)
		}
	}
	return out
}

// Nodes implements NodeLister. A node that is down is dead at once.
func (c *cluster) Nodes() []NodeState {
	live := c.LiveNodes()
	var out []NodeState
	for id := kvapi.NodeID(1); int(id) <= len(c.nodes); id++ {
		n := NodeState{Node: allocator.Node{ID: id}, Heard: time.Now()}
		if !slices.Contains(live, id) {
			n.Liveness = c.silence
		}
		if p := c.up(id); p != nil {
			n.Replicas = float64(len(p.store.replicas.all()))
		}
		c.mu.Lock()
		n.Membership = c.membership[id]
		c.mu.Unlock()
		out = append(out, n)
	}
	return out
}

// FullNodes implements NodeLister.
func (c *cluster) FullNodes() []kvapi.NodeID {
	var out []kvapi.NodeID
	for _, id := range c.LiveNodes() {
		if n := c.up(id); n != nil && n.engine.Space() != storage.SpacePlenty {
			out = append(out, id)
		}
	}
	return out
}

func (c *cluster) up(id kvapi.NodeID) *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.nodes[id]; id != c.hidden && n != nil && !n.down {
		return n.process
	}
	return nil
}

// isolate cuts a node off, both ways, or heals it.
func (c *cluster) isolate(id kvapi.NodeID, off bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for o := range c.nodes {
		if o != id {
			c.cut[[2]kvapi.NodeID{id, o}], c.cut[[2]kvapi.NodeID{o, id}] = off, off
		}
	}
}

func (c *cluster) passes(from, to kvapi.NodeID) *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.nodes[to]
	if n == nil || n.down || c.nodes[from].down || c.cut[[2]kvapi.NodeID{from, to}] {
		return nil
	}
	return n.process
}

func (c *cluster) loses(envs []raftgroup.Envelope) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range envs {
		if c.lose != nil && c.lose(e) {
			return true
		}
	}
	return false
}

// testTransport is a node's network.
type testTransport struct{ n *testNode }

func (t testTransport) SendRaft(to kvapi.NodeID, envs []raftgroup.Envelope) bool {
	n := t.n.c.passes(t.n.id, to)
	if n == nil || t.n.c.loses(envs) {
		return false
	}
	select {
	case n.inbox <- raftgroup.AppendEnvelopes(nil, envs):
		return true
	default:
		return false
	}
}

func (t testTransport) SendLiveness(to kvapi.NodeID, m *LivenessMessage) bool {
	p := t.n.c.passes(t.n.id, to)
	t.n.c.mu.Lock()
	lose := t.n.c.loseAsks
	t.n.c.mu.Unlock()
	if p == nil || (lose != nil && m.Support == nil && lose(t.n.id, to)) {
		return false
	}
	var got LivenessMessage
	if err := got.UnmarshalWire(m.AppendWire(nil)); err != nil {
		panic(err)
	}
	p.store.HandleLiveness(t.n.id, got)
	return true
}

func (t testTransport) SendSnapshot(ctx context.Context, to kvapi.NodeID, fill func(func([]byte) error) error) error {
	n := t.n.c.passes(t.n.id, to)
	if n == nil || t.n.c.snapshotsOff {
		return fmt.Errorf("%s is unreachable", to)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	chunks, result := make(chan []byte), make(chan error, 1)
	go func() {
		defer cancel()
		result <- n.store.HandleSnapshot(ctx, func() ([]byte, error) {
			select {
			case b, ok := <-chunks:
				if !ok {
					return nil, io.EOF
				}
				return b, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
	}()
	err := fill(func(b []byte) error {
		select {
		case chunks <- append([]byte(nil), b...):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		cancel()
		<-result
		return err
	}
	close(chunks)
	return <-result
}

// Send routes a batch to whichever store serves it, and tries until it does.
// The keys of a transaction's batch are in one range. Implements kvapi.Sender.
func (c *cluster) Send(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	if ba.Txn == nil && len(ba.Requests) > 1 {
		return c.sendEach(ctx, ba)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var last *kvapi.Error
	for ctx.Err() == nil {
		for id := kvapi.NodeID(1); int(id) <= len(c.nodes); id++ {
			n := c.up(id)
			if n == nil {
				continue
			}
			br, err := n.store.Send(ctx, ba)
			if err == nil {
				return br, nil
			}
			switch err.Kind {
			case kvapi.ErrNotLeaseholder, kvapi.ErrRangeNotFound, kvapi.ErrUnavailable, kvapi.ErrRangeUnavailable, kvapi.ErrRangeMismatch:
				last = err
			default:
				return nil, err
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	if last == nil {
		last = kvapi.NewError(kvapi.ErrUnavailable, "no node")
	}
	return nil, last
}

// SendTo implements PeerSender.
func (c *cluster) SendTo(ctx context.Context, id kvapi.NodeID, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	if n := c.up(id); n != nil {
		br, err := n.store.Send(ctx, ba)
		if c.up(id) == n { // else the answer comes from beyond the power cut
			return br, err
		}
	}
	return nil, kvapi.NewError(kvapi.ErrNodeUnreachable, "%s is down", id)
}

// sendEach sends every request by itself: clean-up is of several ranges.
func (c *cluster) sendEach(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	out := &kvapi.BatchResponse{}
	for _, q := range ba.Requests {
		one := *ba
		one.Requests = []kvapi.Request{q}
		br, err := c.Send(ctx, &one)
		if err != nil {
			return nil, err
		}
		out.Responses = append(out.Responses, br.Responses...)
	}
	return out, nil
}

func (c *cluster) put(key, value string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ba := &kvapi.BatchRequest{}
	ba.Add(kvapi.Request{Kind: kvapi.Put, Key: tkey(key), Value: []byte(value)})
	_, err := c.Send(ctx, ba)
	return err.AsError()
}

func (c *cluster) get(key string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ba := &kvapi.BatchRequest{}
	ba.Add(kvapi.Request{Kind: kvapi.Get, Key: tkey(key)})
	br, err := c.Send(ctx, ba)
	if err != nil {
		return "", err
	}
	return string(br.Responses[0].Value), nil
}

func (c *cluster) admin(q kvapi.Request) error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	_, err := c.Send(ctx, (&kvapi.BatchRequest{}).Add(q))
	return err.AsError()
}

func tkey(s string) kvapi.Key { return append(keys.Table(100), s...) }

// replicateEverywhere gives every range a replica on every node.
func (c *cluster) replicateEverywhere() {
	c.t.Helper()
	c.eventually("every range has all its replicas", 60*time.Second, func() error {
		for id := range c.nodes {
			if n := c.up(id); n != nil {
				n.store.ReplicateOnce(context.Background())
			}
		}
		for id := range c.nodes {
			n := c.up(id)
			if n == nil {
				continue
			}
			infos := n.store.RangeInfos()
			if len(infos) < 3 {
				return fmt.Errorf("%s has %d ranges", id, len(infos))
			}
			for _, in := range infos {
				if len(in.Desc.Replicas) < len(c.nodes) {
					return fmt.Errorf("%s", &in.Desc)
				}
				for _, r := range in.Desc.Replicas {
					if r.Type != kvapi.Voter {
						return fmt.Errorf("%s", &in.Desc)
					}
				}
			}
		}
		return nil
	})
}

func (c *cluster) eventually(what string, within time.Duration, f func() error) {
	c.t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// leader returns the node that serves a key.
func (c *cluster) leader(key kvapi.Key) (id kvapi.NodeID) {
	c.t.Helper()
	c.eventually("somebody leads", 20*time.Second, func() error {
		for i, n := range c.nodes {
			if c.up(i) == nil {
				continue
			}
			if r := n.store.replicas.lookup(key); r != nil && r.leaseStatus(noTimestamp).IsValid() {
				id = i
				return nil
			}
		}
		return fmt.Errorf("nobody serves %s", key)
	})
	return id
}

// checkConsistency waits until all replicas have applied the same, and compares
// their data byte by byte and their statistics with a recount.
func (c *cluster) checkConsistency() {
	c.t.Helper()
	seen := map[kvapi.RangeID]bool{}
	for _, n := range c.nodes {
		if n.isDown() {
			continue
		}
		for _, r := range n.store.replicas.all() {
			if !seen[r.rangeID] && r.Desc().IsInitialized() {
				seen[r.rangeID] = true
				c.eventually(fmt.Sprintf("replicas of %s agree", r.rangeID), 20*time.Second, func() error {
					return c.compareRange(r.rangeID)
				})
			}
		}
	}
}

// compareRange compares the replicas of a range if they stand at one index.
func (c *cluster) compareRange(id kvapi.RangeID) error {
	var first string
	var at kvapi.LogIndex
	for nid := kvapi.NodeID(1); int(nid) <= len(c.nodes); nid++ {
		n := c.up(nid)
		if n == nil {
			continue
		}
		r := n.store.replicas.get(id)
		if r == nil || !r.Desc().IsInitialized() {
			continue
		}
		sum, index, err := r.fingerprint()
		switch {
		case err != nil:
			return err
		case first == "":
			first, at = sum, index
		case at != index:
			return fmt.Errorf("%s is at %d, another at %d", nid, index, at)
		case sum != first:
			c.t.Fatalf("%s: replicas differ at index %d:\n%s\n--- %s\n%s", id, at, first, nid, sum)
		}
	}
	return nil
}

// fingerprint dumps a replica's replicated data, and checks its statistics.
func (r *Replica) fingerprint() (string, kvapi.LogIndex, error) {
	r.raftMu.Lock()
	defer r.raftMu.Unlock()
	r.mu.RLock()
	desc, st := r.mu.desc, r.mu.applied
	r.mu.RUnlock()
	eng := r.store.cfg.Engine
	stats, err := mvcc.Recompute(eng, desc.StartKey, desc.EndKey)
	if err != nil {
		return "", 0, err
	}
	if stats != st.Stats {
		return "", 0, fmt.Errorf("%s statistics: kept %+v, counted %+v", r.rangeID, st.Stats, stats)
	}
	disk, err := loadRangeState(eng, r.rangeID)
	if err != nil {
		return "", 0, err
	}
	r.mu.RLock()
	inMemory := rangeState{desc: *r.mu.desc, lease: r.mu.lease, applied: r.mu.applied, gcThreshold: r.mu.gcThreshold}
	r.mu.RUnlock()
	if !reflect.DeepEqual(disk, inMemory) {
		return "", 0, fmt.Errorf("%s: on disk %+v, in memory %+v", r.rangeID, disk, inMemory)
	}
	var written kvapi.RangeDescriptor
	v, ok, err := mvcc.Get(eng, keys.RangeDescriptor(desc.StartKey), r.store.cfg.Clock.Now().Timestamp(),
		mvcc.ReadOptions{Inconsistent: true})
	if err != nil || !ok || written.UnmarshalWire(v) != nil || !reflect.DeepEqual(written, *desc) {
		return "", 0, fmt.Errorf("%s: descriptor written as %s, known as %s (%v)", r.rangeID, &written, desc, err)
	}
	p := keys.RangeIDReplicatedPrefix(r.rangeID)
	spans := append([]kvapi.Span{{Key: p, EndKey: p.PrefixEnd()}}, sliceOf(userSpans(desc))...)
	var out strings.Builder
	for _, sp := range spans {
		it, err := eng.NewIter(nil)
		if err != nil {
			return "", 0, err
		}
		lower, upper := storage.EncodeKey(nil, sp.Key), storage.EncodeKey(nil, sp.EndKey)
		for ok := it.SeekGE(lower); ok && eng.Pebble() != nil && string(it.Key()) < string(upper); ok = it.Next() {
			fmt.Fprintf(&out, "%q=%08x\n", it.Key(), crc32.ChecksumIEEE(it.Value()))
		}
		if err := it.Close(); err != nil {
			return "", 0, err
		}
	}
	return out.String(), st.Index, nil
}

func sliceOf(a [4]kvapi.Span) []kvapi.Span { return a[:] }
