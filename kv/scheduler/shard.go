package scheduler

import (
	"sync"

	"github.com/cairndb/cairn/kv/kvapi"
)

// events is what waits for a range's next pass.
type events struct {
	messages, ready bool
	ticks           int
}

func (e events) any() bool { return e.messages || e.ready || e.ticks > 0 }

func (e *events) merge(o events) {
	e.messages = e.messages || o.messages
	e.ready = e.ready || o.ready
	e.ticks = min(e.ticks+o.ticks, ticksMax)
}

// entry is a range that waits, runs, or both.
type entry struct {
	waiting events
	running bool
}

// shard is one queue and the ranges that hash to it.
type shard struct {
	mu struct {
		sync.Mutex
		queue   fifo
		ranges  map[kvapi.RangeID]*entry
		stopped bool
	}
	// wake is signalled when the queue grows.
	wake *sync.Cond
	// free keeps entries for reuse; guarded by mu, bounded by freeMax.
	free []*entry
}

const freeMax = 1024

func newShard() *shard {
	s := &shard{}
	s.mu.ranges = make(map[kvapi.RangeID]*entry)
	s.wake = sync.NewCond(&s.mu)
	return s
}

func (s *shard) add(id kvapi.RangeID, ev events) {
	s.mu.Lock()
	queued := s.addLocked(id, ev)
	s.mu.Unlock()
	if queued {
		s.wake.Signal()
	}
}

// tickAll adds a tick to those of ids that hash here, under one lock.
func (s *shard) tickAll(sch *Scheduler, ids []kvapi.RangeID) {
	s.mu.Lock()
	queued := 0
	for _, id := range ids {
		if sch.shard(id) == s && s.addLocked(id, events{ticks: 1}) {
			queued++
		}
	}
	s.mu.Unlock()
	switch {
	case queued == 1:
		s.wake.Signal()
	case queued > 1:
		s.wake.Broadcast()
	}
}

// addLocked reports whether the range got into the queue. A running range gets
// there when its pass ends.
func (s *shard) addLocked(id kvapi.RangeID, ev events) bool {
	if s.mu.stopped {
		return false
	}
	e := s.mu.ranges[id]
	if e == nil {
		e = s.newEntryLocked()
		s.mu.ranges[id] = e
	}
	queue := !e.running && !e.waiting.any()
	e.waiting.merge(ev)
	if queue {
		s.mu.queue.push(id)
	}
	return queue
}

func (s *shard) newEntryLocked() *entry {
	if n := len(s.free); n > 0 {
		e := s.free[n-1]
		s.free = s.free[:n-1]
		return e
	}
	return &entry{}
}

// take waits for a range and marks it running (I1); !ok ends the worker.
func (s *shard) take() (id kvapi.RangeID, ev events, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.mu.queue.len() == 0 {
		if s.mu.stopped && len(s.mu.ranges) == 0 {
			return 0, events{}, false
		}
		s.wake.Wait()
	}
	id = s.mu.queue.pop()
	e := s.mu.ranges[id]
	if e == nil || e.running || !e.waiting.any() {
		panic("scheduler: a queued range runs or has nothing to do")
	}
	ev, e.waiting, e.running = e.waiting, events{}, true
	return id, ev, true
}

// done ends a range's pass.
func (s *shard) done(id kvapi.RangeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.mu.ranges[id]
	e.running = false
	if e.waiting.any() {
		s.mu.queue.push(id)
		s.wake.Signal()
		return
	}
	delete(s.mu.ranges, id)
	if len(s.free) < freeMax {
		s.free = append(s.free, e)
	}
	if s.mu.stopped && len(s.mu.ranges) == 0 {
		s.wake.Broadcast()
	}
}

func (s *shard) stop() {
	s.mu.Lock()
	s.mu.stopped = true
	s.mu.Unlock()
	s.wake.Broadcast()
}

// fifo is a ring of range ids.
type fifo struct {
	ring       []kvapi.RangeID
	head, used int
}

func (q *fifo) len() int { return q.used }

func (q *fifo) push(id kvapi.RangeID) {
	if q.used == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.used)%len(q.ring)] = id
	q.used++
}

func (q *fifo) pop() kvapi.RangeID {
	id := q.ring[q.head]
	q.head = (q.head + 1) % len(q.ring)
	q.used--
	return id
}

func (q *fifo) grow() {
	ring := make([]kvapi.RangeID, max(64, 2*len(q.ring)))
	n := copy(ring, q.ring[q.head:])
	copy(ring[n:], q.ring[:q.head])
	q.ring, q.head = ring, 0
}
