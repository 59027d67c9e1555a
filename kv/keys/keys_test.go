package keys

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/kv/kvapi"
)

func userKey(t *rapid.T, label string) Key {
	return Key(rapid.SliceOfN(rapid.SampledFrom([]byte{0x00, 0x01, 0x02, 0x10, 0xfe, 0xff}), 1, 5).Draw(t, label))
}

// TestLocalKeysSortAsTheirUserKeys is I2: whatever belongs to a key is inside
// the local spans of exactly the ranges that hold the key.
func TestLocalKeysSortAsTheirUserKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, start, end := userKey(t, "k"), userKey(t, "start"), userKey(t, "end")
		if !start.Less(end) {
			start, end = end, start
		}
		inside := !k.Less(start) && k.Less(end)
		for name, span := range map[string]struct{ local, lo, hi Key }{
			"lock":   spanOf(LockTable(k), LockTableSpan, start, end),
			"desc":   spanOf(RangeDescriptor(k), RangeLocalSpan, start, end),
			"record": spanOf(TxnRecord(k, kvapi.NewTxnID()), RangeLocalSpan, start, end),
		} {
			got := !span.local.Less(span.lo) && span.local.Less(span.hi)
			if got != inside {
				t.Fatalf("%s of %s in [%s, %s): got %v, want %v", name, k, start, end, got, inside)
			}
			addr, err := Addr(span.local)
			if err != nil || !addr.Equal(k) {
				t.Fatalf("%s of %s is addressed by %s, %v", name, k, addr, err)
			}
		}
	})
}

func spanOf(local Key, f func(a, b Key) (Key, Key), start, end Key) struct{ local, lo, hi Key } {
	lo, hi := f(start, end)
	return struct{ local, lo, hi Key }{local, lo, hi}
}

func TestMetaKeysFindTheRange(t *testing.T) {
	// The record of the range that holds k is the first with a key > RangeMetaKey(k).
	ends := []Key{SystemMax, Key("\x10b"), Key("\x10d"), Max}
	for _, tc := range []struct {
		k    Key
		want int
	}{
		{SystemPrefix, 0}, {SystemMax, 1}, {Key("\x10a"), 1}, {Key("\x10b"), 2}, {Key("\x10z"), 3},
	} {
		at := RangeMetaKey(tc.k)
		if tc.k.Less(MetaMax) {
			t.Fatalf("%s is in the first range", tc.k)
		}
		for i, e := range ends {
			if at.Less(RangeMetaKey(e)) {
				if i != tc.want {
					t.Errorf("%s found in the range that ends at %s", tc.k, e)
				}
				break
			}
		}
	}
}

func TestLogEntriesSortByIndex(t *testing.T) {
	var last Key
	for _, i := range []kvapi.LogIndex{0, 1, 255, 256, 1 << 40} {
		k := LogEntry(7, i)
		if last != nil && bytes.Compare(last, k) >= 0 {
			t.Errorf("entry %d sorts wrongly", i)
		}
		if id, ok := DecodeRangeID(k); !ok || id != 7 {
			t.Errorf("range id of %s is %v", k, id)
		}
		last = k
	}
}
