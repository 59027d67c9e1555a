package cluster

import (
	"fmt"
	"net"

	"github.com/cairndb/cairn/acceptance/link"
)

// Clients is the party that all connections belong to which no node makes.
const Clients = "clients"

// Links can be shaped. Both kinds that package link has are.
type Links interface {
	Shape(s link.Shape, ways ...link.Way)
	Measure(ways ...link.Way) func() link.Counts
	Break(ways ...link.Way) int
	Heal()
	Close()
}

// front is the proxies before a node: what others are told of it.
type front struct {
	host     string
	rpc, sql *link.Listener
}

// Connect puts proxies before all nodes, so that links can be shaped. It comes
// before the nodes are started. Each node gets a loopback address of its own, at
// which a proxy listens on the node's ports; Linux has all of 127.0.0.0/8.
func (c *Cluster) Connect() error {
	proxies := link.New(c.owner)
	c.Links = proxies
	for i, n := range c.Nodes {
		f := &front{host: fmt.Sprintf("127.0.1.%d", i+1)}
		for _, l := range []struct {
			to, caller string
			have       **link.Listener
		}{{n.RPC, "", &f.rpc}, {n.SQL, Clients, &f.sql}} {
			_, port, err := net.SplitHostPort(l.to)
			if err != nil {
				return err
			}
			if *l.have, err = proxies.Listen(net.JoinHostPort(f.host, port), l.caller, n.Name, l.to); err != nil {
				return err
			}
		}
		n.front = f
	}
	return nil
}

// The ports of nodes that have addresses of their own.
const sqlPort, rpcPort, httpPort = "7432", "7433", "7480"

// ConnectPackets gives each node a network namespace, so that packets between them
// can suffer. It comes before the nodes are started, and fails where this process may
// not make namespaces.
func (c *Cluster) ConnectPackets() error {
	var names []string
	for _, n := range c.Nodes {
		names = append(names, n.Name)
	}
	p, err := link.NewPackets(Clients, names...)
	if err != nil {
		return err
	}
	c.Links, c.packets = p, p
	for _, n := range c.Nodes {
		kept, moved := p.Addresses(n.Name)
		n.SQL, n.RPC, n.HTTP = net.JoinHostPort(kept, sqlPort), net.JoinHostPort(moved, rpcPort), net.JoinHostPort(moved, httpPort)
		// The network is this process's alone.
		n.Args = append(n.Args, "--insecure-anywhere")
	}
	return nil
}

// HasPackets reports whether packets can suffer here.
func (c *Cluster) HasPackets() bool { return c.packets != nil }

// enter is what puts a node's process where its links end; nil is nothing.
func (n *Node) enter() func() error {
	if n.cluster.packets == nil {
		return nil
	}
	return func() error { return n.cluster.packets.Enter(n.Name) }
}

// remember and forget keep the list of running processes.
func (c *Cluster) remember(p *process, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.pids[p.cmd.Process.Pid] = name
}

func (c *Cluster) forget(p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.pids, p.cmd.Process.Pid)
}

// owner says which node a connection comes from.
func (c *Cluster) owner(remote, local net.Addr) string {
	c.mu.Lock()
	pids := make([]int, 0, len(c.mu.pids))
	names := map[int]string{}
	for pid, name := range c.mu.pids {
		pids, names[pid] = append(pids, pid), name
	}
	c.mu.Unlock()
	if pid := link.OwnerAmong(remote, local, pids); pid != 0 {
		return names[pid]
	}
	return Clients
}
