package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
)

// Nemesis is one way to hurt a cluster.
type Nemesis struct {
	Name, Does string
	// Nodes is how many nodes it needs at least.
	Nodes int
	// Needs says what else it needs and does not find here; nil is nothing.
	Needs func(*Env) error
	// Strike hurts. It returns nil without an error if there is nothing to hurt
	// just now.
	Strike func(ctx context.Context, e *Env, rng *rand.Rand) (*Wound, error)
	// HoldMin and HoldMax bound how long a wound stays open; 0 is the default.
	HoldMin, HoldMax time.Duration
	// Packets says that it does something to packets: cluster.ConnectPackets.
	Packets bool
	// Once strikes once a run: what it does takes long to recover from.
	Once bool
}

// Defaults of HoldMin and HoldMax: from shorter than a lease to longer than a
// fail-over.
const (
	holdMin = 300 * time.Millisecond
	holdMax = 6 * time.Second
)

// Wound is what a nemesis has done.
type Wound struct {
	// What it is, in words.
	What string
	// Bite measures whether it was felt, just before it is healed.
	Bite func() (evidence string, felt bool)
	// Heal undoes it.
	Heal func(ctx context.Context) error
}

// Env is what nemeses have to do with.
type Env struct {
	Cluster *cluster.Cluster
	// Schema is where the workloads' tables are.
	Schema string
	// OldBinary is another build than the cluster's; empty for none.
	OldBinary string
	// Trouble says that nodes obey a trouble file.
	Trouble bool
	mu      struct {
		sync.Mutex
		inHand map[*cluster.Node]bool
	}
}

// NewEnv returns what nemeses of a cluster need.
func NewEnv(c *cluster.Cluster) *Env {
	e := &Env{Cluster: c}
	e.mu.inHand = map[*cluster.Node]bool{}
	return e
}

// take picks up to n nodes that no other nemesis has in hand (I3). They are
// given back by give.
func (e *Env) take(rng *rand.Rand, n int) []*cluster.Node {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []*cluster.Node
	for _, i := range rng.Perm(len(e.Cluster.Nodes)) {
		node := e.Cluster.Nodes[i]
		if len(out) < n && !e.mu.inHand[node] && node.Running() {
			e.mu.inHand[node] = true
			out = append(out, node)
		}
	}
	return out
}

func (e *Env) give(nodes ...*cluster.Node) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range nodes {
		delete(e.mu.inHand, n)
	}
}

// All lists the nemeses.
func All() []Nemesis {
	return slices.Concat(processes(), partitions(), links(), packets(), storms(), troubles(), upgrades())
}

// Named finds nemeses by a list such as "kill+slow-links"; "mix" is all that can
// be used here, one after the other at random, and "none" is none.
func Named(text string) ([]Nemesis, error) {
	var out []Nemesis
	if text == "" || text == "none" {
		return nil, nil
	}
	for name := range strings.SplitSeq(text, "+") {
		if name == "mix" {
			out = append(out, Nemesis{Name: name, Does: "all that can be used here, one after the other at random"})
			continue
		}
		i := slices.IndexFunc(All(), func(n Nemesis) bool { return n.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no nemesis is called %q; there are %s", name, strings.Join(Names(), ", "))
		}
		out = append(out, All()[i])
	}
	return out, nil
}

// Names lists them.
func Names() []string {
	names := []string{}
	for _, n := range All() {
		names = append(names, n.Name)
	}
	return append(names, "mix")
}

// Have is what not every matrix has: another build to upgrade from, and links whose
// packets can suffer.
type Have struct{ OldBinary, Packets bool }

// mixtures is how many pairs a matrix has beside single nemeses.
const mixtures = 3

// Matrix lists what a matrix runs: nothing, each nemesis, all in turn, and pairs
// at the same time that are drawn from the seed.
func Matrix(seed uint64, have Have) []string {
	out := []string{"none"}
	for _, n := range All() {
		if (n.Name != "upgrade" || have.OldBinary) && (!n.Packets || have.Packets) {
			out = append(out, n.Name)
		}
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	singles := out[1:]
	out = append(out, "mix", "mix+mix")
	for range mixtures {
		p := rng.Perm(len(singles))
		out = append(out, singles[p[0]]+"+"+singles[p[1]])
	}
	return out
}

// usable are those that Needs does not keep from this cluster.
func usable(e *Env) []Nemesis {
	return slices.DeleteFunc(All(), func(n Nemesis) bool { return n.Usable(e) != nil })
}

// Usable says why it cannot be used here.
func (n Nemesis) Usable(e *Env) error {
	if have := len(e.Cluster.Nodes); have < n.Nodes {
		return fmt.Errorf("%s needs %d nodes, and there are %d", n.Name, n.Nodes, have)
	}
	if n.Needs == nil {
		return nil
	}
	if err := n.Needs(e); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	return nil
}

func names(nodes []*cluster.Node) string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = n.Name
	}
	return strings.Join(out, " ")
}
