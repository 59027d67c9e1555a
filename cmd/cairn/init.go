package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/cairndb/cairn/internal/rpc/rpcpb"
)

func newInit() *cobra.Command {
	f := &adminFlags{}
	cmd := &cobra.Command{
		Use:   "init --host HOST:PORT",
		Short: "Initialise a new cluster, once",
		Long: `Initialise a new cluster: the node at --host founds it, and the nodes that were
started with its address in their --join list are taken in. A cluster is
initialised once in its life; doing it again is refused and changes nothing.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := rpcpb.NewClusterClient(conn).Init(ctx, &rpcpb.InitRequest{})
				if err != nil {
					return err
				}
				id, err := uuid.FromBytes(resp.ClusterId)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "cluster %s initialised\n", id)
				return nil
			})
		},
	}
	f.register(cmd)
	return cmd
}
