package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
	"github.com/cairndb/cairn/acceptance/link"
)

func needsLinks(e *Env) error {
	if e.Cluster.Links == nil {
		return errors.New("it needs links that it can shape")
	}
	return nil
}

// partitions cut ways between nodes; clients reach all of them.
func partitions() []Nemesis {
	partition := func(name, does string, nodes int, ways func(in []*cluster.Node, rng *rand.Rand) (string, []link.Way)) Nemesis {
		return Nemesis{Name: name, Does: does, Nodes: nodes, Needs: needsLinks,
			Strike: func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
				return cut(e, rng, ways), nil
			}}
	}
	return []Nemesis{
		partition("partition-one", "one node is cut from all others", 2, func(in []*cluster.Node, _ *rand.Rand) (string, []link.Way) {
			return in[0].Name + " | the others", across(in[:1], in[1:])
		}),
		partition("partition-halves", "two parts that do not hear each other", 2, func(in []*cluster.Node, rng *rand.Rand) (string, []link.Way) {
			at := 1 + rng.IntN(len(in)-1)
			return names(in[:at]) + " | " + names(in[at:]), across(in[:at], in[at:])
		}),
		partition("partition-bridge", "two parts that do not hear each other, and one node that hears both", 3, func(in []*cluster.Node, rng *rand.Rand) (string, []link.Way) {
			at := 2 + rng.IntN(len(in)-2)
			return fmt.Sprintf("%s | %s, bridged by %s", names(in[1:at]), names(in[at:]), in[0].Name), across(in[1:at], in[at:])
		}),
		partition("partition-ring", "each node hears only its two neighbours", 4, func(in []*cluster.Node, _ *rand.Rand) (string, []link.Way) {
			var ways []link.Way
			for i := range in {
				for j := range in {
					if d := (i - j + len(in)) % len(in); d > 1 && d < len(in)-1 {
						ways = append(ways, link.Way{From: in[i].Name, To: in[j].Name})
					}
				}
			}
			return "ring " + names(in), ways
		}),
		partition("partition-one-way", "a node hears others that do not hear it, or the other way round", 2, func(in []*cluster.Node, rng *rand.Rand) (string, []link.Way) {
			k := 1 + rng.IntN(len(in)-1)
			var ways []link.Way
			deaf := rng.IntN(2) == 0
			for _, o := range in[1 : k+1] {
				if deaf {
					ways = append(ways, link.Way{From: o.Name, To: in[0].Name})
				} else {
					ways = append(ways, link.Way{From: in[0].Name, To: o.Name})
				}
			}
			if deaf {
				return fmt.Sprintf("%s does not hear %s", in[0].Name, names(in[1:k+1])), ways
			}
			return fmt.Sprintf("%s does not hear %s", names(in[1:k+1]), in[0].Name), ways
		}),
	}
}

// across is both ways between any of a and any of b.
func across(a, b []*cluster.Node) []link.Way {
	var out []link.Way
	for _, x := range a {
		for _, y := range b {
			out = append(out, link.Way{From: x.Name, To: y.Name}, link.Way{From: y.Name, To: x.Name})
		}
	}
	return out
}

// cut makes a partition. One in two breaks the connections when it heals, as if
// they had timed out; else what was held arrives late.
func cut(e *Env, rng *rand.Rand, ways func(in []*cluster.Node, rng *rand.Rand) (string, []link.Way)) *Wound {
	in := make([]*cluster.Node, len(e.Cluster.Nodes))
	for i, j := range rng.Perm(len(in)) {
		in[i] = e.Cluster.Nodes[j]
	}
	what, ws := ways(in, rng)
	breaks := rng.IntN(2) == 0
	if breaks {
		what += "; connections break"
	}
	return shapeWays(e, what, link.Shape{Cut: true}, ws, breaks)
}

// shapeWays applies a shape to ways until it is healed.
func shapeWays(e *Env, what string, s link.Shape, ws []link.Way, breaks bool) *Wound {
	n := e.Cluster.Links
	did := n.Measure(ws...)
	n.Shape(s, ws...)
	return &Wound{What: what,
		Bite: func() (string, bool) {
			return bite(s, did())
		},
		Heal: func(context.Context) error {
			if breaks {
				n.Break(ws...)
			}
			n.Shape(link.Shape{}, ws...)
			return nil
		}}
}

// bite says what a shape did to what passed. What TCP is to notice it must have
// noticed.
func bite(s link.Shape, did link.Counts) (string, bool) {
	if s.Cut {
		return fmt.Sprintf("%d pieces and %d calls were held", did.Held, did.Refused), did.Held+did.Refused > 0
	}
	var said []string
	felt := false
	say := func(is bool, format string, args ...any) {
		if is {
			said, felt = append(said, fmt.Sprintf(format, args...)), true
		}
	}
	say(did.Delayed > 0, "%d of %d pieces were late", did.Delayed, did.Pieces)
	say(did.Resets > 0, "%d connections broke", did.Resets)
	say(did.Flipped > 0, "a bit was flipped in %d of %d pieces", did.Flipped, did.Pieces)
	for _, k := range []struct {
		chance      float64
		done, heard int64
		format      string
	}{
		{s.Loss, did.Lost, did.Kernel.Retransmitted, "%d packets were lost and %d segments sent again"},
		{s.Reorder, did.Reordered, did.Kernel.OutOfOrder, "%d packets were overtaken and %d segments came out of order"},
		{s.Duplicate, did.Duplicated, did.Kernel.Repeated, "%d packets came twice and %d segments were recognised"},
		{s.Corrupt, did.Corrupted, did.Kernel.BadChecksums, "%d packets were corrupt and %d segments had a wrong checksum"},
	} {
		say(k.chance > 0 && k.done > 0 && k.heard > 0, k.format, k.done, k.heard)
	}
	if !felt {
		return fmt.Sprintf("%d pieces passed unharmed", did.Pieces), false
	}
	return strings.Join(said, ", "), true
}

// packets suffer below TCP, which hides it but for the time that it takes.
func packets() []Nemesis {
	suffer := func(name, does string, most float64, shape func(chance float64) link.Shape) Nemesis {
		return Nemesis{Name: name, Does: does, Nodes: 2, Packets: true, HoldMin: time.Second,
			Needs: func(e *Env) error {
				if !e.Cluster.HasPackets() {
					return errors.New("it needs nodes with network namespaces: run it as root, or under unshare -Urn")
				}
				return nil
			},
			Strike: func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
				ways, what := someWays(e, rng)
				p := most * (0.2 + 0.8*rng.Float64())
				return shapeWays(e, fmt.Sprintf("%.1f %% on %s", 100*p, what), shape(p), ways, false), nil
			}}
	}
	return []Nemesis{
		suffer("packet-loss", "packets are lost between some nodes", 0.15, func(p float64) link.Shape {
			return link.Shape{Loss: p}
		}),
		suffer("packet-reorder", "packets overtake others between some nodes", 0.5, func(p float64) link.Shape {
			return link.Shape{Reorder: p, ReorderTime: 5 * time.Millisecond}
		}),
		suffer("packet-duplicate", "packets arrive twice between some nodes", 0.5, func(p float64) link.Shape {
			return link.Shape{Duplicate: p}
		}),
		suffer("packet-corrupt", "packets between some nodes arrive with a bit flipped, and TCP's checksum tells", 0.15, func(p float64) link.Shape {
			return link.Shape{Corrupt: p}
		}),
	}
}

// flips are bits that arrive as other ones, and that no checksum below ours tells.
func flips(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
	ways, what := someWays(e, rng)
	p := 0.002 + 0.01*rng.Float64()
	before := e.sum("rpc_damaged_total")
	w := shapeWays(e, fmt.Sprintf("%.1f %% of the pieces on %s", 100*p, what), link.Shape{Flip: p}, ways, false)
	did := w.Bite
	w.Bite = func() (string, bool) {
		evidence, felt := did()
		return fmt.Sprintf("%s; %.0f streams ended for a wrong checksum", evidence, e.sum("rpc_damaged_total")-before), felt
	}
	return w, nil
}

// links are slow and flaky ones: between healthy and dead.
func links() []Nemesis {
	return []Nemesis{
		{Name: "slow-links", Does: "20 to 300 ms on the links of some nodes", Nodes: 2, Needs: needsLinks,
			Strike: func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
				ways, what := someWays(e, rng)
				d := between(rng, 20*time.Millisecond, 300*time.Millisecond)
				return shapeWays(e, fmt.Sprintf("%v on %s", d.Round(time.Millisecond), what), link.Shape{Delay: d, Jitter: d / 3}, ways, false), nil
			}},
		{Name: "flaky-links", Does: "pieces that stall as after a lost packet, and connections that break", Nodes: 2, Needs: needsLinks,
			Strike: func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
				ways, what := someWays(e, rng)
				s := link.Shape{Jitter: 5 * time.Millisecond, Loss: 0.02 + 0.1*rng.Float64(), StallTime: 200 * time.Millisecond}
				if rng.IntN(2) == 0 {
					s.Reset = 0.005
				}
				return shapeWays(e, fmt.Sprintf("%.0f %% stalls, %.1f %% resets on %s", 100*s.Loss, 100*s.Reset, what), s, ways, false), nil
			}},
		{Name: "thin-links", Does: "links of 100 to 500 kB a second", Nodes: 2, Needs: needsLinks,
			Strike: func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
				ways, what := someWays(e, rng)
				rate := 100_000 + rng.IntN(400_000)
				return shapeWays(e, fmt.Sprintf("%d kB/s on %s", rate/1000, what), link.Shape{BytesPerSecond: rate}, ways, false), nil
			}},
		{Name: "bit-flips", Does: "bits of what nodes say to each other are flipped, and TCP does not notice", Nodes: 2, Needs: needsLinks, HoldMin: time.Second, Strike: flips},
		{Name: "dropped-answers", Does: "answers to clients are lost together with their connections", Nodes: 1, Needs: needsLinks,
			Strike: func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
				var ways []link.Way
				for _, n := range e.Cluster.Nodes {
					ways = append(ways, link.Way{From: n.Name, To: cluster.Clients})
				}
				s := link.Shape{Reset: 0.01 + 0.04*rng.Float64()}
				return shapeWays(e, fmt.Sprintf("%.1f %% of the answers to clients", 100*s.Reset), s, ways, false), nil
			}},
	}
}

// someWays are those of a node or of all.
func someWays(e *Env, rng *rand.Rand) ([]link.Way, string) {
	nodes := e.Cluster.Nodes
	if rng.IntN(3) == 0 {
		var all []link.Way
		for i := range nodes {
			all = append(all, across(nodes[i:i+1], nodes[i+1:])...)
		}
		return all, "all links"
	}
	n := nodes[rng.IntN(len(nodes))]
	return across([]*cluster.Node{n}, e.Cluster.Others(n)), "links of " + n.Name
}
