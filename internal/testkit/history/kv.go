package history

import (
	"fmt"
	"strings"

	"github.com/cairndb/cairn/hlc"
)

// KVKind says what a step of a KVTxn does.
type KVKind uint8

// Steps of a KVTxn.
const (
	KVGet KVKind = iota
	KVScan
	KVPut
	KVDelete
	KVSavepoint
	KVRollback
)

// KVRow is a key and its value; Absent for no value.
type KVRow struct {
	Key   Key
	Value Value
}

// KVSpan is the keys from Start up to, not including, End.
type KVSpan struct{ Start, End Key }

func (s KVSpan) contains(k Key) bool { return s.Start <= k && k < s.End }

// KVStep is one step of a KVTxn.
type KVStep struct {
	Kind KVKind
	// Key and Value are of gets, puts and deletes.
	Key   Key
	Value Value
	// Span, Limit (0 for none), Reverse, Rows and Resume are of scans.
	Span    KVSpan
	Limit   int
	Reverse bool
	Rows    []KVRow
	Resume  *KVSpan
	// Locked says that what was read was locked.
	Locked bool
	// Savepoint is the number of the step that made the savepoint rolled back to.
	Savepoint int
}

// Reads reports whether the step, a get or scan, read the key.
func (s *KVStep) Reads(k Key) bool {
	switch s.Kind {
	case KVGet:
		return s.Key == k
	case KVScan:
		return s.Span.contains(k) && (s.Resume == nil || !s.Resume.contains(k))
	}
	return false
}

// Left reports whether the step, a scan, said that it left the key unread.
func (s *KVStep) Left(k Key) bool { return s.Resume != nil && s.Resume.contains(k) }

// String prints the step.
func (s *KVStep) String() string {
	lock := ""
	if s.Locked {
		lock = " locking"
	}
	switch s.Kind {
	case KVGet:
		return fmt.Sprintf("get%s %s -> %s", lock, s.Key, s.Value)
	case KVScan:
		dir, resume := "scan", ""
		if s.Reverse {
			dir = "reverse scan"
		}
		if s.Resume != nil {
			resume = fmt.Sprintf(", left [%s, %s)", s.Resume.Start, s.Resume.End)
		}
		return fmt.Sprintf("%s%s [%s, %s) limit %d -> %v%s", dir, lock, s.Span.Start, s.Span.End, s.Limit, s.Rows, resume)
	case KVPut:
		return fmt.Sprintf("put %s %s", s.Key, s.Value)
	case KVDelete:
		return "delete " + string(s.Key)
	case KVSavepoint:
		return "savepoint"
	}
	return fmt.Sprintf("rollback to step %d", s.Savepoint)
}

// KVTxn is a transaction on keys.
type KVTxn struct {
	Op
	// At is where it committed, if its outcome is OK.
	At    hlc.Timestamp
	Steps []KVStep
	// Past says that it asked to read At, in the past, and misses what came after.
	Past bool
}

// String prints the transaction, a step a line.
func (t *KVTxn) String() string {
	var b strings.Builder
	b.WriteString(t.head())
	if t.Outcome == OK {
		fmt.Fprintf(&b, " committed at %s", t.At)
		if t.Past {
			b.WriteString(", reading the past")
		}
	}
	for i := range t.Steps {
		fmt.Fprintf(&b, "\n      %d %s", i, &t.Steps[i])
	}
	return b.String() + t.tail()
}

// Version is a version of a key as the database keeps it; Absent is a
// tombstone.
type Version struct {
	Key   Key
	At    hlc.Timestamp
	Value Value
}
