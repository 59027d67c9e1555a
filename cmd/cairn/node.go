package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/cairndb/cairn/internal/rpc/rpcpb"
)

func newNode() *cobra.Command {
	cmd := &cobra.Command{Use: "node", Short: "Look at the nodes of a cluster"}
	cmd.AddCommand(newNodeLs())
	return cmd
}

func newNodeLs() *cobra.Command {
	f := &adminFlags{}
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the nodes of the cluster as one of them sees it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := rpcpb.NewAdminClient(conn).Nodes(ctx, &rpcpb.NodesRequest{})
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
				fmt.Fprintln(w, "NODE\tSTATE\tSQL\tRPC\tHTTP\tRANGES\tLEASES\tDISK FREE\tUP\tVERSION")
				for _, n := range resp.Nodes {
					state := "live"
					switch {
					case !n.Live:
						state = "silent"
					case n.Draining:
						state = "draining"
					case n.DiskFull:
						state = "disk full"
					}
					up := time.Since(time.Unix(0, n.StartedNanos)).Round(time.Second)
					fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", n.NodeId, state, n.SqlAddress, n.RpcAddress,
						n.HttpAddress, n.Ranges, n.Leases, sizeText(int64(n.DiskAvailableBytes)), up, n.Version)
				}
				return w.Flush()
			})
		},
	}
	f.register(cmd)
	return cmd
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
