package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/cairndb/cairn/gossip"
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/rpc"
	"github.com/cairndb/cairn/internal/rpc/rpcpb"
	"github.com/cairndb/cairn/internal/version"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/kv/store"
	"github.com/cairndb/cairn/pgwire"
	"github.com/cairndb/cairn/sql"
)

// Node is a node with its sockets. Create it with Start.
type Node struct {
	cfg     Config
	clock   *hlc.Clock
	engine  *storage.Engine
	started time.Time
	// isNew says that the store got its identity in this process.
	isNew bool

	rpcLis, sqlLis, httpLis    net.Listener
	rpcAddr, sqlAddr, httpAddr string

	grpc    *grpc.Server
	host    rpc.Host
	network *rpc.Network
	core    atomic.Pointer[Core]
	sql     *sql.Server
	wire    *pgwire.Server
	http    *http.Server
	wg      sync.WaitGroup
	// ready is set while SQL clients are served.
	ready     atomic.Bool
	closeOnce sync.Once

	// ended is closed when the node was told to end by the cluster; why says by
	// what.
	ended    chan struct{}
	endOnce  sync.Once
	endedWhy string

	// founded is closed when this node has founded the cluster, under foundMu.
	foundMu sync.Mutex
	founded chan struct{}
}

// Start brings a node up and returns when SQL clients can use it. Until the
// cluster is initialised that means waiting; ctx ends the wait.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, started: time.Now(), founded: make(chan struct{}), ended: make(chan struct{})}
	n.clock = hlc.NewClock(cfg.Wall, cfg.MaxOffset)
	if err := n.start(ctx); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

func (n *Node) start(ctx context.Context) error {
	if err := n.listen(ctx); err != nil { // I1
		return err
	}
	if err := os.MkdirAll(n.cfg.StoreDir, 0o755); err != nil {
		return fmt.Errorf("make the store's folder: %w", err)
	}
	var err error
	if n.engine, err = openEngine(&n.cfg, n.cfg.Fatal); err != nil {
		return err
	}
	temp, err := tempDir(n.cfg.StoreDir)
	if err != nil {
		return fmt.Errorf("make the folder for temporary files: %w", err)
	}
	n.serveGRPC()
	if err := n.identify(ctx); err != nil { // I3
		return err
	}
	core, err := NewCore(ctx, CoreConfig{
		Engine: n.engine, Clock: n.clock, Wall: n.cfg.Wall,
		Incarnation: gossip.Incarnation(n.started.UnixNano()),
		Transport:   n.transport, Bootstrap: n.cfg.Join, Exchange: n.exchange,
		Describe: n.describe, OnCancel: n.onCancel, ReplicationFactor: n.cfg.ReplicationFactor, RangeBytesMax: n.cfg.RangeBytesMax,
		Leases: n.cfg.leases(), Support: n.cfg.Failover, GCTTL: n.cfg.GCTTL,
		TempDir: temp, SQLMemoryBytes: n.cfg.SQLMemoryBytes,
		Knobs: n.cfg.Knobs, TxnKnobs: n.cfg.TxnKnobs, SenderKnobs: n.cfg.SenderKnobs,
		DeadAfter: n.cfg.DeadAfter, Versions: n.cfg.Versions, OnDecommissioned: func() { n.end("this node has been decommissioned") },
		Log: n.cfg.Log, Fatal: n.cfg.Fatal,
	})
	if err != nil {
		return err
	}
	n.core.Store(core)
	n.serveHTTP()
	if err := core.WaitReady(ctx); err != nil {
		return fmt.Errorf("waiting for the cluster: %w", err)
	}
	if err := n.waitReplicated(ctx, core); err != nil {
		return fmt.Errorf("waiting for replicas: %w", err)
	}
	if err := core.Announce(ctx); err != nil {
		return err
	}
	return n.serveSQL(core) // I5
}

func (n *Node) listen(ctx context.Context) (err error) {
	var lc net.ListenConfig
	open := func(name, addr string, told *string) net.Listener {
		if err != nil {
			return nil
		}
		var l net.Listener
		if l, err = lc.Listen(ctx, "tcp", addr); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
			return nil
		}
		*told = n.cfg.advertised(l)
		return l
	}
	n.rpcLis = open("--rpc-addr", n.cfg.RPCAddr, &n.rpcAddr)
	n.sqlLis = open("--sql-addr", n.cfg.SQLAddr, &n.sqlAddr)
	n.httpLis = open("--http-addr", n.cfg.HTTPAddr, &n.httpAddr)
	return err
}

func (n *Node) serveGRPC() {
	n.grpc = rpc.NewServer(n.cfg.NodeTLS)
	n.host.Register(n.grpc)
	rpcpb.RegisterClusterServer(n.grpc, clusterService{n: n})
	rpcpb.RegisterAdminServer(n.grpc, adminService{n: n})
	n.wg.Go(func() {
		if err := n.grpc.Serve(n.rpcLis); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			n.cfg.Fatal(fmt.Errorf("serve RPC: %w", err))
		}
	})
}

// transport makes the network once the identity is known (CoreConfig.Transport).
func (n *Node) transport(mux *rpc.Mux, g *gossip.Gossip, offsets *hlc.OffsetMonitor) rpc.Transport {
	ident, err := store.ReadIdent(n.engine)
	if err != nil {
		n.cfg.Fatal(fmt.Errorf("read the store's identity: %w", err))
	}
	recalled, err := recallVersion(n.engine)
	if err != nil {
		n.cfg.Fatal(err)
	}
	n.network = rpc.New(rpc.Config{
		Self: rpc.Identity{ClusterID: ident.ClusterID, NodeID: ident.NodeID, Address: n.rpcAddr,
			Incarnation: uint64(n.started.UnixNano()), Versions: n.cfg.Versions},
		Active: func() version.Number {
			if c := n.core.Load(); c != nil {
				return c.Active()
			}
			return recalled
		},
		Clock: n.clock, Offsets: offsets, Resolver: g, Mux: mux, TLS: n.cfg.NodeTLS,
		OnHello: func(h rpc.Hello) { g.PeerSaid(h.From, h.Address, gossip.Incarnation(h.Incarnation)) },
		OnRefused: func(err error) {
			n.cfg.Log.Warn("refused a connection", "reason", err)
		},
	})
	n.host.Set(n.network)
	return n.network
}

func (n *Node) describe() gossip.NodeDescriptor {
	return gossip.NodeDescriptor{RPCAddress: n.rpcAddr, SQLAddress: n.sqlAddr, HTTPAddress: n.httpAddr,
		Version: version.Build(), StartedNanos: n.started.UnixNano(), Locality: n.cfg.Locality, Versions: n.cfg.Versions}
}

func (n *Node) serveSQL(core *Core) error {
	srv, err := newSQLServer(core)
	if err != nil {
		return err
	}
	n.sql = srv
	n.wire = pgwire.NewServer(pgwire.Config{
		Backend: pgwire.SQL{Server: srv}, NodeID: uint32(core.Ident.NodeID), Insecure: n.cfg.Insecure,
		TLS: n.cfg.ClientTLS, RequireTLS: !n.cfg.Insecure, ForwardCancel: n.forwardCancel, Log: n.cfg.Log,
	})
	n.ready.Store(true)
	n.wg.Go(func() {
		if err := n.wire.Serve(n.sqlLis); err != nil {
			n.cfg.Fatal(fmt.Errorf("serve SQL: %w", err))
		}
	})
	return nil
}

// forwardCancel sends a cancel request on to the node that has the session.
func (n *Node) forwardCancel(node uint32, key pgwire.BackendKey) {
	b := binary.BigEndian.AppendUint32(nil, key.PID)
	b = binary.BigEndian.AppendUint32(b, key.Secret)
	n.network.Send(kvapi.NodeID(node), rpc.System, methodCancel, rpc.Raw(b))
}

func (n *Node) onCancel(b []byte) {
	if n.ready.Load() && len(b) == 8 {
		n.wire.Cancel(pgwire.BackendKey{PID: binary.BigEndian.Uint32(b), Secret: binary.BigEndian.Uint32(b[4:])})
	}
}

// Addresses are where a node can be reached.
type Addresses struct{ SQL, RPC, HTTP string }

// Addresses returns the addresses that others are told.
func (n *Node) Addresses() Addresses { return Addresses{n.sqlAddr, n.rpcAddr, n.httpAddr} }

// Core returns the node's inside, for the console and for tests.
func (n *Node) Core() *Core { return n.core.Load() }

// NodeID returns the id the cluster gave to this node.
func (n *Node) NodeID() kvapi.NodeID { return n.core.Load().Ident.NodeID }

// end tells whoever runs the node that it should end.
func (n *Node) end(why string) {
	n.endOnce.Do(func() {
		n.endedWhy = why
		close(n.ended)
	})
}

// Ended is closed when the cluster has told this node to end; why says by what.
func (n *Node) Ended() (told <-chan struct{}, why func() string) {
	return n.ended, func() string { return n.endedWhy }
}

// Drain takes the node out of service, until ctx ends; then Close. It returns
// how many leases could not be handed over.
//
//  1. It says that it is not ready and drains: load balancers and the other
//     nodes send nothing new.
//  2. It hands its leases over, while its clients go on: what they do next is
//     served by other nodes.
//  3. Statements that run may end; then their connections are closed (57P01).
//  4. Leases that came back meanwhile, by an election for one, go too.
func (n *Node) Drain(ctx context.Context) (leasesLeft int) {
	n.ready.Store(false)
	c := n.core.Load()
	handOver := func(limit time.Duration) {
		if c == nil {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		if err := c.Drain(ctx); err != nil {
			n.cfg.Log.Warn("not all leases were handed over", "err", err)
		}
	}
	handOver(drainLeasesMax)
	if n.wire != nil {
		sessions, cancel := context.WithTimeout(ctx, drainSessionsMax)
		n.wire.Drain(sessions)
		cancel()
	}
	handOver(drainLeasesMax)
	if c != nil {
		leasesLeft = c.leasesToHandOver()
	}
	return leasesLeft
}

const (
	// drainLeasesMax bounds a round of handing leases over.
	drainLeasesMax = 4 * time.Second
	// drainSessionsMax is how long running statements may go on at a drain.
	drainSessionsMax = 5 * time.Second
)

// Close ends the node at once, in the reverse order of the start. It may be
// called again.
func (n *Node) Close() { n.closeOnce.Do(n.close) }

func (n *Node) close() {
	if n.wire != nil {
		n.wire.Close()
	}
	if n.http != nil {
		n.http.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if c := n.core.Load(); c != nil {
		c.Stop(ctx)
	}
	if n.grpc != nil {
		n.grpc.Stop()
	}
	for _, l := range []net.Listener{n.rpcLis, n.sqlLis, n.httpLis} {
		if l != nil {
			l.Close()
		}
	}
	n.wg.Wait()
	if n.engine != nil {
		if err := n.engine.Close(); err != nil {
			n.cfg.Log.Warn("the store was not closed cleanly", "err", err)
		}
	}
}
