package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cairndb/cairn/kv/kvapi"
)

// What the set finds by key it would find by looking at every span.
func TestReplicaSetFindsWhatIsThere(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 0))
		s, spans := newReplicaSet(), map[*Replica]kvapi.Span{}
		key := func(i int) kvapi.Key { return kvapi.Key(fmt.Sprintf("%03d", i)) }
		whole := kvapi.Span{Key: kvapi.Key{}, EndKey: key(999)}
		add := func(r *Replica, sp kvapi.Span) *Replica { spans[r] = sp; return r }
		next := kvapi.RangeID(1)
		fresh := func() *Replica { r := &Replica{rangeID: next}; next++; return r }
		s.add(add(fresh(), whole), whole, true)
		at := func(k kvapi.Key) *Replica {
			for r, sp := range spans {
				if sp.Contains(k) {
					return r
				}
			}
			return nil
		}
		for range 300 {
			k := key(1 + rng.IntN(998))
			r := at(k)
			version := s.version.Load()
			switch {
			case r == nil: // a hole is filled by a snapshot
				sp := kvapi.Span{Key: k, EndKey: k.Next()}
				s.add(add(fresh(), sp), sp, true)
			case rng.IntN(10) == 0:
				s.remove(r)
				delete(spans, r)
			case rng.IntN(3) == 0:
				right := s.lookup(spans[r].EndKey)
				if right == nil {
					continue
				}
				sp := kvapi.Span{Key: spans[r].Key, EndKey: spans[right].EndKey}
				s.subsume(r, []*Replica{right}, sp, func() {})
				delete(spans, right)
				spans[r] = sp
			case !k.Equal(spans[r].Key):
				old, rhs := spans[r], fresh()
				l, x := kvapi.Span{Key: old.Key, EndKey: k}, kvapi.Span{Key: k, EndKey: old.EndKey}
				s.split(r, rhs, l, x, func() {})
				spans[r], spans[rhs] = l, x
			default:
				continue
			}
			if version == s.version.Load() {
				t.Fatal("a change does not show")
			}
			for range 5 {
				k := key(rng.IntN(1000))
				if got := s.lookup(k); got != at(k) {
					t.Fatalf("seed %d: another replica has %s", seed, k)
				}
				sp := kvapi.Span{Key: k, EndKey: key(1000)[:3]}
				if rng.IntN(2) == 0 {
					sp = kvapi.Span{Key: k, EndKey: append(k.Clone(), '5')}
				}
				var want []*Replica
				var ends *Replica
				for r, o := range spans {
					if o.Overlaps(sp) {
						want = append(want, r)
					}
					if o.EndKey.Equal(k) {
						ends = r
					}
				}
				byStart := func(a, b *Replica) int { return spans[a].Key.Compare(spans[b].Key) }
				slices.SortFunc(want, byStart)
				if got := s.overlapping(sp); !slices.Equal(got, want) {
					t.Fatalf("seed %d: %d replicas overlap %s, not %d", seed, len(want), sp, len(got))
				}
				if s.endingAt(k) != ends {
					t.Fatalf("seed %d: what ends at %s", seed, k)
				}
			}
			if got := s.all(); len(got) != len(spans) {
				t.Fatalf("seed %d: %d replicas of %d", seed, len(got), len(spans))
			}
		}
	}
}
