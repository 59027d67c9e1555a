package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Result is what a command said.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// commandMax bounds a command-line tool.
const commandMax = 45 * time.Second

// Cairn runs the binary's command line to its end.
func (c *Cluster) Cairn(args ...string) Result {
	c.t.Helper()
	return c.Run("", c.binary, args...)
}

// Run runs any command to its end, with text as its standard input.
func (c *Cluster) Run(stdin, name string, args ...string) Result {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandMax)
	defer cancel()
	return c.RunContext(ctx, stdin, name, args...)
}

// Try runs the binary's command line, for a caller that is not the test's own
// goroutine: what fails is returned.
func (c *Cluster) Try(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, c.binary, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cairn %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// RunContext is Run with a limit of its own.
func (c *Cluster) RunContext(ctx context.Context, stdin, name string, args ...string) Result {
	c.t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatalf("%s: %v", name, err)
	}
	return Result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// Range is a line of "cairn range ls".
type Range struct {
	ID, Start, End string
	Replicas       []string
	Lease          string
	Rows           int64
}

// Ranges lists the ranges as a node sees them.
func (c *Cluster) Ranges(via *Node) ([]Range, error) {
	rows, err := c.table(via, "range", "ls")
	if err != nil {
		return nil, err
	}
	var out []Range
	for _, f := range rows {
		r := Range{ID: f["RANGE"], Start: f["START"], End: f["END"], Replicas: strings.Fields(f["REPLICAS"]), Lease: f["LEASE"]}
		r.Rows, _ = strconv.ParseInt(f["ROWS"], 10, 64)
		out = append(out, r)
	}
	return out, nil
}

// NodeStates lists node id and state ("live" or "silent") as a node sees them.
func (c *Cluster) NodeStates(via *Node) (map[string]string, error) {
	rows, err := c.table(via, "node", "ls")
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, f := range rows {
		out[f["NODE"]] = f["STATE"]
	}
	return out, nil
}

// Versions lists the builds of the live nodes as a node sees them, each once.
func (c *Cluster) Versions(via *Node) ([]string, error) { return c.ofLive(via, "VERSION") }

// ClusterVersions lists the cluster's version as a node sees it with the versions in
// which the live nodes work, as 1 of 1-2, each once.
func (c *Cluster) ClusterVersions(via *Node) ([]string, error) {
	return c.ofLive(via, "CLUSTER VERSION")
}

// ofLive lists what is in a column of the live nodes, each once.
func (c *Cluster) ofLive(via *Node, column string) ([]string, error) {
	rows, err := c.table(via, "node", "ls")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range rows {
		if f["STATE"] == "live" && !slices.Contains(out, f[column]) {
			out = append(out, f[column])
		}
	}
	slices.Sort(out)
	return out, nil
}

var columnGap = regexp.MustCompile(`\s{2,}`)

// table runs a listing and returns its rows by column name.
func (c *Cluster) table(via *Node, args ...string) ([]map[string]string, error) {
	r := c.Cairn(append(args, "--host", via.Told())...)
	if r.Code != 0 {
		return nil, errors.New(strings.TrimSpace(r.Stderr))
	}
	lines := strings.Split(strings.TrimSpace(r.Stdout), "\n")
	names := columnGap.Split(strings.TrimSpace(lines[0]), -1)
	var out []map[string]string
	for _, line := range lines[1:] {
		fields, row := columnGap.Split(strings.TrimSpace(line), -1), map[string]string{}
		for i, f := range fields {
			if i < len(names) {
				row[names[i]] = f
			}
		}
		out = append(out, row)
	}
	return out, nil
}

// Busiest returns the range with the most rows: in these tests, the one every
// transaction writes to.
func (c *Cluster) Busiest(via *Node) Range {
	c.t.Helper()
	ranges, err := c.Ranges(via)
	if err != nil || len(ranges) == 0 {
		c.t.Fatalf("range ls: %v", err)
	}
	best := ranges[0]
	for _, r := range ranges {
		if r.Rows > best.Rows {
			best = r
		}
	}
	return best
}
