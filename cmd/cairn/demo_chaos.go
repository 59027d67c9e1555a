package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cairndb/cairn/acceptance/cluster"
	"github.com/cairndb/cairn/acceptance/verify"
)

// chaosFlags are the flags of demo that go with --chaos.
type chaosFlags struct {
	on        bool
	nemeses   string
	workloads []string
	limit     time.Duration
	seed      uint64
	report    string
}

// chaosWorkloads are few and of different kinds: the machine is the user's, too.
var chaosWorkloads = []string{"bank", "register", "list-append", "sets"}

const (
	// chaosPace leaves room for who looks on with psql.
	chaosPace = 25 * time.Millisecond
	// chaosFor bounds what checkers must keep in mind.
	chaosFor = 10 * time.Minute
)

func (f *chaosFlags) register(fs *pflag.FlagSet) {
	fs.BoolVar(&f.on, "chaos", false, "hurt the nodes while clients work, and judge what the clients were told")
	fs.StringVar(&f.nemeses, "nemesis", "mix", "with --chaos: what is done to the nodes; cairn verify --list has the names")
	fs.StringSliceVar(&f.workloads, "workload", chaosWorkloads, "with --chaos: what the clients do; cairn verify --list has the names")
	fs.DurationVar(&f.limit, "for", chaosFor, "with --chaos: how long, if nobody presses Ctrl-C")
	fs.Uint64Var(&f.seed, "seed", 0, "with --chaos: what is drawn from (default another one each time)")
	fs.StringVar(&f.report, "report", "", "with --chaos: folder for a page with pictures")
}

// changed names a flag that was given and needs --chaos.
func (f *chaosFlags) changed(fs *pflag.FlagSet) string {
	for _, name := range []string{"nemesis", "workload", "for", "seed", "report"} {
		if fs.Changed(name) {
			return name
		}
	}
	return ""
}

// runChaos is the demo that gets hurt.
func runChaos(cmd *cobra.Command, nodes int, f *chaosFlags) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	start := time.Now()
	ready := false
	o := verify.Options{Binary: self, Nodes: nodes, Workloads: f.workloads, Nemeses: f.nemeses, Safety: f.limit, Seed: f.seed,
		Pace: chaosPace, Interrupted: true,
		Say: func(format string, args ...any) {
			fmt.Fprintf(out, "%7.1fs  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
		},
		Ready: func(c *cluster.Cluster) {
			ready = true
			printChaos(cmd, c, f)
		}}
	r, err := verify.Run(cmd.Context(), o)
	if err != nil {
		return err
	}
	if !ready && cmd.Context().Err() != nil {
		return nil
	}
	// Who ends it early has seen what there was to see.
	if cmd.Context().Err() != nil {
		r.Unfelt = nil
		r.Untested = slices.DeleteFunc(r.Untested, func(u string) bool { return strings.HasPrefix(u, "nemesis ") })
	}
	if err := printVerdict(out, r); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %d wounds in %v; every node served every client again %v after the last was healed\n", r.Verdict(), len(r.Bands),
		r.Took.Round(time.Second), r.Live.Round(time.Millisecond))
	fmt.Fprintf(out, "the same again: cairn demo --chaos --nodes %d --nemesis %s --seed %d\n", nodes, r.Options.Nemeses, r.Options.Seed)
	if f.report != "" {
		page, err := r.Keep(f.report)
		if err != nil {
			return err
		}
		if page, err = filepath.Abs(page); err != nil {
			return err
		}
		fmt.Fprintf(out, "page: file://%s\n", page)
	}
	if r.Verdict() == verify.Failed {
		return exitWith(exitBroken)
	}
	return nil
}

// printChaos says how to look on.
func printChaos(cmd *cobra.Command, c *cluster.Cluster, f *chaosFlags) {
	out := cmd.OutOrStdout()
	host, port, _ := strings.Cut(c.Nodes[0].ToldSQL(), ":")
	fmt.Fprintf(out, "A cluster of %d nodes is ready, a process each. Talk to it:\n\n    psql -h %s -p %s -U root defaultdb\n\n", len(c.Nodes), host, port)
	for _, n := range c.Nodes {
		fmt.Fprintf(out, "%s   sql %s   console http://%s\n", n.Name, n.ToldSQL(), n.HTTP)
	}
	fmt.Fprintf(out, "\nClients do %s on all of them, and for %v these are hurt: %s.\nCtrl-C undoes all, and has the clients judged.\n\n",
		strings.Join(f.workloads, ", "), f.limit, f.nemeses)
}
