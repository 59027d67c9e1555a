package verify

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// judge is the cluster.T of a run: it collects what went wrong.
type judge struct {
	say func(format string, args ...any)
	mu  struct {
		sync.Mutex
		failures []string
		cleanups []func()
	}
}

// Helper implements cluster.T.
func (j *judge) Helper() {}

// Log implements cluster.T.
func (j *judge) Log(args ...any) { j.Logf("%s", fmt.Sprint(args...)) }

// Logf implements cluster.T.
func (j *judge) Logf(format string, args ...any) { j.say(format, args...) }

// Error implements cluster.T.
func (j *judge) Error(args ...any) { j.Errorf("%s", fmt.Sprint(args...)) }

// Errorf implements cluster.T.
func (j *judge) Errorf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.failures = append(j.mu.failures, text)
}

// Fatal implements cluster.T.
func (j *judge) Fatal(args ...any) { j.Fatalf("%s", fmt.Sprint(args...)) }

// Fatalf implements cluster.T: the rest of the run is left out, the cleanups are
// not.
func (j *judge) Fatalf(format string, args ...any) {
	j.Errorf(format, args...)
	runtime.Goexit()
}

// Failed implements cluster.T.
func (j *judge) Failed() bool { return len(j.failures()) > 0 }

func (j *judge) failures() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.mu.failures)
}

// Cleanup implements cluster.T.
func (j *judge) Cleanup(f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.cleanups = append(j.mu.cleanups, f)
}

func (j *judge) cleanup() {
	j.mu.Lock()
	fs := j.mu.cleanups
	j.mu.Unlock()
	for _, f := range slices.Backward(fs) {
		f()
	}
}

// firstLine shortens a failure for a list.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
