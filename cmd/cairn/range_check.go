package main

import (
	"context"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/cairndb/cairn/internal/rpc/rpcpb"
)

// checkTimeout bounds the check of one range.
const checkTimeout = 3 * time.Minute

func newRangeCheck() *cobra.Command {
	f := &adminFlags{}
	cmd := &cobra.Command{
		Use:   "check [RANGE]...",
		Short: "Compare the replicas of ranges with each other, now",
		Long: `Compare the replicas of ranges with each other, now, and recount their statistics.
Without an argument all ranges are checked, one after the other; the cluster does
so by itself, once a day. Results are also in the table cairn.integrity.

  good        all replicas hold the same data
  incomplete  those that answered do; some did not, or were too few
  repaired    they do, but the range's statistics were wrong, and are right now
  diverged    they do not. Replicas that differ from a majority are taken out of
              use at once, and replaced

The exit status is 1 if any range is diverged, or could not be checked.`,
		Example: "  cairn range check\n  cairn range check 7 12",
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := f.rangeIDs(cmd.Context(), args)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 6, 8, 2, ' ', 0)
			fmt.Fprintln(w, "RANGE\tOUTCOME\tDETAIL")
			bad := 0
			for _, id := range ids {
				outcome, detail := "not checked", ""
				err := f.callFor(cmd.Context(), checkTimeout, func(ctx context.Context, conn *grpc.ClientConn) error {
					resp, err := rpcpb.NewAdminClient(conn).CheckRange(ctx, &rpcpb.CheckRangeRequest{RangeId: id})
					if err == nil {
						outcome, detail = resp.Outcome, resp.Detail
					}
					return err
				})
				if err != nil {
					detail = err.Error()
				}
				if err != nil || outcome == "diverged" {
					bad++
				}
				fmt.Fprintf(w, "%d\t%s\t%s\n", id, outcome, detail)
				if err := w.Flush(); err != nil {
					return err
				}
			}
			if bad > 0 {
				return fmt.Errorf("%d of %d ranges are diverged or were not checked", bad, len(ids))
			}
			return nil
		},
	}
	f.register(cmd)
	return cmd
}

// rangeIDs are those that are named, or else all.
func (f *adminFlags) rangeIDs(ctx context.Context, args []string) (ids []uint64, err error) {
	for _, a := range args {
		id, err := strconv.ParseUint(a, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number of a range; \"cairn range ls\" lists them", a)
		}
		ids = append(ids, id)
	}
	if len(args) > 0 {
		return ids, nil
	}
	err = f.call(ctx, func(ctx context.Context, conn *grpc.ClientConn) error {
		resp, err := rpcpb.NewAdminClient(conn).Ranges(ctx, &rpcpb.RangesRequest{})
		if err == nil {
			for _, r := range resp.Ranges {
				ids = append(ids, r.RangeId)
			}
		}
		return err
	})
	return ids, err
}
