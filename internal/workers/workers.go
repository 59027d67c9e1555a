// Package workers runs functions on goroutines that are used again.
//
// A new goroutine starts with a small stack, and deep calls (evaluating a
// batch, say) copy it several times as it grows: a twelfth of all CPU time in a
// profile of a loaded node. A goroutine that has done the same work before has
// the stack already.
package workers

import "sync/atomic"

// Pool hands functions to idle goroutines and starts new ones when there is
// none. The zero Pool is not usable; New makes one.
type Pool struct {
	queue   chan func()
	idleMax int32
	idle    atomic.Int32
	done    chan struct{}
}

// New returns a pool that keeps at most idleMax goroutines waiting for work.
// How many run at once is for the caller to bound.
func New(idleMax int) *Pool {
	return &Pool{queue: make(chan func()), idleMax: int32(idleMax), done: make(chan struct{})}
}

// Go runs fn on some goroutine, at once.
func (p *Pool) Go(fn func()) {
	select {
	case p.queue <- fn:
	default:
		go p.work(fn)
	}
}

func (p *Pool) work(fn func()) {
	for {
		fn()
		if p.idle.Add(1) > p.idleMax {
			p.idle.Add(-1)
			return
		}
		select {
		case fn = <-p.queue:
			p.idle.Add(-1)
		case <-p.done:
			return
		}
	}
}

// Close ends the idle goroutines; those at work end after it. Go may still be
// called and then starts a goroutine that ends with its function.
func (p *Pool) Close() { close(p.done) }
