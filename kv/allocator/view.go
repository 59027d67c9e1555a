package allocator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cairndb/cairn/kv/kvapi"
)

// Liveness is what silence means.
type Liveness uint8

// Liveness of a node.
const (
	// Live: heard of within gossip's window.
	Live Liveness = iota
	// Silent: not heard of, but it may come back.
	Silent
	// Dead: silent for longer than the setting.
	Dead
)

// Membership is a node's standing, as an operator has decided.
type Membership uint8

// Memberships.
const (
	Member Membership = iota
	// Decommissioning: it gives up its replicas and then leaves.
	Decommissioning
	// Decommissioned: it has left for ever.
	Decommissioned
)

// String prints the membership as commands show it.
func (m Membership) String() string {
	return [...]string{"member", "decommissioning", "decommissioned"}[m]
}

// Node is a node as the decider sees it.
type Node struct {
	ID         kvapi.NodeID
	Locality   Locality
	Liveness   Liveness
	Membership Membership
	// Draining nodes take nothing new. DiskFull ones take no new data. Refused
	// says that one did not take a replica lately.
	Draining, DiskFull, Refused bool
	// Replicas and Leases are counts, QPS the batches a second that its leases
	// serve.
	Replicas, Leases, QPS float64
	// added and removed are the replicas that Applied has booked: what this
	// leaseholder did and others do not know of yet.
	added, removed float64
}

// stays reports whether replicas on the node count for the future.
func (n *Node) stays() bool { return n.Liveness != Dead && n.Membership == Member }

// mayReceive reports whether new replicas may go there (I3), and if not, why.
func (n *Node) mayReceive() (why string, ok bool) {
	switch {
	case n.Membership != Member:
		return "is leaving", false
	case n.Liveness == Dead:
		return "is gone", false
	case n.Liveness == Silent:
		return "is silent", false
	case n.Draining:
		return "is draining", false
	case n.DiskFull:
		return "has a full disk", false
	case n.Refused:
		return "did not take a replica just now", false
	}
	return "", true
}

// mayLead reports whether leases may go there.
func (n *Node) mayLead() bool {
	return n.Liveness == Live && n.Membership == Member && !n.Draining && !n.DiskFull
}

// View is the cluster as one node sees it. Make it with NewView.
type View struct {
	// Voters is how many each range should have that does not ask for others.
	Voters int
	// Turn is different whenever the view's owner looks at its ranges anew; what is
	// drawn by lot is drawn anew then.
	Turn uint64

	nodes map[kvapi.NodeID]*Node
	// takers are the nodes that may receive, by id.
	takers []*Node
	// mean counts over takers.
	meanReplicas, meanLeases, meanQPS float64
	// best is the least crowding that any voters can have.
	best map[int]crowding
}

// NewView makes a view of nodes. The nodes become the view's.
func NewView(voters int, nodes []Node) *View {
	v := &View{Voters: voters, nodes: make(map[kvapi.NodeID]*Node, len(nodes)), best: map[int]crowding{}}
	for i := range nodes {
		n := &nodes[i]
		v.nodes[n.ID] = n
		if _, ok := n.mayReceive(); ok {
			v.takers = append(v.takers, n)
		}
	}
	slices.SortFunc(v.takers, func(a, b *Node) int { return int(a.ID) - int(b.ID) })
	if k := float64(len(v.takers)); k > 0 {
		for _, n := range v.takers {
			v.meanReplicas += n.Replicas / k
			v.meanLeases += n.Leases / k
			v.meanQPS += n.QPS / k
		}
	}
	return v
}

// Node returns a node; one that was never heard of is silent.
func (v *View) Node(id kvapi.NodeID) *Node {
	if n := v.nodes[id]; n != nil {
		return n
	}
	n := &Node{ID: id, Liveness: Silent}
	v.nodes[id] = n
	return n
}

// Applied takes in what was just done, which the nodes will tell later.
func (v *View) Applied(a Action, leaseQPS float64) {
	if a.Add != 0 {
		n := v.Node(a.Add)
		n.Replicas++
		n.added++
	}
	if a.Remove != 0 {
		n := v.Node(a.Remove)
		n.Replicas--
		n.removed++
	}
	if a.Kind == TransferLease {
		from, to := v.Node(a.From), v.Node(a.To)
		from.Leases--
		to.Leases++
		from.QPS -= leaseQPS
		to.QPS += leaseQPS
	}
}

func slack(mean, share, least float64) float64 { return max(mean*share, least) }

// overfull and underfull: a move goes from one to the other only. They do not
// meet, so what a move fills does not give at once (I4).
func (v *View) overfull(n *Node) bool {
	return n.Replicas > v.meanReplicas+slack(v.meanReplicas, slackShare, slackMin)
}

func (v *View) underfull(n *Node) bool {
	return n.Replicas < v.meanReplicas-slack(v.meanReplicas, slackShare, slackMin)
}

// candidates are the nodes that may get a replica of a range on these nodes, a
// few of them because they have it as a learner already.
func (v *View) candidates(voters []*Node) []*Node {
	out := make([]*Node, 0, len(v.takers))
	for _, n := range v.takers {
		if !slices.Contains(voters, n) {
			out = append(out, n)
		}
	}
	return out
}

// pick chooses among nodes: least crowding with the voters that stay, then a
// node that is not overfull, then the emptier of two that the range id draws
// (I6; the power of two choices, Mitzenmacher 1996).
func (v *View) pick(id kvapi.RangeID, nodes []*Node, stay []*Node) *Node {
	var best []*Node
	var least crowding
	for _, n := range nodes {
		c := crowdingOf(stay, nil, n)
		if len(best) == 0 || c.less(least) {
			best, least = best[:0], c
		}
		if c == least {
			best = append(best, n)
		}
	}
	if roomy := slices.DeleteFunc(slices.Clone(best), v.overfull); len(roomy) > 0 {
		best = roomy
	}
	return drawEmptier(id, best)
}

func drawEmptier(id kvapi.RangeID, nodes []*Node) *Node {
	if len(nodes) == 0 {
		return nil
	}
	h := mix(uint64(id))
	a := nodes[h%uint64(len(nodes))]
	b := nodes[mix(h)%uint64(len(nodes))]
	if b.Replicas < a.Replicas {
		return b
	}
	return a
}

// mix scatters ids (the finaliser of splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

// missing says in words what stands in the way of one more replica beside those
// on holders, in some place.
func (v *View) missing(holders []*Node, where Locality) string {
	var barred []string
	live := 0
	for _, id := range sortedIDs(v.nodes) {
		n := v.nodes[id]
		if n.Membership == Decommissioned || n.Liveness == Dead || !(Placement{Where: where}).fits(n) {
			continue
		}
		live++
		if slices.Contains(holders, n) {
			continue
		}
		if why, ok := n.mayReceive(); !ok {
			barred = append(barred, fmt.Sprintf("%s %s", n.ID, why))
		}
	}
	need := fmt.Sprintf("needs a %s node", ordinal(live+1))
	if len(where) > 0 {
		need += " in " + where.String()
	}
	if len(barred) > 0 {
		return fmt.Sprintf("%s (%s)", need, strings.Join(barred, ", "))
	}
	return need
}

func sortedIDs(m map[kvapi.NodeID]*Node) []kvapi.NodeID {
	out := make([]kvapi.NodeID, 0, len(m))
	for id := range m {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

var ordinals = [...]string{"zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"}

func ordinal(n int) string {
	if n < len(ordinals) {
		return ordinals[n]
	}
	return fmt.Sprintf("%dth", n)
}

// Condition tells the nodes apart by what IsSettled asks of them: as long as it is the
// same, a range that is settled stays so.
func (v *View) Condition() string {
	var b strings.Builder
	for _, id := range sortedIDs(v.nodes) {
		n := v.nodes[id]
		fmt.Fprintf(&b, "%d %d %d %t %t %s;", id, n.Liveness, n.Membership, n.Draining, n.DiskFull, n.Locality)
	}
	return b.String()
}

// IsSettled reports whether a range has as many voters as it should, and nothing
// else, all where they should be and on nodes that are live and stay: what Decide
// could still do for it is a matter of taste.
func (v *View) IsSettled(d *kvapi.RangeDescriptor, wants Placement) bool {
	for i := range d.Replicas {
		n := v.nodes[d.Replicas[i].NodeID]
		if d.Replicas[i].Type != kvapi.Voter || n == nil || n.Liveness != Live || !n.stays() || n.Draining || n.DiskFull || !wants.fits(n) {
			return false
		}
	}
	return len(d.Replicas) == v.voters(wants)
}
