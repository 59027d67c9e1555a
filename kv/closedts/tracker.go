package closedts

import (
	"sync"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Tracker keeps what a leaseholder has closed of a range apart from where it is
// still writing. It is safe for concurrent use; the zero Tracker is ready.
//
// It does not remember each evaluation, but two groups of them with the lowest
// timestamp of each: those who come late join the second group, which becomes
// the first when that is empty. So closing lags by the length of an evaluation
// or two, and costs the same for any number of them.
type Tracker struct {
	mu     sync.Mutex
	closed hlc.Timestamp
	groups [2]struct {
		lowest hlc.Timestamp
		n      int
	}
	// first is the group with the lower timestamps; if it is empty both are.
	first int
	// idle is up to where it was closed while nothing was under way.
	idle hlc.Timestamp
	// crowd closes for this tracker, as id; nil if none does.
	crowd *Crowd
	id    kvapi.RangeID
}

// Token is of an evaluation that has begun. The zero Token is of none.
type Token uint8

// Begin returns where an evaluation may write that would like to write at a
// timestamp: there, or above what is closed. floor is closed besides.
func (t *Tracker) Begin(at, floor hlc.Timestamp) (hlc.Timestamp, Token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaveLocked()
	t.closed.Forward(floor)
	if at.LessEq(t.closed) {
		at = t.closed.Next()
	}
	i := t.first
	if g := &t.groups[i]; g.n > 0 && g.lowest.Less(at) {
		i = 1 - i
	}
	g := &t.groups[i]
	if g.n == 0 || at.Less(g.lowest) {
		g.lowest = at
	}
	g.n++
	return at, Token(i + 1)
}

// End says that the evaluation has come to nothing, or that its command has its
// place in the log.
func (t *Tracker) End(tok Token) {
	if tok == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := int(tok - 1)
	if t.groups[i].n--; t.groups[i].n < 0 {
		panic("closedts: an evaluation has ended twice")
	}
	if i == t.first && t.groups[i].n == 0 {
		t.first = 1 - i
	}
}

// Close closes all up to target, or as far as evaluations allow, and returns
// what is closed.
func (t *Tracker) Close(target hlc.Timestamp) hlc.Timestamp {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaveLocked()
	return t.closeLocked(target)
}

func (t *Tracker) closeLocked(target hlc.Timestamp) hlc.Timestamp {
	if g := &t.groups[t.first]; g.n > 0 {
		target = target.Min(g.lowest.Prev())
	}
	t.closed.Forward(target)
	return t.closed
}

// Raise takes over what was closed elsewhere: by the range that this one was
// split off from. Nothing has begun yet.
func (t *Tracker) Raise(closed hlc.Timestamp) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed.Forward(closed)
}

// Closed returns what is closed.
func (t *Tracker) Closed() hlc.Timestamp {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.crowd != nil {
		return t.closed.Max(t.crowd.Closed())
	}
	return t.closed
}

// CloseIdle closes up to target, if no evaluation is in the way; who calls it knows
// that no command is under way. From then on, if nothing is evaluated either, the
// crowd closes for the range, as id: until something begins, or Leave. A nil crowd
// is none. It reports whether all up to target is closed, and whether the tracker is
// in the crowd.
func (t *Tracker) CloseIdle(target hlc.Timestamp, crowd *Crowd, id kvapi.RangeID) (closed, joined bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaveLocked()
	if t.closeLocked(target).Less(target) {
		return false, false
	}
	t.idle.Forward(target)
	if crowd == nil || t.groups[t.first].n > 0 {
		return true, false
	}
	t.crowd, t.id = crowd, id
	return true, true
}

// Idle returns up to where it was closed while nothing was under way.
func (t *Tracker) Idle() hlc.Timestamp {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.crowd != nil {
		return t.idle.Max(t.crowd.Closed())
	}
	return t.idle
}

// Leave has no crowd close for the range any more: a command is under way, or it is
// not to be taken for granted that the range may close anything.
func (t *Tracker) Leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaveLocked()
}

func (t *Tracker) leaveLocked() {
	if t.crowd == nil {
		return
	}
	closed := t.crowd.leave(t.id)
	t.closed.Forward(closed)
	t.idle.Forward(closed)
	t.crowd = nil
}
