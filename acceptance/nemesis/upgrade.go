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

const (
	// upgradePause is how long a cluster of two builds serves between one node and
	// the next.
	upgradePause = time.Second
	// finaliseMax is how long the cluster's version may take to rise.
	finaliseMax = 45 * time.Second
)

func upgrades() []Nemesis {
	return []Nemesis{{
		Name: "upgrade", Does: "one node after the other moves to another build, with a step back; the cluster's version rises, and the old build is refused (--old-binary)",
		Nodes: 2, Once: true, Needs: func(e *Env) error {
			if e.OldBinary == "" {
				return errors.New("it needs another build: --old-binary")
			}
			return nil
		},
		HoldMin: time.Second, HoldMax: 3 * time.Second, Strike: upgrade,
	}}
}

// upgrade takes the nodes from the old build to the new one, as an operator does:
// drained, replaced, started, one after the other, while the cluster's version is
// held. The first of them goes back for a while. Then the version may rise, and if
// it has, the old build must be refused.
func upgrade(ctx context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
	nodes := e.take(rng, len(e.Cluster.Nodes))
	if len(nodes) < len(e.Cluster.Nodes) || e.Cluster.Nodes[0].Binary == "" {
		e.give(nodes...)
		return nil, nil
	}
	before := versions(e.Cluster)
	was := clusterVersions(e.Cluster)
	// What has begun is brought to its end.
	whole := context.WithoutCancel(ctx)
	if err := e.exec(whole, rng, "ALTER SYSTEM SET cairn.hold_cluster_version = on"); err != nil {
		e.give(nodes...)
		return nil, err
	}
	first := true
	w := rolling(whole, e, nodes, func(n *cluster.Node) error {
		if !first {
			pause(whole, upgradePause)
			return replace(n, "")
		}
		first = false
		for _, binary := range []string{"", e.OldBinary, ""} {
			if err := replace(n, binary); err != nil {
				return err
			}
		}
		return nil
	})
	w.What = names(nodes) + " move to the new build"
	moved := w.Bite
	w.Bite = func() (string, bool) {
		evidence, came := moved()
		after := versions(e.Cluster)
		if !slices.ContainsFunc(after, func(v string) bool { return !slices.Contains(before, v) }) {
			return evidence + ", and the cluster runs " + strings.Join(after, ", ") + " as before", false
		}
		evidence = fmt.Sprintf("%s, and the cluster runs %s; before it was %s", evidence, strings.Join(after, " and "), strings.Join(before, " and "))
		if !came {
			return evidence, false
		}
		said, err := finalise(whole, e, rng, nodes[0], was)
		if err != nil {
			return evidence + "; " + err.Error(), false
		}
		return evidence + "; " + said, true
	}
	return w, nil
}

// finalise lets the cluster's version rise, and shows that the old build is refused.
// Two builds that work in the same versions leave nothing to finalise.
func finalise(ctx context.Context, e *Env, rng *rand.Rand, n *cluster.Node, was []string) (string, error) {
	held := clusterVersions(e.Cluster)
	if !slices.ContainsFunc(held, mayRise) {
		return "both builds work in cluster version " + strings.Join(held, " and "), nil
	}
	ctx, cancel := context.WithTimeout(ctx, finaliseMax)
	defer cancel()
	if err := e.exec(ctx, rng, "ALTER SYSTEM RESET cairn.hold_cluster_version"); err != nil {
		return "", err
	}
	now := held
	for slices.ContainsFunc(now, mayRise) || len(now) == 0 {
		if !pause(ctx, 200*time.Millisecond) {
			return "", fmt.Errorf("the cluster's version is still %s", strings.Join(now, " and "))
		}
		now = clusterVersions(e.Cluster)
	}
	if err := drained(n); err != nil {
		return "", err
	}
	n.Binary = e.OldBinary
	err := n.BeginToEnd()
	if err == nil {
		code := n.AwaitEnd(readyMax)
		n.Binary = ""
		switch {
		case code <= 0:
			return "", fmt.Errorf("%s with the old build ended with status %d, -1 for not at all", n.Name, code)
		case !strings.Contains(n.LogTail(20), "too old"):
			return "", fmt.Errorf("%s with the old build does not say that it is too old: %s", n.Name, n.LogTail(3))
		}
		err = n.Begin()
	}
	if err == nil {
		err = n.AwaitReady(readyMax)
	}
	return fmt.Sprintf("the cluster's version was %s, held at %s, and is %s; then the old build was refused on %s",
		strings.Join(was, " and "), strings.Join(held, " and "), strings.Join(now, " and "), n.Name), err
}

// mayRise reports whether a node works in more than the cluster's version: 1 of 1-2.
func mayRise(v string) bool {
	active, works, _ := strings.Cut(v, " of ")
	return works[strings.LastIndex(works, "-")+1:] != active
}

// clusterVersions is what the nodes say of the cluster's version and theirs, each
// once.
func clusterVersions(c *cluster.Cluster) (all []string) {
	for _, via := range c.Nodes {
		said, err := c.ClusterVersions(via)
		if err != nil {
			continue
		}
		for _, v := range said {
			if !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
	}
	slices.Sort(all)
	return all
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
