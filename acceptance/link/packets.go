package link

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Packets is the links between parties of which each has a network namespace, and
// this process, which is a party as well: every packet between two of them passes
// through here.
type Packets struct {
	ways
	// network is the first three bytes of all addresses.
	network [3]byte
	// routes say who has an address; it is replaced, never changed.
	routes  atomic.Pointer[map[address]*party]
	flights struct {
		sync.Mutex
		// of are the packets under way by where they go.
		of map[*direction]*flight
	}
	flows  flows
	mu     sync.Mutex
	all    map[string]*party
	closed bool
	// readers serve parties; landers run flights, which readers begin.
	readers, landers sync.WaitGroup
}

type address [4]byte

func (a address) String() string { return net.IP(a[:]).String() }

// The networks of RFC 2544, 198.18.0.0/15, are for tests like these: nobody's hosts
// have them. Within its /24 this process is hostOwn; party i has the addresses i
// and hostSecond+i, of which the second can be moved to another party.
const (
	networkFirst, networkSecond = 198, 18
	hostOwn                     = 254
	hostSecond                  = 100
	partiesMax                  = 90
	// mtuBytes is Ethernet's: segments are as many, and as long, as on a network.
	mtuBytes = 1500
	// flightMax bounds the packets on their way in one direction; what is too much is
	// lost, as in a full queue of a router.
	flightMax = 4096
)

// NewPackets makes this process the party own, and gives each of the others a
// namespace with two addresses. It needs the right to make them: root's, or that of
// a user namespace (unshare -Urn).
func NewPackets(own string, others ...string) (*Packets, error) {
	if len(others) > partiesMax {
		return nil, fmt.Errorf("%d parties are more than %d", len(others), partiesMax)
	}
	p := &Packets{all: map[string]*party{}}
	p.flights.of = map[*direction]*flight{}
	p.flows.init()
	var err error
	if p.network, err = freeNetwork(); err != nil {
		return nil, err
	}
	mine, err := newParty(own, fmt.Sprintf("cairn%d", os.Getpid()), false, p.host(hostOwn))
	if err != nil {
		return nil, err
	}
	p.all[own] = mine
	for i, name := range others {
		x, err := newParty(name, "cairn0", true, p.host(i+1), p.host(hostSecond+i+1))
		if err != nil {
			p.Close()
			return nil, err
		}
		p.all[name] = x
	}
	p.reroute()
	for _, x := range p.all {
		p.readers.Go(func() { p.serve(x) })
	}
	return p, nil
}

// CanPackets reports whether this process may make namespaces.
func CanPackets() bool {
	p, err := NewPackets("probe", "other")
	if err == nil {
		p.Close()
	}
	return err == nil
}

// freeNetwork is one that no interface of this machine is in.
func freeNetwork() ([3]byte, error) {
	have, err := net.InterfaceAddrs()
	if err != nil {
		return [3]byte{}, err
	}
	first := rand.IntN(256)
next:
	for i := range 256 {
		n := [3]byte{networkFirst, networkSecond, byte(first + i)}
		for _, a := range have {
			if ip, ok := a.(*net.IPNet); ok && ip.Contains(net.IP{n[0], n[1], n[2], hostOwn}) {
				continue next
			}
		}
		return n, nil
	}
	return [3]byte{}, errors.New("all networks of 198.18.0.0/16 are taken")
}

func (p *Packets) host(n int) address {
	return address{p.network[0], p.network[1], p.network[2], byte(n)}
}

// Addresses are those of a party: the one it keeps, and the one that can be moved.
func (p *Packets) Addresses(name string) (kept, moved string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.all[name].addresses
	return a[0].String(), a[len(a)-1].String()
}

// Swap gives two parties each other's second address. Nobody may use them.
func (p *Packets) Swap(a, b string) error {
	p.mu.Lock()
	x, y := p.all[a], p.all[b]
	x.addresses[1], y.addresses[1] = y.addresses[1], x.addresses[1]
	p.mu.Unlock()
	p.reroute()
	return errors.Join(x.readdress(1), y.readdress(1))
}

// reroute writes the routes anew.
func (p *Packets) reroute() {
	p.mu.Lock()
	defer p.mu.Unlock()
	routes := map[address]*party{}
	for _, x := range p.all {
		for _, a := range x.addresses {
			routes[a] = x
		}
	}
	p.routes.Store(&routes)
}

// Enter puts the calling thread, which its goroutine must have locked and must not
// unlock, into a party's namespace: a process that it starts is there.
func (p *Packets) Enter(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[name].enter()
}

// serve reads what a party sends until the end.
func (p *Packets) serve(from *party) {
	buf := make([]byte, 1<<16)
	for {
		n, err := from.tun.Read(buf)
		if err != nil {
			return
		}
		pkt := packet(buf[:n])
		if !pkt.valid() {
			continue // IPv6's chatter
		}
		if to := (*p.routes.Load())[pkt.to()]; to != nil {
			p.pass(Way{from.name, to.name}, pkt, to)
		}
	}
}

// pass decides what becomes of a packet. It may keep pkt only as a copy.
func (p *Packets) pass(w Way, pkt packet, to *party) {
	d := p.way(w)
	s, _ := d.now()
	broken := p.flows.saw(w, pkt)
	switch {
	case s.Cut:
		d.count(held)
		return
	case broken || pkt.isTCP() && chance(s.Reset):
		d.count(func(n *Counts) { n.Resets++ })
		p.flows.broke(pkt)
		p.reset(pkt)
		return
	case chance(s.Loss):
		d.count(func(n *Counts) { n.Lost++ })
		return
	}
	corrupt, twice := chance(s.Corrupt), chance(s.Duplicate)
	flipped := chance(s.Flip) && pkt.flipData()
	if corrupt {
		pkt.corrupt()
	}
	late := chance(s.Reorder)
	wait := time.Until(s.due(d, len(pkt)))
	d.count(func(n *Counts) {
		n.Pieces++
		n.Bytes += int64(len(pkt))
		n.Delayed += one(wait > 0)
		n.Corrupted += one(corrupt)
		n.Flipped += one(flipped)
		n.Duplicated += one(twice)
		n.Reordered += one(late)
	})
	for range 1 + one(twice) {
		if late {
			p.later(pkt, to, max(wait, 0)+s.ReorderTime)
		} else {
			p.inOrder(d, pkt, to, wait)
		}
	}
}

func one(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

// Measure returns a function that says what the ways, and the kernel at their ends,
// have done since (I3).
func (p *Packets) Measure(ws ...Way) func() Counts {
	did, before := p.ways.Measure(ws...), p.kernel(ws)
	return func() Counts {
		c := did()
		now := Counts{Kernel: p.kernel(ws)}
		return c.plus(now.minus(Counts{Kernel: before}))
	}
}

// kernel sums up the kernel's counters of all that are at an end of a way.
func (p *Packets) kernel(ws []Way) (sum Kernel) {
	seen := map[string]bool{}
	for _, w := range ws {
		for _, name := range []string{w.From, w.To} {
			p.mu.Lock()
			x := p.all[name]
			p.mu.Unlock()
			if seen[name] || x == nil || !x.away {
				continue // the counters of this process are of the whole machine
			}
			seen[name] = true
			if k, err := x.kernel(); err == nil {
				sum = Counts{Kernel: sum}.plus(Counts{Kernel: k}).Kernel
			}
		}
	}
	return sum
}

// Break breaks the connections between two parties with their next packet, and
// returns how many there are.
func (p *Packets) Break(ws ...Way) int { return p.flows.doom(ws) }

// Close ends everything. The namespaces are gone with the last process in them.
func (p *Packets) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	for _, x := range p.all {
		x.close()
	}
	p.mu.Unlock()
	p.readers.Wait()
	p.flights.Lock()
	for _, f := range p.flights.of {
		close(f.queue)
	}
	p.flights.Unlock()
	p.landers.Wait()
}
