package simulation

import (
	"sync/atomic"
	"time"
)

// Pulse counts seconds of a run's virtual time. It is read from outside the
// bubble, for in there nothing can tell that time stands still.
type Pulse struct{ seconds atomic.Int64 }

// stallMax is how long, in real time, a second of virtual time may take. It
// takes some milliseconds, and more where many seeds share a busy machine.
const (
	stallMax   = 2 * time.Minute
	stallCheck = 5 * time.Second
)

// beat counts until stop is closed. It runs in the bubble.
func (p *Pulse) beat(stop <-chan struct{}) {
	for {
		select {
		case <-time.After(time.Second):
			p.seconds.Add(1)
		case <-stop:
			return
		}
	}
}

// Watch calls stalled when the pulse has stopped: something in the bubble is a
// busy loop, or sleeps with a mutex for which another waits. It returns then, or
// when stop is closed. It runs outside the bubble.
func (p *Pulse) Watch(stop <-chan struct{}, stalled func()) {
	last, quiet := p.seconds.Load(), time.Duration(0)
	for quiet < stallMax {
		select {
		case <-time.After(stallCheck):
		case <-stop:
			return
		}
		// Looks are counted, not time: a process that was stopped is not stalled.
		quiet += stallCheck
		if now := p.seconds.Load(); now != last {
			last, quiet = now, 0
		}
	}
	stalled()
}
