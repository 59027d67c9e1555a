package cluster

import (
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// Tool is a long-running command that is not a node.
type Tool struct {
	c    *Cluster
	proc *process
	log  string
}

// Tool starts the binary with a command that runs until it is interrupted.
func (c *Cluster) Tool(env []string, args ...string) *Tool {
	c.t.Helper()
	path := filepath.Join(c.Dir, args[0]+".log")
	log, err := os.Create(path)
	if err != nil {
		c.t.Fatal(err)
	}
	p, err := spawn(log, env, nil, c.binary, args...)
	if err != nil {
		c.t.Fatal(err)
	}
	tool := &Tool{c: c, proc: p, log: path}
	c.t.Cleanup(func() {
		if !p.ended() {
			p.signal(syscall.SIGKILL)
			<-p.done
		}
		log.Close()
	})
	return tool
}

// WaitLine waits for a line of output and returns its first group.
func (x *Tool) WaitLine(limit time.Duration, pattern *regexp.Regexp) string {
	x.c.t.Helper()
	timeout := time.After(limit)
	for {
		select {
		case line, ok := <-x.proc.lines:
			if m := pattern.FindStringSubmatch(line); m != nil {
				return m[1]
			}
			if !ok {
				text, _ := os.ReadFile(x.log)
				x.c.t.Fatalf("it ended without a line like %v:\n%s", pattern, text)
			}
		case <-timeout:
			x.c.t.Fatalf("no line like %v within %v", pattern, limit)
		}
	}
}

// Interrupt is Ctrl-C; it returns the exit status.
func (x *Tool) Interrupt(limit time.Duration) int {
	x.c.t.Helper()
	if err := x.proc.signal(syscall.SIGINT); err != nil {
		x.c.t.Fatal(err)
	}
	code, err := x.proc.wait(limit)
	if err != nil {
		x.c.t.Fatal(err)
	}
	return code
}

// Wait waits for its end and returns the exit status.
func (x *Tool) Wait(limit time.Duration) int {
	x.c.t.Helper()
	code, err := x.proc.wait(limit)
	if err != nil {
		x.c.t.Fatal(err)
	}
	return code
}
