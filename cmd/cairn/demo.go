package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/cairndb/cairn/internal/node"
	"github.com/cairndb/cairn/internal/rpc/rpcpb"
)

func newDemo() *cobra.Command {
	var nodes int
	var keep string
	var chaos chaosFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Try Cairn: a cluster in one process, in a temporary folder",
		Long: `Start a cluster in one process, with real stores in a temporary folder, and
print how to reach it with psql. Ctrl-C ends it and removes the folder.

With --chaos every node is a process of its own, so that it can be killed, stopped and cut
off; clocks, disks and leases are hurt as well. What is done to whom is printed as
it happens, and what clients had of it. Some clients are at work meanwhile (and you, with psql). At the
end, or at Ctrl-C, everything is undone, every node must serve again, and
checkers judge what the clients were told; what was done and seen can be had as
a page.`,
		Example: `  cairn demo
  cairn demo --chaos
  cairn demo --chaos --nodes 5 --nemesis partition-halves+kill --for 2m --report reports`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if nodes < 1 || nodes > 9 {
				return fmt.Errorf("--nodes %d: between 1 and 9", nodes)
			}
			if chaos.on {
				if keep != "" {
					return fmt.Errorf("--store and --chaos exclude each other: what is hurt is thrown away")
				}
				return runChaos(cmd, nodes, &chaos)
			}
			if name := chaos.changed(cmd.Flags()); name != "" {
				return fmt.Errorf("--%s needs --chaos", name)
			}
			return runDemo(cmd, nodes, keep)
		},
	}
	cmd.Flags().IntVar(&nodes, "nodes", 3, "how many nodes")
	cmd.Flags().StringVar(&keep, "store", "", "folder for the stores; kept at the end, and found again next time")
	chaos.register(cmd.Flags())
	return cmd
}

// demoPort returns the wanted loopback address, or one with any free port if
// that is taken.
func demoPort(port int) string {
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "127.0.0.1:0"
	}
	l.Close()
	return addr
}

// freeAddr returns a loopback address that was free a moment ago.
func freeAddr(port int) (string, error) {
	l, err := net.Listen("tcp", demoPort(port))
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func runDemo(cmd *cobra.Command, count int, keep string) error {
	defer tuneGC()()
	dir := keep
	if dir == "" {
		tmp, err := os.MkdirTemp("", "cairn-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	}
	log := newLog(cmd.ErrOrStderr(), slog.LevelWarn)
	cfgs := make([]node.Config, count)
	var join []string
	for i := range cfgs {
		rpcAddr, err := freeAddr(7433 + 10*i)
		if err != nil {
			return err
		}
		join = append(join, rpcAddr)
		cfgs[i] = node.Config{StoreDir: filepath.Join(dir, fmt.Sprintf("n%d", i+1)), Insecure: true, RPCAddr: rpcAddr,
			SQLAddr: demoPort(7432 + 10*i), HTTPAddr: demoPort(7480 + i), Log: log}
	}
	ctx := cmd.Context()
	running := make([]*node.Node, count)
	defer func() { stopAll(running) }()
	g, gctx := errgroup.WithContext(ctx)
	for i := range cfgs {
		cfgs[i].Join = join
		g.Go(func() (err error) {
			running[i], err = node.Start(gctx, cfgs[i])
			return err
		})
	}
	g.Go(func() error { return initDemo(gctx, join[0]) })
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	a := running[0].Addresses()
	host, port, err := net.SplitHostPort(a.SQL)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "A cluster of %d nodes is ready. Talk to it:\n\n    psql -h %s -p %s -U root defaultdb\n\n", count, host, port)
	for i, n := range running {
		a := n.Addresses()
		fmt.Fprintf(out, "node %d   sql %s   rpc %s   console http://%s\n", i+1, a.SQL, a.RPC, a.HTTP)
	}
	fmt.Fprintln(out, "\nCtrl-C ends it.")
	<-ctx.Done()
	return nil
}

// initDemo initialises the cluster as soon as its first node listens. A
// cluster that was kept from an earlier time is initialised already.
func initDemo(ctx context.Context, addr string) error {
	f := &adminFlags{host: addr}
	for {
		err := f.call(ctx, func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := rpcpb.NewClusterClient(conn).Init(ctx, &rpcpb.InitRequest{})
			if alreadyInitialised(err) {
				return nil
			}
			return err
		})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func stopAll(nodes []*node.Node) {
	var g errgroup.Group
	for _, n := range nodes {
		if n != nil {
			g.Go(func() error { n.Close(); return nil })
		}
	}
	_ = g.Wait()
}
