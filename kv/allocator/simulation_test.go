package allocator

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

var (
	longFlag = flag.Bool("long", false, "simulate 100 nodes and 100,000 ranges")
	plotFlag = flag.String("plot", "", "write the simulation's course as SVG to this file")
	seedFlag = flag.Uint64("seed", 1, "the simulation's seed")
)

// TestSimulation lets every node of a cluster decide for the ranges it leads,
// each by what gossip has told it, which is late and differs from node to node,
// while nodes and a rack are lost, nodes are added and others decommissioned.
// After each event the cluster must come to rest: with all ranges whole, spread
// over racks, counts even, after few more moves than the event made necessary,
// none of them undone.
func TestSimulation(t *testing.T) {
	w := newWorld(*seedFlag, 20, 2000)
	if *longFlag {
		w = newWorld(*seedFlag, 100, 100_000)
	}
	defer w.writePlot(t)
	w.run(t, "random placement", math.MaxInt) // whatever it takes to spread
	w.event("one node lost")
	w.kill(3)
	w.run(t, "one node lost", w.displaced())
	w.event("a rack lost")
	for i := range w.nodes {
		if i%w.racks == 1 {
			w.kill(i)
		}
	}
	w.run(t, "a rack lost", w.displaced())
	grown := len(w.nodes) / 5
	w.event(fmt.Sprintf("%d nodes added", grown))
	for range grown {
		w.add()
	}
	w.run(t, "nodes added", w.unevenness())
	w.event("five nodes decommissioned")
	for i := 5; i < 10; i++ {
		if w.nodes[i].alive {
			w.nodes[i].membership = Decommissioning
		}
	}
	w.run(t, "nodes decommissioned", w.displaced())
	w.event("load on one node's ranges")
	for i := range w.ranges {
		if r := &w.ranges[i]; r.desc.Replicas[r.lease].NodeID == 1 && w.rng.IntN(4) == 0 {
			r.qps = 100
		}
	}
	w.run(t, "hot ranges", w.unevenness())
}

// In a small cluster few replicas are all that a node has, and all other nodes see at
// the same time who has fewer: together they must not give it more than it lacks.
func TestSmallClustersDoNotSwing(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorldIn(seed, 5, 35, 5)
		w.chance = 5
		w.run(t, "random placement", math.MaxInt)
		for i := range 5 {
			w.event("replaced")
			w.nodes[i].membership = Decommissioning
			w.run(t, "a node leaves", w.displaced())
			w.kill(i)
			w.nodes[i].membership = Decommissioned
			w.add()
			w.event("added")
			w.run(t, "another joins", w.unevenness())
		}
	}
}

// tick is a turn of every node's replicate queue, and a round of gossip.
const (
	tick = 10 * time.Second
	// movesPerTick and transfersPerTick are what a node's queue gets done in a
	// tick, arrivalsPerTick what a node receives.
	movesPerTick     = 3
	transfersPerTick = 10
	arrivalsPerTick  = 5
	// delayMax is how many ticks old what a node knows of another may be.
	delayMax = 3
	// restTicks without any action is rest.
	restTicks = 2 * delayMax
)

// world is the truth.
type world struct {
	rng    *rand.Rand
	racks  int
	now    int
	nodes  []simNode
	ranges []simRange
	// told are the nodes' counts of the last delayMax ticks, newest last.
	told [][]Node
	// own are what each node has done in that time.
	own [][]done

	// chance is how many moves too many are no sign of anything, where all are few.
	chance int

	moves, transfers int
	// left holds, by range, where replicas were moved away from since the last
	// event.
	left   []map[kvapi.NodeID]bool
	undone int

	course []sample
	events []event
}

type simNode struct {
	alive      bool
	silent     int // ticks
	membership Membership
	locality   Locality
	replicas   int
	leases     int
	qps        float64
}

type simRange struct {
	desc  kvapi.RangeDescriptor
	lease int // position in desc.Replicas
	qps   float64
}

type done struct {
	at     int
	action Action
	qps    float64
}

type sample struct {
	minReplicas, meanReplicas, maxReplicas float64
	moves, lacking                         int
}

type event struct {
	at   int
	name string
}

func newWorld(seed uint64, nodes, ranges int) *world {
	return newWorldIn(seed, nodes, ranges, min(nodes/4, 10))
}

func newWorldIn(seed uint64, nodes, ranges, racks int) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1)), racks: racks}
	for range nodes {
		w.add()
	}
	w.ranges = make([]simRange, ranges)
	for i := range w.ranges {
		r := &w.ranges[i]
		r.desc = kvapi.RangeDescriptor{RangeID: kvapi.RangeID(i + 1), NextReplicaID: 4}
		for k, n := range w.rng.Perm(nodes)[:3] {
			r.desc.Replicas = append(r.desc.Replicas, kvapi.ReplicaDescriptor{NodeID: kvapi.NodeID(n + 1), ReplicaID: kvapi.ReplicaID(k + 1)})
		}
	}
	w.event("start")
	return w
}

func (w *world) add() {
	w.nodes = append(w.nodes, simNode{alive: true,
		locality: Locality{{"region", "here"}, {"rack", fmt.Sprint(len(w.nodes) % w.racks)}}})
	w.own = append(w.own, nil)
}

func (w *world) kill(i int) { w.nodes[i].alive = false }

func (w *world) event(name string) {
	w.events = append(w.events, event{w.now, name})
	w.moves, w.transfers, w.undone = 0, 0, 0
	w.left = make([]map[kvapi.NodeID]bool, len(w.ranges))
}

// recount makes the counts from the ranges; leases of nodes that are gone move
// at once to a voter that is up, as an election does.
func (w *world) recount() (lacking int) {
	for i := range w.nodes {
		n := &w.nodes[i]
		n.replicas, n.leases, n.qps = 0, 0, 0
		if n.alive {
			n.silent = 0
		} else {
			n.silent++
		}
	}
	for i := range w.ranges {
		r := &w.ranges[i]
		whole := 0
		for k, rep := range r.desc.Replicas {
			n := &w.nodes[rep.NodeID-1]
			n.replicas++
			if n.alive {
				whole++
				if !w.nodes[r.desc.Replicas[r.lease].NodeID-1].alive {
					r.lease = k
				}
			}
		}
		if whole < 3 {
			lacking++
		}
		l := &w.nodes[r.desc.Replicas[r.lease].NodeID-1]
		l.leases++
		l.qps += r.qps
	}
	return lacking
}

// gossip publishes the counts of now.
func (w *world) gossip() {
	told := make([]Node, len(w.nodes))
	for i, n := range w.nodes {
		told[i] = Node{ID: kvapi.NodeID(i + 1), Locality: n.locality, Membership: n.membership,
			Replicas: float64(n.replicas), Leases: float64(n.leases), QPS: n.qps}
		switch silent := time.Duration(n.silent) * tick; {
		case silent >= DeadAfterDefault:
			told[i].Liveness = Dead
		case silent > 0:
			told[i].Liveness = Silent
		}
	}
	w.told = append(w.told, told)
	if len(w.told) > delayMax+1 {
		w.told = w.told[1:]
	}
}

// view is what a node knows.
func (w *world) view(of int) *View {
	nodes := make([]Node, len(w.nodes))
	heard := make([]int, len(w.nodes))
	for i := range nodes {
		back := 0
		if i != of {
			back = min(w.rng.IntN(delayMax+1), len(w.told)-1)
			for back > 0 && i >= len(w.told[len(w.told)-1-back]) {
				back--
			}
		}
		nodes[i] = w.told[len(w.told)-1-back][i]
		heard[i] = w.now - back
	}
	recent := slices.DeleteFunc(w.own[of], func(d done) bool { return d.at < w.now-delayMax-1 })
	w.own[of] = recent
	v := NewView(3, nodes)
	v.Turn = uint64(w.now)
	for _, d := range recent {
		// What a node does not tell yet is added; a move has two sides, of
		// which one may be known already.
		one := d.action
		if one.Add != 0 && heard[one.Add-1] > d.at {
			one.Add = 0
		}
		if one.Remove != 0 && heard[one.Remove-1] > d.at {
			one.Remove = 0
		}
		if one.Kind == TransferLease && one.To != 0 && heard[one.To-1] > d.at {
			continue
		}
		v.Applied(one, d.qps)
	}
	return v
}

// step is a tick: all queues turn once.
func (w *world) step() (actions int) {
	lacking := w.recount()
	w.gossip()
	w.sample(lacking)
	led := make([][]int, len(w.nodes))
	for i := range w.ranges {
		l := w.ranges[i].desc.Replicas[w.ranges[i].lease].NodeID - 1
		led[l] = append(led[l], i)
	}
	arrivals := make([]int, len(w.nodes))
	for _, n := range w.rng.Perm(len(w.nodes)) {
		if w.nodes[n].alive {
			actions += w.turn(n, led[n], arrivals)
		}
	}
	w.course[len(w.course)-1].moves = w.moves
	w.now++
	return actions
}

// turn is one node's queue: the urgent first, then what its scan comes to.
func (w *world) turn(n int, led []int, arrivals []int) (actions int) {
	v := w.view(n)
	moves, transfers := movesPerTick, transfersPerTick
	start := 0
	if len(led) > 0 {
		start = w.rng.IntN(len(led))
	}
	for _, urgent := range []bool{true, false} {
		for k := range led {
			if moves == 0 && transfers == 0 {
				break
			}
			i := led[(start+k)%len(led)]
			r := &w.ranges[i]
			if int(r.desc.Replicas[r.lease].NodeID-1) != n {
				continue // its lease went in the first pass
			}
			a := Decide(v, Range{Desc: &r.desc, Leaseholder: kvapi.NodeID(n + 1), QPS: r.qps})
			if a.Kind == None || a.Kind == Blocked || (a.Concern <= Leaving) != urgent {
				continue
			}
			switch {
			case a.Kind == TransferLease && transfers > 0:
				transfers--
				w.transfers++
				r.lease = slices.IndexFunc(r.desc.Replicas, func(rep kvapi.ReplicaDescriptor) bool { return rep.NodeID == a.To })
			case a.Kind != TransferLease && moves > 0 && (a.Add == 0 || w.nodes[a.Add-1].alive && arrivals[a.Add-1] < arrivalsPerTick):
				moves--
				w.moves++
				w.move(i, a, arrivals)
			default:
				continue
			}
			actions++
			v.Applied(a, r.qps)
			w.own[n] = append(w.own[n], done{w.now, a, r.qps})
		}
	}
	return actions
}

func (w *world) move(i int, a Action, arrivals []int) {
	r := &w.ranges[i]
	holder := r.desc.Replicas[r.lease].NodeID
	if a.Add != 0 {
		arrivals[a.Add-1]++
		if w.left[i][a.Add] {
			w.undone++
		}
		r.desc.Replicas = append(r.desc.Replicas, kvapi.ReplicaDescriptor{NodeID: a.Add, ReplicaID: r.desc.NextReplicaID})
		r.desc.NextReplicaID++
	}
	if a.Remove != 0 {
		if w.left[i] == nil {
			w.left[i] = map[kvapi.NodeID]bool{}
		}
		w.left[i][a.Remove] = true
		r.desc.Replicas = slices.DeleteFunc(r.desc.Replicas, func(rep kvapi.ReplicaDescriptor) bool { return rep.NodeID == a.Remove })
	}
	r.lease = slices.IndexFunc(r.desc.Replicas, func(rep kvapi.ReplicaDescriptor) bool { return rep.NodeID == holder })
}

// displaced counts replicas on nodes that are gone or leaving.
func (w *world) displaced() (n int) {
	for i := range w.ranges {
		for _, rep := range w.ranges[i].desc.Replicas {
			if node := &w.nodes[rep.NodeID-1]; !node.alive || node.membership != Member {
				n++
			}
		}
	}
	return n
}

// unevenness counts replicas that nodes lack to the mean.
func (w *world) unevenness() int {
	w.recount()
	total, taking := 0, 0
	for _, n := range w.nodes {
		total += n.replicas
		if n.alive && n.membership == Member {
			taking++
		}
	}
	short := 0
	for _, n := range w.nodes {
		if n.alive && n.membership == Member {
			short += max(total/taking-n.replicas, 0)
		}
	}
	return short
}

// run lets the cluster come to rest and judges it.
func (w *world) run(t *testing.T, what string, needed int) {
	t.Helper()
	began := w.now
	limit := began + 100 + 40*len(w.ranges)/len(w.nodes)
	for rest := 0; rest < restTicks+int(DeadAfterDefault/tick); {
		if w.step() == 0 {
			rest++
		} else {
			rest = 0
		}
		if w.now > limit {
			t.Fatalf("%s: no rest after %s", what, time.Duration(w.now-began)*tick)
		}
	}
	lacking := w.recount()
	crowded, lost := 0, 0
	for i := range w.ranges {
		racks := map[string]bool{}
		for _, rep := range w.ranges[i].desc.Replicas {
			n := &w.nodes[rep.NodeID-1]
			racks[n.locality.String()] = true
			if !n.alive || n.membership != Member {
				lost++
			}
		}
		if len(racks) < 3 {
			crowded++
		}
		if len(w.ranges[i].desc.Replicas) != 3 {
			t.Errorf("%s: %s", what, &w.ranges[i].desc)
		}
	}
	minR, maxR, minL, maxL, mean, meanL := w.extremes()
	t.Logf("%s: rest after %s, %d moves (%d needed), %d undone, %d lease transfers; replicas %d to %d (mean %.0f), leases %d to %d (mean %.0f)",
		what, time.Duration(w.now-began-restTicks-int(DeadAfterDefault/tick))*tick, w.moves, needed, w.undone, w.transfers, minR, maxR, mean, minL, maxL, meanL)
	if lacking > 0 || lost > 0 || crowded > 0 {
		t.Errorf("%s: %d ranges are not whole, %d replicas are on lost nodes, %d ranges have two in a rack", what, lacking, lost, crowded)
	}
	// What gossip tells late may carry a count somewhat over the slack.
	off := slack(mean, slackShare, slackMin) + 0.02*mean + delayMax
	if float64(maxR) > mean+off || float64(minR) < mean-off {
		t.Errorf("%s: replicas from %d to %d, the mean is %.1f", what, minR, maxR, mean)
	}
	offL := slack(meanL, leaseSlackShare, leaseSlackMin) + 0.02*meanL + transfersPerTick
	if float64(maxL) > meanL+offL || float64(minL) < meanL-offL {
		t.Errorf("%s: leases from %d to %d, the mean is %.1f", what, minL, maxL, meanL)
	}
	if needed < math.MaxInt && w.moves > needed*5/4+len(w.ranges)/50+w.chance {
		t.Errorf("%s: %d moves, %d were needed", what, w.moves, needed)
	}
	if w.undone > w.moves/100+w.chance {
		t.Errorf("%s: %d of %d moves went back to where the range had been moved away from", what, w.undone, w.moves)
	}
}

func (w *world) extremes() (minR, maxR, minL, maxL int, mean, meanL float64) {
	minR, minL = math.MaxInt, math.MaxInt
	k := 0.0
	for _, n := range w.nodes {
		if n.alive && n.membership == Member {
			minR, maxR = min(minR, n.replicas), max(maxR, n.replicas)
			minL, maxL = min(minL, n.leases), max(maxL, n.leases)
			mean += float64(n.replicas)
			meanL += float64(n.leases)
			k++
		}
	}
	return minR, maxR, minL, maxL, mean / k, meanL / k
}

func (w *world) sample(lacking int) {
	minR, maxR, _, _, mean, _ := w.extremes()
	w.course = append(w.course, sample{float64(minR), mean, float64(maxR), 0, lacking})
}

func (w *world) writePlot(t *testing.T) {
	if *plotFlag == "" {
		return
	}
	if err := os.WriteFile(*plotFlag, w.plot(), 0o644); err != nil {
		t.Error(err)
	}
}

// BenchmarkDecide is the cost of a range that is well, among 100 nodes.
func BenchmarkDecide(b *testing.B) {
	w := newWorld(1, 100, 1000)
	w.recount()
	w.gossip()
	v := w.view(0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r := &w.ranges[i%len(w.ranges)]
		Decide(v, Range{Desc: &r.desc, Leaseholder: r.desc.Replicas[r.lease].NodeID})
	}
}
