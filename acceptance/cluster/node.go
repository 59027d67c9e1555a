package cluster

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Limits on what a node may take for its duties.
const (
	readyMax = 30 * time.Second
	// stopMax is longer than the drain's own limit of 10 s.
	stopMax = 20 * time.Second
)

// Node is one node of a cluster, running or not.
type Node struct {
	cluster *Cluster
	Name    string
	// SQL, RPC and HTTP are where it listens.
	SQL, RPC, HTTP string
	// Store is its folder.
	Store string
	// ID is the cluster's number for it, from its ready line.
	ID string
	// Args are added to its command line, Env to its environment.
	Args, Env []string
	// Binary is what it runs, if not the cluster's; Verb the command that starts
	// it, if not start, with arguments of its own. They count from its next start.
	Binary, Verb string
	VerbArgs     []string

	// front is what stands between it and others, if anything does.
	front *front
	proc  atomic.Pointer[process]
	log   *os.File
}

// URL is how SQL clients reach the node.
func (n *Node) URL() string {
	return fmt.Sprintf("postgres://root@%s/defaultdb?sslmode=disable", n.ToldSQL())
}

// ToldSQL is the SQL address that clients are told.
func (n *Node) ToldSQL() string {
	if n.front == nil {
		return n.SQL
	}
	return n.front.sql.Addr()
}

// Host and Port are the two halves of the SQL address.
func (n *Node) Host() string { host, _, _ := strings.Cut(n.SQL, ":"); return host }

// Port is the SQL port.
func (n *Node) Port() string { _, port, _ := strings.Cut(n.SQL, ":"); return port }

// command is the node's command line.
func (n *Node) command() []string {
	var join []string
	for _, o := range n.cluster.Nodes {
		join = append(join, o.Told())
	}
	args := append([]string{cmp.Or(n.Verb, "start")}, n.VerbArgs...)
	args = append(args, "--insecure", "--store", n.Store, "--sql-addr", n.SQL,
		"--rpc-addr", n.RPC, "--http-addr", n.HTTP, "--join", strings.Join(join, ","))
	if n.front != nil {
		args = append(args, "--advertise-host", n.front.host)
	}
	return append(args, n.Args...)
}

// Told is the RPC address that the other nodes are told.
func (n *Node) Told() string {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	if n.front == nil {
		return n.RPC
	}
	return n.front.rpc.Addr()
}

// takePorts gives the node addresses that nobody uses.
func (n *Node) takePorts() error {
	for _, addr := range []*string{&n.SQL, &n.RPC, &n.HTTP} {
		var err error
		if *addr, err = freeAddr(); err != nil {
			return err
		}
	}
	return nil
}

// Launch starts the process without waiting until it is ready.
func (n *Node) Launch() {
	n.cluster.t.Helper()
	if err := n.Begin(); err != nil {
		n.cluster.t.Fatal(err)
	}
}

// watch fails the test when the process ends unasked (I3).
func (n *Node) watch(p *process) {
	<-p.done
	n.cluster.forget(p)
	if !p.endExpected() && n.cluster.open.Load() {
		n.cluster.t.Errorf("%s ended by itself: %v\n%s", n.Name, p.err, n.LogTail(40))
	}
}

var readyLine = regexp.MustCompile(`^ready: node (\S+) sql=(\S+) rpc=(\S+) http=(\S+)$`)

// WaitReady waits for the line that says clients can connect (I2).
func (n *Node) WaitReady() {
	n.cluster.t.Helper()
	if err := n.AwaitReady(readyMax); err != nil {
		n.cluster.t.Fatal(err)
	}
}

// Restart starts the node again on its store, and waits until it is ready. It
// returns how long that took.
func (n *Node) Restart() time.Duration {
	n.cluster.t.Helper()
	start := time.Now()
	n.Launch()
	n.WaitReady()
	return time.Since(start)
}

// Move gives the node new addresses, which count from its next start on.
func (n *Node) Move() {
	n.cluster.t.Helper()
	if err := n.takePorts(); err != nil {
		n.cluster.t.Fatal(err)
	}
}

// Kill9 ends the process without a chance to say anything.
func (n *Node) Kill9() {
	n.cluster.t.Helper()
	if _, err := n.End(syscall.SIGKILL); err != nil {
		n.cluster.t.Fatal(err)
	}
}

// Pause stops the process as a debugger or a virtual machine's move would.
func (n *Node) Pause() { n.cluster.t.Helper(); n.send(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (n *Node) Resume() { n.cluster.t.Helper(); n.send(syscall.SIGCONT) }

// Stop asks the node to drain and end; it must do so with status 0.
func (n *Node) Stop() time.Duration {
	t := n.cluster.t
	t.Helper()
	start := time.Now()
	code, err := n.End(syscall.SIGTERM)
	if err != nil {
		t.Fatalf("%s after SIGTERM: %v\n%s", n.Name, err, n.LogTail(40))
	}
	if code != 0 {
		t.Errorf("%s after SIGTERM: exit status %d, want 0\n%s", n.Name, code, n.LogTail(40))
	}
	return time.Since(start)
}

func (n *Node) send(sig syscall.Signal) {
	n.cluster.t.Helper()
	if err := n.Signal(sig); err != nil {
		n.cluster.t.Fatalf("%s: %v: %v", n.Name, sig, err)
	}
}

// WaitEnd waits for a process that is expected to end by itself, and returns
// its status.
func (n *Node) WaitEnd(limit time.Duration) int {
	n.cluster.t.Helper()
	code, err := n.proc.Load().wait(limit)
	if err != nil {
		n.cluster.t.Fatalf("%s: %v\n%s", n.Name, err, n.LogTail(40))
	}
	return code
}

// ExpectEnd tells the harness that this process may end by itself.
func (n *Node) ExpectEnd() { n.proc.Load().expectEnd() }

// Running reports whether the process lives, paused or not.
func (n *Node) Running() bool { p := n.proc.Load(); return p != nil && !p.ended() }

// CPU returns the processor time the process has used.
func (n *Node) CPU() time.Duration {
	n.cluster.t.Helper()
	d, err := n.proc.Load().cpu()
	if err != nil {
		n.cluster.t.Fatal(err)
	}
	return d
}

// Metric reads one of the node's counters, without its prefix.
func (n *Node) Metric(name string) (float64, error) {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get("http://" + n.HTTP + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	for in.Scan() {
		if value, found := strings.CutPrefix(in.Text(), "cairn_"+name+" "); found {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("%s has no metric %s: %w", n.Name, name, in.Err())
}

func (n *Node) logPath() string { return filepath.Join(n.cluster.Dir, n.Name+".log") }

// Log returns all that the node printed, over its restarts.
func (n *Node) Log() string {
	text, err := os.ReadFile(n.logPath())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// LogTail returns the last lines of the log.
func (n *Node) LogTail(lines int) string {
	all := strings.Split(strings.TrimRight(n.Log(), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return "--- " + n.Name + "\n" + strings.Join(all, "\n")
}

// keepGoroutines and keepMetrics write what the node is doing beside its log,
// for whoever looks into a failure.
func (n *Node) keepGoroutines() { n.keep("/debug/pprof/goroutine?debug=2", "goroutines") }
func (n *Node) keepMetrics()    { n.keep("/metrics", "metrics") }

func (n *Node) Dump(path, name string) { n.keep(path, name) }

func (n *Node) keep(path, name string) {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get("http://" + n.HTTP + path)
	if err != nil {
		n.cluster.t.Logf("%s: no %s: %v", n.Name, name, err)
		return
	}
	defer resp.Body.Close()
	f, err := os.Create(filepath.Join(n.cluster.Dir, n.Name+"."+name))
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = io.Copy(f, resp.Body)
}
