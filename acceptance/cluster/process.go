package cluster

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Build compiles the binary into dir and returns its path.
func Build(dir string, flags ...string) (string, error) {
	out := filepath.Join(dir, "cairn")
	args := append([]string{"build", "-o", out}, flags...)
	cmd := exec.Command("go", append(args, "github.com/cairndb/cairn/cmd/cairn")...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build cairn: %w\n%s", err, text)
	}
	return out, nil
}

// process is one run of the binary, from fork to wait.
type process struct {
	cmd *exec.Cmd
	// lines has what it printed on standard output; closed at its end.
	lines chan string
	// done is closed when it has ended and been waited for.
	done chan struct{}
	err  error

	mu struct {
		sync.Mutex
		expected bool // somebody asked it to end
	}
}

// linesMax bounds the lines of standard output nobody has read; a server
// prints one.
const linesMax = 64

// spawn starts the binary with its standard error in log. If enter is not nil, it
// takes the thread to where the process is to run.
func spawn(log io.Writer, env []string, enter func() error, binary string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(binary, args...), lines: make(chan string, linesMax), done: make(chan struct{})}
	p.cmd.Stderr = log
	p.cmd.Env = append(os.Environ(), env...)
	// A group of its own keeps the terminal's Ctrl-C away, so that the test
	// ends its processes itself; the kernel does it if the test is killed.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error)
	var run func()
	run = func() {
		// Pdeathsig is sent when the thread that forked ends, so this
		// goroutine keeps its thread for the life of the process.
		runtime.LockOSThread()
		var err error
		switch {
		case enter == nil:
			defer runtime.UnlockOSThread()
		case syscall.Gettid() == os.Getpid():
			// The main thread would not end with the goroutine.
			go run()
			runtime.UnlockOSThread()
			return
		default: // where it went nobody else may run: it ends locked
			err = enter()
		}
		if err == nil {
			err = p.cmd.Start()
		}
		started <- err
		if err == nil {
			p.follow(out, log)
		}
	}
	go run()
	return p, <-started
}

// follow reads standard output to its end and waits for the process.
func (p *process) follow(out io.Reader, log io.Writer) {
	in := bufio.NewScanner(out)
	for in.Scan() {
		fmt.Fprintln(log, in.Text())
		select {
		case p.lines <- in.Text():
		default:
		}
	}
	close(p.lines)
	p.err = p.cmd.Wait()
	close(p.done)
}

// signal sends a signal to the process's group. One that has ended is no error.
func (p *process) signal(sig syscall.Signal) error {
	if err := syscall.Kill(-p.cmd.Process.Pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// expectEnd notes that the process is about to be ended.
func (p *process) expectEnd() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.expected = true
}

func (p *process) endExpected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.expected
}

// ended reports whether the process has been waited for.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// wait waits for the end and returns the exit status; -1 is a signal's.
func (p *process) wait(limit time.Duration) (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(limit):
		return 0, fmt.Errorf("process %d did not end within %v", p.cmd.Process.Pid, limit)
	}
}

// clockTick is the unit of times in /proc: USER_HZ, which is 100 on Linux.
const clockTick = 10 * time.Millisecond

// cpu returns the processor time used so far, user and system.
func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The second field is the name in parentheses, which may hold anything;
	// utime and stime are the 12th and 13th after it (proc(5)).
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("short stat line %q", text)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// state returns the process's state (proc(5)).
func (p *process) state() string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	state, _, _ := strings.Cut(rest, " ")
	return state
}
