package spanset

import (
	"fmt"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Access says whether a latch is for reading or for writing.
type Access uint8

// Accesses: reads share, writes exclude.
const (
	Read Access = iota
	Write
)

// String prints read or write.
func (a Access) String() string {
	if a == Write {
		return "write"
	}
	return "read"
}

// LatchSpan is a span held while a batch evaluates. The zero Timestamp means
// that the access is not versioned (local keys, resolution of intents) and
// conflicts at every timestamp (I2).
type LatchSpan struct {
	Span      kvapi.Span
	Access    Access
	Timestamp hlc.Timestamp
}

// String prints read [a, b)@ts.
func (l LatchSpan) String() string {
	return fmt.Sprintf("%s %s@%s", l.Access, l.Span, l.Timestamp)
}

// LockSpan is a span whose locks a batch must respect. Strength is what the
// batch wants: LockNone for a plain read, which only locks at or below
// Timestamp concern; LockShared or LockExclusive for a locking read;
// LockIntent for a write.
type LockSpan struct {
	Span     kvapi.Span
	Strength kvapi.LockStrength
	// Write says that the request writes, with whatever Strength.
	Write     bool
	Wait      kvapi.WaitPolicy
	Timestamp hlc.Timestamp
}

// Spans is everything a batch declares. Neither list is sorted; both may
// hold overlapping spans.
type Spans struct {
	Latches []LatchSpan
	Locks   []LockSpan
}

// Latch declares a latch.
func (s *Spans) Latch(a Access, sp kvapi.Span, ts hlc.Timestamp) {
	s.Latches = append(s.Latches, LatchSpan{Span: sp, Access: a, Timestamp: ts})
}

// Lock declares interest in the locks of a span.
func (s *Spans) Lock(l LockSpan) { s.Locks = append(s.Locks, l) }

// ReadSpan is a span that was read at Timestamp, by transaction TxnID or by
// none (zero): no other transaction may write there at or below Timestamp.
type ReadSpan struct {
	Span      kvapi.Span
	Timestamp hlc.Timestamp
	TxnID     kvapi.TxnID
}
