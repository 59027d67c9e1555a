package link

import (
	"sync"
	"time"
)

// Shape is what one direction of a link does to the bytes that pass. The zero
// value lets them pass.
type Shape struct {
	// Cut holds everything, and connections that are being made.
	Cut bool
	// Delay is added to every piece, and a random part of Jitter.
	Delay, Jitter time.Duration
	// Stall is the probability that a piece waits for StallTime, as if its
	// packet had been lost and sent again.
	Stall     float64
	StallTime time.Duration
	// Reset is the probability that a piece breaks the connection instead of
	// passing.
	Reset float64
	// BytesPerSecond limits the rate; 0 is no limit.
	BytesPerSecond int
}

// Counts are what a direction did (I3).
type Counts struct {
	// Pieces passed, and Bytes; Held waited for a cut, Delayed for anything
	// else; Refused are connections that waited for a cut before they were made.
	Pieces, Bytes, Held, Delayed, Resets, Refused int64
}

// minus is what was added since.
func (c Counts) minus(o Counts) Counts {
	return Counts{c.Pieces - o.Pieces, c.Bytes - o.Bytes, c.Held - o.Held, c.Delayed - o.Delayed, c.Resets - o.Resets, c.Refused - o.Refused}
}

func (c Counts) plus(o Counts) Counts {
	return Counts{c.Pieces + o.Pieces, c.Bytes + o.Bytes, c.Held + o.Held, c.Delayed + o.Delayed, c.Resets + o.Resets, c.Refused + o.Refused}
}

// Way is one direction between two parties.
type Way struct{ From, To string }

// direction is the state of a Way.
type direction struct {
	mu struct {
		sync.Mutex
		shape Shape
		// changed is closed when the shape changes.
		changed chan struct{}
		counts  Counts
		// free is when the next byte may pass under BytesPerSecond.
		free time.Time
	}
}

func newDirection() *direction {
	d := &direction{}
	d.mu.changed = make(chan struct{})
	return d
}

func (d *direction) set(s Shape) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.shape = s
	close(d.mu.changed)
	d.mu.changed = make(chan struct{})
}

func (d *direction) now() (Shape, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.shape, d.mu.changed
}

func (d *direction) count(f func(*Counts)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(&d.mu.counts)
}

func (d *direction) counts() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.counts
}

// turn books the time that n bytes take, and returns when they have passed.
func (d *direction) turn(n int, now time.Time) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.shape.BytesPerSecond == 0 {
		return now
	}
	if d.mu.free.Before(now) {
		d.mu.free = now
	}
	d.mu.free = d.mu.free.Add(time.Duration(n) * time.Second / time.Duration(d.mu.shape.BytesPerSecond))
	return d.mu.free
}

// open waits until the direction is not cut, or done is closed. What waits is
// counted at once: it may never pass.
func (d *direction) open(done <-chan struct{}, what func(*Counts)) {
	for waited := false; ; waited = true {
		shape, changed := d.now()
		if !shape.Cut {
			return
		}
		if !waited {
			d.count(what)
		}
		select {
		case <-changed:
		case <-done:
			return
		}
	}
}
