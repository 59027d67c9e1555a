package nemesis

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/cairndb/cairn/acceptance/cluster"
)

// readyMax is how long a node may take to come back.
const readyMax = 45 * time.Second

func processes() []Nemesis {
	return []Nemesis{
		{Name: "kill", Does: "kill -9 of a node; started again",
			Strike: func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
				return kill(e, e.take(rng, 1))
			}},
		{Name: "kill-all", Does: "kill -9 of all nodes at once; started again together", HoldMax: 2 * time.Second,
			Strike: func(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
				return kill(e, e.take(rng, len(e.Cluster.Nodes)))
			}},
		{Name: "pause", Does: "SIGSTOP of one or two nodes, for less or more than a lease; SIGCONT", Strike: stop},
		{Name: "rolling-restart", Does: "SIGTERM of one node after the other, each started again when it has drained",
			HoldMin: time.Second, HoldMax: 3 * time.Second, Strike: roll},
		{Name: "address-swap", Does: "two nodes are killed and come back at each other's addresses", Nodes: 2,
			HoldMax: time.Second, Strike: swap},
		{Name: "membership", Does: "a node is decommissioned while it serves; a new one takes its place (4 nodes)", Nodes: 4,
			HoldMax: time.Second, Strike: leave},
		{Name: "wiped-node", Does: "a node is killed, its store deleted; a new node starts at its addresses", Once: true,
			Nodes: 3, Strike: wipe},
	}
}

func kill(e *Env, nodes []*cluster.Node) (*Wound, error) {
	if len(nodes) == 0 {
		return nil, nil
	}
	for _, n := range nodes {
		if _, err := n.End(syscall.SIGKILL); err != nil {
			return nil, err
		}
	}
	return &Wound{What: names(nodes) + " killed",
		Bite: func() (string, bool) {
			for _, n := range nodes {
				if n.Running() {
					return n.Name + " runs", false
				}
			}
			return fmt.Sprintf("%d processes ended by SIGKILL", len(nodes)), true
		},
		Heal: func(context.Context) error { return restart(e, nodes) }}, nil
}

// restart starts nodes together and waits until clients can use them.
func restart(e *Env, nodes []*cluster.Node) error {
	defer e.give(nodes...)
	var errs []error
	for _, n := range nodes {
		if !n.Running() {
			errs = append(errs, n.Begin())
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var wg sync.WaitGroup
	found := make([]error, len(nodes))
	for i, n := range nodes {
		wg.Go(func() { found[i] = n.AwaitReady(readyMax) })
	}
	wg.Wait()
	return errors.Join(found...)
}

func stop(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
	nodes := e.take(rng, 1+rng.IntN(2))
	if len(nodes) == 0 {
		return nil, nil
	}
	for _, n := range nodes {
		if err := n.Signal(syscall.SIGSTOP); err != nil {
			return nil, err
		}
	}
	return &Wound{What: names(nodes) + " stopped",
		Bite: func() (string, bool) {
			for _, n := range nodes {
				if s := n.State(); s != "T" {
					return fmt.Sprintf("%s is in state %q", n.Name, s), false
				}
			}
			return "in state T", true
		},
		Heal: func(context.Context) error {
			defer e.give(nodes...)
			var errs []error
			for _, n := range nodes {
				errs = append(errs, n.Signal(syscall.SIGCONT))
			}
			return errors.Join(errs...)
		}}, nil
}

// roll restarts one node after the other; each keeps to the drain's promise to
// end with status 0.
func roll(ctx context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
	nodes := e.take(rng, len(e.Cluster.Nodes))
	if len(nodes) == 0 {
		return nil, nil
	}
	w := rolling(ctx, e, nodes, func(n *cluster.Node) error { return replace(n, n.Binary) })
	w.What = "restart of " + names(nodes)
	return w, nil
}

// drained ends a node as an operator does.
func drained(n *cluster.Node) error {
	code, err := n.End(syscall.SIGTERM)
	if err == nil && code != 0 {
		err = fmt.Errorf("%s ended with status %d after SIGTERM", n.Name, code)
	}
	return err
}

// replace drains a node and starts it with a binary, "" for the cluster's.
func replace(n *cluster.Node, binary string) error {
	if err := drained(n); err != nil {
		return err
	}
	n.Binary = binary
	if err := n.Begin(); err != nil {
		return err
	}
	return n.AwaitReady(readyMax)
}

// rolling restarts nodes one after the other, by change.
func rolling(ctx context.Context, e *Env, nodes []*cluster.Node, change func(*cluster.Node) error) *Wound {
	done := make(chan error, 1)
	restarted := 0
	go func() {
		done <- func() error {
			for i, n := range nodes {
				if i > 0 && ctx.Err() != nil {
					return nil
				}
				if err := change(n); err != nil {
					return err
				}
				restarted++
			}
			return nil
		}()
	}()
	return &Wound{
		Bite: func() (string, bool) {
			err := <-done
			done <- err
			return fmt.Sprintf("%d nodes drained and came back", restarted), restarted > 0
		},
		Heal: func(context.Context) error {
			defer e.give(nodes...)
			return <-done
		}}
}

func swap(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
	nodes := e.take(rng, 2)
	if len(nodes) < 2 {
		e.give(nodes...)
		return nil, nil
	}
	w, err := kill(e, nodes)
	if err != nil {
		return nil, err
	}
	if err := e.Cluster.SwapAddresses(nodes[0], nodes[1]); err != nil {
		return nil, err
	}
	w.What = fmt.Sprintf("%s and %s swap addresses", nodes[0].Name, nodes[1].Name)
	ended := w.Bite
	w.Bite = func() (string, bool) {
		evidence, felt := ended()
		return fmt.Sprintf("%s; they come back at %s and %s", evidence, nodes[0].RPC, nodes[1].RPC), felt
	}
	return w, nil
}

// wipe turns a node into a new one. That may cost one replica of each range, so
// it is done once, and while all others are up.
func wipe(_ context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
	all := e.take(rng, len(e.Cluster.Nodes))
	if len(all) < len(e.Cluster.Nodes) {
		e.give(all...)
		return nil, nil
	}
	n, rest := all[0], all[1:]
	was := n.ID
	w, err := kill(e, []*cluster.Node{n})
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(n.Store); err != nil {
		return nil, err
	}
	return &Wound{What: n.Name + " wiped",
		Bite: func() (string, bool) {
			_, err := os.Stat(n.Store)
			return "its store is gone", errors.Is(err, fs.ErrNotExist)
		},
		Heal: func(ctx context.Context) error {
			defer e.give(rest...)
			if err := w.Heal(ctx); err != nil {
				return err
			}
			if n.ID == was {
				return fmt.Errorf("%s lost its store and is node %s again", n.Name, was)
			}
			return nil
		}}, nil
}

// leaveMax bounds a decommissioning.
const leaveMax = 2 * time.Minute

// leave takes a node out of the cluster as an operator does, and starts another
// one at its addresses.
func leave(ctx context.Context, e *Env, rng *rand.Rand) (*Wound, error) {
	nodes := e.take(rng, 1)
	if len(nodes) == 0 {
		return nil, nil
	}
	n := nodes[0]
	was := n.ID
	n.ExpectEnd()
	done := make(chan error, 1)
	go func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveMax)
		defer cancel()
		var err error
		for i := 0; limit.Err() == nil; i++ {
			// Who is asked may be down just now.
			via := e.Cluster.Others(n)[i%(len(e.Cluster.Nodes)-1)]
			if err = e.Cluster.Try(limit, "node", "decommission", was, "--host", via.Told()); err == nil {
				break
			}
			pause(limit, time.Second)
		}
		done <- err
	}()
	var left error
	return &Wound{What: fmt.Sprintf("%s (node %s) is decommissioned", n.Name, was),
		Bite: func() (string, bool) {
			left = <-done
			return "it has left", left == nil
		},
		Heal: func(ctx context.Context) error {
			if left != nil {
				e.give(n)
				return left
			}
			if n.Running() {
				if code := n.AwaitEnd(readyMax); code != 0 {
					return fmt.Errorf("%s was decommissioned and ended with status %d", n.Name, code)
				}
			}
			if err := os.RemoveAll(n.Store); err != nil {
				return err
			}
			if err := restart(e, nodes); err != nil {
				return err
			}
			if n.ID == was {
				return fmt.Errorf("%s was decommissioned and is node %s again", n.Name, was)
			}
			return nil
		}}, nil
}
