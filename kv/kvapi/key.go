package kvapi

import (
	"bytes"
	"fmt"
)

// Key is a byte string of the one ordered keyspace; package keys has its map.
type Key []byte

// Clone returns a copy with room to append.
func (k Key) Clone() Key { return append(make(Key, 0, len(k)+16), k...) }

// Next returns the smallest key after k.
func (k Key) Next() Key {
	n := make(Key, len(k)+1)
	copy(n, k)
	return n
}

// PrefixEnd returns the smallest key after all keys that start with k, or nil
// if there is none (k is all 0xff).
func (k Key) PrefixEnd() Key {
	for i := len(k) - 1; i >= 0; i-- {
		if k[i] != 0xff {
			e := append(Key(nil), k[:i+1]...)
			e[i]++
			return e
		}
	}
	return nil
}

// Compare orders keys bytewise.
func (k Key) Compare(o Key) int { return bytes.Compare(k, o) }

// Less reports whether k sorts before o.
func (k Key) Less(o Key) bool { return bytes.Compare(k, o) < 0 }

// Equal reports whether k and o are the same key.
func (k Key) Equal(o Key) bool { return bytes.Equal(k, o) }

// String prints the key quoted; package keys prints it by meaning.
func (k Key) String() string { return fmt.Sprintf("%q", []byte(k)) }

// Span is the keys [Key, EndKey), or the single key Key if EndKey is empty.
type Span struct {
	Key    Key `wire:"1"`
	EndKey Key `wire:"2"`
}

// IsPoint reports whether the span is one key.
func (s Span) IsPoint() bool { return len(s.EndKey) == 0 }

// End returns the exclusive end, also for a point.
func (s Span) End() Key {
	if s.IsPoint() {
		return s.Key.Next()
	}
	return s.EndKey
}

// Contains reports whether k is in the span.
func (s Span) Contains(k Key) bool {
	if s.IsPoint() {
		return s.Key.Equal(k)
	}
	return !k.Less(s.Key) && k.Less(s.EndKey)
}

// Overlaps reports whether the spans share a key.
func (s Span) Overlaps(o Span) bool {
	if s.IsPoint() {
		return o.Contains(s.Key)
	}
	if o.IsPoint() {
		return s.Contains(o.Key)
	}
	return s.Key.Less(o.EndKey) && o.Key.Less(s.EndKey)
}

// String prints [a, b) or the point.
func (s Span) String() string {
	if s.IsPoint() {
		return s.Key.String()
	}
	return fmt.Sprintf("[%s, %s)", s.Key, s.EndKey)
}
