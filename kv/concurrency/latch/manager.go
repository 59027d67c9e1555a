package latch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/google/btree"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/spanset"
)

// Manager holds the latches of one range. Its zero value is not usable.
type Manager struct {
	// Lost, if set, returns a channel that closes when those who wait should not
	// wait any longer (ErrLost). It is asked by who has to wait only.
	Lost  func() <-chan struct{}
	waits atomic.Int64

	mu struct {
		sync.Mutex
		seq    uint64
		points *btree.BTreeG[*held]
		// spans is the head of a circular list.
		spans held
		count int64
		// probe is the search key of conflictsLocked, here to not allocate it.
		probe held
	}
}

// Guard is the latches of one request.
type Guard struct {
	latches []held
	inline  [inlineLatches]held
	// done is closed by Release; made by the first request that waits.
	done     chan struct{}
	released bool
}

// held is one latch in the structure. seq orders latches by arrival; all
// latches of a guard come from one critical section.
type held struct {
	spanset.LatchSpan
	seq        uint64
	guard      *Guard
	prev, next *held
}

// New returns a manager without latches.
func New() *Manager {
	m := &Manager{}
	m.mu.points = btree.NewWithFreeListG(treeDegree, lessHeld, btree.NewFreeListG[*held](freeNodesMax))
	m.mu.spans.prev, m.mu.spans.next = &m.mu.spans, &m.mu.spans
	return m
}

func lessHeld(a, b *held) bool {
	if c := a.Span.Key.Compare(b.Span.Key); c != 0 {
		return c < 0
	}
	return a.seq < b.seq
}

// ErrLost says that whoever holds the latches may hold them for ever.
var ErrLost = errors.New("latch: nobody should wait for this one")

// Acquire waits until all latches are held, or until ctx ends, in which case
// none is. The spans' keys must not change until Release.
func (m *Manager) Acquire(ctx context.Context, latches []spanset.LatchSpan) (*Guard, error) {
	g := &Guard{}
	if len(latches) <= inlineLatches {
		g.latches = g.inline[:len(latches)]
	} else {
		g.latches = make([]held, len(latches))
	}
	var room [4]chan struct{}
	var lost <-chan struct{}
	for i, ch := range m.insert(g, latches, room[:0]) {
		if i == 0 {
			m.waits.Add(1)
			if m.Lost != nil {
				lost = m.Lost()
			}
		}
		select {
		case <-ch:
		case <-lost:
			m.Release(g)
			return nil, ErrLost
		case <-ctx.Done():
			m.Release(g)
			return nil, context.Cause(ctx)
		}
	}
	return g, nil
}

// insert puts the latches in and returns what to wait for.
func (m *Manager) insert(g *Guard, latches []spanset.LatchSpan, waits []chan struct{}) []chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range latches {
		waits = m.conflictsLocked(&latches[i], waits)
	}
	for i := range latches {
		m.mu.seq++
		h := &g.latches[i]
		*h = held{LatchSpan: latches[i], seq: m.mu.seq, guard: g}
		if h.Span.IsPoint() {
			m.mu.points.ReplaceOrInsert(h)
		} else {
			h.prev, h.next = m.mu.spans.prev, &m.mu.spans
			h.prev.next, h.next.prev = h, h
		}
	}
	m.mu.count += int64(len(latches))
	return waits
}

// conflictsLocked appends the channels of the guards that hold or want a
// conflicting latch.
func (m *Manager) conflictsLocked(l *spanset.LatchSpan, waits []chan struct{}) []chan struct{} {
	for h := m.mu.spans.next; h != &m.mu.spans; h = h.next {
		if conflict(l, &h.LatchSpan) && l.Span.Overlaps(h.Span) {
			waits = appendOnce(waits, h.guard.doneLocked())
		}
	}
	m.mu.probe.Span = kvapi.Span{Key: l.Span.Key}
	m.mu.points.AscendGreaterOrEqual(&m.mu.probe, func(h *held) bool {
		if !l.Span.Contains(h.Span.Key) {
			return false
		}
		if conflict(l, &h.LatchSpan) {
			waits = appendOnce(waits, h.guard.doneLocked())
		}
		return true
	})
	return waits
}

// conflict decides by access and timestamp alone; the table is in doc.go.
func conflict(a, b *spanset.LatchSpan) bool {
	switch {
	case a.Access == spanset.Read && b.Access == spanset.Read:
		return false
	case a.Access == b.Access:
		return true
	case a.Timestamp.IsEmpty() || b.Timestamp.IsEmpty():
		return true
	}
	if a.Access == spanset.Read {
		a, b = b, a
	}
	return a.Timestamp.LessEq(b.Timestamp)
}

// appendOnce skips the duplicate that a guard with several latches causes
// most often: the one just added.
func appendOnce(waits []chan struct{}, ch chan struct{}) []chan struct{} {
	if n := len(waits); n > 0 && waits[n-1] == ch {
		return waits
	}
	return append(waits, ch)
}

func (g *Guard) doneLocked() chan struct{} {
	if g.done == nil {
		g.done = make(chan struct{})
	}
	return g.done
}

// Release gives the latches up. Releasing nil, or twice, does nothing.
func (m *Manager) Release(g *Guard) {
	if g == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if g.released {
		return
	}
	g.released = true
	for i := range g.latches {
		h := &g.latches[i]
		if h.Span.IsPoint() {
			m.mu.points.Delete(h)
		} else {
			h.prev.next, h.next.prev = h.next, h.prev
		}
	}
	m.mu.count -= int64(len(g.latches))
	if g.done != nil {
		close(g.done)
	}
}

// Count returns the number of latches held or wanted.
func (m *Manager) Count() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.count
}

// Waits returns how many requests ever had to wait.
func (m *Manager) Waits() int64 { return m.waits.Load() }
