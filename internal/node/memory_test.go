package node

import "testing"

func TestCacheSize(t *testing.T) {
	for _, c := range []struct{ memory, want int64 }{
		{0, 128 << 20},
		{1 << 30, 128 << 20},
		{24 << 30, 3 << 29},
		{1 << 40, 4 << 30},
	} {
		if got := cacheFor(c.memory); got != c.want {
			t.Errorf("%d bytes of memory: a cache of %d, want %d", c.memory, got, c.want)
		}
	}
	if MemoryBytes() <= 0 {
		t.Error("the machine's memory is unknown")
	}
}
