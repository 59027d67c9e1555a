// Command idle measures what ranges cost that nobody uses: three real processes,
// all ranges on all of them. For each number of ranges it prints the CPU time of the
// three processes, of one core, while nothing happens; their resident memory; how
// long it takes until others lead what a killed node led; and how long that node
// takes from its start to its first answer.
//
//	go run ./acceptance/bench/idle -cairn bin/cairn -ranges 1000,10000,30000
//
// CPU is of /proc/PID/stat and does not depend on what else the machine does; the
// times do.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/acceptance/cluster"
)

var (
	binary = flag.String("cairn", "bin/cairn", "the binary to measure")
	counts = flag.String("ranges", "1000,10000,30000", "how many ranges, each more than the one before")
	window = flag.Duration("for", 30*time.Second, "how long idle CPU is measured")
	settle = flag.Duration("settle", 20*time.Second, "how long after the splits the measurement begins, at least")
	keep   = flag.String("profiles", "", "keep profiles of the first node's CPU, while idle, and heap in this folder")
	args   = flag.String("args", "", "further arguments of cairn start")
)

func main() {
	flag.Parse()
	j := &judge{}
	err := run(j)
	j.clean()
	if err != nil {
		log.Fatal(err)
	}
}

// judge is a cluster.T that ends the program.
type judge struct{ cleanups []func() }

func (*judge) Helper()                     {}
func (*judge) Log(a ...any)                { log.Print(a...) }
func (*judge) Logf(f string, a ...any)     { log.Printf(f, a...) }
func (*judge) Error(a ...any)              { log.Print(a...) }
func (*judge) Errorf(f string, a ...any)   { log.Printf(f, a...) }
func (j *judge) Fatal(a ...any)            { log.Print(a...); j.clean(); os.Exit(1) }
func (j *judge) Fatalf(f string, a ...any) { j.Fatal(fmt.Sprintf(f, a...)) }
func (*judge) Failed() bool                { return false }
func (j *judge) Cleanup(f func())          { j.cleanups = append(j.cleanups, f) }
func (j *judge) clean() {
	for _, f := range j.cleanups {
		f()
	}
	j.cleanups = nil
}

func run(j *judge) error {
	c := cluster.New(j, *binary, 3)
	for _, n := range c.Nodes {
		n.Args = strings.Fields(*args)
		n.Launch()
	}
	c.Init()
	for _, n := range c.Nodes {
		n.WaitReady()
	}
	var table, index int
	err := query(c.Nodes[0], "CREATE TABLE t (id int PRIMARY KEY)")
	if err == nil {
		err = query(c.Nodes[0], "SELECT 't'::regclass::oid::int, 't_pkey'::regclass::oid::int", &table, &index)
	}
	if err != nil {
		return err
	}
	fmt.Println("| ranges | splits | idle, of one core | per 1,000 ranges | resident, each | others lead all after | restart to an answer |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- |")
	have := 0
	for _, s := range strings.Split(*counts, ",") {
		want, err := strconv.Atoi(s)
		if err != nil {
			return err
		}
		began := time.Now()
		if err := split(c, table, index, have, want); err != nil {
			return err
		}
		row, err := measure(c, time.Since(began), want)
		if err != nil {
			return err
		}
		fmt.Println(row)
		have = want
	}
	return nil
}

// query runs a statement at a node, and scans its one row.
func query(n *cluster.Node, sql string, into ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, n.URL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if len(into) == 0 {
		_, err = conn.Exec(ctx, sql)
		return err
	}
	return conn.QueryRow(ctx, sql).Scan(into...)
}

// split makes ranges of one row each.
func split(c *cluster.Cluster, table, index, have, want int) error {
	var in strings.Builder
	// From right to left each split leaves the smaller part to itself.
	for i := want - 1; i >= have; i-- {
		fmt.Fprintf(&in, "/table/%d/%d/=%d\n", table, index, i)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Hour)
	defer cancel()
	if r := c.RunContext(ctx, in.String(), *binary, "range", "split", "--host", c.Nodes[0].RPC, "-"); r.Code != 0 {
		return fmt.Errorf("split: %s", r.Stderr)
	}
	return nil
}

func measure(c *cluster.Cluster, splits time.Duration, ranges int) (row string, err error) {
	if err := quiet(c); err != nil {
		return "", err
	}
	idle := cpu(c.Nodes, *window)
	if *keep != "" {
		profile(c.Nodes[0], "profile?seconds=20", fmt.Sprintf("cpu-%d", ranges))
		profile(c.Nodes[0], "heap", fmt.Sprintf("heap-%d", ranges))
	}
	var rss []string
	for _, n := range c.Nodes {
		b, err := gauge(n, "process_resident_memory_bytes")
		if err != nil {
			return "", err
		}
		rss = append(rss, fmt.Sprintf("%.0f", b/(1<<20)))
	}
	victim, others, err := busiest(c)
	if err != nil {
		return "", err
	}
	all, err := leases(c.Nodes)
	if err != nil {
		return "", err
	}
	led, err := gauge(victim, "leases")
	if err != nil {
		return "", err
	}
	victim.ExpectEnd()
	victim.Kill9()
	killed := time.Now()
	for {
		if n, err := leases(others); err == nil && n >= all {
			break
		} else if time.Since(killed) > 5*time.Minute {
			return "", fmt.Errorf("after %s others lead %.0f of %.0f ranges: %v", time.Since(killed), n, all, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	failover := time.Since(killed)
	victim.Launch()
	launched := time.Now()
	for query(victim, "SELECT count(*) FROM t WHERE id = 1", new(int)) != nil {
		if time.Since(launched) > 5*time.Minute {
			return "", fmt.Errorf("no answer from the restarted node; its log ends: %s", victim.LogTail(5))
		}
		time.Sleep(50 * time.Millisecond)
	}
	restart := time.Since(launched)
	return fmt.Sprintf("| %d | %s | %.1f %% | %.2f %% | %s MiB | %.1f s (%.0f ranges) | %.1f s |", ranges, splits.Round(time.Second), 100*idle,
		100*idle*1000/float64(ranges), strings.Join(rss, ", "), failover.Seconds(), led, restart.Seconds()), nil
}

// quiet waits until nothing moves any more: until no node leads more ranges than
// before, and the processes use about the same CPU in two windows. Splits leave
// all leases with one node, and it takes minutes to even them out.
func quiet(c *cluster.Cluster) error {
	began, last := time.Now(), 10.0
	var led []float64
	for time.Since(began) < quietMax {
		now := cpu(c.Nodes, 10*time.Second)
		var leads []float64
		for _, n := range c.Nodes {
			v, err := gauge(n, "leases")
			if err != nil {
				return err
			}
			leads = append(leads, v)
		}
		if time.Since(began) > *settle && now > 0.9*last && slices.Equal(leads, led) {
			return nil
		}
		log.Printf("settling: %.1f %%, leading %.0f", 100*now, leads)
		last, led = now, leads
	}
	return fmt.Errorf("the cluster does not come to rest: %.1f %% of a core, leading %.0f", 100*last, led)
}

// quietMax bounds the wait for rest.
const quietMax = 20 * time.Minute

// cpu is what the processes use in a window, in cores.
func cpu(nodes []*cluster.Node, d time.Duration) float64 {
	sum := func() (t time.Duration) {
		for _, n := range nodes {
			t += n.CPU()
		}
		return t
	}
	before, began := sum(), time.Now()
	time.Sleep(d)
	return float64(sum()-before) / float64(time.Since(began))
}
