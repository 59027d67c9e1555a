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
type JumpMonitor struct {
	wall      WallClock
	maxOffset time.Duration
	lastWall  int64
	lastMono  time.Time
}

// NewJumpMonitor starts watching at the present.
func NewJumpMonitor(wall WallClock, maxOffset time.Duration) *JumpMonitor {
	return &JumpMonitor{wall: wall, maxOffset: maxOffset, lastWall: wall.WallNanos(), lastMono: time.Now()}
}

// Check returns how far the wall clock jumped since the last check, and an
// error if it jumped forward by more than half the maximum offset. A step back
// is no error: the hybrid clock hides it.
func (j *JumpMonitor) Check() (time.Duration, error) {
	wall, mono := j.wall.WallNanos(), time.Now()
	jump := time.Duration(wall-j.lastWall) - mono.Sub(j.lastMono)
	j.lastWall, j.lastMono = wall, mono
	if jump > j.maxOffset/2 {
		return jump, fmt.Errorf("the wall clock jumped forward by %s, more than half the maximum offset of %s", jump, j.maxOffset)
	}
	return jump, nil
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
