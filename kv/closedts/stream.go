package closedts

import (
	"sync"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Limits of an Update.
const (
	// AddedMax ranges join at a time, about 12 KB; more come with the next update.
	AddedMax = 1024
	// removedMax ranges leave at a time; if more do the stream starts anew.
	removedMax = 1024
)

// Update tells a node what another has closed for the idle ranges that it leads:
// Closed, for those that were Added by this stream and not Removed since.
type Update struct {
	// Stream orders the streams of a pair of nodes; Seq counts its updates from 1.
	Stream  uint64          `wire:"1"`
	Seq     uint64          `wire:"2"`
	Closed  hlc.Timestamp   `wire:"3"`
	Added   []Range         `wire:"4"`
	Removed []kvapi.RangeID `wire:"5"`
}

// Range is a range and how far its log must be applied for what is closed to
// hold.
type Range struct {
	ID    kvapi.RangeID  `wire:"1"`
	Index kvapi.LogIndex `wire:"2"`
}

// Outbound makes the updates for one node. It is for one goroutine; the zero
// Outbound is ready.
type Outbound struct {
	stream, seq uint64
	// told are the ranges that the stream speaks for, waiting those that are to join.
	told, waiting map[kvapi.RangeID]kvapi.LogIndex
}

// Next returns the update that speaks, as of closed, for those that the last was to
// speak for, without those that left, and with those that joined; what did both has
// left first. It costs what has changed. newID is greater than that of any stream to
// the node before. It returns nil if there is nothing to tell.
func (o *Outbound) Next(closed hlc.Timestamp, left []kvapi.RangeID, joined []Range, newID uint64) *Update {
	removed := map[kvapi.RangeID]struct{}{}
	for _, id := range left {
		delete(o.waiting, id)
		if _, ok := o.told[id]; ok {
			delete(o.told, id)
			removed[id] = struct{}{}
		}
	}
	if o.waiting == nil {
		o.waiting = map[kvapi.RangeID]kvapi.LogIndex{}
	}
	for _, r := range joined {
		if _, ok := o.told[r.ID]; ok {
			delete(o.told, r.ID)
			removed[r.ID] = struct{}{}
		}
		o.waiting[r.ID] = r.Index
	}
	if len(o.told)+len(o.waiting)+len(removed) == 0 {
		return nil
	}
	if o.stream == 0 {
		o.Reset(newID)
	}
	added := o.takeWaiting(removed)
	if len(removed) > removedMax {
		o.Reset(newID)
		clear(removed)
		added = o.takeWaiting(removed)
	}
	o.seq++
	u := &Update{Stream: o.stream, Seq: o.seq, Closed: closed, Added: added}
	for id := range removed {
		u.Removed = append(u.Removed, id)
	}
	return u
}

// takeWaiting has AddedMax of those that wait join. What has left and joins again
// need not be removed.
func (o *Outbound) takeWaiting(removed map[kvapi.RangeID]struct{}) (added []Range) {
	for id, index := range o.waiting {
		if len(added) == AddedMax {
			break
		}
		added = append(added, Range{ID: id, Index: index})
		o.told[id] = index
		delete(o.waiting, id)
		delete(removed, id)
	}
	return added
}

// Reset starts the stream anew, for the same ranges: the other side has missed
// something.
func (o *Outbound) Reset(newID uint64) {
	o.stream, o.seq = newID, 0
	if o.waiting == nil {
		o.waiting = map[kvapi.RangeID]kvapi.LogIndex{}
	}
	for id, index := range o.told {
		if _, ok := o.waiting[id]; !ok {
			o.waiting[id] = index
		}
	}
	o.told = map[kvapi.RangeID]kvapi.LogIndex{}
}

// Inbound is what nodes have told this one. It is safe for concurrent use; the
// zero Inbound is ready.
type Inbound struct {
	mu   sync.RWMutex
	from map[kvapi.NodeID]*inStream
}

type inStream struct {
	stream, seq uint64
	closed      hlc.Timestamp
	ranges      map[kvapi.RangeID]kvapi.LogIndex
}

// Receive takes an update. It reports false if one before it is missing: the
// sender must then be asked to start anew.
func (b *Inbound) Receive(from kvapi.NodeID, u *Update) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.from == nil {
		b.from = map[kvapi.NodeID]*inStream{}
	}
	s := b.from[from]
	switch {
	case s != nil && u.Stream < s.stream, s != nil && u.Stream == s.stream && u.Seq <= s.seq:
		return true // the past
	case u.Seq == 1:
		s = &inStream{stream: u.Stream, ranges: map[kvapi.RangeID]kvapi.LogIndex{}}
		b.from[from] = s
	case s == nil || u.Stream != s.stream || u.Seq != s.seq+1:
		// What was missed may have been the end of a promise.
		if s != nil {
			s.ranges = nil
		}
		return false
	}
	if s.ranges == nil {
		return false
	}
	s.seq, s.closed = u.Seq, u.Closed
	for _, r := range u.Added {
		s.ranges[r.ID] = r.Index
	}
	for _, id := range u.Removed {
		delete(s.ranges, id)
	}
	return true
}

// Closed returns what a node has closed of a range, and how far the range's log
// must be applied for it.
func (b *Inbound) Closed(from kvapi.NodeID, id kvapi.RangeID) (closed hlc.Timestamp, index kvapi.LogIndex, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	s := b.from[from]
	if s == nil {
		return closed, 0, false
	}
	index, ok = s.ranges[id]
	return s.closed, index, ok
}
