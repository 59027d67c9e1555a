package link

import "sync"

// flow is a connection: who made it, and the two ends.
type flow struct {
	from, to         address
	fromPort, toPort [2]byte
}

func flowOf(b packet) flow {
	t := b.tcp()
	return flow{b.from(), b.to(), [2]byte(t[0:2]), [2]byte(t[2:4])}
}

func (f flow) back() flow { return flow{f.to, f.from, f.toPort, f.fromPort} }

// flows are the connections that were made, some of which may have ended since, and
// those that are to break.
type flows struct {
	mu     sync.Mutex
	made   map[flow]Way
	doomed map[flow]bool
}

// flowsMax bounds them. What is forgotten does not break.
const flowsMax = 1 << 14

func (f *flows) init() { f.made, f.doomed = map[flow]Way{}, map[flow]bool{} }

// saw takes notice of a packet, and says whether its connection is to break.
func (f *flows) saw(w Way, b packet) bool {
	if !b.isTCP() {
		return false
	}
	x := flowOf(b)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch flags := b.flags(); {
	case flags&flagSYN != 0 && flags&flagACK == 0:
		if len(f.made) >= flowsMax {
			clear(f.made)
		}
		f.forgetLocked(x) // its ports are those of a new one
		f.made[x] = w
	case flags&flagRST != 0:
		f.forgetLocked(x)
	case len(f.doomed) > 0 && (f.doomed[x] || f.doomed[x.back()]):
		return true
	}
	return false
}

// broke dooms a packet's connection: an end that does not take the reset, because it
// waits for other bytes, gets another one with its next packet.
func (f *flows) broke(b packet) {
	x := flowOf(b)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgetLocked(x)
	f.doomLocked(x)
}

func (f *flows) doomLocked(x flow) {
	if len(f.doomed) >= flowsMax {
		clear(f.doomed)
	}
	f.doomed[x] = true
}

func (f *flows) forgetLocked(x flow) {
	for _, k := range []flow{x, x.back()} {
		delete(f.made, k)
		delete(f.doomed, k)
	}
}

// doom has connections between the ends of ways break with their next packet.
func (f *flows) doom(ws []Way) (broken int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for x, made := range f.made {
		for _, w := range ws {
			if made == w || made == (Way{w.To, w.From}) {
				f.doomLocked(x)
				delete(f.made, x)
				broken++
				break
			}
		}
	}
	return broken
}
