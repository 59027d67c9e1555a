package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cairndb/cairn/internal/certs"
	"github.com/cairndb/cairn/internal/node"
	"github.com/cairndb/cairn/kv/allocator"
)

// startFlags are the flags of start and start-single-node.
type startFlags struct {
	cfg      node.Config
	certsDir string
	cache    string
	sqlMem   string
	rangeMax string
	leases   string
	logLevel string
}

func (f *startFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.cfg.StoreDir, "store", "", "folder that holds all the node keeps (required)")
	fs.StringVar(&f.cfg.SQLAddr, "sql-addr", node.DefaultSQLAddr, "host:port for SQL clients")
	fs.StringVar(&f.cfg.RPCAddr, "rpc-addr", node.DefaultRPCAddr, "host:port for other nodes and for cairn's own commands")
	fs.StringVar(&f.cfg.HTTPAddr, "http-addr", node.DefaultHTTPAddr, "host:port of the console and the metrics")
	fs.StringVar(&f.cfg.AdvertiseHost, "advertise-host", "", "host that others are told to reach this node at")
	fs.BoolVar(&f.cfg.Insecure, "insecure", false, "no encryption, no passwords; on loopback addresses only")
	fs.BoolVar(&f.cfg.InsecureAnywhere, "insecure-anywhere", false, "allow --insecure on any address: whoever reaches it owns the data")
	fs.StringVar(&f.certsDir, "certs-dir", "", "folder with ca.crt, node.crt and node.key (see cairn cert)")
	fs.DurationVar(&f.cfg.MaxOffset, "max-offset", node.DefaultMaxOffset, "largest difference between any two nodes' clocks; the same on all nodes")
	fs.DurationVar(&f.cfg.Failover, "failover", node.DefaultFailover, "how long other nodes wait for one that has gone silent before they lead its ranges; at least four times --max-offset")
	fs.StringVar(&f.leases, "leases", "leader", "leader or expiration: what leases stand on, nodes that support each other, or commands that renew each of them")
	fs.StringVar(&f.cfg.Locality, "locality", "", "where the node is, the widest tier first: region=eu,zone=b; replicas are spread over tiers")
	fs.DurationVar(&f.cfg.DeadAfter, "dead-after", allocator.DeadAfterDefault, "silence after which a node's replicas are made anew elsewhere; the same on all nodes")
	fs.StringVar(&f.cache, "cache", "", "size of the block cache (default a sixteenth of the memory, 128MiB to 4GiB)")
	fs.StringVar(&f.sqlMem, "sql-memory", "", "memory that the SQL statements of this node may hold together (default a quarter, at least 128MiB)")
	fs.StringVar(&f.rangeMax, "range-size", "128MiB", "size beyond which a range splits; give all nodes the same")
	fs.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error; logs go to standard error")
}

// config checks the flags and completes the configuration.
func (f *startFlags) config() (node.Config, error) {
	cfg := f.cfg
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return cfg, fmt.Errorf("--log-level %q is none of debug, info, warn, error", f.logLevel)
	}
	cfg.Log = newLog(os.Stderr, level)
	switch f.leases {
	case "leader":
	case "expiration":
		cfg.ExpirationLeases = true
	default:
		return cfg, fmt.Errorf("--leases %q is neither leader nor expiration", f.leases)
	}
	var err error
	if f.cache != "" {
		if cfg.CacheBytes, err = parseBytes(f.cache); err != nil {
			return cfg, fmt.Errorf("--cache: %w", err)
		}
	}
	if f.sqlMem != "" {
		if cfg.SQLMemoryBytes, err = parseBytes(f.sqlMem); err != nil {
			return cfg, fmt.Errorf("--sql-memory: %w", err)
		}
	}
	if cfg.RangeBytesMax, err = parseBytes(f.rangeMax); err != nil {
		return cfg, fmt.Errorf("--range-size: %w", err)
	}
	if f.certsDir != "" {
		if cfg.Insecure {
			return cfg, fmt.Errorf("--insecure and --certs-dir exclude each other")
		}
		if cfg.NodeTLS, cfg.ClientTLS, err = certs.LoadNode(f.certsDir); err != nil {
			return cfg, fmt.Errorf("--certs-dir: %w", err)
		}
	}
	return cfg, nil
}

// newLog returns a log of one line an event. Errors are printed as their text:
// some would print the stack they come from.
func newLog(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if err, ok := a.Value.Any().(error); ok {
				a.Value = slog.StringValue(err.Error())
			}
			return a
		}}))
}

// parseBytes reads sizes such as 512MiB, 1GB or 1000.
func parseBytes(s string) (int64, error) {
	units := []struct {
		suffix string
		size   int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}}
	num, size := s, int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			num, size = rest, u.size
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(num), 10, 64)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%q is no size; write 128MiB, 1GiB, …", s)
	}
	return n * size, nil
}

func newStart() *cobra.Command {
	f := &startFlags{}
	cmd := &cobra.Command{
		Use:   "start --store DIR --join HOST:PORT,… (--insecure | --certs-dir DIR)",
		Short: "Start a node of a cluster",
		Long: `Start a node of a cluster.

A node with a new store asks the nodes at the --join addresses to take it in.
Start all nodes of a new cluster with the same --join list, then run
"cairn init --host HOST:PORT" once, with the RPC address of any of them.

When SQL clients can connect, a line beginning with "ready" and naming the
addresses is printed on standard output. SIGTERM or SIGINT drains the node:
leases move to other nodes, clients finish their statements, and the process
exits with status 0. So it does when the node has been decommissioned.

With --locality, a range's replicas are put where they share as few regions, then
zones, … as possible. A node that is silent for --dead-after is given up: its
replicas are made anew on other nodes; if it comes back it is empty but welcome.

When the disk is nearly full the node refuses new data (SQLSTATE 53100) and goes
on with reads and deletes; with room again it takes data again. A node that
cannot write at all exits with status 3, after any other failure with 1.`,
		Example: `  cairn start --insecure --store n1 --sql-addr 127.0.0.1:7432 --rpc-addr 127.0.0.1:7433 \
      --http-addr 127.0.0.1:7480 --join 127.0.0.1:7433,127.0.0.1:7443,127.0.0.1:7453`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.config()
			if err != nil {
				return err
			}
			if len(cfg.Join) == 0 {
				return fmt.Errorf("no --join addresses: name the RPC addresses of the cluster's nodes, or use cairn start-single-node")
			}
			return runNode(cmd, cfg)
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().StringSliceVar(&f.cfg.Join, "join", nil, "RPC addresses of nodes of the cluster, comma-separated")
	return cmd
}

func newStartSingleNode() *cobra.Command {
	f := &startFlags{}
	cmd := &cobra.Command{
		Use:   "start-single-node --store DIR (--insecure | --certs-dir DIR)",
		Short: "Start a cluster of one node, without an init",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.config()
			if err != nil {
				return err
			}
			cfg.SingleNode = true
			return runNode(cmd, cfg)
		},
	}
	f.register(cmd.Flags())
	return cmd
}

// drainMax bounds a drain; what is left is then closed.
const drainMax = 12 * time.Second

// runNode runs a node until a signal ends it.
func runNode(cmd *cobra.Command, cfg node.Config) error {
	defer tuneGC()()
	cfg.Ballast = true
	if err := withBreak(&cfg); err != nil {
		return err
	}
	ctx := cmd.Context()
	n, err := node.Start(ctx, cfg)
	if err != nil {
		if ctx.Err() != nil {
			return nil // told to stop while it was waiting
		}
		return err
	}
	a := n.Addresses()
	fmt.Fprintf(cmd.OutOrStdout(), "ready: node %s sql=%s rpc=%s http=%s\n", n.NodeID(), a.SQL, a.RPC, a.HTTP)
	told, why := n.Ended()
	select {
	case <-ctx.Done():
		cfg.Log.Info("draining")
	case <-told:
		cfg.Log.Info("draining", "why", why())
	}
	drain, cancel := context.WithTimeout(context.Background(), drainMax)
	defer cancel()
	n.Drain(drain)
	n.Close()
	cfg.Log.Info("stopped")
	return nil
}
