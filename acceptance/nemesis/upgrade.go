package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
)

// upgradePause is how long a cluster of two builds serves between one node and
// the next.
const upgradePause = time.Second

func upgrades() []Nemesis {
	return []Nemesis{{
		Name: "upgrade", Does: "one node after the other moves to the other build, and later back (--old-binary)",
		Nodes: 2, Needs: func(e *Env) error {
			if e.OldBinary == "" {
				return errors.New("it needs another build: --old-binary")
			}
			return nil
		},
		HoldMin: time.Second, HoldMax: 3 * time.Second, Strike: upgrade,
	}}
}

// upgrade takes the nodes from the build that the first of them runs to the other
// one, as an operator does: drained, replaced, started, one after the other. A
// strike after that takes them back, which is promised as long as both builds
// write what the other one reads.
func upgrade(ctx context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
	nodes := e.take(rng, len(e.Cluster.Nodes))
	if len(nodes) < len(e.Cluster.Nodes) {
		e.give(nodes...)
		return nil, nil
	}
	to, name := "", "the new build"
	if e.Cluster.Nodes[0].Binary == "" {
		to, name = e.OldBinary, "the old build"
	}
	before := versions(e.Cluster)
	first := true
	// One that has begun is brought to its end.
	whole := context.WithoutCancel(ctx)
	w := rolling(whole, e, nodes, func(n *cluster.Node) {
		if !first {
			pause(whole, upgradePause)
		}
		first, n.Binary = false, to
	})
	w.What = names(nodes) + " move to " + name
	back := w.Bite
	w.Bite = func() (string, bool) {
		evidence, came := back()
		after := versions(e.Cluster)
		if !slices.ContainsFunc(after, func(v string) bool { return !slices.Contains(before, v) }) {
			return evidence + ", and the cluster runs " + strings.Join(after, ", ") + " as before", false
		}
		return fmt.Sprintf("%s, and the cluster runs %s; before it was %s", evidence, strings.Join(after, " and "), strings.Join(before, " and ")), came
	}
	return w, nil
}

// versions are the builds that the nodes tell each other they are, as any of them
// sees it.
func versions(c *cluster.Cluster) []string {
	for _, n := range c.Nodes {
		if v, err := c.Versions(n); err == nil && len(v) > 0 {
			return v
		}
	}
	return []string{"unknown builds"}
}
