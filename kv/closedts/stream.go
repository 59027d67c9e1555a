package closedts

import (
	"slices"
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

// Outbound makes the updates for one node. It is for one goroutine.
type Outbound struct {
	stream, seq uint64
	told        map[kvapi.RangeID]told
	// last are the ranges of the last update, if it spoke for all that were given.
	last []Range
}

type told struct {
	index kvapi.LogIndex
	seq   uint64
}

// Next returns the update that speaks for the ranges given, as of closed. newID
// is greater than that of any stream to the node before. It returns nil if there
// is nothing to tell.
func (o *Outbound) Next(closed hlc.Timestamp, ranges []Range, newID uint64) *Update {
	if len(ranges) == 0 && len(o.told) == 0 {
		return nil
	}
	if o.stream == 0 {
		o.Reset(newID)
	}
	o.seq++
	u := &Update{Stream: o.stream, Seq: o.seq, Closed: closed}
	if len(ranges) > 0 && slices.Equal(o.last, ranges) {
		return u // all are idle, as nearly always
	}
	o.last = o.last[:0]
	same := 0
	for _, r := range ranges {
		t, ok := o.told[r.ID]
		switch {
		case ok && t.index == r.Index:
			same++
		case len(u.Added) < AddedMax:
			u.Added = append(u.Added, r)
		default:
			continue // one that was told with an older index is removed below
		}
		o.told[r.ID] = told{r.Index, o.seq}
	}
	if same+len(u.Added) < len(o.told) {
		o.sweep(u)
	}
	if len(u.Removed) > removedMax {
		o.Reset(newID)
		return o.Next(closed, ranges, newID)
	}
	if same+len(u.Added) == len(ranges) {
		o.last = append(o.last, ranges...)
	}
	return u
}

// sweep removes what this update does not speak for.
func (o *Outbound) sweep(u *Update) {
	for id, t := range o.told {
		if t.seq != o.seq {
			delete(o.told, id)
			u.Removed = append(u.Removed, id)
		}
	}
}

// Reset starts the stream anew: the other side has missed something.
func (o *Outbound) Reset(newID uint64) {
	o.stream, o.seq, o.told, o.last = newID, 0, map[kvapi.RangeID]told{}, nil
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
