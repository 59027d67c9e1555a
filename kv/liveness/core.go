package liveness

import (
	"fmt"
	"slices"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Core is one node's part in store liveness, towards all its peers. It is pure:
// events go in with a reading of the node's clock, and Ready comes out, which
// is to be made durable, then sent and made known, in this order. It is used by
// one goroutine at a time.
type Core struct {
	self    kvapi.NodeID
	support time.Duration
	// last is the highest epoch asked for; see Record.
	last     Epoch
	requests map[kvapi.NodeID]*request
	grants   map[kvapi.NodeID]*grant
	// dirty says that the record differs from what was last handed out.
	dirty bool
	ready Ready
	// askAt is when support is next asked for.
	askAt hlc.Timestamp
	knobs Knobs
}

// Knobs break the protocol on purpose (kv/store's TestingKnobs).
type Knobs struct {
	// WithdrawEarly withdraws support before its time by so much.
	WithdrawEarly time.Duration
}

// request is what the node asks of a peer, and got.
type request struct {
	epoch Epoch
	// until is how long the peer supports that epoch.
	until hlc.Timestamp
	// lapsed says that until has passed, and that this was told.
	lapsed bool
}

// grant is what the node gives a peer.
type grant struct {
	epoch     Epoch
	until     hlc.Timestamp
	withdrawn bool
	// durable is the time that the record has for until.
	durable hlc.Timestamp
	// answer asks for a message to the peer.
	answer bool
}

// Ready is what a Core wants done: first Record is made durable, if there is
// one, then Given becomes what this node promises, then the messages are sent.
type Ready struct {
	Record   *Record
	Given    []Given
	Got      []Got
	Messages []Addressed
}

// Given says how this node supports a peer from now on; Epoch 0: not at all.
type Given struct {
	Node  kvapi.NodeID
	Epoch Epoch
	Until hlc.Timestamp
}

// Got says how a peer supports this node from now on. Changed says that it does
// so anew, or no longer, not just longer.
type Got struct {
	Node    kvapi.NodeID
	Epoch   Epoch
	Until   hlc.Timestamp
	Changed bool
}

// Addressed is a message and whom it is for.
type Addressed struct {
	To kvapi.NodeID
	Message
}

// NewCore returns the part of a node that remembers rec, the zero Record at its
// first start. What it had given before stays given (Given of the first Ready):
// what it promised under that is not remembered here, and has to be taken for
// granted by those who promised.
func NewCore(self kvapi.NodeID, support time.Duration, rec Record, knobs Knobs) *Core {
	c := &Core{self: self, support: support, last: rec.Last, knobs: knobs,
		requests: map[kvapi.NodeID]*request{}, grants: map[kvapi.NodeID]*grant{}}
	for _, g := range rec.Grants {
		c.grants[g.Node] = &grant{epoch: g.Epoch, until: g.Until, withdrawn: g.Withdrawn, durable: g.Until}
		if !g.Withdrawn {
			c.ready.Given = append(c.ready.Given, Given{Node: g.Node, Epoch: g.Epoch, Until: g.Until})
		}
	}
	return c
}

// newEpoch returns an epoch that was never asked for (I3).
func (c *Core) newEpoch() Epoch {
	c.last++
	c.dirty = true
	return c.last
}

// SetPeers says of whom support is asked from now on.
func (c *Core) SetPeers(peers []kvapi.NodeID) {
	for n := range c.requests {
		if !slices.Contains(peers, n) {
			delete(c.requests, n)
			c.got(Got{Node: n, Changed: true})
		}
	}
	for _, n := range peers {
		if c.requests[n] == nil && n != c.self {
			c.requests[n] = &request{epoch: c.newEpoch(), lapsed: true}
			c.got(Got{Node: n, Epoch: c.last})
			c.askAt = hlc.Timestamp{}
		}
	}
}

// Tick takes note of the time: support that has run out is withdrawn, and
// support is asked for when it is time to.
func (c *Core) Tick(now hlc.ClockTimestamp) {
	ts := now.Timestamp()
	for n, g := range c.grants {
		if !g.withdrawn && g.until.AddNanos(-int64(c.knobs.WithdrawEarly)).LessEq(ts) {
			c.withdraw(n, g, ts)
		}
	}
	for n, r := range c.requests {
		if !r.lapsed && r.until.LessEq(ts) {
			r.lapsed = true
			c.got(Got{Node: n, Epoch: r.epoch, Until: r.until, Changed: true})
		}
	}
	if ts.Less(c.askAt) || len(c.requests) == 0 {
		return
	}
	c.askAt = ts.AddNanos(int64(c.support) / requestsPerSupport)
	// The write that proves the disk alive (I5).
	c.dirty = true
	for n, r := range c.requests {
		c.send(n, Message{Epoch: r.epoch, Until: ts.AddNanos(int64(c.support))})
	}
}

// withdraw ends support (I1): from here on no request at this epoch is granted.
func (c *Core) withdraw(n kvapi.NodeID, g *grant, now hlc.Timestamp) {
	if now.Less(g.until) && c.knobs.WithdrawEarly == 0 {
		panic(fmt.Sprintf("liveness: support of %s is withdrawn at %s, promised until %s", n, now, g.until))
	}
	g.withdrawn, g.answer, c.dirty = true, true, true
	c.ready.Given = append(c.ready.Given, Given{Node: n})
}

// Receive takes a message of a peer.
func (c *Core) Receive(from kvapi.NodeID, m Message, now hlc.ClockTimestamp) {
	if m.Epoch != 0 {
		c.asked(from, m.Epoch, m.Until, now.Timestamp())
	}
	if m.GivenEpoch != 0 {
		c.told(from, m)
	}
}

// asked decides on a request:
//
//	epoch    known          outcome
//	older                   the peer is told where it stands
//	same     given          the time moves on
//	same     withdrawn      the peer is told so
//	newer                   given; the older one ends: the peer counts on it
//	                        no more
//	any      time passed    nothing: the request was under way for too long
//	same     for longer     the peer is told for how long
func (c *Core) asked(from kvapi.NodeID, e Epoch, until, now hlc.Timestamp) {
	g := c.grants[from]
	if g == nil {
		g = &grant{}
		c.grants[from] = g
	}
	switch {
	case e < g.epoch || (e == g.epoch && g.withdrawn):
		g.answer = true
		return
	case until.LessEq(now):
		return
	case e > g.epoch:
		*g = grant{epoch: e}
	case until.LessEq(g.until):
		// After a restart: what is given lasts longer than what is asked.
		g.answer = true
		return
	}
	g.until, g.answer = until, true
	if g.durable.Less(until) {
		g.durable = until.AddNanos(int64(c.support) * aheadFactor)
		c.dirty = true
	}
	c.ready.Given = append(c.ready.Given, Given{Node: from, Epoch: e, Until: until})
}

// told takes what a peer says it gives.
func (c *Core) told(from kvapi.NodeID, m Message) {
	r := c.requests[from]
	switch {
	case r == nil || m.GivenEpoch < r.epoch:
		return // the past
	case m.GivenEpoch > r.epoch || m.Withdrawn:
		// Dead, or what an earlier process of ours asked for and did not
		// remember, which I3 excludes.
		c.last = max(c.last, m.GivenEpoch)
		*r = request{epoch: c.newEpoch(), lapsed: true}
		c.askAt = hlc.Timestamp{}
		c.got(Got{Node: from, Epoch: r.epoch, Changed: true})
	case r.until.Less(m.GivenUntil):
		c.got(Got{Node: from, Epoch: r.epoch, Until: m.GivenUntil, Changed: r.lapsed})
		r.until, r.lapsed = m.GivenUntil, false
	}
}

func (c *Core) got(g Got) { c.ready.Got = append(c.ready.Got, g) }

// send adds to the message for a peer.
func (c *Core) send(to kvapi.NodeID, m Message) {
	c.ready.Messages = append(c.ready.Messages, Addressed{To: to, Message: m})
}

// Ready returns what is to be done, which is taken to be done in its order.
func (c *Core) Ready() Ready {
	for n, g := range c.grants {
		if g.answer {
			g.answer = false
			c.send(n, Message{GivenEpoch: g.epoch, GivenUntil: g.until, Withdrawn: g.withdrawn})
		}
	}
	rd := c.ready
	rd.Messages = merge(rd.Messages)
	c.ready = Ready{}
	if c.dirty {
		c.dirty = false
		rec := c.record()
		rd.Record = &rec
	}
	return rd
}

// merge makes one message of those to one peer; each says different things.
func merge(msgs []Addressed) []Addressed {
	slices.SortStableFunc(msgs, func(a, b Addressed) int { return int(a.To) - int(b.To) })
	out := msgs[:0]
	for _, m := range msgs {
		if n := len(out); n > 0 && out[n-1].To == m.To {
			last := &out[n-1].Message
			if m.Epoch != 0 {
				last.Epoch, last.Until = m.Epoch, m.Until
			}
			if m.GivenEpoch != 0 {
				last.GivenEpoch, last.GivenUntil, last.Withdrawn = m.GivenEpoch, m.GivenUntil, m.Withdrawn
			}
			continue
		}
		out = append(out, m)
	}
	return out
}

func (c *Core) record() Record {
	rec := Record{Last: c.last}
	for n, g := range c.grants {
		if g.epoch != 0 {
			rec.Grants = append(rec.Grants, GrantRecord{Node: n, Epoch: g.epoch, Until: g.durable, Withdrawn: g.withdrawn})
		}
	}
	slices.SortFunc(rec.Grants, func(a, b GrantRecord) int { return int(a.Node) - int(b.Node) })
	return rec
}
