package link

import (
	"sync/atomic"
	"time"
)

// flight is the packets of one direction that are on their way.
type flight struct {
	// queue has those that keep their order.
	queue chan flying
	// waiting counts them, until each has been handed over.
	waiting atomic.Int64
}

type flying struct {
	packet packet
	to     *party
	due    time.Time
}

func (p *Packets) flight(d *direction) *flight {
	p.flights.Lock()
	defer p.flights.Unlock()
	f := p.flights.of[d]
	if f == nil {
		f = &flight{queue: make(chan flying, flightMax)}
		p.flights.of[d] = f
		p.landers.Go(f.land)
	}
	return f
}

// land hands over what has arrived, in order: jitter alone overtakes nobody.
func (f *flight) land() {
	for x := range f.queue {
		time.Sleep(time.Until(x.due))
		x.to.take(x.packet)
		f.waiting.Add(-1)
	}
}

// inOrder hands over a packet after those before it. Without a delay, and with
// nobody before it, that is at once.
func (p *Packets) inOrder(d *direction, pkt packet, to *party, wait time.Duration) {
	f := p.flight(d)
	if wait <= 0 && f.waiting.Load() == 0 {
		to.take(pkt)
		return
	}
	f.waiting.Add(1)
	select {
	case f.queue <- flying{pkt.clone(), to, time.Now().Add(wait)}:
	default:
		f.waiting.Add(-1)
		d.count(func(n *Counts) { n.Lost++ })
	}
}

// later hands over a packet when others may have overtaken it.
func (p *Packets) later(pkt packet, to *party, wait time.Duration) {
	copied := pkt.clone()
	time.AfterFunc(wait, func() { to.take(copied) })
}
