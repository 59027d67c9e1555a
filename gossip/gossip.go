package gossip

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/cairndb/cairn/internal/rpc"
	"github.com/cairndb/cairn/internal/rpc/rpcpb"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Pace of gossip. A record reaches a cluster of n nodes in about log(n)
// exchanges.
const (
	exchangeInterval = time.Second
	exchangePeers    = 2
	// HeartbeatInterval is how often a node renews its descriptor.
	HeartbeatInterval = 4 * time.Second
	// LiveWindow is how long a node counts as alive after a renewal.
	LiveWindow = 2*HeartbeatInterval + 2*exchangeInterval
	// youngFor is how long after its start a node renews its descriptor at every
	// exchange: what it has changes fast then, and people look.
	youngFor = 10 * time.Second
	// exchangeTimeout bounds one exchange.
	exchangeTimeout = 3 * time.Second
)

// Config is what Gossip needs.
type Config struct {
	Self        kvapi.NodeID
	ClusterID   kvapi.ClusterID
	Incarnation Incarnation
	Transport   rpc.Transport
	// Method is the number of the exchange on the system stream.
	Method rpc.Method
	// Bootstrap are addresses to ask while no peer is known, through Exchange.
	Bootstrap []string
	Exchange  func(ctx context.Context, addr string, m *rpcpb.GossipMessage) (*rpcpb.GossipMessage, error)
	// Describe returns the node's descriptor of the moment.
	Describe func() NodeDescriptor
	Log      *slog.Logger
}

// Gossip is a node's part in the gossip. It is safe for concurrent use.
type Gossip struct {
	cfg Config

	mu struct {
		sync.Mutex
		store *Store
		// moved holds addresses that peers told in a handshake, until their
		// record catches up.
		moved     map[kvapi.NodeID]claim
		callbacks []callback
	}
}

// claim is an address said by a node in one incarnation.
type claim struct {
	address     string
	incarnation Incarnation
}

type callback struct {
	key string
	fn  func(Info)
}

// New returns a gossip that knows nothing but its own node.
func New(cfg Config) *Gossip {
	g := &Gossip{cfg: cfg}
	g.mu.store = NewStore(cfg.Self, cfg.Incarnation)
	g.mu.moved = map[kvapi.NodeID]claim{}
	g.Announce()
	return g
}

// SetTransport sets the transport; New may be called before it exists, since
// the transport needs gossip to resolve addresses.
func (g *Gossip) SetTransport(t rpc.Transport) { g.cfg.Transport = t }

// Announce renews this node's descriptor at once.
func (g *Gossip) Announce() {
	d := g.cfg.Describe()
	g.AddInfo(KeyNode, d.AppendWire(nil), 0)
}

// AddInfo puts a record of this node's own; a ttl of 0 keeps it for ever.
func (g *Gossip) AddInfo(key string, value []byte, ttl time.Duration) {
	g.mu.Lock()
	i := *g.mu.store.Add(time.Now(), key, value, ttl)
	fns := g.callbacksLocked(key)
	g.mu.Unlock()
	for _, fn := range fns {
		fn(i)
	}
}

// OnChange calls fn with every new record under key, beginning with those
// already there. fn runs on the goroutine that brought the record and must not
// block. Records of one owner come in order.
func (g *Gossip) OnChange(key string, fn func(Info)) {
	g.mu.Lock()
	g.mu.callbacks = append(g.mu.callbacks, callback{key, fn})
	known := g.mu.store.sorted(func(i *Info) bool { return i.Key == key })
	g.mu.Unlock()
	for _, i := range known {
		fn(*i)
	}
}

func (g *Gossip) callbacksLocked(key string) []func(Info) {
	var fns []func(Info)
	for _, c := range g.mu.callbacks {
		if c.key == key {
			fns = append(fns, c.fn)
		}
	}
	return fns
}

// Infos returns the records under a key, one per owner.
func (g *Gossip) Infos(key string) []Info {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []Info
	for _, i := range g.mu.store.sorted(func(i *Info) bool { return i.Key == key }) {
		out = append(out, *i)
	}
	return out
}

// Nodes returns every node ever heard of, by id.
func (g *Gossip) Nodes() []Node {
	var out []Node
	for _, i := range g.Infos(KeyNode) {
		n := Node{Incarnation: i.Incarnation(), Heard: i.Heard}
		if n.UnmarshalWire(i.Value) == nil {
			n.Live = i.Owner == g.cfg.Self || time.Since(i.Heard) < LiveWindow
			out = append(out, n)
		}
	}
	return out
}

// Live reports whether a node has renewed its descriptor within LiveWindow. It
// is cheap, for use on every request. Nodes never heard of count as live: that
// nothing is known is no reason not to try.
func (g *Gossip) Live(id kvapi.NodeID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := g.mu.store.infos[infoKey{id, KeyNode}]
	return i == nil || id == g.cfg.Self || time.Since(i.Heard) < LiveWindow
}

// FirstRange returns the newest information about the first range.
func (g *Gossip) FirstRange() (best kvapi.RangeInfo, ok bool) {
	for _, i := range g.Infos(KeyFirstRange) {
		var r kvapi.RangeInfo
		if r.UnmarshalWire(i.Value) != nil {
			continue
		}
		if !ok || r.Desc.Generation > best.Desc.Generation ||
			(r.Desc.Generation == best.Desc.Generation && r.Lease.Sequence > best.Lease.Sequence) {
			best, ok = r, true
		}
	}
	return best, ok
}

// PeerSaid takes in what a peer said of itself in a handshake.
func (g *Gossip) PeerSaid(peer kvapi.NodeID, address string, inc Incarnation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if address != "" && inc >= g.mu.moved[peer].incarnation {
		g.mu.moved[peer] = claim{address, inc}
	}
}

// Address implements rpc.Resolver (I3).
func (g *Gossip) Address(id kvapi.NodeID) (string, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	claims := g.claimsLocked()
	mine, ok := claims[id]
	if !ok || mine.address == "" {
		return "", false
	}
	for other, c := range claims {
		if other != id && c.address == mine.address && c.incarnation > mine.incarnation {
			return "", false
		}
	}
	return mine.address, true
}

// claimsLocked returns the newest address that each node has said.
func (g *Gossip) claimsLocked() map[kvapi.NodeID]claim {
	claims := map[kvapi.NodeID]claim{}
	for k, i := range g.mu.store.infos {
		var d NodeDescriptor
		if k.key == KeyNode && d.UnmarshalWire(i.Value) == nil {
			claims[k.owner] = claim{d.RPCAddress, i.stamp.incarnation}
		}
	}
	for id, c := range g.mu.moved {
		if c.incarnation > claims[id].incarnation {
			claims[id] = c
		}
	}
	return claims
}

// Run exchanges with peers until ctx ends.
func (g *Gossip) Run(ctx context.Context) {
	tick := time.NewTicker(exchangeInterval)
	defer tick.Stop()
	beat := time.NewTicker(HeartbeatInterval)
	defer beat.Stop()
	began := time.Now()
	g.round(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			g.Announce()
		case <-tick.C:
			if time.Since(began) < youngFor {
				g.Announce()
			}
			g.round(ctx)
		}
	}
}

// round exchanges with a few random peers, or, while alone, by address.
func (g *Gossip) round(ctx context.Context) {
	g.mu.Lock()
	g.mu.store.expire(time.Now())
	g.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	reached := false
	for _, peer := range g.pickPeers() {
		if err := g.exchange(ctx, peer); err == nil {
			reached = true
		}
	}
	if !reached {
		g.bootstrap(ctx)
	}
}

func (g *Gossip) pickPeers() []kvapi.NodeID {
	var ids []kvapi.NodeID
	for _, n := range g.Nodes() {
		if n.NodeID != g.cfg.Self {
			ids = append(ids, n.NodeID)
		}
	}
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids[:min(len(ids), exchangePeers)]
}

func (g *Gossip) exchange(ctx context.Context, peer kvapi.NodeID) error {
	b, err := proto.Marshal(g.message(nil))
	if err != nil {
		return err
	}
	b, err = g.cfg.Transport.Call(ctx, peer, rpc.System, g.cfg.Method, rpc.Raw(b))
	if err != nil {
		return err
	}
	var m rpcpb.GossipMessage
	if err := proto.Unmarshal(b, &m); err != nil {
		return err
	}
	g.Merge(&m)
	// What the peer lacks goes out with the marks it has just told.
	if push := g.message(m.HighWater); len(push.Infos) > 0 {
		if b, err = proto.Marshal(push); err != nil {
			return err
		}
		_, err = g.cfg.Transport.Call(ctx, peer, rpc.System, g.cfg.Method, rpc.Raw(b))
	}
	return err
}

// bootstrap asks the configured addresses for what they know, and tells them
// who and where this node is.
func (g *Gossip) bootstrap(ctx context.Context) {
	for _, addr := range g.cfg.Bootstrap {
		m, err := g.cfg.Exchange(ctx, addr, g.message([]*rpcpb.HighWater{}))
		if err != nil {
			g.cfg.Log.Debug("gossip: no answer", "address", addr, "err", err)
			continue
		}
		g.Merge(m)
	}
}

// message returns this node's marks, and the records above the given marks
// unless those are nil (an empty list asks for everything).
func (g *Gossip) message(marks []*rpcpb.HighWater) *rpcpb.GossipMessage {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := &rpcpb.GossipMessage{ClusterId: g.cfg.ClusterID[:], From: uint32(g.cfg.Self), HighWater: g.mu.store.marks()}
	if marks != nil {
		m.Infos = g.mu.store.delta(marks)
	}
	return m
}

// Merge takes in the records of a message.
func (g *Gossip) Merge(m *rpcpb.GossipMessage) {
	now := time.Now()
	var news []Info
	g.mu.Lock()
	for _, p := range m.Infos {
		if i := fromProto(now, p); g.mu.store.merge(now, i) {
			news = append(news, *i)
		}
	}
	calls := make([][]func(Info), len(news))
	for n, i := range news {
		calls[n] = g.callbacksLocked(i.Key)
	}
	g.mu.Unlock()
	for n, fns := range calls {
		for _, fn := range fns {
			fn(news[n])
		}
	}
}

// Answer takes in a peer's message and returns what the peer lacks.
func (g *Gossip) Answer(m *rpcpb.GossipMessage) (*rpcpb.GossipMessage, error) {
	if string(m.ClusterId) != string(g.cfg.ClusterID[:]) {
		return nil, fmt.Errorf("gossip from a node of another cluster was refused")
	}
	g.Merge(m)
	marks := m.HighWater
	if marks == nil {
		marks = []*rpcpb.HighWater{}
	}
	return g.message(marks), nil
}

// Handle is Answer for the system stream.
func (g *Gossip) Handle(_ context.Context, _ kvapi.NodeID, payload []byte) (rpc.Appender, error) {
	var m rpcpb.GossipMessage
	if err := proto.Unmarshal(payload, &m); err != nil {
		return nil, fmt.Errorf("gossip message: %w", err)
	}
	out, err := g.Answer(&m)
	if err != nil {
		return nil, err
	}
	b, err := proto.Marshal(out)
	return rpc.Raw(b), err
}

// Known returns everything this node knows, for its next start.
func (g *Gossip) Known() ([]byte, error) {
	return proto.Marshal(g.message([]*rpcpb.HighWater{}))
}

// Remember takes in what Known returned in an earlier life. Records that have
// not been renewed since count as heard now; they only serve to find peers.
func (g *Gossip) Remember(b []byte) error {
	var m rpcpb.GossipMessage
	if err := proto.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("remembered gossip: %w", err)
	}
	g.Merge(&m)
	return nil
}
