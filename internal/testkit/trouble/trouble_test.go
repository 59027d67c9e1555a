package trouble

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestAFileSetsClockAndDiskOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trouble")
	w := &Watcher{path: path}
	w.state.Store(&State{})
	w.mu.changed = make(chan struct{})
	say := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		w.read()
	}
	ahead := func() time.Duration { return time.Duration(w.WallNanos() - time.Now().UnixNano()) }
	if d := ahead(); d > time.Second || d < -time.Second {
		t.Errorf("ahead by %v without trouble", d)
	}
	say("clock 1h\ndisk full\n")
	if d := ahead(); d < 59*time.Minute {
		t.Errorf("ahead by %v", d)
	}
	if err := w.Disk("f", true, false); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if err := w.Disk("f", false, false); err != nil {
		t.Error(err)
	}
	say("disk failing")
	if err := w.Disk("f", true, false); err != nil {
		t.Error(err)
	}
	if err := w.Disk("f", true, true); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	say("disk stalled")
	done := make(chan error)
	go func() { done <- w.Disk("f", true, true) }()
	for w.slowed.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	say("")
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.tell(w.felt())
	if f := ReadFelt(path); f.Failed != 2 || f.Slowed != 1 || f.ClockReads == 0 {
		t.Errorf("%+v", f)
	}
}
