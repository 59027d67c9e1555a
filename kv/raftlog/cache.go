package raftlog

// Cache keeps the newest entries of all logs of a store in memory, up to a
// number of bytes. It is safe for concurrent use.
type Cache struct{}

// NewCache returns a cache of that size; zero takes the default.
func NewCache(maxBytes int64) *Cache { panic("todo") }
