package hlc

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// PeerID names another clock; it is that node's id.
type PeerID uint32

// offsetTolerance is the share of the maximum offset that measurements may
// show before a node counts as off: offsets change between measurements.
const offsetTolerance = 0.8

// offsetStale is how long a measurement counts.
const offsetStale = 30 * time.Second

// Offset is one measurement of another clock against ours: the other shows
// Offset more, give or take Uncertainty (half the round trip).
type Offset struct {
	Offset      time.Duration
	Uncertainty time.Duration
}

// MeasureOffset computes the offset of a peer from one ping: its clock's
// reading in nanoseconds and ours when the ping left and when the answer came
// (Cristian's algorithm, 1989).
func MeasureOffset(sent, remote, received int64) Offset {
	rtt := received - sent
	return Offset{Offset: time.Duration(remote - (sent + rtt/2)), Uncertainty: time.Duration(rtt / 2)}
}

// OffsetMonitor judges the own clock by the offsets of its peers (I3). It is
// safe for concurrent use.
type OffsetMonitor struct {
	maxOffset time.Duration
	mu        struct {
		sync.Mutex
		peers map[PeerID]measured
	}
}

type measured struct {
	Offset
	at time.Time
}

// NewOffsetMonitor returns a monitor without measurements.
func NewOffsetMonitor(maxOffset time.Duration) *OffsetMonitor {
	m := &OffsetMonitor{maxOffset: maxOffset}
	m.mu.peers = map[PeerID]measured{}
	return m
}

// Record takes in a measurement. A less certain one replaces a more certain
// one only when that is stale.
func (m *OffsetMonitor) Record(peer PeerID, o Offset) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.mu.peers[peer]
	if ok && o.Uncertainty > 2*old.Uncertainty && time.Since(old.at) < offsetStale/3 {
		return
	}
	m.mu.peers[peer] = measured{o, time.Now()}
}

// Offsets returns the current measurements.
func (m *OffsetMonitor) Offsets() map[PeerID]Offset {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[PeerID]Offset, len(m.mu.peers))
	for id, p := range m.mu.peers {
		if time.Since(p.at) < offsetStale {
			out[id] = p.Offset
		}
	}
	return out
}

// Check returns an error if the own clock is off from more than half of the
// measured peers by more than the tolerated part of the maximum offset. The
// uncertainty counts in our favour: a slow network is no wrong clock.
func (m *OffsetMonitor) Check() error {
	var off int
	var worst time.Duration
	peers := m.Offsets()
	for _, o := range peers {
		abs := max(o.Offset, -o.Offset) - o.Uncertainty
		if float64(abs) > offsetTolerance*float64(m.maxOffset) {
			off++
			worst = max(worst, abs)
		}
	}
	if off > len(peers)/2 {
		return fmt.Errorf("this node's clock is off by %s or more from %d of %d peers; the maximum offset is %s",
			worst, off, len(peers), m.maxOffset)
	}
	return nil
}

// JumpMonitor watches the wall clock against the monotonic clock (I3).
//
// The two cannot be read at one moment: a process that is not run for a while
// between the readings, on a busy machine, would see a jump where there is none.
// So the wall clock is read between two readings of the monotonic one, and a
// reading whose two are far apart is none:
//
//	mono  before │ wall │ after     at most maxOffset/readingPart apart
//
// Of two readings, no more time has passed than from the first one's before to
// the second one's after; a wall clock that moved further has jumped.
//
// It is safe for concurrent use.
type JumpMonitor struct {
	wall      WallClock
	maxOffset time.Duration
	mu        struct {
		sync.Mutex
		last reading
	}
}

// reading is the wall clock, and when at the earliest and latest it was read.
type reading struct {
	wall          int64
	before, after time.Time
}

const (
	// readingPart of the maximum offset is how exact a reading is.
	readingPart = 10
	// readingsMax are tried at a time.
	readingsMax = 5
)

// NewJumpMonitor starts watching at the present.
func NewJumpMonitor(wall WallClock, maxOffset time.Duration) *JumpMonitor {
	j := &JumpMonitor{wall: wall, maxOffset: maxOffset}
	j.mu.last, _ = j.read()
	return j
}

// read reads both clocks, and reports whether exactly enough.
func (j *JumpMonitor) read() (r reading, exact bool) {
	for range readingsMax {
		r.before = time.Now()
		r.wall = j.wall.WallNanos()
		r.after = time.Now()
		if r.after.Sub(r.before) <= j.maxOffset/readingPart {
			return r, true
		}
	}
	return r, false
}

// Check returns how far the wall clock jumped since the last check, at least, and
// an error if it jumped forward by more than half the maximum offset. A step back
// is no error: the hybrid clock hides it. Where no exact reading can be had, the
// next check looks further back.
func (j *JumpMonitor) Check() (time.Duration, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now, exact := j.read()
	if !exact {
		return 0, nil
	}
	moved := time.Duration(now.wall - j.mu.last.wall)
	jump := moved - now.after.Sub(j.mu.last.before)
	if jump < 0 {
		// Back, if it moved less than the time that has passed at least.
		jump = min(0, moved-now.before.Sub(j.mu.last.after))
	}
	j.mu.last = now
	if jump > j.maxOffset/2 {
		return jump, fmt.Errorf("the wall clock jumped forward by %s, more than half the maximum offset of %s", jump, j.maxOffset)
	}
	return jump, nil
}

// Shown is what the wall clock shows if it has not jumped since it was last
// checked.
func (j *JumpMonitor) Shown() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.last.wall + int64(time.Since(j.mu.last.after))
}

// Run checks at a period below half the maximum offset until ctx ends or the
// clock jumps.
func (j *JumpMonitor) Run(ctx context.Context) error {
	t := time.NewTicker(max(j.maxOffset/2, 50*time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if _, err := j.Check(); err != nil {
				return err
			}
		}
	}
}
