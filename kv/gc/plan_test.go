package gc

import (
	"testing"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/wire/wiretest"
	"github.com/cairndb/cairn/kv/kvapi"
)

func sec(n int64) hlc.Timestamp { return hlc.Timestamp{WallTime: n * int64(time.Second)} }

func TestTargetIsBelowAllThatIsProtected(t *testing.T) {
	all := kvapi.Span{Key: kvapi.Key("a"), EndKey: kvapi.Key("m")}
	protect := func(at int64, from, to string, expires hlc.Timestamp) Protection {
		return Protection{Span: kvapi.Span{Key: kvapi.Key(from), EndKey: kvapi.Key(to)}, Timestamp: sec(at), Expires: expires}
	}
	never := hlc.Timestamp{}
	for _, c := range []struct {
		name string
		ps   []Protection
		want hlc.Timestamp
	}{
		{"nothing is", nil, sec(40)},
		{"something young", []Protection{protect(41, "a", "b", never)}, sec(40)},
		{"at the target", []Protection{protect(40, "a", "b", never)}, hlc.Timestamp{WallTime: sec(40).WallTime - 1}},
		{"two", []Protection{protect(20, "b", "c", never), protect(30, "a", "b", never)}, hlc.Timestamp{WallTime: sec(20).WallTime - 1}},
		{"another range", []Protection{protect(20, "m", "z", never)}, sec(40)},
		{"expired", []Protection{protect(20, "a", "b", sec(99))}, sec(40)},
		{"not yet expired", []Protection{protect(20, "a", "b", sec(100))}, hlc.Timestamp{WallTime: sec(20).WallTime - 1}},
	} {
		if got := Target(sec(100), time.Minute, all, c.ps); got != c.want {
			t.Errorf("%s: %s, not %s", c.name, got, c.want)
		}
	}
}

func TestTheMoreGarbageTheSooner(t *testing.T) {
	const ttl = 1600 * time.Second
	stats := func(live, garbage int64) *kvapi.RangeStatistics {
		return &kvapi.RangeStatistics{LiveBytes: live, KeyBytes: live + garbage}
	}
	for _, c := range []struct {
		name  string
		s     *kvapi.RangeStatistics
		after int64 // seconds that the threshold would rise by
	}{
		{"mostly garbage", stats(100, 100), 100},
		{"some", stats(100, 20), 400},
		{"hardly any", stats(100, 1), 1600},
		{"a small share that is much", stats(10<<30, garbageHighBytes), 100},
	} {
		if Due(c.s, sec(5000), sec(5000+c.after-1), ttl) || !Due(c.s, sec(5000), sec(5000+c.after), ttl) {
			t.Errorf("%s: not due after just %d s", c.name, c.after)
		}
		if Due(c.s, sec(5000), sec(4000), ttl) {
			t.Errorf("%s: a threshold would fall", c.name)
		}
	}
	if Due(stats(100, 0), hlc.Timestamp{}, sec(1e6), ttl) {
		t.Error("without garbage it is due")
	}
}

func TestWireRoundTrip(t *testing.T) { wiretest.RoundTrip[Protection](t) }
