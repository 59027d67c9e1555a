package link

import (
	"fmt"
	"net"
	"sync"
)

// Network is the proxies between some parties.
type Network struct {
	// owner names the party whose connection comes from an address.
	owner func(remote, local net.Addr) string
	ways
	mu struct {
		sync.Mutex
		conns     map[*conn]bool
		listeners map[string]*Listener
		closed    bool
	}
	wg sync.WaitGroup
}

// New returns a network without listeners. The owner of a connection is asked
// for once, when it comes in.
func New(owner func(remote, local net.Addr) string) *Network {
	n := &Network{owner: owner}
	n.mu.conns, n.mu.listeners = map[*conn]bool{}, map[string]*Listener{}
	return n
}

// Listener is an address at which a party is reached.
type Listener struct {
	l net.Listener
	// caller is who calls here, if that is known.
	caller string
	mu     struct {
		sync.Mutex
		party, backend string
	}
}

// Listen takes connections at addr, which lead to the party at backend. If caller
// is not empty, only it calls here; else each connection's owner is asked for,
// which costs a millisecond.
func (n *Network) Listen(addr, caller, party, backend string) (*Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	x := &Listener{l: l, caller: caller}
	x.mu.party, x.mu.backend = party, backend
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.closed || n.mu.listeners[addr] != nil {
		l.Close()
		return nil, fmt.Errorf("the network is closed, or %s is taken", addr)
	}
	n.mu.listeners[addr] = x
	n.wg.Go(func() { n.serve(x) })
	return x, nil
}

// Addr is where it listens.
func (x *Listener) Addr() string { return x.l.Addr().String() }

// Lead changes where connections lead that are made from now on.
func (x *Listener) Lead(party, backend string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.mu.party, x.mu.backend = party, backend
}

func (x *Listener) leads() (party, backend string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.mu.party, x.mu.backend
}

func (n *Network) serve(x *Listener) {
	for {
		near, err := x.l.Accept()
		if err != nil {
			return
		}
		n.wg.Go(func() { n.connect(x, near) })
	}
}

// connect makes the other half of a connection, and joins them.
func (n *Network) connect(x *Listener, near net.Conn) {
	party, backend := x.leads()
	caller := x.caller
	if caller == "" {
		caller = n.owner(near.RemoteAddr(), near.LocalAddr())
	}
	c := &conn{way: Way{caller, party}, near: near, done: make(chan struct{})}
	if !n.add(c) {
		near.Close()
		return
	}
	defer n.remove(c)
	defer c.end()
	there, back := n.way(c.way), n.way(Way{c.way.To, c.way.From})
	// Neither the call nor its answer passes a cut.
	there.open(c.done, refused)
	back.open(c.done, refused)
	far, err := net.DialTimeout("tcp", backend, dialMax)
	if err != nil {
		return
	}
	if !c.joined(far) {
		far.Close()
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { c.pipe(there, near, far) })
	wg.Go(func() { c.pipe(back, far, near) })
	wg.Wait()
}

func (n *Network) add(c *conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.closed {
		return false
	}
	n.mu.conns[c] = true
	return true
}

func (n *Network) remove(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.mu.conns, c)
}

// Break breaks the connections between two parties, whoever called.
func (n *Network) Break(ways ...Way) int {
	broken := 0
	for _, c := range n.conns() {
		for _, w := range ways {
			if c.way == w || c.way == (Way{w.To, w.From}) {
				c.end()
				broken++
				break
			}
		}
	}
	return broken
}

func (n *Network) conns() []*conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []*conn
	for c := range n.mu.conns {
		out = append(out, c)
	}
	return out
}

// Close ends listeners and connections, and waits for them.
func (n *Network) Close() {
	n.mu.Lock()
	n.mu.closed = true
	for _, x := range n.mu.listeners {
		x.l.Close()
	}
	n.mu.Unlock()
	for _, c := range n.conns() {
		c.end()
	}
	n.wg.Wait()
}
