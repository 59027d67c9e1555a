package gossip

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cairndb/cairn/internal/rpc"
	"github.com/cairndb/cairn/kv/kvapi"
)

var (
	manyNodes = flag.Int("many", 150, "how many nodes gossip in TestNewAddressesReachAllNodes")
	manySeed  = flag.Uint64("many-seed", 0, "the seed of its losses; 0 draws one")
)

// lossy is a network without sockets that loses a share of all messages, counts
// bytes, and delivers by node id.
type lossy struct {
	rpc.Transport
	nodes []*Gossip
	rng   *rand.Rand
	loss  float64
	bytes atomic.Int64
}

var errLost = errors.New("lost")

// Call implements rpc.Transport: the request and the answer may be lost.
func (l *lossy) Call(ctx context.Context, to kvapi.NodeID, _ rpc.Class, _ rpc.Method, req rpc.Appender) ([]byte, error) {
	b := req.AppendWire(nil)
	l.bytes.Add(int64(len(b)))
	if l.rng.Float64() < l.loss {
		return nil, errLost
	}
	out, err := l.nodes[to-1].Handle(ctx, 0, b)
	if err != nil {
		return nil, err
	}
	b = out.AppendWire(nil)
	l.bytes.Add(int64(len(b)))
	if l.rng.Float64() < l.loss {
		return nil, errLost
	}
	return b, nil
}

// Two of many nodes that all know each other restart at each other's addresses.
// All find both within a number of rounds (seconds) that grows with the logarithm
// of the nodes, although every fifth message is lost. With -v it prints what each
// node sends meanwhile, renewals of descriptors included.
func TestNewAddressesReachAllNodes(t *testing.T) {
	n, seed := *manyNodes, *manySeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	net := &lossy{rng: rand.New(rand.NewPCG(seed, 1)), loss: 0.2}
	at := make([]string, n)
	node := func(i int, inc Incarnation) *Gossip {
		g := New(Config{Self: kvapi.NodeID(i + 1), ClusterID: kvapi.ClusterID{1}, Incarnation: inc, Log: slog.New(slog.DiscardHandler),
			Describe: func() NodeDescriptor {
				return NodeDescriptor{NodeID: kvapi.NodeID(i + 1), RPCAddress: at[i], SQLAddress: at[i], HTTPAddress: at[i], Version: "v1.2.3"}
			}})
		g.SetTransport(net)
		return g
	}
	for i := range n {
		at[i] = fmt.Sprintf("10.0.%d.%d:7433", i/256, i%256)
		net.nodes = append(net.nodes, node(i, 1))
	}
	all := NewStore(0, 1)
	for _, g := range net.nodes {
		for _, i := range g.mu.store.infos {
			all.merge(i.Heard, i)
		}
	}
	for _, g := range net.nodes {
		for _, i := range all.infos {
			g.mu.store.merge(i.Heard, i)
		}
	}
	for _, pair := range [][2]int{{0, 1}, {1, 0}} { // what they knew they know from their disks
		at[pair[0]] = fmt.Sprintf("10.0.0.%d:7433", pair[1])
		old := net.nodes[pair[0]]
		net.nodes[pair[0]] = node(pair[0], 2)
		for k, i := range old.mu.store.infos {
			if k.owner != kvapi.NodeID(pair[0]+1) {
				net.nodes[pair[0]].mu.store.merge(i.Heard, i)
			}
		}
	}
	knowing := func() (k int) {
		for _, g := range net.nodes {
			a, _ := g.Address(1)
			b, _ := g.Address(2)
			if a == at[0] && b == at[1] {
				k++
			}
		}
		return k
	}
	roundsMax := bits.Len(uint(n)) + 6
	rounds := 0
	for knowing() < n {
		if rounds == roundsMax {
			t.Fatalf("seed %d: after %d rounds %d of %d nodes know the new addresses", seed, rounds, knowing(), n)
		}
		for i, g := range net.nodes {
			if (i+rounds)%int(HeartbeatInterval/exchangeInterval) == 0 {
				g.Announce()
			}
			g.round(t.Context())
		}
		rounds++
	}
	t.Logf("seed %d: %d nodes, %d rounds of %s, %d bytes a node and second", seed, n, rounds, exchangeInterval, net.bytes.Load()/int64(n*rounds))
}
