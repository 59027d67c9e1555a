package trouble

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// poll is how often the file is read.
const poll = 10 * time.Millisecond

// State is what the file says.
type State struct {
	Clock time.Duration
	// DriftPPM is a rate, in microseconds a second, and Since when it counts.
	DriftPPM int64
	Since    time.Time
	Slow     time.Duration
	// Stalled has syncs wait; Write and Sync are the errors of such operations.
	Stalled     bool
	Write, Sync error
	// PowerCut is the seed of what a power cut takes; 0 is none.
	PowerCut uint64
}

// Felt is what was done.
type Felt struct{ Slowed, Failed, ClockReads, LostBytes, LostNames int64 }

// Since is what was added to an earlier count; a process that has begun anew
// counts anew.
func (f Felt) Since(was Felt) Felt {
	d := Felt{f.Slowed - was.Slowed, f.Failed - was.Failed, f.ClockReads - was.ClockReads, f.LostBytes - was.LostBytes, f.LostNames - was.LostNames}
	if min(d.Slowed, d.Failed, d.ClockReads, d.LostBytes, d.LostNames) < 0 {
		return f
	}
	return d
}

// Watcher reads the file of a process.
type Watcher struct {
	path                       string
	state                      atomic.Pointer[State]
	slowed, failed, clockReads atomic.Int64
	mu                         struct {
		sync.Mutex
		text string
		cut  func(seed uint64) Felt
		// changed is closed when the state changes.
		changed chan struct{}
	}
}

// Watch starts reading; it goes on as long as the process.
func Watch(path string) *Watcher {
	w := &Watcher{path: path}
	w.state.Store(&State{})
	w.mu.changed = make(chan struct{})
	w.read()
	felt := Felt{}
	w.tell(felt)
	go func() {
		for range time.Tick(poll) {
			w.read()
			w.maybeCutPower()
			if now := w.felt(); now != felt {
				felt = now
				w.tell(felt)
			}
		}
	}()
	return w
}

// OnPowerCut says what a power cut does to the disk: cut returns what was lost.
// The process is killed when that is told.
func (w *Watcher) OnPowerCut(cut func(seed uint64) Felt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.cut = cut
}

// maybeCutPower cuts the power if the file says so, and does not return then.
func (w *Watcher) maybeCutPower() {
	w.mu.Lock()
	cut := w.mu.cut
	w.mu.Unlock()
	seed := w.state.Load().PowerCut
	if seed == 0 || cut == nil {
		return
	}
	lost, felt := cut(seed), w.felt()
	felt.LostBytes, felt.LostNames = lost.LostBytes, lost.LostNames
	w.tell(felt)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func (w *Watcher) felt() Felt {
	return Felt{Slowed: w.slowed.Load(), Failed: w.failed.Load(), ClockReads: w.clockReads.Load()}
}

// tell writes the counts whole or not at all.
func (w *Watcher) tell(f Felt) {
	tmp := w.path + ".felt.tmp"
	if os.WriteFile(tmp, fmt.Appendf(nil, "%d %d %d %d %d\n", f.Slowed, f.Failed, f.ClockReads, f.LostBytes, f.LostNames), 0o644) == nil {
		_ = os.Rename(tmp, w.path+".felt")
	}
}

// ReadFelt reads what the process at the file has felt.
func ReadFelt(path string) (f Felt) {
	text, err := os.ReadFile(path + ".felt")
	if err == nil {
		_, _ = fmt.Sscan(string(text), &f.Slowed, &f.Failed, &f.ClockReads, &f.LostBytes, &f.LostNames)
	}
	return f
}

// read takes over what the file says. What it does not understand, it leaves out:
// it may be half written.
func (w *Watcher) read() {
	text, err := os.ReadFile(w.path)
	if err != nil {
		text = nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if string(text) == w.mu.text {
		return
	}
	w.mu.text = string(text)
	s := Parse(string(text))
	w.state.Store(&s)
	close(w.mu.changed)
	w.mu.changed = make(chan struct{})
}

// Parse reads a file's text.
func Parse(text string) State {
	s := State{Since: time.Now()}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == "clock":
			s.Clock, _ = time.ParseDuration(f[1])
		case len(f) == 2 && f[0] == "drift":
			s.DriftPPM, _ = strconv.ParseInt(f[1], 10, 64)
		case len(f) == 3 && f[0] == "disk" && f[1] == "slow":
			s.Slow, _ = time.ParseDuration(f[2])
		case len(f) == 3 && f[0] == "disk" && f[1] == "power-cut":
			s.PowerCut, _ = strconv.ParseUint(f[2], 10, 64)
		case len(f) == 2 && f[0] == "disk":
			switch f[1] {
			case "stalled":
				s.Stalled = true
			case "full":
				s.Write = syscall.ENOSPC
			case "read-only":
				s.Write = syscall.EROFS
			case "failing":
				s.Sync = syscall.EIO
			}
		}
	}
	return s
}

// WallNanos is the process's wall clock.
func (w *Watcher) WallNanos() int64 {
	s, now := w.state.Load(), time.Now()
	if s.Clock == 0 && s.DriftPPM == 0 {
		return now.UnixNano()
	}
	w.clockReads.Add(1)
	return now.UnixNano() + int64(s.Clock) + int64(now.Sub(s.Since))/1_000_000*s.DriftPPM
}

// Disk is asked before each operation of the disk: it may take its time, or
// refuse.
func (w *Watcher) Disk(path string, write, sync bool) error {
	s := w.state.Load()
	refused := s.Write
	if sync {
		if err := w.sync(s); err != nil {
			refused = err
		}
	}
	if !write || refused == nil {
		return nil
	}
	w.failed.Add(1)
	return &os.PathError{Op: "write", Path: path, Err: refused}
}

func (w *Watcher) sync(s *State) error {
	if s.Slow > 0 {
		w.slowed.Add(1)
		time.Sleep(s.Slow)
	}
	if s.Stalled {
		w.slowed.Add(1)
	}
	for s.Stalled {
		w.mu.Lock()
		changed := w.mu.changed
		w.mu.Unlock()
		if s = w.state.Load(); s.Stalled {
			<-changed
			s = w.state.Load()
		}
	}
	return s.Sync
}
