package node

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cairndb/cairn/internal/rpc"
	"github.com/cairndb/cairn/internal/rpc/rpcpb"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// cluster is a few nodes of one process, with real sockets and disks.
type cluster struct {
	t     testing.TB
	nodes []*Node
	cfgs  []Config
}

// freePorts returns loopback addresses nobody listens on. They lie below the
// kernel's range for outgoing connections (32768 and up by default), of which
// one may take a port before a node does, or before it comes back.
func freePorts(t testing.TB, count int) (addrs []string) {
	t.Helper()
	for tries := 0; len(addrs) < count; tries++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(10000)))
		switch {
		case err == nil:
			defer l.Close() // when all are found: they are to differ
			addrs = append(addrs, l.Addr().String())
		case tries > 100:
			t.Fatal(err)
		}
	}
	return addrs
}

// startCluster starts nodes whose configurations are edited before.
func startCluster(t testing.TB, count int, edit ...func(*Config)) *cluster {
	t.Helper()
	return startClusterIn(t, make([]string, count), edit...)
}

// startClusterIn is startCluster with a node in each of these localities.
func startClusterIn(t testing.TB, localities []string, edit ...func(*Config)) *cluster {
	t.Helper()
	count := len(localities)
	c := &cluster{t: t, nodes: make([]*Node, count), cfgs: make([]Config, count)}
	join := freePorts(t, count)
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("CAIRN_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	for i := range c.cfgs {
		c.cfgs[i] = Config{StoreDir: filepath.Join(t.TempDir(), fmt.Sprint("n", i)), RPCAddr: join[i], SQLAddr: "127.0.0.1:0",
			HTTPAddr: "127.0.0.1:0", Join: join, Insecure: true, Locality: localities[i], Log: log, Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
		for _, f := range edit {
			f(&c.cfgs[i])
		}
	}
	g, ctx := errgroup.WithContext(t.Context())
	for i := range c.nodes {
		g.Go(func() (err error) { c.nodes[i], err = Start(ctx, c.cfgs[i]); return err })
	}
	g.Go(func() error { return initCluster(ctx, join[0]) })
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			if n != nil {
				n.Close()
			}
		}
	})
	return c
}

func initCluster(ctx context.Context, addr string) error {
	conn, err := rpc.Dial(addr, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		_, err := rpcpb.NewClusterClient(conn).Init(ctx, &rpcpb.InitRequest{})
		if status.Code(err) != codes.Unavailable {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// awaitReplicas waits until every range has a replica on every node.
func (c *cluster) awaitReplicas() {
	c.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		ranges, err := c.nodes[0].Core().ClusterRanges(c.t.Context())
		full := err == nil && len(ranges) > 0
		for _, r := range ranges {
			full = full && len(r.Desc.Replicas) == len(c.nodes)
			for _, rep := range r.Desc.Replicas {
				full = full && rep.Type == kvapi.Voter
			}
		}
		if full {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("not every range has %d replicas: %v %v", len(c.nodes), ranges, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func put(ctx context.Context, n *Node, key, value string) error {
	return n.Core().DB.Run(ctx, txn.Options{Name: "put"}, func(ctx context.Context, t *txn.Txn) error {
		return t.Put(ctx, tableKey(key), []byte(value))
	})
}

func get(ctx context.Context, n *Node, key string) (v string, err error) {
	err = n.Core().DB.Run(ctx, txn.Options{Name: "get"}, func(ctx context.Context, t *txn.Txn) error {
		b, _, err := t.Get(ctx, tableKey(key), txn.GetOptions{})
		v = string(b)
		return err
	})
	return v, err
}

func tableKey(k string) kvapi.Key { return kvapi.Key("\x10\x00\x01\x00\x00" + k) }

func TestThreeNodesAgreeAndOneComesBack(t *testing.T) {
	c := startCluster(t, 3)
	c.awaitReplicas()
	ctx := t.Context()
	for i, n := range c.nodes {
		if err := put(ctx, n, fmt.Sprint("k", i), fmt.Sprint("v", i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range c.nodes {
		for i := range c.nodes {
			if v, err := get(ctx, n, fmt.Sprint("k", i)); err != nil || v != fmt.Sprint("v", i) {
				t.Fatalf("node %s reads %q, %v", n.NodeID(), v, err)
			}
		}
	}
	// The node with the leases goes; the others go on; it comes back.
	c.nodes[0].Close()
	begin := time.Now()
	short, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err := put(short, c.nodes[1], "k9", "v9")
	if txn.IsAmbiguous(err) {
		// It was on its way to the node that stopped, and the next leaseholder,
		// which must write later, cannot tell whether it happened (kv/store,
		// bumpAboveReads). The client may write the same again.
		t.Logf("the write that was on its way: %v", err)
		err = put(short, c.nodes[1], "k9", "v9")
	}
	if err != nil {
		t.Fatalf("write after a node has stopped: %v", err)
	}
	t.Logf("the first write after the stop took %s", time.Since(begin).Round(time.Millisecond))
	n, err := Start(ctx, c.cfgs[0])
	if err != nil {
		t.Fatal(err)
	}
	c.nodes[0] = n
	if v, err := get(ctx, n, "k9"); err != nil || v != "v9" {
		t.Fatalf("the restarted node reads %q, %v", v, err)
	}
}

func TestRefusalsInOneLine(t *testing.T) {
	c := startCluster(t, 1)
	other := startCluster(t, 1)
	other.nodes[0].Close()
	for name, tc := range map[string]struct {
		cfg  Config
		want string
	}{
		"busy port":       {Config{StoreDir: t.TempDir(), Insecure: true, RPCAddr: c.cfgs[0].RPCAddr}, "address already in use"},
		"not loopback":    {Config{StoreDir: t.TempDir(), Insecure: true, SQLAddr: "0.0.0.0:0"}, "not a loopback address"},
		"no store":        {Config{Insecure: true}, "--store"},
		"no certs":        {Config{StoreDir: t.TempDir()}, "--certs-dir"},
		"store in use":    {withPorts(c.cfgs[0]), "open the store"},
		"other cluster":   {withJoin(other.cfgs[0], c.cfgs[0].RPCAddr), "belongs to another cluster"},
		"other offset":    {Config{StoreDir: t.TempDir(), Insecure: true, Join: []string{c.cfgs[0].RPCAddr}, MaxOffset: time.Second}, "--max-offset"},
		"store is a file": {Config{StoreDir: os.DevNull, Insecure: true}, "store"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.cfg.HTTPAddr = "127.0.0.1:0"
			if tc.cfg.SQLAddr == "" {
				tc.cfg.SQLAddr = "127.0.0.1:0"
			}
			if tc.cfg.RPCAddr == "" {
				tc.cfg.RPCAddr = "127.0.0.1:0"
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			n, err := Start(ctx, tc.cfg)
			if err == nil {
				n.Close()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one line with %q", err, tc.want)
			}
		})
	}
}

func withPorts(c Config) Config {
	c.RPCAddr, c.SQLAddr = "127.0.0.1:0", "127.0.0.1:0"
	return c
}

func withJoin(c Config, addr string) Config {
	c.RPCAddr, c.Join = "127.0.0.1:0", []string{addr}
	return c
}
