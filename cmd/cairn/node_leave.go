package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/cairndb/cairn/internal/rpc/rpcpb"
	"github.com/cairndb/cairn/kv/allocator"
)

// decommissionPoll is how often progress is asked for.
const decommissionPoll = time.Second

func newNodeDecommission() *cobra.Command {
	f := &adminFlags{}
	var cancel, force, noWait, plan bool
	cmd := &cobra.Command{
		Use:   "decommission N",
		Short: "Take node N out of the cluster for ever",
		Long: `Take node N out of the cluster for ever: its replicas move to other nodes, and
when the last one has moved the node ends. It may be running or dead.

The plan is printed first. If there are replicas that no other node can take,
that is said and nothing is begun; --force begins all the same, and what is
missing may come later.

The cluster does the work: this command only watches, and may be ended at any
time. Say it again to watch again, --cancel to keep the node, as long as it has
not left.`,
		Example: "  cairn node decommission 3 --host 127.0.0.1:7433",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseNodeID(args[0])
			if err != nil {
				return err
			}
			d := &decommission{cmd: cmd, flags: f, id: id}
			switch {
			case cancel:
				return d.cancel()
			case plan:
				_, err := d.plan()
				return err
			}
			if err := d.begin(force); err != nil || noWait {
				return err
			}
			return d.watch()
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&cancel, "cancel", false, "keep the node after all")
	cmd.Flags().BoolVar(&plan, "plan", false, "only say what would happen")
	cmd.Flags().BoolVar(&force, "force", false, "begin although some replicas cannot go anywhere yet")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "begin, and do not watch")
	cmd.MarkFlagsMutuallyExclusive("cancel", "plan", "no-wait")
	return cmd
}

func parseNodeID(s string) (uint32, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "n"), 10, 32)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no node; cairn node ls shows their numbers", s)
	}
	return uint32(n), nil
}

// decommission is one run of the command.
type decommission struct {
	cmd   *cobra.Command
	flags *adminFlags
	id    uint32
}

func (d *decommission) ask(do rpcpb.DecommissionRequest_Do) (resp *rpcpb.DecommissionResponse, err error) {
	err = d.flags.call(d.cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
		resp, err = rpcpb.NewAdminClient(conn).Decommission(ctx, &rpcpb.DecommissionRequest{NodeId: d.id, Do: do})
		return err
	})
	return resp, err
}

func (d *decommission) say(format string, args ...any) {
	fmt.Fprintf(d.cmd.OutOrStdout(), format+"\n", args...)
}

// plan prints what is to happen.
func (d *decommission) plan() (*rpcpb.DecommissionResponse, error) {
	r, err := d.ask(rpcpb.DecommissionRequest_LOOK)
	if err != nil {
		return nil, err
	}
	if r.Membership == allocator.Decommissioned.String() {
		return r, nil
	}
	var to []string
	for _, p := range r.Plan {
		to = append(to, fmt.Sprintf("%d to node %d", p.Replicas, p.To))
	}
	switch {
	case r.Replicas == 0:
		d.say("node %d has no replicas", d.id)
	case len(to) == 0:
		d.say("node %d has %s", d.id, count(r.Replicas, "replica"))
	default:
		d.say("node %d has %s: %s", d.id, count(r.Replicas, "replica"), strings.Join(to, ", "))
	}
	d.sayBlockers(r)
	return r, nil
}

func (d *decommission) sayBlockers(r *rpcpb.DecommissionResponse) {
	for _, b := range r.Blockers {
		d.say("blocked: %s (%s, range %d for one)", b.Why, count(b.Ranges, "range"), b.ExampleRangeId)
	}
}

func (d *decommission) begin(force bool) error {
	r, err := d.plan()
	if err != nil {
		return err
	}
	if r.Membership != allocator.Member.String() {
		return nil // it has begun already
	}
	if len(r.Blockers) > 0 && !force {
		return errors.New("nothing was begun: add what is missing, or say --force")
	}
	_, err = d.ask(rpcpb.DecommissionRequest_BEGIN)
	return err
}

func (d *decommission) cancel() error {
	if _, err := d.ask(rpcpb.DecommissionRequest_CANCEL); err != nil {
		return err
	}
	d.say("node %d stays", d.id)
	return nil
}

// watch prints progress until the node has left. A node that does not answer
// for a while is no reason to give up: the work goes on without us.
func (d *decommission) watch() error {
	last, blocked := int64(-1), ""
	t := time.NewTicker(decommissionPoll)
	defer t.Stop()
	for failures := 0; ; {
		r, err := d.ask(rpcpb.DecommissionRequest_LOOK)
		if err != nil {
			if failures++; failures > 10 || d.cmd.Context().Err() != nil {
				return fmt.Errorf("%w; the decommissioning goes on", err)
			}
		} else {
			failures = 0
			switch r.Membership {
			case allocator.Decommissioned.String():
				d.say("node %d is decommissioned", d.id)
				return nil
			case allocator.Member.String():
				return fmt.Errorf("the decommissioning of node %d was cancelled", d.id)
			}
			if r.Replicas != last {
				d.say("%s left", count(r.Replicas, "replica"))
				last = r.Replicas
			}
			if why := fmt.Sprint(r.Blockers); why != blocked {
				d.sayBlockers(r)
				blocked = why
			}
		}
		select {
		case <-t.C:
		case <-d.cmd.Context().Done():
			return errors.New("the decommissioning goes on without this command")
		}
	}
}

// count is a number with its word.
func count(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func newNodeDrain() *cobra.Command {
	f := &adminFlags{}
	var shutdown bool
	cmd := &cobra.Command{
		Use:   "drain N",
		Short: "Take node N out of service for a while",
		Long: `Take node N out of service: its leases move to other nodes, its clients finish
their statements and are disconnected (SQLSTATE 57P01), and it takes no new ones.
It keeps its replicas. To end the process as well say --shutdown, or send it
SIGTERM, which drains too. A drained node comes back into service by a restart.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseNodeID(args[0])
			if err != nil {
				return err
			}
			addr := ""
			err = f.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := rpcpb.NewAdminClient(conn).Nodes(ctx, &rpcpb.NodesRequest{})
				if err != nil {
					return err
				}
				for _, n := range resp.Nodes {
					if n.NodeId == id {
						addr = n.RpcAddress
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			if addr == "" {
				return fmt.Errorf("there is no node %d", id)
			}
			at := &adminFlags{host: addr, certsDir: f.certsDir}
			return at.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) error {
				resp, err := rpcpb.NewAdminClient(conn).Drain(ctx, &rpcpb.DrainRequest{Shutdown: shutdown})
				if err != nil {
					return err
				}
				if resp.LeasesLeft > 0 {
					fmt.Fprintf(cmd.OutOrStdout(), "node %d is drained but for %s that nobody else can have\n", id, count(resp.LeasesLeft, "lease"))
				} else {
					fmt.Fprintf(cmd.OutOrStdout(), "node %d is drained\n", id)
				}
				return nil
			})
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&shutdown, "shutdown", false, "end the process too")
	return cmd
}
