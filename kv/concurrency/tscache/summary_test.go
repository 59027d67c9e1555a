package tscache

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// TestSummaries: what another cache has learnt by a summary, sent as bytes, is
// what the first knows, or more where it did not fit; and nothing outside of it.
func TestSummaries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, wall := newCache(0)
		key := rapid.ByteRange('a', 'h')
		draw := func() kvapi.Span {
			a, b := key.Draw(t, "start"), key.Draw(t, "end")
			if a >= b {
				return kvapi.Span{Key: kvapi.Key{a}}
			}
			return kvapi.Span{Key: kvapi.Key{a}, EndKey: kvapi.Key{b}}
		}
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			if rapid.IntRange(0, 9).Draw(t, "what") == 0 {
				c.mu.Lock()
				c.rotateLocked(wall.WallNanos())
				c.mu.Unlock()
				continue
			}
			c.Add(draw(), ts(rapid.Int64Range(1, 6).Draw(t, "ts")), kvapi.TxnID{rapid.ByteRange(0, 2).Draw(t, "txn")})
		}
		of := kvapi.Span{Key: kvapi.Key("c"), EndKey: kvapi.Key("f")}
		room := rapid.SampledFrom([]int{1 << 20, 300, 100, 0}).Draw(t, "room")
		s := c.Summarize(room, of)[0]
		size := 0
		for i := range s.Reads {
			size += s.Reads[i].sizeBytes()
		}
		if size > room {
			t.Fatalf("%d bytes, not %d", size, room)
		}
		var sent Summary
		if err := sent.UnmarshalWire(s.AppendWire(nil)); err != nil {
			t.Fatal(err)
		}
		other, _ := newCache(0)
		other.Learn(of, &sent)
		for k := byte('a'); k <= 'h'; k++ {
			for end := k; end <= 'h'; end++ {
				sp := kvapi.Span{Key: kvapi.Key{k}}
				if end > k {
					sp.EndKey = kvapi.Key{end}
				}
				got, owner := other.Get(sp)
				if in := k >= 'c' && (end < 'f' || end == 'f' && k < end); !in {
					if (end < 'c' || k >= 'f') && !got.IsEmpty() {
						t.Fatalf("%s, outside, is at %s", sp, got)
					}
					continue
				}
				want, by := c.Get(sp)
				switch {
				case got.Less(want), got == want && owner != by && owner != nobody:
					t.Fatalf("%s: %s by %s, not %s by %s", sp, got, owner.Short(), want, by.Short())
				case room == 1<<20 && (got != want || owner != by):
					t.Fatalf("%s: %s by %s, and not %s by %s", sp, got, owner.Short(), want, by.Short())
				}
			}
		}
	})
}

// What does not fit is forgotten from the oldest on.
func TestSummariesForgetTheOldest(t *testing.T) {
	c, _ := newCache(0)
	for i := range 1000 {
		c.Add(kvapi.Span{Key: kvapi.Key(fmt.Sprintf("k%03d", i))}, ts(int64(i+1)), txn1)
	}
	s := c.Summarize(100*(4+summaryReadBytes), kvapi.Span{Key: kvapi.Key("k"), EndKey: kvapi.Key("l")})[0]
	if s.Floor != ts(900) || len(s.Reads) != 100 {
		t.Errorf("floor %s and %d reads", s.Floor, len(s.Reads))
	}
	for _, r := range s.Reads {
		if r.Timestamp.LessEq(s.Floor) || r.Owner != txn1 {
			t.Errorf("%s at %s by %s", r.Key, r.Timestamp, r.Owner.Short())
		}
	}
}

// The cache is used, and turns its pages over, while it is summed up.
func TestSummariesLetOthersIn(t *testing.T) {
	c, wall := newCache(0)
	const n = 3 * summaryChunk
	for i := range n {
		c.Add(kvapi.Span{Key: kvapi.Key(fmt.Sprintf("k%05d", i))}, ts(int64(100+i)), txn1)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			c.Add(kvapi.Span{Key: kvapi.Key(fmt.Sprintf("m%05d", i))}, hlc.Timestamp{WallTime: n + 1000}, txn2)
			if i%100 == 99 {
				c.mu.Lock()
				c.rotateLocked(wall.WallNanos())
				c.mu.Unlock()
			}
		}
	}()
	first := c.Summarize(1<<30, kvapi.Span{Key: kvapi.Key("k"), EndKey: kvapi.Key("l")})[0]
	close(stop)
	<-done
	at := map[string]hlc.Timestamp{}
	for _, r := range first.Reads {
		at[string(r.Key)] = r.Timestamp
	}
	for i := range n {
		if got := at[fmt.Sprintf("k%05d", i)].Max(first.Floor); got.Less(ts(int64(100 + i))) {
			t.Fatalf("key %d is at %s", i, got)
		}
	}
}

// BenchmarkSummarize sums up a full page, of which the span is a tenth.
func BenchmarkSummarize(b *testing.B) {
	c, _ := newCache(0)
	for i := range 100_000 {
		c.Add(kvapi.Span{Key: kvapi.Key(fmt.Sprintf("/table/106/1/%08d", i))}, ts(int64(i+1)), txn1)
	}
	sp := kvapi.Span{Key: kvapi.Key("/table/106/1/00010000"), EndKey: kvapi.Key("/table/106/1/00020000")}
	b.ReportAllocs()
	for b.Loop() {
		c.Summarize(512<<10, sp)
	}
}
