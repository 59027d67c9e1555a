package tscache

import (
	"github.com/google/btree"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// page is the reads of a stretch of time.
type page struct {
	// born is the wall time of its creation in nanoseconds.
	born    int64
	bytes   int64
	highest hlc.Timestamp
	points  map[string]entry
	// steps is a step function over the keyspace: each step holds from its
	// key to the next step's; before the first there is nothing.
	//
	//	   a      c        f
	//	   ├─ 7 ──┼── 9 ───┼─ 0 …      reads of [a, f)@7 and [c, f)@9
	//
	// Overlapping reads need no list per key and a newer read of a larger
	// span removes every step inside, which is why this is not a tree of
	// intervals.
	steps *btree.BTreeG[step]
	// doomed is scratch space of raise.
	doomed []step
}

type step struct {
	key string
	entry
}

func newPage(born int64) *page {
	return &page{
		born:   born,
		points: make(map[string]entry),
		steps:  btree.NewG(treeDegree, func(a, b step) bool { return a.key < b.key }),
	}
}

func (p *page) add(span kvapi.Span, e entry) {
	p.highest.Forward(e.ts)
	if !span.IsPoint() {
		p.raise(string(span.Key), string(span.EndKey), e)
		return
	}
	prev, ok := p.points[string(span.Key)]
	if !ok {
		p.bytes += int64(len(span.Key)) + entryBytes
	}
	p.points[string(span.Key)] = prev.max(e)
}

// get returns the highest of e and the reads in span.
func (p *page) get(span kvapi.Span, e entry) entry {
	if p.highest.Less(e.ts) {
		return e
	}
	if span.IsPoint() {
		if pe, ok := p.points[string(span.Key)]; ok {
			e = e.max(pe)
		}
		return p.at(string(span.Key), e)
	}
	return p.getSpan(string(span.Key), string(span.EndKey), e)
}

// at returns the highest of e and the step that holds at key.
func (p *page) at(key string, e entry) entry {
	if p.steps.Len() == 0 {
		return e
	}
	p.steps.DescendLessOrEqual(step{key: key}, func(s step) bool {
		e = e.max(s.entry)
		return false
	})
	return e
}

// getSpan walks the steps of [start, end) and all points. Writes of spans are
// rare (DeleteRange only), so points have no order to search in.
func (p *page) getSpan(start, end string, e entry) entry {
	e = p.at(start, e)
	p.steps.AscendRange(step{key: start}, step{key: end}, func(s step) bool {
		e = e.max(s.entry)
		return true
	})
	for k, pe := range p.points {
		if e.ts.LessEq(pe.ts) && k >= start && k < end {
			e = e.max(pe)
		}
	}
	return e
}

// raise makes the function at least e on [start, end).
func (p *page) raise(start, end string, e entry) {
	if start >= end {
		return
	}
	before := p.at(start, entry{}) // what held at start
	last := before                 // what held at the end of the walk
	p.doomed = p.doomed[:0]
	p.steps.AscendRange(step{key: start}, step{key: end}, func(s step) bool {
		p.doomed = append(p.doomed, s)
		return true
	})
	for _, s := range p.doomed {
		p.delete(s)
	}
	out := before.max(e)
	p.insert(step{key: start, entry: out})
	for _, s := range p.doomed {
		last = s.entry
		if next := s.entry.max(e); next != out {
			out = next
			if s.key == start {
				p.delete(s)
			}
			p.insert(step{key: s.key, entry: next})
		}
	}
	if _, ok := p.steps.Get(step{key: end}); !ok && last != out {
		p.insert(step{key: end, entry: last})
	}
}

func (p *page) insert(s step) {
	p.bytes += int64(len(s.key)) + entryBytes
	p.steps.ReplaceOrInsert(s)
}

func (p *page) delete(s step) {
	p.bytes -= int64(len(s.key)) + entryBytes
	p.steps.Delete(s)
}
