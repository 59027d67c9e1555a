package node

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The block cache takes cachePart of the machine's memory, or of what its
// control group may use. What it does not hold is read from the operating
// system's page cache, and decompressed each time: a quarter of the CPU of
// point reads.
const (
	cachePart     = 16
	cacheBytesMin = 128 << 20
	cacheBytesMax = 4 << 30
)

func defaultCache() int64 { return cacheFor(MemoryBytes()) }

func cacheFor(memoryBytes int64) int64 {
	return min(max(memoryBytes/cachePart, cacheBytesMin), cacheBytesMax)
}

// MemoryBytes returns the memory this process may use, 0 if that is unknown.
func MemoryBytes() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	total := int64(info.Totalram) * int64(info.Unit)
	b, err := os.ReadFile("/sys/fs/cgroup/memory.max")
	if err != nil {
		return total
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || limit <= 0 { // "max": no limit
		return total
	}
	return min(total, limit)
}
