package tscache

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

func ts(n int64) hlc.Timestamp { return hlc.Timestamp{WallTime: n} }

func span(s string) kvapi.Span {
	if len(s) == 3 {
		return kvapi.Span{Key: kvapi.Key(s[:1]), EndKey: kvapi.Key(s[2:])}
	}
	return kvapi.Span{Key: kvapi.Key(s)}
}

func newCache(floor int64) (*Cache, *hlc.ManualClock) {
	wall := hlc.NewManualClock(1)
	return New(hlc.NewClock(wall, 0), ts(floor)), wall
}

var (
	nobody kvapi.TxnID
	txn1   = kvapi.TxnID{1}
	txn2   = kvapi.TxnID{2}
)

func TestOwnership(t *testing.T) {
	type read struct {
		span string
		ts   int64
		txn  kvapi.TxnID
	}
	for _, c := range []struct {
		name  string
		reads []read
		get   string
		ts    int64
		owner kvapi.TxnID
	}{
		{"nothing read: the floor", nil, "a", 1, nobody},
		{"below the floor", []read{{"a", 1, txn1}}, "a", 1, nobody},
		{"one reader owns", []read{{"a", 5, txn1}}, "a", 5, txn1},
		{"the same reader twice", []read{{"a", 5, txn1}, {"a", 5, txn1}}, "a", 5, txn1},
		{"two readers at one timestamp", []read{{"a", 5, txn1}, {"a", 5, txn2}}, "a", 5, nobody},
		{"in the other order", []read{{"a", 5, txn2}, {"a", 5, txn1}, {"a", 5, txn1}}, "a", 5, nobody},
		{"the later read wins", []read{{"a", 5, txn1}, {"a", 6, txn2}}, "a", 6, txn2},
		{"also if it came first", []read{{"a", 6, txn2}, {"a", 5, txn1}}, "a", 6, txn2},
		{"point and span, one timestamp", []read{{"a", 5, txn1}, {"a-c", 5, txn2}}, "a", 5, nobody},
		{"two spans, one timestamp", []read{{"a-c", 5, txn1}, {"b-d", 5, txn2}}, "b", 5, nobody},
		{"left of the overlap", []read{{"a-c", 5, txn1}, {"b-d", 5, txn2}}, "a", 5, txn1},
		{"right of the overlap", []read{{"a-c", 5, txn1}, {"b-d", 5, txn2}}, "c", 5, txn2},
		{"beyond the span", []read{{"a-c", 5, txn1}}, "c", 1, nobody},
		{"a span over two owners", []read{{"a", 5, txn1}, {"b", 5, txn2}}, "a-c", 5, nobody},
		{"a span over one owner", []read{{"a", 5, txn1}, {"b", 4, txn2}}, "a-c", 5, txn1},
	} {
		t.Run(c.name, func(t *testing.T) {
			cache, _ := newCache(1)
			for _, r := range c.reads {
				cache.Add(span(r.span), ts(r.ts), r.txn)
			}
			if got, owner := cache.Get(span(c.get)); got != ts(c.ts) || owner != c.owner {
				t.Errorf("got %s by %s", got, owner.Short())
			}
		})
	}
}

// TestNeverBelowTruth compares with a map of every key's reads, over random
// rotations: never below, and equal as long as nothing was forgotten.
func TestNeverBelowTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, wall := newCache(0)
		truth := map[byte]map[hlc.Timestamp]map[kvapi.TxnID]bool{}
		last := map[string]hlc.Timestamp{}
		key := rapid.ByteRange('a', 'h')
		draw := func() kvapi.Span {
			a, b := key.Draw(t, "start"), key.Draw(t, "end")
			if a >= b {
				return kvapi.Span{Key: kvapi.Key{a}}
			}
			return kvapi.Span{Key: kvapi.Key{a}, EndKey: kvapi.Key{b}}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				wall.Advance(pageAgeMin)
				c.mu.Lock()
				c.rotateLocked(wall.WallNanos())
				c.mu.Unlock()
			default:
				s := draw()
				at := ts(rapid.Int64Range(1, 6).Draw(t, "ts"))
				id := kvapi.TxnID{rapid.ByteRange(0, 2).Draw(t, "txn")}
				c.Add(s, at, id)
				for k := byte('a'); k <= 'h'; k++ {
					if s.Contains(kvapi.Key{k}) {
						if truth[k] == nil {
							truth[k] = map[hlc.Timestamp]map[kvapi.TxnID]bool{}
						}
						if truth[k][at] == nil {
							truth[k][at] = map[kvapi.TxnID]bool{}
						}
						truth[k][at][id] = true
					}
				}
			}
			s := draw()
			got, owner := c.Get(s)
			if got.Less(last[s.String()]) {
				t.Fatalf("%s fell from %s to %s", s, last[s.String()], got)
			}
			last[s.String()] = got
			want := hlc.Timestamp{}
			readers := map[kvapi.TxnID]bool{}
			for k, reads := range truth {
				if !s.Contains(kvapi.Key{k}) {
					continue
				}
				for at, ids := range reads {
					if want.Less(at) {
						want, readers = at, map[kvapi.TxnID]bool{}
					}
					if at == want {
						for id := range ids {
							readers[id] = true
						}
					}
				}
			}
			if got.Less(want) {
				t.Fatalf("%s: %s is below %s", s, got, want)
			}
			if got == want && owner != nobody && (len(readers) != 1 || !readers[owner]) {
				t.Fatalf("%s@%s: owner %s, readers %v", s, got, owner.Short(), readers)
			}
			if c.mu.rotations == 0 {
				single := nobody
				for id := range readers {
					single = id
				}
				if len(readers) > 1 {
					single = nobody
				}
				if got != want || owner != single {
					t.Fatalf("%s: got %s by %s, want %s by %s", s, got, owner.Short(), want, single.Short())
				}
			}
			steps := 0
			c.mu.young.steps.Ascend(func(st step) bool { steps++; return true })
			var bytes int64
			for k := range c.mu.young.points {
				bytes += int64(len(k)) + entryBytes
			}
			if c.mu.young.bytes != bytes+int64(steps)*(1+entryBytes) {
				t.Fatalf("bytes %d with %d steps and %d bytes of points", c.mu.young.bytes, steps, bytes)
			}
		}
	})
}

func TestScansAreOneEntry(t *testing.T) {
	c, _ := newCache(0)
	for i := range 1000 {
		c.Add(kvapi.Span{Key: kvapi.Key(fmt.Sprintf("k%03d", i)), EndKey: kvapi.Key(fmt.Sprintf("k%03d", i+3))}, ts(int64(i+1)), txn1)
	}
	c.Add(span("a-z"), ts(2000), txn2)
	if m := c.Metrics(); m.Spans != 2 {
		t.Errorf("%d steps", m.Spans)
	}
}

func TestRotationByAgeAndSize(t *testing.T) {
	c, wall := newCache(0)
	c.Add(span("a"), ts(100), txn1)
	for round := range 2 {
		wall.Advance(pageAgeMin + time.Second)
		for i := range rotateEvery {
			c.Add(span("b"), ts(int64(200+round*1000+i)), txn1)
		}
	}
	if got, owner := c.Get(span("x")); got.Less(ts(100)) || owner != nobody {
		t.Errorf("floor %s by %s", got, owner.Short())
	}
	big := make(kvapi.Key, 1<<20)
	for i := range 100 {
		k := append(big.Clone(), byte(i))
		c.Add(kvapi.Span{Key: k}, ts(5000), txn1)
	}
	if m := c.Metrics(); m.SizeBytes > 3*pageBytesMax {
		t.Errorf("%d bytes", m.SizeBytes)
	}
	if got, _ := c.Get(span("x")); got != ts(5000) {
		t.Errorf("floor %s", got)
	}
}

func TestRangeFloor(t *testing.T) {
	c, _ := newCache(1)
	c.SetRangeFloor(&kvapi.RangeDescriptor{StartKey: kvapi.Key("b"), EndKey: kvapi.Key("d")}, ts(9))
	for key, want := range map[string]int64{"a": 1, "b": 9, "c\xff": 9, "d": 1} {
		if got, _ := c.Get(kvapi.Span{Key: kvapi.Key(key)}); got != ts(want) {
			t.Errorf("%q: %s", key, got)
		}
		if got, _ := c.Get(kvapi.Span{Key: keys.TxnRecord(kvapi.Key(key), txn1)}); got != ts(want) {
			t.Errorf("record of %q: %s", key, got)
		}
	}
}

func BenchmarkAddGet(b *testing.B) {
	c, _ := newCache(0)
	ks := make([]kvapi.Span, 10000)
	for i := range ks {
		ks[i] = kvapi.Span{Key: kvapi.Key(fmt.Sprintf("/table/106/1/%08d", i))}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s := ks[i%len(ks)]
		c.Get(s)
		c.Add(s, ts(int64(i+1)), txn1)
	}
}
