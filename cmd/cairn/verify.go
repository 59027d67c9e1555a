package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairndb/cairn/acceptance/link"
	"github.com/cairndb/cairn/acceptance/load"
	"github.com/cairndb/cairn/acceptance/nemesis"
	"github.com/cairndb/cairn/acceptance/verify"
)

// Exit statuses of verify, beside 0.
const (
	exitBroken  = 1
	exitInvalid = 2
)

// workloadsOfOthers run by default on a cluster that is not ours.
var workloadsOfOthers = []string{"register", "list-append", "bank", "index"}

func newVerify() *cobra.Command {
	var o verify.Options
	var report string
	var list, matrix bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Hurt a cluster while clients use it, and prove that it keeps its promises",
		Long: `Start a cluster of real processes on this machine, put clients of many kinds to
work on all nodes, hurt the cluster (kill, pause, cut, slow down, …), and let
checkers judge all that the clients were told. Then everything is healed, and
every node must serve every client again in time. Nothing is left behind.

With --url the workloads run against a cluster that is there already, in a
schema of their own that is dropped at the end; it is not hurt.

The verdict is ok, failed (status 1: what was promised and broken is printed as
the few transactions that show it, and stores and logs are kept), or invalid
(status 2: a workload or a nemesis did nothing, so nothing was proven). The page
that --report writes has it all in pictures. A seed repeats what was done, not
what came of it.`,
		Example: `  cairn verify
  cairn verify --workload bank,list-append --nemesis partition-halves+kill --for 1m --seed 7
  cairn verify --matrix --for 10s --report reports
  cairn verify --url postgres://root@127.0.0.1:7432/defaultdb?sslmode=disable`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			if list {
				return listOfVerify(out)
			}
			if len(o.URLs) > 0 {
				if !cmd.Flags().Changed("nemesis") {
					o.Nemeses = ""
				}
				if len(o.Workloads) == 0 {
					o.Workloads = workloadsOfOthers
				}
			}
			if o.Binary == "" {
				var err error
				if o.Binary, err = os.Executable(); err != nil {
					return err
				}
			}
			if !matrix {
				code, err := verifyOnce(cmd.Context(), out, o, report)
				if err != nil {
					return err
				}
				return exitWith(code)
			}
			return verifyMatrix(cmd.Context(), out, o, report)
		},
	}
	fs := cmd.Flags()
	fs.StringSliceVar(&o.URLs, "url", nil, "nodes of a running cluster, comma-separated, instead of one of our own")
	fs.StringSliceVar(&o.Workloads, "workload", nil, "workloads, comma-separated (default all; with --url "+strings.Join(workloadsOfOthers, ",")+")")
	fs.StringVar(&o.Nemeses, "nemesis", "mix", "nemeses, joined by + to strike at the same time; mix draws one after the other, none is none")
	fs.BoolVar(&matrix, "matrix", false, "one run for each nemesis, one without, and some with two at a time; more nodes where a nemesis needs them")
	fs.IntVar(&o.Nodes, "nodes", 3, "nodes of our own cluster")
	fs.IntVar(&o.Clients, "clients", 1, "clients of each workload on each node")
	fs.DurationVar(&o.Safety, "for", verify.SafetyDefault, "how long the nemeses strike")
	fs.DurationVar(&o.Liveness, "liveness", verify.LivenessDefault, "how soon afterwards every node must serve every client again")
	fs.Uint64Var(&o.Seed, "seed", 0, "what nemeses and clients draw from (default another one each time, printed)")
	fs.StringSliceVar(&o.NodeArgs, "node-args", nil, "flags added to each node's cairn start")
	fs.StringVar(&o.OldBinary, "old-binary", "", "another build, which the nodes run at first, for the nemesis upgrade")
	fs.StringVar(&o.Binary, "binary", "", "the binary that the nodes run (default this one)")
	fs.StringVar((*string)(&o.Links), "links", string(verify.LinksAuto), "what stands between the nodes: proxy, packets (network namespaces; root, or unshare -Urn), or auto: what the nemeses need")
	fs.StringVar(&report, "report", "", "folder for the run's page and index.html, the matrix of all runs kept there")
	fs.BoolVar(&list, "list", false, "list workloads and nemeses")
	return cmd
}

func listOfVerify(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "WORKLOAD\t")
	for _, s := range load.Specs() {
		fmt.Fprintf(w, "%s\t%s\n", s.Name, s.Does)
	}
	fmt.Fprintln(w, "\t\nNEMESIS\t")
	for _, n := range nemesis.All() {
		fmt.Fprintf(w, "%s\t%s\n", n.Name, n.Does)
	}
	fmt.Fprintln(w, "mix\tall of these that work here, one after the other at random")
	return w.Flush()
}

// exitWith turns a status into what a command returns.
func exitWith(code int) error {
	if code == 0 {
		return nil
	}
	return &exitError{code}
}

// verifyMatrix does a run for each column of the matrix, and says at the end how
// each went.
func verifyMatrix(ctx context.Context, out io.Writer, o verify.Options, report string) error {
	start := time.Now()
	if o.Seed == 0 {
		o.Seed = uint64(start.UnixNano())
	}
	codes := map[int]string{0: "ok", exitBroken: "FAILED", exitInvalid: "INVALID"}
	var names []string
	count := map[int]int{}
	verdicts := map[string]int{}
	for i, name := range nemesis.Matrix(o.Seed, nemesis.Have{OldBinary: o.OldBinary != "", Packets: o.Links != verify.LinksProxy && link.CanPackets()}) {
		o := o
		o.Nemeses, o.Seed = name, o.Seed+uint64(i)
		needed, err := nemesis.Named(name)
		if err != nil {
			return err
		}
		for _, n := range needed {
			o.Nodes = max(o.Nodes, n.Nodes)
		}
		fmt.Fprintf(out, "\n=== %s, %d nodes\n", name, o.Nodes)
		code, err := verifyOnce(ctx, out, o, report)
		if err != nil {
			return err
		}
		names, verdicts[name] = append(names, name), code
		count[code]++
		if ctx.Err() != nil {
			break
		}
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "\nNEMESIS\tVERDICT")
	for _, n := range names {
		fmt.Fprintf(w, "%s\t%s\n", n, codes[verdicts[n]])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d runs in %v: %d ok, %d failed, %d invalid\n", len(names), time.Since(start).Round(time.Second), count[0], count[exitBroken], count[exitInvalid])
	if report != "" {
		page, err := filepath.Abs(filepath.Join(report, "index.html"))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "summary page: file://%s\n", page)
	}
	switch {
	case count[exitBroken] > 0:
		return exitWith(exitBroken)
	case count[exitInvalid] > 0:
		return exitWith(exitInvalid)
	}
	return nil
}

// verifyOnce does a run and prints what came of it. It returns the exit status.
func verifyOnce(ctx context.Context, out io.Writer, o verify.Options, report string) (int, error) {
	start := time.Now()
	o.Say = func(format string, args ...any) {
		fmt.Fprintf(out, "%6.1fs  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
	r, err := verify.Run(ctx, o)
	if err != nil {
		return exitBroken, err
	}
	if err := printVerdict(out, r); err != nil {
		return exitBroken, err
	}
	fmt.Fprintf(out, "%s: %s\n", r.Verdict(), r.Command())
	if report != "" {
		page, err := r.Keep(report)
		if err != nil {
			return exitBroken, err
		}
		fmt.Fprintf(out, "page: %s   matrix: %s\n", page, filepath.Join(report, "index.html"))
	}
	return map[verify.Verdict]int{verify.OK: 0, verify.Failed: exitBroken, verify.Invalid: exitInvalid}[r.Verdict()], nil
}

// printVerdict prints what came of each workload, and what is wrong.
func printVerdict(out io.Writer, r *verify.Result) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "\nWORKLOAD\tJUDGED\tACKNOWLEDGED")
	for _, x := range r.Workloads {
		judged := "holds"
		switch {
		case x.Violation != "":
			judged = x.Anomaly
		case x.Untested != "":
			judged = "untested"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", x.Name, judged, x.Tested)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, f := range r.Failures {
		fmt.Fprintf(out, "FAILED  %s\n", f)
	}
	for _, u := range r.Untested {
		fmt.Fprintf(out, "INVALID  %s\n", u)
	}
	if r.Dir != "" {
		fmt.Fprintf(out, "stores and logs are in %s\n", r.Dir)
	}
	return nil
}
