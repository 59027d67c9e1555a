package main

import (
	"math/rand/v2"

	"github.com/spf13/cobra"

	"github.com/cairndb/cairn/acceptance/nemesis"
	"github.com/cairndb/cairn/internal/testkit/trouble"
	"github.com/cairndb/cairn/kv/storage/troubledfs"
)

// newStartTroubled is start for the nodes of clusters that are there to be hurt
// (verify, demo --chaos): clock and disk of such a node obey a file. It is a
// command of its own, and hidden, so that no setting of a node that serves
// somebody can bring this about.
func newStartTroubled() *cobra.Command {
	f := &startFlags{}
	var file string
	cmd := &cobra.Command{
		Use:    nemesis.StartTroubled + " --trouble FILE …",
		Short:  "Start a node whose clock and disk can be set off, for verify and demo --chaos",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.config()
			if err != nil {
				return err
			}
			w := trouble.Watch(file)
			cfg.Wall = w
			fs, power := troubledfs.New(func(op troubledfs.Op) error { return w.Disk(op.Path, op.Write, op.Sync) })
			cfg.FS = fs
			w.OnPowerCut(func(seed uint64) trouble.Felt {
				lost := power.Cut(rand.New(rand.NewPCG(seed, 0)))
				return trouble.Felt{LostBytes: lost.Bytes, LostNames: lost.Names}
			})
			return runNode(cmd, cfg)
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().StringSliceVar(&f.cfg.Join, "join", nil, "RPC addresses of nodes of the cluster, comma-separated")
	cmd.Flags().StringVar(&file, "trouble", "", "the file that is obeyed")
	_ = cmd.MarkFlagRequired("trouble")
	return cmd
}
