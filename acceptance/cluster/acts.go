package cluster

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// Begin is Launch for a caller that is not the test's own goroutine, as a
// nemesis is: what fails is returned.
func (n *Node) Begin() error { return n.begin(false) }

// BeginToEnd is Begin of a process that is expected to end by itself.
func (n *Node) BeginToEnd() error { return n.begin(true) }

func (n *Node) begin(ends bool) error {
	if n.Running() {
		return fmt.Errorf("%s is running already", n.Name)
	}
	if n.log == nil {
		f, err := os.OpenFile(n.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		n.log = f
	}
	p, err := spawn(n.log, n.Env, n.enter(), cmp.Or(n.Binary, n.cluster.binary), n.command()...)
	if err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	if ends {
		p.expectEnd()
	}
	n.proc.Store(p)
	n.cluster.remember(p, n.Name)
	go n.watch(p)
	return nil
}

// AwaitReady waits until clients can connect, or the process ends.
func (n *Node) AwaitReady(limit time.Duration) error {
	timeout := time.After(limit)
	for {
		select {
		case line, ok := <-n.proc.Load().lines:
			if m := readyLine.FindStringSubmatch(line); m != nil {
				n.ID = m[1][1:]
				return nil
			}
			if !ok {
				return fmt.Errorf("%s ended before it was ready\n%s", n.Name, n.LogTail(40))
			}
		case <-timeout:
			return fmt.Errorf("%s was not ready within %v\n%s", n.Name, limit, n.LogTail(40))
		}
	}
}

// End ends the process with a signal, waits, and returns its status.
func (n *Node) End(sig syscall.Signal) (int, error) {
	p := n.proc.Load()
	p.expectEnd()
	if err := p.signal(sig); err != nil {
		return 0, fmt.Errorf("%s: %w", n.Name, err)
	}
	return p.wait(stopMax)
}

// AwaitEnd waits until the process ends, and returns its status; -1 is that it
// did not in time.
func (n *Node) AwaitEnd(limit time.Duration) int {
	code, err := n.proc.Load().wait(limit)
	if err != nil {
		return -1
	}
	return code
}

// Signal sends the process a signal.
func (n *Node) Signal(sig syscall.Signal) error { return n.proc.Load().signal(sig) }

// State is the process's state as ps prints it: R, S, T (stopped), or nothing if
// it has ended.
func (n *Node) State() string {
	if !n.Running() {
		return ""
	}
	return n.proc.Load().state()
}

// SwapAddresses gives two nodes each other's RPC and HTTP addresses, which count
// from their next start on. Their clients find them where they were.
func (c *Cluster) SwapAddresses(a, b *Node) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.RPC, b.RPC, a.HTTP, b.HTTP = b.RPC, a.RPC, b.HTTP, a.HTTP
	if c.packets != nil {
		return c.packets.Swap(a.Name, b.Name)
	}
	if a.front == nil {
		return nil
	}
	a.front.rpc, b.front.rpc, a.front.host, b.front.host = b.front.rpc, a.front.rpc, b.front.host, a.front.host
	a.front.rpc.Lead(a.Name, a.RPC)
	b.front.rpc.Lead(b.Name, b.RPC)
	return nil
}

// Readdress gives a node new RPC and HTTP addresses, which count from its next start
// on. Its clients find it where it was.
func (c *Cluster) Readdress(n *Node) error {
	rpc, err := freeAddr()
	if err != nil {
		return err
	}
	http, err := freeAddr()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.packets != nil {
		rpc, http = at(n.RPC, rpc), at(n.HTTP, http)
	}
	n.RPC, n.HTTP = rpc, http
	if n.front != nil {
		n.front.rpc.Lead(n.Name, rpc)
	}
	return nil
}

// at is the port of the second address at the host of the first.
func at(host, port string) string {
	h, _, _ := net.SplitHostPort(host)
	_, p, _ := net.SplitHostPort(port)
	return net.JoinHostPort(h, p)
}
