package node

import (
	"os"
	"path/filepath"
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

// sqlMemoryPart is the part of the memory that statements may hold: a guess of what is alive, of which
// the process takes about twice as much.
const (
	sqlMemoryPart     = 4
	sqlMemoryBytesMin = 128 << 20
)

func sqlMemoryFor(memoryBytes int64) int64 { return max(memoryBytes/sqlMemoryPart, sqlMemoryBytesMin) }

// tempDir makes the folder for temporary files anew: those of a process that was killed are nobody's.
func tempDir(store string) (string, error) {
	dir := filepath.Join(store, "temp")
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o700)
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
