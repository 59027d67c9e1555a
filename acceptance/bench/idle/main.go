// Command idle measures what ranges cost that nobody uses: three real processes,
// all ranges on all of them. For each number of ranges it prints the CPU time of the
// three processes, of one core, while nothing happens, and how much of it each
// thousand ranges add to that of an empty cluster; their resident memory; how long it
// takes until others lead what a killed node led, and what CPU time that takes them
// for each such range; and how long that node takes from its start to its first answer.
//
//	go run ./acceptance/bench/idle -cairn bin/cairn -ranges 1000,10000,30000
//
// CPU is of /proc/PID/stat and does not depend on what else the machine does; the
// times do. What goes on is logged every few seconds, and each step is bounded.
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
	splits = flag.Duration("splits", 30*time.Minute, "how long making the ranges of a row may take")
	rest   = flag.Duration("rest", 20*time.Minute, "how long it may take until nothing moves any more")
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
	if err := quiet(c); err != nil {
		return err
	}
	empty := cpu(c.Nodes, *window)
	log.Printf("without ranges: %.1f %% of a core", 100*empty)
	fmt.Println("| ranges | splits, CPU of each | idle, of one core | more per 1,000 ranges | resident, each | others lead all after, CPU of each | restart to an answer |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- |")
	have := 0
	for _, s := range strings.Split(*counts, ",") {
		want, err := strconv.Atoi(s)
		if err != nil {
			return err
		}
		began, used := time.Now(), spent(c.Nodes)
		if err := split(c, table, index, have, want); err != nil {
			return err
		}
		made := fmt.Sprintf("%s, %s", time.Since(began).Round(time.Second), each(spent(c.Nodes)-used, want-have))
		row, err := measure(c, made, want, empty)
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

// splitsMax is how many splits are asked for at a time, between two lines of the log.
const splitsMax = 1000

// split makes ranges of one row each.
func split(c *cluster.Cluster, table, index, have, want int) error {
	ctx, cancel := context.WithTimeout(context.Background(), *splits)
	defer cancel()
	began := time.Now()
	at := halves(have, want)
	for done := 0; done < len(at); {
		var in strings.Builder
		some := at[done:min(done+splitsMax, len(at))]
		for _, i := range some {
			fmt.Fprintf(&in, "/table/%d/%d/=%d\n", table, index, i)
		}
		if r := c.RunContext(ctx, in.String(), *binary, "range", "split", "--host", c.Nodes[0].RPC, "-"); r.Code != 0 {
			return fmt.Errorf("split, after %d of %d in %s: %s", done, len(at), time.Since(began).Round(time.Second), r.Stderr)
		}
		done += len(some)
		log.Printf("split at %d of %d keys, %.0f a second", done, len(at), float64(done)/time.Since(began).Seconds())
	}
	return nil
}

// halves are the numbers from lo to below hi, the middle of each interval before what
// is on both sides: so splits that are under way at a time are of different ranges.
func halves(lo, hi int) []int {
	out := make([]int, 0, hi-lo)
	for todo := [][2]int{{lo, hi}}; len(todo) > 0; todo = todo[1:] {
		lo, hi := todo[0][0], todo[0][1]
		if lo >= hi {
			continue
		}
		middle := lo + (hi-lo)/2
		out = append(out, middle)
		todo = append(todo, [2]int{lo, middle}, [2]int{middle + 1, hi})
	}
	return out
}

// each is CPU time divided by a number of ranges.
func each(d time.Duration, ranges int) string {
	return (d / time.Duration(max(ranges, 1))).Round(10 * time.Microsecond).String()
}

func measure(c *cluster.Cluster, splits string, ranges int, empty float64) (row string, err error) {
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
	used := spent(others)
	victim.ExpectEnd()
	victim.Kill9()
	killed, said := time.Now(), time.Now()
	for {
		n, err := leases(others)
		if err == nil && n >= all {
			break
		}
		if time.Since(killed) > failoverMax {
			return "", fmt.Errorf("after %s others lead %.0f of %.0f ranges: %v", time.Since(killed), n, all, err)
		}
		if time.Since(said) > time.Second {
			said = time.Now()
			log.Printf("%s after the end of a node others lead %.0f of %.0f", time.Since(killed).Round(time.Second), n, all)
		}
		time.Sleep(200 * time.Millisecond)
	}
	failover, took := time.Since(killed), spent(others)-used
	victim.Launch()
	launched := time.Now()
	for query(victim, "SELECT count(*) FROM t WHERE id = 1", new(int)) != nil {
		if time.Since(launched) > failoverMax {
			return "", fmt.Errorf("no answer from the restarted node; its log ends: %s", victim.LogTail(5))
		}
		time.Sleep(50 * time.Millisecond)
	}
	restart := time.Since(launched)
	return fmt.Sprintf("| %d | %s | %.1f %% | %.2f %% | %s MiB | %.1f s (%.0f ranges), %s | %.1f s |", ranges, splits, 100*idle,
		100*(idle-empty)*1000/float64(ranges), strings.Join(rss, ", "), failover.Seconds(), led, each(took, int(led)), restart.Seconds()), nil
}

// failoverMax bounds the wait for others to lead, and for a node's first answer.
const failoverMax = 2 * time.Minute

// quiet waits until nothing moves any more: until no node leads more ranges than
// before, and the processes use about the same CPU in two windows. Splits leave
// all leases with one node, and it takes minutes to even them out.
func quiet(c *cluster.Cluster) error {
	began, last := time.Now(), 10.0
	var led []float64
	for time.Since(began) < *rest {
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

// spent is the CPU time of processes.
func spent(nodes []*cluster.Node) (t time.Duration) {
	for _, n := range nodes {
		t += n.CPU()
	}
	return t
}

// cpu is what the processes use in a window, in cores.
func cpu(nodes []*cluster.Node, d time.Duration) float64 {
	before, began := spent(nodes), time.Now()
	time.Sleep(d)
	return float64(spent(nodes)-before) / float64(time.Since(began))
}
