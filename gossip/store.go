package gossip

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/cairndb/cairn/internal/rpc/rpcpb"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Incarnation counts the starts of a node: the wall nanoseconds of the start,
// raised above the one before if the clock was set back.
type Incarnation uint64

// Sequence counts the records of one incarnation.
type Sequence uint64

// stamp orders the records of one owner.
type stamp struct {
	incarnation Incarnation
	sequence    Sequence
}

func (s stamp) less(o stamp) bool {
	return s.incarnation < o.incarnation || (s.incarnation == o.incarnation && s.sequence < o.sequence)
}

// Info is one record.
type Info struct {
	Key     string
	Value   []byte
	Owner   kvapi.NodeID
	Expires time.Time // zero: never
	// Heard is when this node took the record in.
	Heard time.Time
	stamp stamp
}

// Incarnation returns the start of the owner that wrote the record.
func (i *Info) Incarnation() Incarnation { return i.stamp.incarnation }

type infoKey struct {
	owner kvapi.NodeID
	key   string
}

// Store holds the records a node knows. It is not safe for concurrent use.
type Store struct {
	self  kvapi.NodeID
	next  stamp
	infos map[infoKey]*Info
	high  map[kvapi.NodeID]stamp
}

// Limits of what a node takes in from others.
const (
	infosMax      = 10_000
	infoBytesMax  = 64 << 10
	futureMax     = 10 * time.Minute
	deltaInfosMax = 1_000
)

// NewStore returns an empty store of node self in its given incarnation.
func NewStore(self kvapi.NodeID, incarnation Incarnation) *Store {
	return &Store{self: self, next: stamp{incarnation, 1}, infos: map[infoKey]*Info{}, high: map[kvapi.NodeID]stamp{}}
}

// Add puts a record of this node's own, replacing the one under its key.
func (s *Store) Add(now time.Time, key string, value []byte, ttl time.Duration) *Info {
	i := &Info{Key: key, Value: value, Owner: s.self, Heard: now, stamp: s.next}
	if ttl > 0 {
		i.Expires = now.Add(ttl)
	}
	s.next.sequence++
	s.infos[infoKey{s.self, key}] = i
	s.high[s.self] = i.stamp
	return i
}

// merge takes in a record of another node and reports whether it was news.
func (s *Store) merge(now time.Time, i *Info) bool {
	k := infoKey{i.Owner, i.Key}
	old := s.infos[k]
	switch {
	case i.Owner == s.self || i.Owner == 0: // I1
		return false
	case old != nil && !old.stamp.less(i.stamp): // I2
		return false
	case time.Duration(int64(i.stamp.incarnation)-now.UnixNano()) > futureMax: // I5
		return false
	case old == nil && len(s.infos) >= infosMax, len(i.Value) > infoBytesMax:
		return false
	}
	s.infos[k] = i
	if s.high[i.Owner].less(i.stamp) {
		s.high[i.Owner] = i.stamp
	}
	return true
}

// expire drops the records whose time is over. Their stamps stay in the
// high-water marks, so they do not come back.
func (s *Store) expire(now time.Time) {
	for k, i := range s.infos {
		if !i.Expires.IsZero() && now.After(i.Expires) {
			delete(s.infos, k)
		}
	}
}

// sorted returns the records that pass the filter by owner and stamp.
func (s *Store) sorted(keep func(*Info) bool) []*Info {
	var out []*Info
	for _, i := range s.infos {
		if keep(i) {
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b *Info) int {
		return cmp.Or(cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.stamp.incarnation, b.stamp.incarnation),
			cmp.Compare(a.stamp.sequence, b.stamp.sequence))
	})
	return out
}

// Prefix returns the records whose key starts with prefix.
func (s *Store) Prefix(prefix string) []*Info {
	return s.sorted(func(i *Info) bool { return strings.HasPrefix(i.Key, prefix) })
}

// delta returns the records that are newer than a peer's high-water marks,
// oldest first, at most deltaInfosMax. Oldest first, so that a cut delta
// leaves no gap below the peer's new marks.
func (s *Store) delta(marks []*rpcpb.HighWater) []*rpcpb.GossipInfo {
	peer := map[kvapi.NodeID]stamp{}
	for _, h := range marks {
		peer[kvapi.NodeID(h.Owner)] = stamp{Incarnation(h.Incarnation), Sequence(h.Sequence)}
	}
	news := s.sorted(func(i *Info) bool { return peer[i.Owner].less(i.stamp) })
	if len(news) > deltaInfosMax {
		news = news[:deltaInfosMax]
	}
	out := make([]*rpcpb.GossipInfo, len(news))
	for n, i := range news {
		out[n] = toProto(i)
	}
	return out
}

func (s *Store) marks() []*rpcpb.HighWater {
	out := make([]*rpcpb.HighWater, 0, len(s.high))
	for owner, st := range s.high {
		out = append(out, &rpcpb.HighWater{Owner: uint32(owner), Incarnation: uint64(st.incarnation), Sequence: uint64(st.sequence)})
	}
	slices.SortFunc(out, func(a, b *rpcpb.HighWater) int { return cmp.Compare(a.Owner, b.Owner) })
	return out
}

func toProto(i *Info) *rpcpb.GossipInfo {
	p := &rpcpb.GossipInfo{Key: i.Key, Value: i.Value, Owner: uint32(i.Owner),
		Incarnation: uint64(i.stamp.incarnation), Sequence: uint64(i.stamp.sequence)}
	if !i.Expires.IsZero() {
		p.ExpiresNanos = i.Expires.UnixNano()
	}
	return p
}

func fromProto(now time.Time, p *rpcpb.GossipInfo) *Info {
	i := &Info{Key: p.Key, Value: p.Value, Owner: kvapi.NodeID(p.Owner), Heard: now,
		stamp: stamp{Incarnation(p.Incarnation), Sequence(p.Sequence)}}
	if p.ExpiresNanos != 0 {
		i.Expires = time.Unix(0, p.ExpiresNanos)
	}
	return i
}
