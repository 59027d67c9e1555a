package link

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Limits of a connection.
const (
	// pieceBytesMax is read at once and suffers one fate.
	pieceBytesMax = 32 << 10
	// piecesMax are on their way; then the reader waits, as for a full window.
	piecesMax = 64
	// dialMax bounds a connection to a process on the same machine.
	dialMax = 5 * time.Second
)

// conn is a proxied connection.
type conn struct {
	way  Way
	near net.Conn // of who called
	done chan struct{}
	mu   struct {
		sync.Mutex
		ended bool
		far   net.Conn // to who is called, once connected
	}
}

// end breaks both halves.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.ended {
		return
	}
	c.mu.ended = true
	close(c.done)
	reset(c.near)
	if c.mu.far != nil {
		reset(c.mu.far)
	}
}

// joined gives the connection its other half; false is too late.
func (c *conn) joined(far net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.ended {
		return false
	}
	c.mu.far = far
	return true
}

// reset closes a connection as a crash does.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	c.Close()
}

type piece struct {
	data []byte
	due  time.Time
}

// pipe moves bytes in one direction, in order (I1), until either side ends.
func (c *conn) pipe(d *direction, from, to net.Conn) {
	pieces := make(chan piece, piecesMax)
	go func() {
		defer close(pieces)
		last := time.Time{}
		for {
			b := make([]byte, pieceBytesMax)
			n, err := from.Read(b)
			if n > 0 {
				shape, _ := d.now()
				due := later(last, shape.due(d, n))
				last = due
				select {
				case pieces <- piece{b[:n:n], due}:
				case <-c.done:
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		if !c.pass(d, p, to) {
			c.end()
			return
		}
	}
	// The end of the stream is a packet too.
	d.open(c.done, held)
	if t, ok := to.(*net.TCPConn); ok {
		_ = t.CloseWrite()
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// due is when a piece that was read now arrives.
func (s Shape) due(d *direction, n int) time.Time {
	now := time.Now()
	at := d.turn(n, now).Add(s.Delay)
	if s.Jitter > 0 {
		at = at.Add(time.Duration(rand.Int64N(int64(s.Jitter))))
	}
	if chance(s.Loss) {
		at = at.Add(s.StallTime)
	}
	return at
}

// chance is true with probability p.
func chance(p float64) bool { return p > 0 && rand.Float64() < p }

// flip makes one bit of b, which is not empty, another one.
func flip(b []byte) { b[rand.IntN(len(b))] ^= 1 << rand.IntN(8) }

func held(n *Counts)    { n.Held++ }
func refused(n *Counts) { n.Refused++ }

// pass hands on a piece when its time has come; false breaks the connection.
func (c *conn) pass(d *direction, p piece, to io.Writer) bool {
	delayed := false
	if wait := time.Until(p.due); wait > 0 {
		delayed = true
		select {
		case <-time.After(wait):
		case <-c.done:
			return false
		}
	}
	d.open(c.done, held) // I2
	select {
	case <-c.done:
		return false
	default:
	}
	shape, _ := d.now()
	broken, flipped := chance(shape.Reset), chance(shape.Flip)
	if flipped {
		flip(p.data)
	}
	d.count(func(n *Counts) {
		n.Pieces++
		n.Bytes += int64(len(p.data))
		if delayed {
			n.Delayed++
		}
		if broken {
			n.Resets++
		}
		if flipped {
			n.Flipped++
		}
	})
	if broken {
		return false
	}
	_, err := to.Write(p.data)
	return err == nil
}
