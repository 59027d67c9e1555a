package mvcc

import "github.com/cairndb/cairn/kv/kvapi"

// arena packs copies into few allocations. What was handed out stays valid.
type arena struct {
	chunk []byte
	next  int
}

func (a *arena) copy(b []byte) []byte {
	if len(b) > cap(a.chunk)-len(a.chunk) {
		a.next = min(max(2*a.next, arenaChunkMin), arenaChunkMax)
		a.chunk = make([]byte, 0, max(a.next, len(b)))
	}
	n := len(a.chunk)
	a.chunk = append(a.chunk, b...)
	return a.chunk[n:len(a.chunk):len(a.chunk)]
}

func (a *arena) row(key, value []byte) kvapi.KeyValue {
	return kvapi.KeyValue{Key: a.copy(key), Value: a.copy(value)}
}
