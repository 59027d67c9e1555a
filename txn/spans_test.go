package txn

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/kv/kvapi"
)

func spanGen() *rapid.Generator[kvapi.Span] {
	return rapid.Custom(func(t *rapid.T) kvapi.Span {
		a := append(kvapi.Key{0x10}, rapid.SliceOfN(rapid.ByteRange(0, 3), 1, 4).Draw(t, "key")...)
		if rapid.Bool().Draw(t, "point") {
			return kvapi.Span{Key: a}
		}
		b := append(kvapi.Key{0x10}, rapid.SliceOfN(rapid.ByteRange(0, 3), 1, 4).Draw(t, "end")...)
		switch bytes.Compare(a, b) {
		case 0:
			return kvapi.Span{Key: a}
		case 1:
			a, b = b, a
		}
		return kvapi.Span{Key: a, EndKey: b}
	})
}

func coveredBy(k kvapi.Key, spans []kvapi.Span) bool {
	for _, s := range spans {
		if s.Contains(k) {
			return true
		}
	}
	return false
}

// TestCondensedSpansForgetNothing: what was added stays covered, whatever is
// merged, and the memory is bounded.
func TestCondensedSpansForgetNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		in := rapid.SliceOfN(spanGen(), 0, 60).Draw(rt, "spans")
		n := rapid.IntRange(1, 20).Draw(rt, "n")
		m, c := merged(in), condense(in, n)
		if len(c) > n {
			rt.Fatalf("%d spans, want at most %d", len(c), n)
		}
		for _, s := range in {
			for _, probe := range []kvapi.Key{s.Key, s.Key.Next()} {
				if !s.Contains(probe) {
					continue
				}
				if !coveredBy(probe, m) || !coveredBy(probe, c) {
					rt.Fatalf("%s of %s lost: merged %v, condensed %v", probe, s, m, c)
				}
			}
		}
		for _, s := range m {
			if s.IsPoint() && !coveredBy(s.Key, in) {
				rt.Fatalf("merged has %s, which nobody added", s)
			}
		}
		for i := 1; i < len(c); i++ {
			if c[i].Key.Less(c[i-1].End()) {
				rt.Fatalf("condensed overlaps: %v", c)
			}
		}
	})
}

func TestSpanListStaysBounded(t *testing.T) {
	l := spanList{maxBytes: 4096}
	for i := range 100_000 {
		l.add(kvapi.Span{Key: kvapi.Key{0x10, byte(i >> 16), byte(i >> 8), byte(i)}})
	}
	if len(l.spans) > 400 {
		t.Errorf("%d spans in %d bytes", len(l.spans), l.bytes)
	}
	for _, i := range []int{0, 7, 65_535, 99_999} {
		if key := (kvapi.Key{0x10, byte(i >> 16), byte(i >> 8), byte(i)}); !coveredBy(key, l.spans) {
			t.Errorf("key %d lost", i)
		}
	}
}
