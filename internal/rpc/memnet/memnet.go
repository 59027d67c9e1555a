// Package memnet is the network of simulated clusters: rpc.Transport in memory,
// with seeded faults, meant to run inside a testing/synctest bubble where
// delays cost no real time.
//
//	Endpoint.Send/Call ─► link (from, to): cut? drop? duplicate? delay ─► Mux of to
//
// Messages are encoded and decoded as on a real network, so sharing memory by
// mistake is found. One-way messages of a link and class arrive in order
// unless Faults.Reorder says otherwise. A call whose request or answer is lost
// fails as possibly delivered after Timeout, as the real transport's pings
// would make it; a call to a node that is down fails at once as not delivered.
package memnet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/rpc"
)

// Timeout is after how long a lost call fails.
const Timeout = 3 * time.Second

// queueMax bounds the messages under way on one link and class.
const queueMax = 10_000

// Faults is how one direction of a link misbehaves. The zero value is a
// perfect link without delay.
type Faults struct {
	// Cut loses everything.
	Cut bool
	// Drop, Duplicate and Reorder are probabilities per message. Only one-way
	// messages are duplicated or reordered.
	Drop, Duplicate, Reorder float64
	// Delay is drawn evenly from [DelayMin, DelayMax].
	DelayMin, DelayMax time.Duration
	// HeldUntil holds what is sent before that time back until then: the link
	// of a process that is paused.
	HeldUntil time.Time
}

type linkKey struct{ from, to rpc.NodeID }

// Network joins the endpoints of one simulated cluster. It is safe for
// concurrent use.
type Network struct {
	mu        sync.Mutex
	rnd       *rand.Rand
	endpoints map[rpc.NodeID]*Endpoint
	faults    map[linkKey]Faults
	normal    Faults
	// off are the nodes whose power was cut, until they attach again.
	off map[rpc.NodeID]bool
	// Lost and Delivered count messages, for the report of a run.
	lost, delivered int64
	trace           func(Delivery)
}

// Delivery is a message that was not lost: a request, an answer, or one that
// nobody answers.
type Delivery struct {
	From, To      rpc.NodeID
	Class         rpc.Class
	Sent, Arrives time.Time
}

// Trace has f told of every message that is not lost, as it is sent. f must not
// use the network.
func (n *Network) Trace(f func(Delivery)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.trace = f
}

// New returns a network whose faults are drawn from seed.
func New(seed uint64) *Network {
	return &Network{rnd: rand.New(rand.NewPCG(seed, 0x6d656d)), endpoints: map[rpc.NodeID]*Endpoint{},
		faults: map[linkKey]Faults{}, off: map[rpc.NodeID]bool{}}
}

// SetDefault sets the faults of every link that has none of its own.
func (n *Network) SetDefault(f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.normal = f
}

// SetLink sets the faults of one direction of a link.
func (n *Network) SetLink(from, to rpc.NodeID, f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults[linkKey{from, to}] = f
}

// PowerOff makes a node fall silent for good: what its process says or hears
// while it is being taken down is lost, whatever becomes of its links. What it
// said before still arrives. Attach ends it.
func (n *Network) PowerOff(id rpc.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.off[id] = true
}

// Heal removes the faults of all links but the default ones.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.faults)
}

// Counts returns how many messages were delivered and lost.
func (n *Network) Counts() (delivered, lost int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.delivered, n.lost
}

// fate draws what happens to one message.
type fate struct {
	lost, duplicate, reorder bool
	delay                    time.Duration
}

func (n *Network) fate(from, to rpc.NodeID, c rpc.Class) fate {
	n.mu.Lock()
	defer n.mu.Unlock()
	f, ok := n.faults[linkKey{from, to}]
	if !ok {
		f = n.normal
	}
	var d fate
	d.lost = f.Cut || n.off[from] || n.off[to] || n.rnd.Float64() < f.Drop
	d.duplicate = n.rnd.Float64() < f.Duplicate
	d.reorder = n.rnd.Float64() < f.Reorder
	d.delay = f.DelayMin
	if f.DelayMax > f.DelayMin {
		d.delay += time.Duration(n.rnd.Int64N(int64(f.DelayMax - f.DelayMin)))
	}
	if held := time.Until(f.HeldUntil); held > d.delay {
		d.delay = held
	}
	if d.lost {
		n.lost++
	} else {
		n.delivered++
		if n.trace != nil {
			now := time.Now()
			n.trace(Delivery{From: from, To: to, Class: c, Sent: now, Arrives: now.Add(d.delay)})
		}
	}
	return d
}

func (n *Network) endpoint(id rpc.NodeID) *Endpoint {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.endpoints[id]
}

// Attach brings a node up. A node that was attached before under the same id
// must have been closed.
func (n *Network) Attach(id rpc.NodeID, clock *hlc.Clock, mux *rpc.Mux) *Endpoint {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.endpoints[id] != nil {
		panic(fmt.Sprintf("memnet: node %s is attached already", id))
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	e := &Endpoint{net: n, id: id, clock: clock, mux: mux, ctx: ctx, cancel: cancel, queues: map[queueKey]chan message{}}
	n.endpoints[id] = e
	delete(n.off, id)
	return e
}

// Endpoint is one node's Transport.
type Endpoint struct {
	net    *Network
	id     rpc.NodeID
	clock  *hlc.Clock
	mux    *rpc.Mux
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	queues map[queueKey]chan message
}

var _ rpc.Transport = (*Endpoint)(nil)

type queueKey struct {
	to    rpc.NodeID
	class rpc.Class
}

type message struct {
	method  rpc.Method
	payload []byte
	sent    hlc.ClockTimestamp
	at      time.Time
}

// Send implements rpc.Transport.
func (e *Endpoint) Send(to rpc.NodeID, c rpc.Class, m rpc.Method, msg rpc.Appender) bool {
	d := e.net.fate(e.id, to, c)
	if d.lost || e.ctx.Err() != nil {
		return e.ctx.Err() == nil
	}
	out := message{method: m, payload: msg.AppendWire(nil), sent: e.clock.Now(), at: time.Now().Add(d.delay)}
	if d.duplicate {
		e.later(to, out, 2*d.delay)
	}
	if d.reorder {
		e.later(to, out, 3*d.delay)
		return true
	}
	q := e.queue(queueKey{to, c})
	if q == nil {
		return false
	}
	select {
	case q <- out:
		return true
	default:
		return false
	}
}

// later delivers outside the order of its link.
func (e *Endpoint) later(to rpc.NodeID, m message, after time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.wg.Go(func() {
		if e.sleep(e.ctx, after) == nil {
			e.deliver(to, m)
		}
	})
}

func (e *Endpoint) queue(k queueKey) chan message {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	q := e.queues[k]
	if q == nil {
		q = make(chan message, queueMax)
		e.queues[k] = q
		e.wg.Go(func() { e.pump(k.to, q) })
	}
	return q
}

// pump delivers the messages of one link and class in order.
func (e *Endpoint) pump(to rpc.NodeID, q chan message) {
	for {
		select {
		case m := <-q:
			if e.sleep(e.ctx, time.Until(m.at)) != nil {
				return
			}
			e.deliver(to, m)
		case <-e.ctx.Done():
			return
		}
	}
}

func (e *Endpoint) deliver(to rpc.NodeID, m message) {
	peer := e.net.endpoint(to)
	if peer == nil || peer.ctx.Err() != nil || peer.clock.Update(m.sent) != nil {
		return
	}
	peer.mux.Deliver(e.id, m.method, append([]byte(nil), m.payload...))
}

func (e *Endpoint) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Call implements rpc.Transport.
func (e *Endpoint) Call(ctx context.Context, to rpc.NodeID, c rpc.Class, m rpc.Method, req rpc.Appender) ([]byte, error) {
	var payload []byte
	if req != nil {
		payload = req.AppendWire(nil)
	}
	fail := func(kind rpc.ErrorKind, maybeSent bool, why string) ([]byte, error) {
		return nil, &rpc.Error{Kind: kind, MaybeSent: maybeSent, Peer: to, Message: why}
	}
	// Whatever is lost on the way, the caller learns of it after Timeout.
	call, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	stop := context.AfterFunc(e.ctx, cancel)
	defer stop()
	lost := func() ([]byte, error) {
		<-call.Done()
		if ctx.Err() != nil {
			return fail(rpc.Canceled, true, context.Cause(ctx).Error())
		}
		return fail(rpc.Unreachable, true, "connection lost")
	}
	there, sent := e.net.fate(e.id, to, c), e.clock.Now()
	if there.lost || e.sleep(call, there.delay) != nil {
		return lost()
	}
	peer := e.net.endpoint(to)
	if peer == nil {
		return fail(rpc.Unreachable, false, "connection refused")
	}
	if err := peer.clock.Update(sent); err != nil {
		return fail(rpc.WrongPeer, false, err.Error())
	}
	answer := make(chan reply, 1)
	if !peer.serve(call, e.id, m, payload, answer) {
		return fail(rpc.Unreachable, false, "connection refused")
	}
	var r reply
	select {
	case r = <-answer:
	case <-call.Done():
		return lost()
	case <-peer.ctx.Done():
		return fail(rpc.Unreachable, true, "connection reset")
	}
	back := e.net.fate(to, e.id, c)
	if back.lost || e.sleep(call, back.delay) != nil {
		return lost()
	}
	if err := e.clock.Update(r.sent); err != nil {
		return fail(rpc.WrongPeer, true, err.Error())
	}
	if r.err != nil {
		return fail(rpc.Remote, true, r.err.Error())
	}
	return r.payload, nil
}

type reply struct {
	payload []byte
	err     error
	sent    hlc.ClockTimestamp
}

// serve runs a handler on this endpoint; a crash or the caller's end cancels it.
func (e *Endpoint) serve(call context.Context, from rpc.NodeID, m rpc.Method, payload []byte, answer chan<- reply) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.wg.Go(func() {
		ctx, cancel := context.WithCancel(e.ctx)
		defer cancel()
		stop := context.AfterFunc(call, cancel)
		defer stop()
		out, err := e.mux.Call(ctx, from, m, payload)
		r := reply{err: err, sent: e.clock.Now()}
		if err == nil && out != nil {
			r.payload = out.AppendWire(nil)
		}
		answer <- r
	})
	return true
}

// Close takes the node down at once, as a crash does: what it was sending or
// handling is cancelled. It returns when its handlers have ended.
func (e *Endpoint) Close() {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	e.closed = true
	e.mu.Unlock()
	e.net.mu.Lock()
	delete(e.net.endpoints, e.id)
	e.net.mu.Unlock()
	e.cancel(fmt.Errorf("node %s is down", e.id))
	e.wg.Wait()
}
