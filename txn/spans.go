package txn

import (
	"slices"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// spanList is a set of spans in bounded memory. It is precise until it holds
// maxBytes; then neighbours are merged, those with the longest common prefix
// first, so that what is covered without need is as close as possible to what
// was meant. It never forgets.
type spanList struct {
	spans    []kvapi.Span
	bytes    int64
	maxBytes int64
}

// add puts a span in.
func (l *spanList) add(sp kvapi.Span) {
	if n := len(l.spans); n > 0 && covers(l.spans[n-1], sp) {
		return
	}
	l.spans = append(l.spans, sp)
	l.bytes += spanSize(sp)
	if l.maxBytes > 0 && l.bytes > l.maxBytes {
		l.spans = condense(l.spans, condensedSpansMax)
		l.bytes = 0
		for _, s := range l.spans {
			l.bytes += spanSize(s)
		}
		// A few long keys may stay above the limit; do not sort on every add.
		l.maxBytes = max(l.maxBytes, 2*l.bytes)
	}
}

func spanSize(sp kvapi.Span) int64 { return int64(len(sp.Key)+len(sp.EndKey)) + 48 }

func covers(a, b kvapi.Span) bool {
	if b.IsPoint() {
		return a.Contains(b.Key)
	}
	return !a.IsPoint() && !b.Key.Less(a.Key) && !a.EndKey.Less(b.EndKey)
}

func (l *spanList) reset() { l.spans, l.bytes = nil, 0 }

// merged returns the set sorted and without overlaps; points stay points.
func merged(in []kvapi.Span) []kvapi.Span {
	in = slices.Clone(in)
	slices.SortFunc(in, func(a, b kvapi.Span) int { return a.Key.Compare(b.Key) })
	out := in[:0] // never ahead of what is being read
	for _, sp := range in {
		n := len(out)
		switch {
		case n == 0 || !touches(out[n-1], sp):
			out = append(out, sp)
		case !covers(out[n-1], sp):
			out[n-1] = kvapi.Span{Key: out[n-1].Key, EndKey: maxKey(out[n-1].End(), sp.End())}
		}
	}
	return out
}

// touches reports whether b, which starts no earlier, starts within a or
// directly after it. Points are only merged with what contains them.
func touches(a, b kvapi.Span) bool {
	if a.IsPoint() {
		return a.Key.Equal(b.Key)
	}
	return b.Key.Less(a.EndKey) || (!b.IsPoint() && b.Key.Equal(a.EndKey))
}

func maxKey(a, b kvapi.Key) kvapi.Key {
	if a.Less(b) {
		return b
	}
	return a
}

// condense returns at most about n spans that cover in. Local keys, which
// have no neighbours of meaning, stay as they are.
func condense(in []kvapi.Span, n int) []kvapi.Span {
	spans := merged(in)
	if len(spans) <= n {
		return spans
	}
	prefixes := make([]int, 0, len(spans))
	for i := 1; i < len(spans); i++ {
		prefixes = append(prefixes, affinity(spans[i-1], spans[i]))
	}
	sorted := slices.Clone(prefixes)
	slices.Sort(sorted)
	// The n-1 loosest neighbours stay apart; ties are merged.
	apart := sorted[n-1]
	out := spans[:1:1]
	for i := 1; i < len(spans); i++ {
		if prefixes[i-1] < apart {
			out = append(out, spans[i])
			continue
		}
		last := &out[len(out)-1]
		*last = kvapi.Span{Key: last.Key, EndKey: maxKey(last.End(), spans[i].End())}
	}
	return out
}

// affinity is how close two neighbours are: the length of what their facing
// ends have in common, -1 if they must not be merged.
func affinity(a, b kvapi.Span) int {
	if keys.IsLocal(a.Key) || keys.IsLocal(b.Key) {
		return -1
	}
	x, y := a.End(), b.Key
	i := 0
	for i < len(x) && i < len(y) && x[i] == y[i] {
		i++
	}
	return i
}
