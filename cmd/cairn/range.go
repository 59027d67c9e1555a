package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/cairndb/cairn/internal/rpc/rpcpb"
	"github.com/cairndb/cairn/kv/keys"
)

func newRange() *cobra.Command {
	cmd := &cobra.Command{Use: "range", Short: "Look at ranges, check, split and merge them, say who leads them"}
	cmd.AddCommand(newRangeLs(), newRangeSplit(), newRangeMerge(), newRangeLease(), newRangeCheck())
	return cmd
}

func newRangeLs() *cobra.Command {
	f := &adminFlags{}
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the ranges of the cluster in key order",
		Long: `List the ranges of the cluster in key order. SIZE is of the newest values, OLD of
older versions and deletions, which go when they are older than the table's gc_ttl,
or else than cairn.gc_ttl.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := rpcpb.NewAdminClient(conn).Ranges(ctx, &rpcpb.RangesRequest{})
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
				fmt.Fprintln(w, "RANGE\tSTART\tEND\tREPLICAS\tLEASE\tGEN\tROWS\tSIZE\tOLD\tBATCHES/S")
				for _, r := range resp.Ranges {
					fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%.1f\n", r.RangeId, r.StartPretty, r.EndPretty,
						strings.Trim(fmt.Sprint(r.Replicas), "[]"), r.Leaseholder, r.Generation, r.LiveCount, sizeText(r.LiveBytes), sizeText(r.GarbageBytes), r.BatchesPerSecond)
				}
				return w.Flush()
			})
		},
	}
	f.register(cmd)
	return cmd
}

func newRangeSplit() *cobra.Command {
	f := &adminFlags{}
	var sticky time.Duration
	cmd := &cobra.Command{
		Use:   "split KEY... | -",
		Short: "Make keys the starts of ranges",
		Long: `Make each KEY the start of a range; with - they are read from standard input, one
a line, and the splits made four at a time. KEY is written as "cairn range ls" prints it:
/table/ID, /table/ID/INDEX or /table/ID/INDEX/HEX; /table/ID/INDEX/=N stands for
the row whose first key column is the integer N.

ID and INDEX are what Postgres calls oids:
  SELECT 'accounts'::regclass::oid, 'accounts_pkey'::regclass::oid

The split stays until "cairn range merge" undoes it, or, with --for, may be undone
after that time by the cluster, which merges small ranges that nobody uses. If a
range begins at KEY already it is kept in the same way.`,
		Example: "  cairn range split /table/16384/16385/=500000",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "-" {
				return splitAll(cmd, f, sticky)
			}
			for _, arg := range args {
				key, err := parseTableKey(arg)
				if err != nil {
					return err
				}
				err = f.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
					resp, err := rpcpb.NewAdminClient(conn).SplitRange(ctx, &rpcpb.SplitRangeRequest{Key: key, StickyNanos: int64(sticky)})
					if err != nil {
						return err
					}
					tellSplit(cmd.OutOrStdout(), resp, arg)
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	f.register(cmd)
	cmd.Flags().DurationVar(&sticky, "for", 0, "how long the split is kept; 0 until it is merged by hand")
	return cmd
}

func tellSplit(w io.Writer, resp *rpcpb.SplitRangeResponse, at string) {
	if resp.LeftRangeId == 0 {
		fmt.Fprintf(w, "range %d began at %s already\n", resp.RightRangeId, at)
		return
	}
	fmt.Fprintf(w, "range %d now ends and range %d begins at %s\n", resp.LeftRangeId, resp.RightRangeId, at)
}

// splitsAtOnce is how many splits of a list are under way, splitAllMax how long all
// of them may take.
const (
	splitsAtOnce = 4
	splitAllMax  = 24 * time.Hour
)

// splitAll splits at the keys of standard input, over one connection. A split
// that fails is tried again: a range cannot be split twice at the same time.
func splitAll(cmd *cobra.Command, f *adminFlags, sticky time.Duration) error {
	var keys [][]byte
	in := bufio.NewScanner(cmd.InOrStdin())
	for in.Scan() {
		if in.Text() == "" {
			continue
		}
		key, err := parseTableKey(in.Text())
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	if err := in.Err(); err != nil {
		return err
	}
	return f.callFor(cmd.Context(), splitAllMax, func(ctx context.Context, conn *grpc.ClientConn) error {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(splitsAtOnce)
		for i, key := range keys {
			g.Go(func() error {
				req := &rpcpb.SplitRangeRequest{Key: key, StickyNanos: int64(sticky)}
				var err error
				for tries := 0; tries < 3 && ctx.Err() == nil; tries++ {
					if _, err = rpcpb.NewAdminClient(conn).SplitRange(ctx, req); err == nil {
						return nil
					}
				}
				return fmt.Errorf("key %d of %d: %w", i+1, len(keys), err)
			})
		}
		err := g.Wait()
		if err == nil {
			fmt.Fprintf(cmd.OutOrStdout(), "ranges begin at %d keys\n", len(keys))
		}
		return err
	})
}

func newRangeMerge() *cobra.Command {
	f := &adminFlags{}
	cmd := &cobra.Command{
		Use:   "merge KEY",
		Short: "Join the range that begins at a key to its left neighbour",
		Long: `Join the range that begins at KEY to its left neighbour: what "cairn range split
KEY" did is undone. KEY is written as there. Replicas of the right range that are
on other nodes are moved first; all must be up and up to date.`,
		Example: "  cairn range merge /table/16384/16385/=500000",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := parseTableKey(args[0])
			if err != nil {
				return err
			}
			return f.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := rpcpb.NewAdminClient(conn).MergeRanges(ctx, &rpcpb.MergeRangesRequest{Key: key})
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "range %d now holds what range %d held\n", resp.RangeId, resp.MergedRangeId)
				return nil
			})
		},
	}
	f.register(cmd)
	return cmd
}

func newRangeLease() *cobra.Command {
	f := &adminFlags{}
	cmd := &cobra.Command{
		Use:   "lease KEY N",
		Short: "Give the lease of the range that holds a key to node N",
		Long: `Give the lease of the range that holds KEY to node N, which must have a replica
of it that is up to date. KEY is written as for "cairn range split". Requests wait
for a few milliseconds. The lease stays until the cluster has a reason to move it:
load, a node that drains or dies.`,
		Example: "  cairn range lease /table/16384/16385/=500000 2",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := parseTableKey(args[0])
			if err != nil {
				return err
			}
			id, err := parseNodeID(args[1])
			if err != nil {
				return err
			}
			return f.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := rpcpb.NewAdminClient(conn).TransferLease(ctx, &rpcpb.TransferLeaseRequest{Key: key, NodeId: id})
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "node %d has the lease of range %d\n", id, resp.RangeId)
				return nil
			})
		},
	}
	f.register(cmd)
	return cmd
}

// parseTableKey is the inverse of how tables' keys are printed.
func parseTableKey(s string) ([]byte, error) {
	parts := strings.Split(strings.TrimPrefix(s, "/"), "/")
	bad := fmt.Errorf("%q is no table key; write /table/ID, /table/ID/INDEX, /table/ID/INDEX/=NUMBER or /table/ID/INDEX/HEX", s)
	if len(parts) < 2 || len(parts) > 4 || parts[0] != "table" {
		return nil, bad
	}
	key := keys.TablePrefix.Clone()
	for _, p := range parts[1:min(3, len(parts))] {
		id, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return nil, bad
		}
		key = binary.BigEndian.AppendUint32(key, uint32(id))
	}
	if len(parts) < 4 {
		return key, nil
	}
	if n, ok := strings.CutPrefix(parts[3], "="); ok {
		return appendIntKey(key, n)
	}
	tail, err := hex.DecodeString(parts[3])
	if err != nil {
		return nil, bad
	}
	return append(key, tail...), nil
}
