package rangecache

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/kv/kvapi"
)

func rangeInfo(id, gen, lease int, start, end string) kvapi.RangeInfo {
	return kvapi.RangeInfo{
		Desc: kvapi.RangeDescriptor{RangeID: kvapi.RangeID(id), StartKey: kvapi.Key(start), EndKey: kvapi.Key(end),
			Generation: kvapi.Generation(gen), Replicas: []kvapi.ReplicaDescriptor{{NodeID: 1, ReplicaID: 1}, {NodeID: 2, ReplicaID: 2}}},
		Lease: kvapi.Lease{Sequence: kvapi.LeaseSequence(lease), Holder: kvapi.ReplicaDescriptor{NodeID: kvapi.NodeID(1 + lease%2)}},
	}
}

func (c *Cache) dump() string {
	s := ""
	for _, r := range c.Ranges() {
		s += fmt.Sprintf("r%d[%s,%s)g%dl%d ", r.Desc.RangeID, string(r.Desc.StartKey), string(r.Desc.EndKey), r.Desc.Generation, r.Lease.Sequence)
	}
	return s
}

func TestOlderNewsNeverReplaceNewer(t *testing.T) {
	for _, c := range []struct {
		name  string
		infos []kvapi.RangeInfo
		want  string
	}{
		{"a split replaces its parent", []kvapi.RangeInfo{rangeInfo(1, 1, 1, "a", "z"), rangeInfo(1, 2, 1, "a", "m"), rangeInfo(2, 2, 1, "m", "z")},
			"r1[a,m)g2l1 r2[m,z)g2l1 "},
		{"the parent does not come back", []kvapi.RangeInfo{rangeInfo(2, 2, 1, "m", "z"), rangeInfo(1, 1, 1, "a", "z")}, "r2[m,z)g2l1 "},
		{"a merge replaces both halves", []kvapi.RangeInfo{rangeInfo(1, 2, 1, "a", "m"), rangeInfo(2, 2, 1, "m", "z"), rangeInfo(1, 3, 1, "a", "z")},
			"r1[a,z)g3l1 "},
		{"the later lease stays", []kvapi.RangeInfo{rangeInfo(1, 1, 3, "a", "z"), rangeInfo(1, 1, 2, "a", "z")}, "r1[a,z)g1l3 "},
		{"a newer lease comes in", []kvapi.RangeInfo{rangeInfo(1, 1, 2, "a", "z"), rangeInfo(1, 1, 3, "a", "z")}, "r1[a,z)g1l3 "},
		{"an empty lease takes none away", []kvapi.RangeInfo{rangeInfo(1, 1, 2, "a", "z"), rangeInfo(1, 1, 0, "a", "z")}, "r1[a,z)g1l2 "},
		{"a range without replicas is no news", []kvapi.RangeInfo{{Desc: kvapi.RangeDescriptor{StartKey: kvapi.Key("a"), EndKey: kvapi.Key("b")}}}, ""},
	} {
		cache := NewCache(0)
		for _, i := range c.infos {
			cache.Insert(i)
		}
		if got := cache.dump(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestCacheNeverOverlapsNorForgetsForOlder inserts and evicts at random: the
// entries never overlap, and over one key the generation only rises.
func TestCacheNeverOverlapsNorForgetsForOlder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := NewCache(12)
		rt.Repeat(map[string]func(*rapid.T){
			"insert": func(rt *rapid.T) {
				a, n := rapid.IntRange(0, 20).Draw(rt, "start"), rapid.IntRange(1, 6).Draw(rt, "width")
				before := map[string]kvapi.Generation{}
				for _, r := range c.Ranges() {
					before[string(r.Desc.StartKey)] = r.Desc.Generation
				}
				info := rangeInfo(rapid.IntRange(1, 5).Draw(rt, "id"), rapid.IntRange(1, 6).Draw(rt, "gen"),
					rapid.IntRange(0, 4).Draw(rt, "lease"), fmt.Sprintf("%02d", a), fmt.Sprintf("%02d", a+n))
				c.Insert(info)
				for k, g := range before {
					if e := c.get(kvapi.Key(k), false); e != nil && e.desc.Generation < g {
						rt.Fatalf("generation over %s fell from %d to %d", k, g, e.desc.Generation)
					}
				}
			},
			"evict": func(rt *rapid.T) {
				if e := c.get(kvapi.Key(fmt.Sprintf("%02d", rapid.IntRange(0, 20).Draw(rt, "key"))), rapid.Bool().Draw(rt, "rev")); e != nil {
					c.evict(e)
				}
			},
			"": func(rt *rapid.T) {
				rs := c.Ranges()
				for i := 1; i < len(rs); i++ {
					if rs[i].Desc.StartKey.Less(rs[i-1].Desc.EndKey) {
						rt.Fatalf("overlap: %s", c.dump())
					}
				}
				if len(rs) > 12 {
					rt.Fatalf("%d entries", len(rs))
				}
			},
		})
	})
}
