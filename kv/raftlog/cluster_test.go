package raftlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/kv/storage/storagetest"
)

// Three replicas of one range over real logs, engines and writers. A driver
// takes random steps: deliver, lose or repeat a message, tick, propose,
// truncate, stall a disk, crash a node (what its disk had not synced is gone),
// restart it. After the faults stop, everything must be applied everywhere.
//
// Claims: what one replica applied at an index, no other contradicts; nobody
// votes twice in a term; no term or vote that was acknowledged is forgotten.

const simRange = kvapi.RangeID(7)

type cluster struct {
	rng   *rand.Rand
	knobs Knobs
	nodes []*simNode
	net   []raftgroup.Envelope
	// chosen is what was applied, by index.
	chosen map[kvapi.LogIndex]raftgroup.Entry
	// votes and terms are what each replica told others.
	votes    map[[2]uint64]kvapi.ReplicaID
	terms    map[kvapi.ReplicaID]kvapi.Term
	proposed int
	// snapshots counts those installed.
	snapshots int
}

type simNode struct {
	c       *cluster
	id      kvapi.ReplicaID
	disk    storagetest.CrashFS
	gate    *gate
	eng     *storage.Engine
	w       *Writer
	log     *Log
	group   *raftgroup.Group
	applied kvapi.LogIndex
	stalled bool
	inbox   *inbox
}

// inbox receives what became durable.
type inbox struct {
	mu   sync.Mutex
	msgs []raftgroup.Message
}

func (i *inbox) done(m []raftgroup.Message) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.msgs = append(i.msgs, m...)
}

func (i *inbox) take() []raftgroup.Message {
	i.mu.Lock()
	defer i.mu.Unlock()
	m := i.msgs
	i.msgs = nil
	return m
}

// gate holds syncs while it is closed.
type gate struct {
	mu   sync.Mutex
	open *sync.Cond
	shut bool
}

func newGate() *gate {
	g := &gate{}
	g.open = sync.NewCond(&g.mu)
	return g
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	g.shut = shut
	g.mu.Unlock()
	g.open.Broadcast()
}

func (g *gate) inject(op errorfs.Op) error {
	if op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData && op.Kind != errorfs.OpFileSyncTo {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.shut {
		g.open.Wait()
	}
	return nil
}

func newCluster(seed uint64, k Knobs) (*cluster, error) {
	c := &cluster{
		rng: rand.New(rand.NewPCG(seed, 7)), knobs: k,
		chosen: map[kvapi.LogIndex]raftgroup.Entry{},
		votes:  map[[2]uint64]kvapi.ReplicaID{},
		terms:  map[kvapi.ReplicaID]kvapi.Term{},
	}
	for id := kvapi.ReplicaID(1); id <= 3; id++ {
		n := &simNode{c: c, id: id, disk: storagetest.NewCrashFS()}
		c.nodes = append(c.nodes, n)
		if err := n.bootstrap(); err != nil {
			return nil, err
		}
		if err := n.start(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (n *simNode) open() (err error) {
	n.gate = newGate()
	fs := errorfs.Wrap(n.disk, errorfs.InjectorFunc(n.gate.inject))
	n.eng, err = storage.Open(storage.Options{FS: fs, Dir: "store", CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	return err
}

func (n *simNode) bootstrap() error {
	if err := n.open(); err != nil {
		return err
	}
	b := n.eng.NewBatch()
	return errors.Join(
		PutTruncatedState(b, simRange, TruncatedState{Index: 10, Term: 5}),
		PutHardState(b, simRange, raftgroup.HardState{Term: 5, Commit: 10}),
		putApplied(b, 10), n.eng.Commit(b, true), b.Close(), n.eng.Close())
}

func putApplied(w storage.Writer, i kvapi.LogIndex) error {
	return storage.PutUnversioned(w, keys.AppliedState(simRange), binary.BigEndian.AppendUint64(nil, uint64(i)))
}

var simConf = raftgroup.ConfState{Voters: []kvapi.ReplicaID{1, 2, 3}}

func (n *simNode) start() error {
	if err := n.open(); err != nil {
		return err
	}
	v, _, err := storage.GetUnversioned(n.eng, keys.AppliedState(simRange))
	if err != nil {
		return err
	}
	n.applied = kvapi.LogIndex(binary.BigEndian.Uint64(v))
	n.inbox = &inbox{}
	// A tiny cache, so that the engine is read as well.
	if n.log, err = Load(n.eng, NewCache(600), simRange); err != nil {
		return err
	}
	if hs := n.log.HardState(); hs.Term < n.c.terms[n.id] {
		return fmt.Errorf("replica %d forgot term %d, it restarts in %s", n.id, n.c.terms[n.id], hs)
	}
	n.w = NewWriter(n.eng, Options{Knobs: n.c.knobs})
	n.group, err = raftgroup.New(raftgroup.Config{
		ID: n.id, Log: n.log, HardState: n.log.HardState(), ConfState: simConf, Applied: n.applied,
		Snapshot: func() (raftgroup.Snapshot, error) {
			term, err := n.log.Term(n.applied)
			return raftgroup.Snapshot{Index: n.applied, Term: term, ConfState: simConf}, err
		},
	})
	return err
}

// crash replaces the node by what its disk kept.
func (n *simNode) crash() error {
	disk := n.disk.Crash([]int{0, 0, 50}[n.c.rng.IntN(3)], n.c.rng)
	if err := n.stop(); err != nil {
		return err
	}
	n.disk = disk
	return n.start()
}

func (n *simNode) stop() error {
	n.stall(false)
	n.w.Stop()
	return n.eng.Close()
}

func (n *simNode) stall(on bool) {
	n.stalled = on
	n.gate.set(on)
}

// turn does what a scheduler's pass does.
func (n *simNode) turn() error {
	if err := n.deliver(n.inbox.take()); err != nil {
		return err
	}
	for n.group.HasReady() {
		rd := n.group.Ready()
		if err := n.deliver(rd.Messages); err != nil {
			return err
		}
		if err := n.append(rd.Append); err != nil {
			return err
		}
		if err := n.apply(rd.Apply); err != nil {
			return err
		}
	}
	return nil
}

// deliver steps what is for the group itself and sends the rest.
func (n *simNode) deliver(msgs []raftgroup.Message) error {
	for _, m := range msgs {
		if m.To() == n.id {
			if err := n.group.Step(m); err != nil {
				return err
			}
			continue
		}
		if err := n.c.witness(n.id, m); err != nil {
			return err
		}
		n.c.net = append(n.c.net, raftgroup.Envelope{
			RangeID: simRange, From: kvapi.ReplicaDescriptor{ReplicaID: n.id},
			To: kvapi.ReplicaDescriptor{ReplicaID: m.To()}, Message: m,
		})
	}
	return nil
}

// witness remembers what a replica tells others, and finds contradictions.
func (c *cluster) witness(id kvapi.ReplicaID, m raftgroup.Message) error {
	switch m.Type() {
	case raftgroup.MsgVoteResponse:
		if !m.Rejects() {
			at := [2]uint64{uint64(id), uint64(m.Term())}
			if v, ok := c.votes[at]; ok && v != m.To() {
				return fmt.Errorf("replica %d votes for %d and %d in term %d", id, v, m.To(), m.Term())
			}
			c.votes[at] = m.To()
		}
		c.terms[id] = max(c.terms[id], m.Term())
	case raftgroup.MsgAppendResponse:
		c.terms[id] = max(c.terms[id], m.Term())
	}
	return nil
}

func (n *simNode) append(a *raftgroup.StorageAppend) error {
	if a == nil {
		return nil
	}
	if a.Snapshot != nil {
		return n.install(a)
	}
	return n.w.Append(context.Background(), n.log, a, n.inbox.done)
}

func (n *simNode) install(a *raftgroup.StorageAppend) error {
	n.stall(false)
	if err := n.w.Barrier(context.Background()); err != nil {
		return err
	}
	hs := n.log.HardState()
	if !a.HardState.IsEmpty() {
		hs = a.HardState
	}
	ts := TruncatedState{Index: a.Snapshot.Index, Term: a.Snapshot.Term}
	n.applied = ts.Index
	n.c.snapshots++
	b := n.eng.NewBatch()
	err := errors.Join(ClearEntries(b, simRange), PutTruncatedState(b, simRange, ts),
		PutHardState(b, simRange, hs), putApplied(b, n.applied), n.eng.Commit(b, true), b.Close())
	n.log.Reset(ts, hs)
	n.inbox.done(a.Responses)
	return err
}

func (n *simNode) apply(a *raftgroup.StorageApply) error {
	if a == nil {
		return nil
	}
	for _, e := range a.Entries {
		if e.Index != n.applied+1 {
			return fmt.Errorf("replica %d applies %d after %d", n.id, e.Index, n.applied)
		}
		if was, ok := n.c.chosen[e.Index]; ok && (was.Term != e.Term || !bytes.Equal(was.Data, e.Data)) {
			return fmt.Errorf("replica %d applies %d/%q at %d, another %d/%q", n.id, e.Term, e.Data, e.Index, was.Term, was.Data)
		}
		n.c.chosen[e.Index] = e
		n.applied = e.Index
	}
	b := n.eng.NewBatch()
	if n.c.rng.IntN(10) == 0 {
		if err := n.truncate(b); err != nil {
			return err
		}
	}
	if err := errors.Join(putApplied(b, n.applied), n.eng.Commit(b, false), b.Close()); err != nil {
		return err
	}
	return n.deliver(a.Responses)
}

func (n *simNode) truncate(b *storage.Batch) error {
	to := n.applied - min(n.applied, kvapi.LogIndex(n.c.rng.IntN(20)))
	if to < n.log.FirstIndex() {
		return nil
	}
	term, err := n.log.Term(to)
	if err != nil {
		return err
	}
	return n.log.Truncate(b, TruncatedState{Index: to, Term: term})
}

// carry delivers the message at a place of the network, through the codec.
func (c *cluster) carry(i int) error {
	e := c.net[i]
	c.net[i] = c.net[len(c.net)-1]
	c.net = c.net[:len(c.net)-1]
	got, err := raftgroup.DecodeEnvelopes(raftgroup.AppendEnvelopes(nil, []raftgroup.Envelope{e}))
	if err != nil {
		return err
	}
	if e.Message.Type() == raftgroup.MsgSnapshot {
		c.nodes[e.From.ReplicaID-1].group.ReportSnapshot(e.To.ReplicaID, true)
	}
	return c.nodes[e.To.ReplicaID-1].group.Step(got[0].Message)
}

func (c *cluster) lose(i int) {
	e := c.net[i]
	c.net[i] = c.net[len(c.net)-1]
	c.net = c.net[:len(c.net)-1]
	from := c.nodes[e.From.ReplicaID-1].group
	if e.Message.Type() == raftgroup.MsgSnapshot {
		from.ReportSnapshot(e.To.ReplicaID, false)
	} else if e.Message.Type() == raftgroup.MsgAppend {
		from.ReportUnreachable(e.To.ReplicaID)
	}
}

// step takes one random step.
func (c *cluster) step() error {
	n := c.nodes[c.rng.IntN(3)]
	p := c.rng.IntN(1000)
	switch {
	case p < 400 && len(c.net) > 0:
		return c.carry(c.rng.IntN(len(c.net)))
	case p < 410 && len(c.net) > 0:
		c.lose(c.rng.IntN(len(c.net)))
	case p < 420 && len(c.net) > 0:
		c.net = append(c.net, c.net[c.rng.IntN(len(c.net))])
	case p < 470:
		n.group.Tick()
	case p < 540:
		c.propose(n)
	case p < 546:
		n.stall(!n.stalled)
	case p < 549:
		return n.crash()
	case p < 680 && !n.stalled:
		return n.w.Barrier(context.Background())
	default:
		return n.turn()
	}
	return nil
}

func (c *cluster) propose(n *simNode) {
	var cmds [][]byte
	for range 1 + c.rng.IntN(3) {
		c.proposed++
		cmds = append(cmds, fmt.Appendf(nil, "command %d %s", c.proposed, bytes.Repeat([]byte{'x'}, c.rng.IntN(60))))
	}
	// Refusal is normal: most nodes do not lead.
	_ = n.group.Propose(cmds)
}

// calm runs without faults until a new command is applied everywhere.
func (c *cluster) calm() error {
	for _, n := range c.nodes {
		n.stall(false)
	}
	mark := []byte("last command")
	for range 3000 {
		for _, n := range c.nodes {
			n.group.Tick()
			if n.group.Status().IsLeader() {
				_ = n.group.Propose([][]byte{mark})
			}
			if err := errors.Join(n.w.Barrier(context.Background()), n.turn()); err != nil {
				return err
			}
		}
		for len(c.net) > 0 {
			if err := c.carry(0); err != nil {
				return err
			}
		}
		if c.allApplied(mark) {
			return nil
		}
	}
	return errors.New("no progress after the faults stopped")
}

func (c *cluster) allApplied(mark []byte) bool {
	for _, n := range c.nodes {
		if !bytes.Equal(c.chosen[n.applied].Data, mark) {
			return false
		}
	}
	return true
}

// simulate runs one seed. A panic of the library is a failure too: it finds
// some contradictions itself.
func simulate(seed uint64, steps int, k Knobs) (c *cluster, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if c, err = newCluster(seed, k); err != nil {
		return c, err
	}
	for i := range steps {
		if err := c.step(); err != nil {
			return c, fmt.Errorf("step %d: %w", i, err)
		}
	}
	if err := c.calm(); err != nil {
		return c, err
	}
	for _, n := range c.nodes {
		if err := n.stop(); err != nil {
			return c, err
		}
	}
	return c, nil
}

var (
	firstSeed = flag.Uint64("seed", 0, "first seed of the simulated clusters")
	seeds     = flag.Uint64("seeds", 12, "number of seeds")
)

func TestNothingCommittedIsLost(t *testing.T) {
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		c, err := simulate(seed, 15000, Knobs{})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		t.Logf("seed %d: %d chosen, %d snapshots", seed, len(c.chosen), c.snapshots)
		if len(c.chosen) < 20 {
			t.Fatalf("seed %d: only %d entries chosen", seed, len(c.chosen))
		}
	}
}

// TestAckBeforeSyncIsCaught: the claims above notice a writer that lies.
func TestAckBeforeSyncIsCaught(t *testing.T) {
	for seed := range uint64(40) {
		if _, err := simulate(seed, 3000, Knobs{UnsafeAckBeforeSync: true}); err != nil {
			t.Logf("seed %d: %v", seed, err)
			return
		}
	}
	t.Fatal("acknowledging before the sync went unnoticed")
}
