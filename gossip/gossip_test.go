package gossip

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/rpc"
	"github.com/cairndb/cairn/internal/rpc/memnet"
	"github.com/cairndb/cairn/internal/rpc/rpcpb"
	"github.com/cairndb/cairn/kv/kvapi"
)

type bubbleClock struct{}

func (bubbleClock) WallNanos() int64 { return time.Now().UnixNano() }

// sim is a network of gossiping nodes at named addresses.
type sim struct {
	t   *testing.T
	net *memnet.Network
	// mu guards at, which running nodes read.
	mu    sync.Mutex
	at    map[string]*simNode
	nodes map[kvapi.NodeID]*simNode
}

type simNode struct {
	*Gossip
	cancel context.CancelFunc
	ep     *memnet.Endpoint
}

const method = 9

func newSim(t *testing.T) *sim {
	return &sim{t: t, net: memnet.New(1), at: map[string]*simNode{}, nodes: map[kvapi.NodeID]*simNode{}}
}

func (s *sim) start(id kvapi.NodeID, addr string, join ...string) *simNode {
	n := &simNode{}
	n.Gossip = New(Config{Self: id, ClusterID: kvapi.ClusterID{1}, Incarnation: Incarnation(time.Now().UnixNano()),
		Method: method, Bootstrap: join, Log: slog.New(slog.DiscardHandler),
		Exchange: func(_ context.Context, addr string, m *rpcpb.GossipMessage) (*rpcpb.GossipMessage, error) {
			s.mu.Lock()
			p := s.at[addr]
			s.mu.Unlock()
			if p != nil {
				return p.Answer(m)
			}
			return nil, fmt.Errorf("connection refused")
		},
		Describe: func() NodeDescriptor { return NodeDescriptor{NodeID: id, RPCAddress: addr} }})
	mux := &rpc.Mux{}
	mux.HandleCall(method, n.Handle)
	n.ep = s.net.Attach(id, hlc.NewClock(bubbleClock{}, time.Second), mux)
	n.SetTransport(n.ep)
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	s.mu.Lock()
	s.at[addr], s.nodes[id] = n, n
	s.mu.Unlock()
	go n.Run(ctx)
	return n
}

func (s *sim) stop(id kvapi.NodeID) {
	s.nodes[id].cancel()
	s.nodes[id].ep.Close()
	delete(s.nodes, id)
}

func (s *sim) stopAll() {
	for id := range s.nodes {
		s.stop(id)
	}
}

func (s *sim) wantAddress(of kvapi.NodeID, want string) {
	s.t.Helper()
	for id, n := range s.nodes {
		if got, _ := n.Address(of); got != want {
			s.t.Errorf("%s finds %s at %q, want %q", id, of, got, want)
		}
	}
}

func TestTwentyNodesHearOfEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		defer s.stopAll()
		for id := kvapi.NodeID(1); id <= 20; id++ {
			s.start(id, fmt.Sprintf("a%d", id), "a1")
		}
		time.Sleep(10 * time.Second)
		for id := kvapi.NodeID(1); id <= 20; id++ {
			s.wantAddress(id, fmt.Sprintf("a%d", id))
		}
	})
}

// TestRestartAtTheAddressOfALiveNode is the bug that erased live nodes
// elsewhere: node 3 comes back where node 2 listened, node 2 moved on.
func TestRestartAtTheAddressOfALiveNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		defer s.stopAll()
		for id := kvapi.NodeID(1); id <= 3; id++ {
			s.start(id, fmt.Sprintf("a%d", id), "a1")
		}
		time.Sleep(5 * time.Second)
		s.stop(2)
		s.stop(3)
		s.mu.Lock()
		delete(s.at, "a3")
		s.mu.Unlock()
		s.start(3, "a2", "a1")
		time.Sleep(5 * time.Second)
		s.wantAddress(3, "a2")
		s.wantAddress(2, "") // taken; node 2 has not said where it is
		s.start(2, "a3", "a1")
		time.Sleep(5 * time.Second)
		s.wantAddress(2, "a3")
		s.wantAddress(3, "a2")
	})
}

func TestLivenessFollowsHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		defer s.stopAll()
		s.start(1, "a1")
		s.start(2, "a2", "a1")
		live := func() (n int) {
			for _, nd := range s.nodes[1].Nodes() {
				if nd.Live {
					n++
				}
			}
			return n
		}
		time.Sleep(time.Minute)
		if live() != 2 {
			t.Fatalf("%d live, want 2", live())
		}
		s.stop(2)
		time.Sleep(LiveWindow + time.Second)
		if live() != 1 {
			t.Fatalf("%d live after one stopped, want 1", live())
		}
	})
}

func TestStoreMergeKeepsTheNewest(t *testing.T) {
	now := time.Unix(1000, 0)
	s := NewStore(1, 5)
	rec := func(inc Incarnation, seq Sequence, v string) *Info {
		return &Info{Key: "k", Value: []byte(v), Owner: 2, stamp: stamp{inc, seq}}
	}
	for _, step := range []struct {
		in   *Info
		want bool
	}{
		{rec(5, 2, "b"), true},
		{rec(5, 1, "a"), false},
		{rec(5, 2, "x"), false},
		{rec(6, 1, "c"), true},
		{rec(5, 9, "y"), false},
		{&Info{Key: "k", Owner: 1, stamp: stamp{99, 99}}, false},
		{rec(Incarnation(now.Add(time.Hour).UnixNano()), 1, "z"), false},
	} {
		if got := s.merge(now, step.in); got != step.want {
			t.Errorf("%s (%d,%d): news %v, want %v", step.in.Value, step.in.stamp.incarnation, step.in.stamp.sequence, got, step.want)
		}
	}
	if got := string(s.infos[infoKey{2, "k"}].Value); got != "c" {
		t.Errorf("kept %q", got)
	}
}

// TestFirstRangePrefersNewerKnowledge has two nodes tell of the first range.
func TestFirstRangePrefersNewerKnowledge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t)
		defer s.stopAll()
		a, b := s.start(1, "a1"), s.start(2, "a2", "a1")
		tell := func(n *simNode, gen kvapi.Generation, seq kvapi.LeaseSequence) {
			r := kvapi.RangeInfo{Desc: kvapi.RangeDescriptor{RangeID: 1, Generation: gen}, Lease: kvapi.Lease{Sequence: seq}}
			n.AddInfo(KeyFirstRange, r.AppendWire(nil), time.Hour)
		}
		tell(a, 3, 7)
		tell(b, 3, 6)
		time.Sleep(5 * time.Second)
		for _, n := range []*simNode{a, b} {
			if r, ok := n.FirstRange(); !ok || r.Lease.Sequence != 7 {
				t.Errorf("got %+v", r)
			}
		}
	})
}
