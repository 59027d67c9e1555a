package liveness

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// world is nodes with clocks that differ, a network that delays, loses and
// repeats, and processes that pause and crash between any two steps.
type world struct {
	rng   *rand.Rand
	now   time.Duration
	nodes []*simNode
	net   []flight
	knobs Knobs
}

type simNode struct {
	id    kvapi.NodeID
	skew  time.Duration
	hlc   hlc.Timestamp
	core  *Core
	rec   Record
	given map[kvapi.NodeID]Given
	got   map[kvapi.NodeID]Got
	// undone is a Ready whose record is not yet durable.
	undone *Ready
	paused time.Duration
}

type flight struct {
	at       time.Duration
	from, to int
	clock    hlc.Timestamp
	m        Message
}

const (
	simNodes  = 3
	simOffset = 250 * time.Millisecond
)

func (w *world) clock(n *simNode) hlc.ClockTimestamp {
	n.hlc.Forward(n.hlc.Next())
	n.hlc.Forward(hlc.Timestamp{WallTime: int64(time.Hour + w.now + n.skew)})
	return hlc.ClockTimestamp(n.hlc)
}

func (n *simNode) start(knobs Knobs) {
	n.core = NewCore(n.id, DefaultSupport, n.rec, knobs)
	n.given, n.got, n.undone = map[kvapi.NodeID]Given{}, map[kvapi.NodeID]Got{}, nil
	for _, g := range n.core.Ready().Given {
		n.given[g.Node] = g
	}
	var peers []kvapi.NodeID
	for i := range simNodes {
		peers = append(peers, kvapi.NodeID(i+1))
	}
	n.core.SetPeers(peers)
}

// take has a node handle what it wants done, in two steps between which it may
// crash.
func (w *world) take(n *simNode) {
	if n.undone == nil {
		rd := n.core.Ready()
		n.undone = &rd
	}
	if w.rng.IntN(10) == 0 {
		return // the disk is slow
	}
	rd := n.undone
	n.undone = nil
	if rd.Record != nil {
		n.rec = *rd.Record
	}
	if w.rng.IntN(200) == 0 {
		n.start(w.knobs) // it was written, but nobody has heard
		return
	}
	for _, g := range rd.Given {
		n.given[g.Node] = g
	}
	for _, g := range rd.Got {
		n.got[g.Node] = g
	}
	for _, m := range rd.Messages {
		w.send(n, m)
	}
}

func (w *world) send(n *simNode, m Addressed) {
	if w.rng.IntN(5) == 0 {
		return
	}
	for range 1 + w.rng.IntN(20)/19 {
		delay := time.Duration(w.rng.Int64N(int64(50 * time.Millisecond)))
		if w.rng.IntN(10) == 0 {
			delay *= 100
		}
		w.net = append(w.net, flight{w.now + delay, int(n.id) - 1, int(m.To) - 1, hlc.Timestamp(w.clock(n)), m.Message})
	}
}

func (w *world) step() {
	w.now += time.Duration(w.rng.Int64N(int64(20 * time.Millisecond)))
	kept := w.net[:0]
	var due []flight
	for _, f := range w.net {
		if f.at <= w.now && w.nodes[f.to].paused <= w.now {
			due = append(due, f)
		} else {
			kept = append(kept, f)
		}
	}
	w.net = kept
	for _, f := range due {
		to := w.nodes[f.to]
		if time.Duration(f.clock.WallTime)-time.Hour-w.now-to.skew > simOffset {
			continue // refused by the clock
		}
		to.hlc.Forward(f.clock)
		if to.undone == nil {
			to.core.Receive(kvapi.NodeID(f.from+1), f.m, w.clock(to))
			w.take(to)
		}
	}
	n := w.nodes[w.rng.IntN(simNodes)]
	switch w.rng.IntN(300) {
	case 0:
		n.start(w.knobs) // a crash: what was not written is lost
	case 1:
		n.paused = w.now + time.Duration(w.rng.Int64N(int64(6*time.Second)))
	case 2:
		n.skew = time.Duration(w.rng.Int64N(int64(simOffset))) - simOffset/2
	}
	if n.paused > w.now {
		return
	}
	if n.undone == nil && w.rng.IntN(4) == 0 {
		n.core.Tick(w.clock(n))
	}
	w.take(n)
}

// check compares what each node counts on with what its peers do. A peer that
// is not bound any more, or only by another epoch, has a clock beyond the time.
func (w *world) check() error {
	for _, a := range w.nodes {
		for id, g := range a.got {
			b := w.nodes[id-1]
			if id == a.id || g.Epoch == 0 || g.Until.IsEmpty() || b.given[a.id].Epoch == g.Epoch {
				continue
			}
			if now := hlc.Timestamp(w.clock(b)); now.Less(g.Until) {
				return fmt.Errorf("at %s %s counts on %s at epoch %d until %s, which gives epoch %d and whose clock shows %s",
					w.now, a.id, id, g.Epoch, seconds(g.Until), b.given[a.id].Epoch, seconds(now))
			}
		}
	}
	return nil
}

func runWorld(seed uint64, knobs Knobs) (supported int, err error) {
	w := &world{rng: rand.New(rand.NewPCG(seed, 0)), knobs: knobs}
	for i := range simNodes {
		n := &simNode{id: kvapi.NodeID(i + 1), skew: time.Duration(w.rng.Int64N(int64(simOffset))) - simOffset/2}
		n.start(knobs)
		w.nodes = append(w.nodes, n)
	}
	for range 6000 {
		w.step()
		if err := w.check(); err != nil {
			return supported, err
		}
		for _, n := range w.nodes {
			for _, g := range n.got {
				if now := hlc.Timestamp(w.clock(n)); now.Less(g.Until) {
					supported++
				}
			}
		}
	}
	return supported, nil
}

// TestSupportIsKept: what a node counts on, its peers keep to, under skewed
// clocks, pauses, crashes between write and answer, and lost, late and repeated
// messages.
func TestSupportIsKept(t *testing.T) {
	for seed := range uint64(40) {
		supported, err := runWorld(seed, Knobs{})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if supported < 6000 {
			t.Fatalf("seed %d: nodes supported each other in %d of %d moments only", seed, supported, 6000*6)
		}
	}
}

// TestEarlyWithdrawalIsSeen: the test above finds support that is withdrawn
// before its time.
func TestEarlyWithdrawalIsSeen(t *testing.T) {
	for seed := range uint64(40) {
		if _, err := runWorld(seed, Knobs{WithdrawEarly: simOffset}); err != nil {
			return
		}
	}
	t.Error("nobody noticed")
}
