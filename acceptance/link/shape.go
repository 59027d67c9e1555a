package link

import (
	"sync"
	"time"
)

// Shape is what one direction of a link does to what passes: to the pieces of a
// byte stream in a Network, to packets in Packets. The zero value lets them pass.
type Shape struct {
	// Cut holds everything, and connections that are being made; packets are lost
	// in it, and sent again when it heals.
	Cut bool
	// Delay is added to every piece or packet, and a random part of Jitter.
	Delay, Jitter time.Duration
	// Loss is the probability that a packet is lost. A piece waits for StallTime
	// instead, as if its packet had been lost and sent again.
	Loss      float64
	StallTime time.Duration
	// Reset is the probability that a piece or packet breaks its connection
	// instead of passing.
	Reset float64
	// BytesPerSecond limits the rate; 0 is no limit.
	BytesPerSecond int
	// Flip is the probability that one bit of the data is another one when it
	// arrives, and that no checksum of TCP or IP tells.
	Flip float64
	// Reorder, Duplicate and Corrupt are probabilities of a packet to be overtaken
	// by those of the next ReorderTime, to arrive twice, and to arrive with a bit
	// that is another one. TCP is to notice each of them. Streams have none of this.
	Reorder, Duplicate, Corrupt float64
	ReorderTime                 time.Duration
}

// Counts are what a direction did (I3).
type Counts struct {
	// Pieces or packets that passed, and their Bytes; Held waited for a cut or were
	// lost in it, Delayed waited for anything else; Refused are connections that
	// waited for a cut before they were made.
	Pieces, Bytes, Held, Delayed, Resets, Refused int64
	// Lost, Flipped, Reordered, Duplicated and Corrupted are packets; Flipped are
	// pieces as well.
	Lost, Flipped, Reordered, Duplicated, Corrupted int64
	// Kernel is what the two ends of the links noticed; zero for streams.
	Kernel Kernel
}

// Kernel are a few of the kernel's own counters of TCP (proc_pid_net(5), snmp and
// netstat): segments sent again, segments that came before those they follow,
// segments that had come before, and segments with a wrong checksum.
type Kernel struct{ Retransmitted, OutOfOrder, Repeated, BadChecksums int64 }

// add adds times the other's counts: 1 or -1.
func (c Counts) add(o Counts, times int64) Counts {
	for _, f := range []struct{ to, from *int64 }{
		{&c.Pieces, &o.Pieces}, {&c.Bytes, &o.Bytes}, {&c.Held, &o.Held}, {&c.Delayed, &o.Delayed},
		{&c.Resets, &o.Resets}, {&c.Refused, &o.Refused}, {&c.Lost, &o.Lost}, {&c.Flipped, &o.Flipped},
		{&c.Reordered, &o.Reordered}, {&c.Duplicated, &o.Duplicated}, {&c.Corrupted, &o.Corrupted},
		{&c.Kernel.Retransmitted, &o.Kernel.Retransmitted}, {&c.Kernel.OutOfOrder, &o.Kernel.OutOfOrder},
		{&c.Kernel.Repeated, &o.Kernel.Repeated}, {&c.Kernel.BadChecksums, &o.Kernel.BadChecksums},
	} {
		*f.to += times * *f.from
	}
	return c
}

// minus is what was added since.
func (c Counts) minus(o Counts) Counts { return c.add(o, -1) }

func (c Counts) plus(o Counts) Counts { return c.add(o, 1) }

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
