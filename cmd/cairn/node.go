package main

import (
	"cmp"
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/cairndb/cairn/internal/rpc/rpcpb"
	"github.com/cairndb/cairn/kv/allocator"
)

func newNode() *cobra.Command {
	cmd := &cobra.Command{Use: "node", Short: "Look at the nodes of a cluster, and take nodes out of it"}
	cmd.AddCommand(newNodeLs(), newNodeDecommission(), newNodeDrain())
	return cmd
}

func newNodeLs() *cobra.Command {
	f := &adminFlags{}
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the nodes of the cluster as one of them sees it",
		Long: `List the nodes of the cluster as one of them sees it. STATE is one of

  live             it is heard of
  silent           it is not, and may come back
  dead             it has been silent for --dead-after: its replicas are made anew
  draining         it gives its leases away, or has
  disk full        it takes no new data
  decommissioning  it gives its replicas away and then leaves
  decommissioned   it has left for ever

CLUSTER VERSION is the version of the cluster as the node that is asked knows it, and
those in which each node's build works. It rises by itself when all nodes work in a
higher one, which ends the way back to an older build:

  ALTER SYSTEM SET cairn.hold_cluster_version = on

keeps it where it is. A node that is down counts, until it is decommissioned.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := rpcpb.NewAdminClient(conn).Nodes(ctx, &rpcpb.NodesRequest{})
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
				fmt.Fprintln(w, "NODE\tSTATE\tLOCALITY\tSQL\tRPC\tHTTP\tREPLICAS\tLEASES\tBATCHES/S\tDISK FREE\tUP\tVERSION\tCLUSTER VERSION")
				for _, n := range resp.Nodes {
					up := time.Since(time.Unix(0, n.StartedNanos)).Round(time.Second)
					fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\t%d of %s\n", n.NodeId, nodeState(n), cmp.Or(n.Locality, "-"),
						n.SqlAddress, n.RpcAddress, n.HttpAddress, n.Ranges, n.Leases, n.BatchesPerSecond,
						sizeText(int64(n.DiskAvailableBytes)), up, n.Version, resp.ClusterVersion, n.WorksInVersions)
				}
				return w.Flush()
			})
		},
	}
	f.register(cmd)
	return cmd
}

// nodeState is a node's state in a word, the most important one.
func nodeState(n *rpcpb.Node) string {
	switch {
	case n.Membership == allocator.Decommissioned.String():
		return n.Membership
	case n.Dead:
		return "dead"
	case !n.Live:
		return "silent"
	case n.Membership == allocator.Decommissioning.String():
		return n.Membership
	case n.Draining:
		return "draining"
	case n.DiskFull:
		return "disk full"
	}
	return "live"
}

// sizeText prints a size with a binary unit.
func sizeText(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
