package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Space says how much room the disk has left.
//
//	available   ──────────────── low ─────── critical ─── 0
//	            SpacePlenty      │ SpaceLow  │ SpaceCritical
//	owner       takes all        │ refuses   │ and does not even follow
//	                             │ new data  │ others who write new data
//
// What lies below low is kept for what goes on: deletes, leases, the flushes
// and compactions that make room, and an orderly end. A part of it is a file,
// the ballast, because other programs fill disks too: when a write fails for
// want of room the ballast goes, and the write is tried once more.
//
// The alternative, to go on until a write fails, leaves a node that can
// neither delete nor even start again.
type Space int32

// Levels, in order of urgency.
const (
	SpacePlenty Space = iota
	SpaceLow
	SpaceCritical
)

// String names the level.
func (s Space) String() string {
	switch s {
	case SpacePlenty:
		return "plenty"
	case SpaceLow:
		return "low"
	case SpaceCritical:
		return "critical"
	}
	return "unknown"
}

// SpaceLimits are the levels' borders, in available bytes.
type SpaceLimits struct {
	LowBytes, CriticalBytes, BallastBytes uint64
}

// SpaceLimitsOf returns the limits for a disk of a size: a twentieth is kept,
// between spaceKeptMin, which holds the log of full memtables and their flush,
// and spaceKeptMax, which holds the largest compactions; of a tiny disk a
// quarter. Critical is a quarter of that, but not less than what followers of
// busy ranges write between two looks, while a compaction runs, if half of it
// allows.
func SpaceLimitsOf(totalBytes uint64) SpaceLimits {
	low := min(max(totalBytes/20, spaceKeptMin), spaceKeptMax, totalBytes/4)
	return SpaceLimits{LowBytes: low, CriticalBytes: max(low/4, min(low/2, spaceCriticalMin)), BallastBytes: min(low/8, ballastMax)}
}

// Judge returns the level after one of was. A level is left only when there is
// a quarter more room than where it begins: the next flush would bring it back.
func (l SpaceLimits) Judge(was Space, availableBytes uint64) Space {
	critical, low := l.CriticalBytes, l.LowBytes
	if was >= SpaceCritical {
		critical += critical / 4
	}
	if was >= SpaceLow {
		low += low / 4
	}
	switch {
	case availableBytes < critical:
		return SpaceCritical
	case availableBytes < low:
		return SpaceLow
	}
	return SpacePlenty
}

// space watches the disk below an engine.
type space struct {
	// fs is the file system below the one that calls onFull.
	fs      vfs.FS
	dir     string
	ballast bool
	log     *slog.Logger
	health  *health
	level   atomic.Int32
	// mu is held by whoever looks, or changes the ballast.
	mu sync.Mutex
	// spent says that the ballast was needed since the last look.
	spent atomic.Bool
}

func (s *space) ballastPath() string { return s.fs.PathJoin(s.dir, ballastName) }

// onFull is called when a write failed for want of room, before it is tried
// once more (vfs.OnDiskFull). Other writes wait meanwhile.
func (s *space) onFull() {
	s.level.Store(int32(SpaceCritical))
	s.spent.Store(true)
	if err := s.fs.Remove(s.ballastPath()); err == nil {
		s.log.Error("storage: the disk is full; the ballast was removed")
		return
	}
	if s.health.mayTell() {
		s.log.Error("storage: the disk is full")
	}
	time.Sleep(fullPause)
}

// SpaceReport is what a look at the disk found.
type SpaceReport struct {
	Space  Space
	Usage  vfs.DiskUsage
	Limits SpaceLimits
}

// CheckSpace looks at the disk, tends the ballast, and returns the level found.
// A file system that cannot tell has plenty.
func (e *Engine) CheckSpace() (SpaceReport, error) {
	s := e.space
	s.mu.Lock()
	defer s.mu.Unlock()
	was := Space(s.level.Load())
	u, err := s.fs.GetDiskUsage(s.dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return SpaceReport{}, nil
	}
	if err != nil {
		return SpaceReport{Space: was}, fmt.Errorf("look at the disk below %s: %w", s.dir, err)
	}
	r := SpaceReport{Usage: u, Limits: SpaceLimitsOf(u.TotalBytes)}
	r.Space = r.Limits.Judge(was, u.AvailBytes)
	// A write that came to the end of the disk since then says more than what
	// is left after the ballast went.
	if s.spent.Swap(false) {
		r.Space = SpaceCritical
	}
	s.level.Store(int32(r.Space))
	if r.Space == SpacePlenty && s.ballast && u.AvailBytes > r.Limits.LowBytes+2*r.Limits.BallastBytes {
		s.makeBallast(int64(r.Limits.BallastBytes))
	}
	return r, nil
}

// Space returns the level that the last look, or failed write, found.
func (e *Engine) Space() Space { return Space(e.space.level.Load()) }

// makeBallast makes the ballast if it is not there. Where files cannot be
// allocated without writing them, there is none.
func (s *space) makeBallast(sizeBytes int64) {
	path := s.ballastPath()
	if _, err := s.fs.Stat(path); err == nil {
		return
	}
	f, err := s.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err == nil {
		err = errors.Join(f.Preallocate(0, sizeBytes), f.Sync(), f.Close())
	}
	if err != nil {
		s.ballast = false
		s.log.Warn("storage: no ballast can be made", slog.Any("err", err))
		_ = s.fs.Remove(path)
	}
}

// makeRoomToOpen gives the ballast up for a start on a full disk, and refuses
// one that cannot succeed.
func (s *space) makeRoomToOpen() error {
	u, err := s.fs.GetDiskUsage(s.dir)
	if err != nil {
		return nil // no such folder yet, or nobody knows
	}
	need := SpaceLimitsOf(u.TotalBytes).CriticalBytes
	if u.AvailBytes >= need {
		return nil
	}
	if err := s.fs.Remove(s.ballastPath()); err == nil {
		s.level.Store(int32(SpaceCritical))
		s.log.Warn("storage: the ballast was removed, to start on a full disk")
	}
	need = min(need/8, startRoomMax)
	if u, err = s.fs.GetDiskUsage(s.dir); err == nil && u.AvailBytes < need {
		return fmt.Errorf("%w: %d KiB are free, a start needs %d KiB; nothing is lost, make room and start again",
			syscall.ENOSPC, u.AvailBytes>>10, need>>10)
	}
	return nil
}

// memTableBytesFor keeps the write-ahead logs, of which there are up to
// memTableCountMax+2, each as large as a memtable, from filling a small disk.
func memTableBytesFor(totalBytes uint64) uint64 {
	return max(memTableBytesMin, min(memTableBytesDefault, totalBytes/64))
}
