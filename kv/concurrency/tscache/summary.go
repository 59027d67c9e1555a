package tscache

import (
	"slices"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

//go:generate go run ../../../internal/wiregen kv/concurrency/tscache

// Summary is what a cache knows of a span, for another cache: every key was
// read at Floor, and some later.
type Summary struct {
	Floor hlc.Timestamp `wire:"1"`
	Reads []Read        `wire:"2"`
}

// Read is one key, or span, of a summary.
type Read struct {
	Key       kvapi.Key     `wire:"1"`
	EndKey    kvapi.Key     `wire:"2"`
	Timestamp hlc.Timestamp `wire:"3"`
	Owner     kvapi.TxnID   `wire:"4"`
}

func (r *Read) sizeBytes() int { return len(r.Key) + len(r.EndKey) + summaryReadBytes }

// Summarize returns what the cache knows of each span, in at most bytesMax bytes
// each, counted as sizeBytes does. What does not fit is forgotten as a page is,
// upward: the floor takes the place of the oldest.
//
// The caller sees to it that nothing is added to the spans meanwhile; others
// go on, for the lock is let go between chunks of the points, which have no
// order to search in.
func (c *Cache) Summarize(bytesMax int, spans ...kvapi.Span) []Summary {
	out := make([]Summary, len(spans))
	c.mu.Lock()
	// A rotation meanwhile changes neither page, nor may it take from this
	// floor: the page that it forgets is looked at here.
	young, old := c.mu.young, c.mu.old
	for i := range out {
		out[i].Floor = c.mu.floor.ts
	}
	add := func(k string, e entry) {
		for i := range spans {
			if out[i].Floor.Less(e.ts) && k >= string(spans[i].Key) && k < string(spans[i].EndKey) {
				out[i].Reads = append(out[i].Reads, Read{Key: kvapi.Key(k), Timestamp: e.ts, Owner: e.owner})
			}
		}
	}
	c.pointsLocked(young, func(k string, e entry) {
		if o, ok := old.points[k]; ok {
			e = e.max(o)
		}
		add(k, e)
	})
	c.pointsLocked(old, func(k string, e entry) {
		if _, ok := young.points[k]; !ok {
			add(k, e)
		}
	})
	for i := range out {
		out[i].addSteps(young, spans[i])
		out[i].addSteps(old, spans[i])
	}
	c.mu.Unlock()
	for i := range out {
		out[i].shrink(bytesMax)
	}
	return out
}

// pointsLocked visits a page's points; the lock is let go and taken again.
func (c *Cache) pointsLocked(p *page, visit func(string, entry)) {
	n := 0
	for k, e := range p.points {
		if n++; n%summaryChunk == 0 {
			c.mu.Unlock()
			c.mu.Lock()
		}
		visit(k, e)
	}
}

// addSteps adds a page's spans, cut to the span.
func (s *Summary) addSteps(p *page, span kvapi.Span) {
	at, cur := string(span.Key), p.at(string(span.Key), entry{})
	until := func(key string) {
		if at < key && s.Floor.Less(cur.ts) {
			s.Reads = append(s.Reads, Read{Key: kvapi.Key(at), EndKey: kvapi.Key(key), Timestamp: cur.ts, Owner: cur.owner})
		}
	}
	p.steps.AscendRange(step{key: at}, step{key: string(span.EndKey)}, func(st step) bool {
		until(st.key)
		at, cur = st.key, st.entry
		return true
	})
	until(string(span.EndKey))
}

// shrink raises the floor until the rest fits.
func (s *Summary) shrink(bytesMax int) {
	size := 0
	for i := range s.Reads {
		size += s.Reads[i].sizeBytes()
	}
	if size <= bytesMax {
		return
	}
	slices.SortFunc(s.Reads, func(a, b Read) int { return b.Timestamp.Compare(a.Timestamp) })
	size = 0
	for i := range s.Reads {
		if size += s.Reads[i].sizeBytes(); size > bytesMax {
			s.Floor = s.Reads[i].Timestamp
			s.Reads = slices.DeleteFunc(s.Reads[:i], func(r Read) bool { return r.Timestamp.LessEq(s.Floor) })
			return
		}
	}
}

// Learn takes over what another cache knew of a span.
func (c *Cache) Learn(span kvapi.Span, s *Summary) {
	c.SetFloor(span, s.Floor)
	for i := range s.Reads {
		r := &s.Reads[i]
		c.Add(kvapi.Span{Key: r.Key, EndKey: r.EndKey}, r.Timestamp, r.Owner)
	}
}
