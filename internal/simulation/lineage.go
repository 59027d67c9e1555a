package simulation

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cairndb/cairn/internal/rpc"
	"github.com/cairndb/cairn/internal/rpc/memnet"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Aim is how faults find the nodes that they happen to.
type Aim string

// Aims. AimRandom takes what the schedule drew.
const (
	AimRandom  Aim = ""
	AimLineage Aim = "lineage"
)

// lineage works out which messages the outcomes of the last moments came from, and
// has faults go for what all of these needed (lineage-driven fault injection, after
// P. Alvaro, J. Rosen and J. M. Hellerstein, "Lineage-driven Fault Injection",
// SIGMOD 2015).
//
//	          call                          return
//	gateway ──┬──────────────────────────────▲──▶     acknowledged
//	          ▼ request               answer │
//	leader  ───────┬────┬─────────▲──────────┴──▶     lineage: the four that lead
//	               ▼    ▼         │                   back from the return; what the
//	A       ───────┼────▲─────────┤                   slower follower sent is none
//	B       ───────▲───────────────────▶ (later)      of it
//
// The lineage of an outcome is what happened before it: from its return backwards,
// each message that arrived before what its receiver sent next, and that was sent after the
// call. That is more than what a program slice would find, and needs nothing from
// the product.
//
// A fault could have broken an outcome if its lineage has a message that the fault
// would have lost. Those that hit most of the outcomes of the last moments come
// first: an outcome that another replica could have supported as well is not hit
// by the loss of the one that did, and then that other one is found in the lineage of
// other outcomes. So the faults that hit all are those without an alternative.
//
// The paper runs a program to its end, asks a solver for sets of losses that hit every
// support, and runs it again with them. Here a run is long and its clients
// always ask anew, so the run until now is the successful one, and what it would have
// needed is lost from now on. Which kind of fault comes when, and for how long,
// is the schedule's, so both aims differ in nothing but the target.
type lineage struct {
	rng *rand.Rand
	mu  struct {
		sync.Mutex
		deliveries []memnet.Delivery // in the order of their sending
		supports   []support
	}
}

// support is the lineage of an outcome.
type support struct {
	gateway  rpc.NodeID
	at       time.Time
	messages []memnet.Delivery
}

const (
	// lineageWindow is how far back outcomes count.
	lineageWindow = 2 * time.Second
	// deliveriesMax bounds what is remembered, callMax the operations that are
	// looked at: a long one was not served, and what it waited for is in the others.
	deliveriesMax = 50_000
	callMax       = time.Second
)

func newLineage(rng *rand.Rand) *lineage { return &lineage{rng: rng} }

// delivered is told of every message. Those of System are gossip and the like,
// which all nodes send all the time.
func (l *lineage) delivered(d memnet.Delivery) {
	if d.Class == rpc.System {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.mu.deliveries) >= deliveriesMax {
		l.mu.deliveries = slices.Delete(l.mu.deliveries, 0, deliveriesMax/2)
	}
	l.mu.deliveries = append(l.mu.deliveries, d)
}

// acknowledged is told of every operation that succeeded.
func (l *lineage) acknowledged(gateway kvapi.NodeID, call, ret time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ret.Sub(call) > callMax {
		return
	}
	s := support{gateway: gateway, at: ret, messages: trace(l.mu.deliveries, gateway, call, ret)}
	if len(s.messages) == 0 {
		return // the gateway had it all
	}
	l.mu.supports = slices.DeleteFunc(append(l.mu.supports, s), func(o support) bool { return ret.Sub(o.at) > lineageWindow })
}

// trace walks from an outcome back to its call.
func trace(all []memnet.Delivery, gateway rpc.NodeID, call, ret time.Time) []memnet.Delivery {
	var within []memnet.Delivery
	for _, d := range slices.Backward(all) {
		if d.Sent.Before(call) {
			break
		}
		if !d.Arrives.After(ret) {
			within = append(within, d)
		}
	}
	slices.SortStableFunc(within, func(a, b memnet.Delivery) int { return b.Arrives.Compare(a.Arrives) })
	// What a node heard until then counts.
	counts := map[rpc.NodeID]time.Time{gateway: ret}
	var out []memnet.Delivery
	for _, d := range within {
		until, ok := counts[d.To]
		if !ok || d.Arrives.After(until) {
			continue
		}
		out = append(out, d)
		if d.Sent.After(counts[d.From]) {
			counts[d.From] = d.Sent
		}
	}
	return out
}

// aim gives a fault the target that most of the last outcomes needed. A fault whose
// kind has no target, and one before which nothing was acknowledged, stay what they
// were.
func (l *lineage) aim(f Fault) Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch f.Kind {
	case OneWay, Ring:
		if from, to, ok := l.link(f.Kind == Ring); ok {
			f.A, f.B = from, to
		}
	case Isolate, Crash, Pause, Stall, Clock, Rereplica:
		if n, ok := l.node(); ok {
			f.A = n
		}
	case Transfer:
		// A lease goes to who follows: that is where it may have been forgotten
		// what the leader knew.
		if _, to, ok := l.link(false); ok {
			f.A = to
		}
	}
	return f
}

// node draws a node, the likelier the more of the last outcomes would not have been
// without it. The gateway counts for nothing: without it nobody is told anything.
func (l *lineage) node() (int, bool) {
	hits := map[int]int{}
	for _, s := range l.mu.supports {
		seen := map[rpc.NodeID]bool{s.gateway: true}
		for _, m := range s.messages {
			for _, n := range []rpc.NodeID{m.From, m.To} {
				if !seen[n] {
					seen[n] = true
					hits[int(n)-1]++
				}
			}
		}
	}
	return drawHit(l.rng, hits)
}

// link draws a link, the likelier the more of the last outcomes needed it.
func (l *lineage) link(bothWays bool) (from, to int, ok bool) {
	const width = 1 << 8
	hits := map[int]int{}
	for _, s := range l.mu.supports {
		seen := map[int]bool{}
		for _, m := range s.messages {
			a, b := int(m.From)-1, int(m.To)-1
			if bothWays && b < a {
				a, b = b, a
			}
			if k := a*width + b; !seen[k] {
				seen[k] = true
				hits[k]++
			}
		}
	}
	k, ok := drawHit(l.rng, hits)
	return k / width, k % width, ok
}

// drawHit draws by the cubes of the hits: what all outcomes need comes first, but not
// always, or whatever shares the run with it would never be tried.
func drawHit(rng *rand.Rand, hits map[int]int) (int, bool) {
	keys := make([]int, 0, len(hits))
	sum := 0
	for k, n := range hits {
		keys = append(keys, k)
		sum += n * n * n
	}
	if sum == 0 {
		return 0, false
	}
	slices.Sort(keys)
	at := rng.IntN(sum)
	for _, k := range keys {
		if at -= hits[k] * hits[k] * hits[k]; at < 0 {
			return k, true
		}
	}
	panic("simulation: hits do not add up")
}
