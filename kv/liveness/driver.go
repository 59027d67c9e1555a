package liveness

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Config is what a Driver needs.
type Config struct {
	Self  kvapi.NodeID
	Clock *hlc.Clock
	// Support is how long support is asked for; 0 means DefaultSupport.
	Support time.Duration
	// Record is what Write last wrote, in this process or an earlier one. Write
	// returns when the record is durable.
	Record Record
	Write  func(Record) error
	// Send queues a message; it may be lost.
	Send func(to kvapi.NodeID, m Message)
	// Peers are those of whom support is asked.
	Peers func() []kvapi.NodeID
	// OnGivenEnded is called after support of a node at the epochs known so far
	// has ended, OnGotChanged when a node's support of this node ended or began.
	// They run on the driver's goroutine.
	OnGivenEnded, OnGotChanged func(kvapi.NodeID)
	// Fatal is called when Write fails.
	Fatal func(error)
	Knobs Knobs
}

// Driver runs a Core: one goroutine that takes messages and ticks, writes, and
// publishes what is given and got for everybody to read without waiting.
type Driver struct {
	cfg    Config
	core   *Core
	inbox  chan received
	ticks  chan struct{}
	done   chan struct{}
	wg     sync.WaitGroup
	wanted struct {
		sync.Mutex
		nodes map[kvapi.NodeID]bool
	}
	peers atomic.Pointer[map[kvapi.NodeID]*peer]
	// atStart is what was given when the process began.
	atStart map[kvapi.NodeID]Epoch
	// asks counts ticks until peers are looked for.
	asks int
}

type received struct {
	from kvapi.NodeID
	m    Message
}

// peer is what is known to readers.
type peer struct {
	given atomic.Pointer[Given]
	got   atomic.Pointer[Got]
}

// NewDriver returns a driver that does nothing until Start; what was given
// before the restart is given from the beginning.
func NewDriver(cfg Config) *Driver {
	if cfg.Support == 0 {
		cfg.Support = DefaultSupport
	}
	d := &Driver{cfg: cfg, core: NewCore(cfg.Self, cfg.Support, cfg.Record, cfg.Knobs),
		inbox: make(chan received, inboxMax), ticks: make(chan struct{}, 1), done: make(chan struct{}),
		atStart: map[kvapi.NodeID]Epoch{}}
	d.wanted.nodes = map[kvapi.NodeID]bool{}
	d.peers.Store(&map[kvapi.NodeID]*peer{})
	for _, g := range cfg.Record.Grants {
		if !g.Withdrawn {
			d.atStart[g.Node] = g.Epoch
		}
	}
	rd := d.core.Ready()
	for i := range rd.Given {
		d.peer(rd.Given[i].Node).given.Store(&rd.Given[i])
	}
	return d
}

// Start starts the goroutine.
func (d *Driver) Start() { d.wg.Go(d.run) }

// Stop ends it.
func (d *Driver) Stop() {
	close(d.done)
	d.wg.Wait()
}

// Tick makes the driver look at the clock, soon.
func (d *Driver) Tick() {
	select {
	case d.ticks <- struct{}{}:
	default:
	}
}

// Receive takes a message. It does not block; what does not fit is lost.
func (d *Driver) Receive(from kvapi.NodeID, m Message) {
	select {
	case d.inbox <- received{from, m}:
	default:
	}
}

// Want says that a node's support is needed, before Peers says so.
func (d *Driver) Want(n kvapi.NodeID) {
	if e, _ := d.GotFrom(n); e != 0 || n == d.cfg.Self {
		return
	}
	d.wanted.Lock()
	known := d.wanted.nodes[n]
	d.wanted.nodes[n] = true
	d.wanted.Unlock()
	if !known {
		d.Tick()
	}
}

// GivenTo returns the epoch at which this node supports another, or 0.
func (d *Driver) GivenTo(n kvapi.NodeID) Epoch {
	if p := (*d.peers.Load())[n]; p != nil {
		if g := p.given.Load(); g != nil {
			return g.Epoch
		}
	}
	return 0
}

// GivenAtStart returns the nodes that this process has supported since before
// it began, without a break: it may have promised them something it has
// forgotten.
func (d *Driver) GivenAtStart() []kvapi.NodeID {
	var out []kvapi.NodeID
	for n, e := range d.atStart {
		if d.GivenTo(n) == e {
			out = append(out, n)
		}
	}
	return out
}

// GotFrom returns at which epoch another node supports this one, and until
// when; 0 if it does not.
func (d *Driver) GotFrom(n kvapi.NodeID) (Epoch, hlc.Timestamp) {
	if p := (*d.peers.Load())[n]; p != nil {
		if g := p.got.Load(); g != nil {
			return g.Epoch, g.Until
		}
	}
	return 0, hlc.Timestamp{}
}

// peer returns where a node's support is published; only the driver's goroutine
// adds one.
func (d *Driver) peer(n kvapi.NodeID) *peer {
	if p := (*d.peers.Load())[n]; p != nil {
		return p
	}
	next := maps.Clone(*d.peers.Load())
	p := &peer{}
	next[n] = p
	d.peers.Store(&next)
	return p
}

func (d *Driver) run() {
	for {
		select {
		case <-d.done:
			return
		case r := <-d.inbox:
			d.core.Receive(r.from, r.m, d.cfg.Clock.Now())
			d.drain()
		case <-d.ticks:
			// What has arrived may spare a withdrawal: it is looked at first.
			d.drain()
			d.tick()
		}
		if !d.handle(d.core.Ready()) {
			return
		}
	}
}

func (d *Driver) drain() {
	for {
		select {
		case r := <-d.inbox:
			d.core.Receive(r.from, r.m, d.cfg.Clock.Now())
		default:
			return
		}
	}
}

// peersEvery is in how many ticks Peers is asked again.
const peersEvery = 10

func (d *Driver) tick() {
	d.wanted.Lock()
	fresh := len(d.wanted.nodes) > 0
	if d.asks++; fresh || d.asks >= peersEvery {
		d.asks = 0
		peers := d.cfg.Peers()
		for n := range d.wanted.nodes {
			peers = append(peers, n)
		}
		clear(d.wanted.nodes)
		d.core.SetPeers(peers)
	}
	d.wanted.Unlock()
	d.core.Tick(d.cfg.Clock.Now())
}

// handle does what the core wants, in order. It reports whether to go on.
func (d *Driver) handle(rd Ready) bool {
	if rd.Record != nil {
		if err := d.cfg.Write(*rd.Record); err != nil {
			select {
			case <-d.done: // the engine is going
			default:
				d.cfg.Fatal(fmt.Errorf("liveness: write: %w", err))
			}
			return false
		}
	}
	for i := range rd.Given {
		g := &rd.Given[i]
		old := d.peer(g.Node).given.Swap(g)
		if old != nil && old.Epoch != 0 && old.Epoch != g.Epoch {
			d.cfg.OnGivenEnded(g.Node)
		}
	}
	for i := range rd.Got {
		g := &rd.Got[i]
		d.peer(g.Node).got.Store(g)
		if g.Changed {
			d.cfg.OnGotChanged(g.Node)
		}
	}
	for _, m := range rd.Messages {
		d.cfg.Send(m.To, m.Message)
	}
	return true
}
