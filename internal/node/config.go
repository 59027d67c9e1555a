package node

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/cairndb/cairn/gossip"
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/version"
	"github.com/cairndb/cairn/kv/allocator"
	"github.com/cairndb/cairn/kv/liveness"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/kv/store"
	"github.com/cairndb/cairn/rangecache"
	"github.com/cairndb/cairn/txn"
)

// Defaults of a node's settings.
const (
	DefaultSQLAddr   = "127.0.0.1:7432"
	DefaultRPCAddr   = "127.0.0.1:7433"
	DefaultHTTPAddr  = "127.0.0.1:7480"
	DefaultMaxOffset = 250 * time.Millisecond
	// DefaultFailover is how long a silent node is not missed.
	DefaultFailover = liveness.DefaultSupport
	// DeadAfterMin is the least --dead-after: gossip's own window.
	DeadAfterMin = gossip.LiveWindow
)

// Config is how a node is started.
type Config struct {
	// StoreDir holds all that the node keeps.
	StoreDir string
	// SQLAddr, RPCAddr and HTTPAddr are host:port to listen on.
	SQLAddr, RPCAddr, HTTPAddr string
	// AdvertiseHost replaces the host that others are told, for nodes that
	// listen on all interfaces.
	AdvertiseHost string
	// Join are RPC addresses of any nodes of the cluster.
	Join []string
	// SingleNode initialises a cluster of one without being asked.
	SingleNode bool
	// Insecure runs without encryption and passwords. InsecureAnywhere allows
	// that on addresses other than loopback.
	Insecure, InsecureAnywhere bool
	// NodeTLS protects connections between nodes, ClientTLS those of SQL
	// clients; nil when Insecure.
	NodeTLS, ClientTLS *tls.Config
	MaxOffset          time.Duration
	CacheBytes         int64
	// SQLMemoryBytes bounds what the SQL statements of the node hold.
	SQLMemoryBytes    int64
	ReplicationFactor int
	// RangeBytesMax is the size beyond which a range splits.
	RangeBytesMax int64
	// Failover is how long other nodes wait for one that has gone silent before
	// they lead its ranges.
	Failover time.Duration
	// ExpirationLeases are renewed by a command per range; the others stand on
	// nodes that support each other (kv/liveness).
	ExpirationLeases bool
	// Locality is where the node is: region=eu,zone=b, the widest tier first.
	Locality string
	// DeadAfter is how long a node may be silent before its replicas are made
	// anew elsewhere; the same on all nodes.
	DeadAfter time.Duration
	// Versions are the cluster versions in which this node says that it works; none
	// is this build's.
	Versions version.Range
	// GCTTL is how long old versions are kept where the table does not say.
	GCTTL time.Duration
	// Ballast keeps a file in the store that is given up when the disk is full
	// (storage.Space).
	Ballast bool
	Log     *slog.Logger
	// Wall is the clock on the wall; nil is the system's. Tests set it off.
	Wall hlc.WallClock
	// FS is the store's file system; nil is the system's. Tests slow it down.
	FS storage.FS
	// The knobs break the node on purpose; see their types.
	Knobs       store.TestingKnobs
	TxnKnobs    txn.TestingKnobs
	SenderKnobs rangecache.TestingKnobs
	// Fatal is called with the error that ends the node; nil exits the
	// process with ExitStatus.
	Fatal func(error)
}

// failoverPerOffset keeps the end of a lease, in which clocks may disagree,
// short against the rest of it.
const failoverPerOffset = 4

// Exit statuses of a node's process, beside 0 after a drain.
const (
	ExitFailed = 1
	// ExitDiskFull says that the disk was full: with more room, the same
	// command starts the node again.
	ExitDiskFull = 3
)

// ExitStatus is the exit status for what ended a node.
func ExitStatus(err error) int {
	if storage.IsDiskFull(err) {
		return ExitDiskFull
	}
	return ExitFailed
}

// check fills in defaults and refuses what cannot work, each in one line.
func (c *Config) check() error {
	if c.StoreDir == "" {
		return fmt.Errorf("no store: say where data is kept with --store DIR")
	}
	set := func(s *string, def string) {
		if *s == "" {
			*s = def
		}
	}
	set(&c.SQLAddr, DefaultSQLAddr)
	set(&c.RPCAddr, DefaultRPCAddr)
	set(&c.HTTPAddr, DefaultHTTPAddr)
	if _, err := allocator.ParseLocality(c.Locality); err != nil {
		return fmt.Errorf("--locality: %w", err)
	}
	if c.DeadAfter == 0 {
		c.DeadAfter = allocator.DeadAfterDefault
	}
	if c.DeadAfter < DeadAfterMin {
		return fmt.Errorf("--dead-after %s is less than %s, after which a silence is noticed", c.DeadAfter, DeadAfterMin)
	}
	if c.MaxOffset == 0 {
		c.MaxOffset = DefaultMaxOffset
	}
	if c.Failover == 0 {
		c.Failover = DefaultFailover
	}
	if c.Failover < failoverPerOffset*c.MaxOffset {
		return fmt.Errorf("--failover %s is less than %d times the --max-offset of %s: leases would end before they are renewed",
			c.Failover, failoverPerOffset, c.MaxOffset)
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = defaultCache()
	}
	if c.SQLMemoryBytes == 0 {
		c.SQLMemoryBytes = sqlMemoryFor(MemoryBytes())
	}
	if c.RangeBytesMax == 0 {
		c.RangeBytesMax = store.RangeBytesMaxDefault
	}
	if c.RangeBytesMax < store.RangeBytesMaxMin {
		return fmt.Errorf("--range-size %d is less than %d bytes", c.RangeBytesMax, int64(store.RangeBytesMaxMin))
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Wall == nil {
		c.Wall = hlc.SystemClock{}
	}
	if c.Fatal == nil {
		c.Fatal = func(err error) {
			c.Log.Error("the node cannot go on", "err", err)
			fmt.Fprintln(os.Stderr, "cairn: fatal:", err)
			os.Exit(ExitStatus(err))
		}
	}
	if c.Versions == (version.Range{}) {
		c.Versions = version.Binary()
	}
	for name, addr := range map[string]string{"--sql-addr": c.SQLAddr, "--rpc-addr": c.RPCAddr, "--http-addr": c.HTTPAddr} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return fmt.Errorf("%s %q: %w", name, addr, err)
		}
		if c.Insecure && !c.InsecureAnywhere && !isLoopback(addr) {
			return fmt.Errorf("%s %s is not a loopback address: without encryption and passwords everybody who reaches it owns the data. "+
				"Use certificates, or say --insecure-anywhere if the network is yours alone", name, addr)
		}
	}
	if !c.Insecure && c.NodeTLS == nil {
		return fmt.Errorf("no certificates: give --certs-dir DIR (see cairn cert), or --insecure for a cluster without encryption and passwords on this machine")
	}
	return nil
}

// leases are those that the node takes.
func (c *Config) leases() store.LeaseMode {
	if c.ExpirationLeases {
		return store.ExpirationLeases
	}
	return store.LeaderLeases
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// advertised returns the address others are told for a listener.
func (c *Config) advertised(l net.Listener) string {
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return l.Addr().String()
	}
	if c.AdvertiseHost != "" {
		host = c.AdvertiseHost
	} else if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return net.JoinHostPort(host, port)
}
