package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cairndb/cairn/acceptance/link"
)

// Cluster is a set of nodes that belong together.
type Cluster struct {
	t      T
	binary string
	// Dir holds stores and logs.
	Dir   string
	Nodes []*Node
	// open says that the test still runs: an end of a process is news.
	open atomic.Bool
	// Links are those between nodes, and between clients and nodes, after Connect or
	// ConnectPackets; otherwise nil.
	Links Links
	// packets are Links after ConnectPackets.
	packets *link.Packets
	// mu also guards addresses, which SwapAddresses changes.
	mu struct {
		sync.Mutex
		// pids are the running processes.
		pids map[int]string
	}
}

// New prepares nodes without starting them.
func New(t T, binary string, count int) *Cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "cairn-acceptance-")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{t: t, binary: binary, Dir: dir}
	c.open.Store(true)
	c.mu.pids = map[int]string{}
	t.Cleanup(c.close)
	for i := range count {
		n := &Node{cluster: c, Name: fmt.Sprintf("n%d", i+1), Store: filepath.Join(dir, fmt.Sprintf("n%d", i+1))}
		if err := n.takePorts(); err != nil {
			t.Fatal(err)
		}
		c.Nodes = append(c.Nodes, n)
	}
	return c
}

// Start starts a new cluster and waits until clients can use every node.
func Start(t T, binary string, count int) *Cluster {
	t.Helper()
	c := New(t, binary, count)
	for _, n := range c.Nodes {
		n.Launch()
	}
	c.Init()
	for _, n := range c.Nodes {
		n.WaitReady()
	}
	return c
}

// initMax is how long a node may take until it answers init.
const initMax = 10 * time.Second

// Init initialises the cluster through its first node, as soon as it listens.
func (c *Cluster) Init() {
	c.t.Helper()
	deadline := time.Now().Add(initMax)
	for {
		r := c.Cairn("init", "--host", c.Nodes[0].RPC)
		if r.Code == 0 {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("cairn init: %s\n%s", r.Stderr, c.Nodes[0].LogTail(40))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Others returns all nodes but one.
func (c *Cluster) Others(n *Node) []*Node {
	var out []*Node
	for _, o := range c.Nodes {
		if o != n {
			out = append(out, o)
		}
	}
	return out
}

// ByID returns the node the cluster calls by this number.
func (c *Cluster) ByID(id string) *Node {
	for _, n := range c.Nodes {
		if n.ID == id {
			return n
		}
	}
	c.t.Helper()
	c.t.Fatalf("no node has id %s", id)
	return nil
}

// close ends all processes and removes the folder, or says where it is.
func (c *Cluster) close() {
	c.open.Store(false)
	for _, n := range c.Nodes {
		if n.Running() && c.t.Failed() {
			n.keepGoroutines()
			n.keepMetrics()
		}
	}
	for _, n := range c.Nodes {
		if n.Running() {
			if _, err := n.End(syscall.SIGKILL); err != nil {
				c.t.Errorf("%s: %v", n.Name, err)
			}
		}
		if n.log != nil {
			n.log.Close()
		}
	}
	if c.Links != nil {
		c.Links.Close()
	}
	if !c.t.Failed() {
		os.RemoveAll(c.Dir)
		return
	}
	for _, n := range c.Nodes {
		if n.log != nil {
			c.t.Log(n.LogTail(15))
		}
	}
	c.t.Logf("stores and logs are kept in %s", c.Dir)
}
