package main

import (
	"github.com/spf13/cobra"

	"github.com/cairndb/cairn/internal/certs"
)

func newCert() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "cert",
		Short: "Make the certificates of a cluster that is not insecure",
	}
	cmd.PersistentFlags().StringVar(&dir, "certs-dir", "certs", "folder for the certificates")
	cmd.AddCommand(
		&cobra.Command{
			Use: "create-ca", Short: "Make the cluster's authority: ca.crt and ca.key (keep ca.key off the nodes)", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return certs.CreateCA(dir) },
		},
		&cobra.Command{
			Use: "create-node HOST…", Short: "Make a node's certificate for the hosts it is reached at", Args: cobra.MinimumNArgs(1),
			RunE: func(_ *cobra.Command, hosts []string) error { return certs.CreateNode(dir, hosts) },
		},
		&cobra.Command{
			Use: "create-client USER", Short: "Make a certificate for a SQL user", Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error { return certs.CreateClient(dir, args[0]) },
		},
	)
	return cmd
}
