package history

import (
	"fmt"
	"slices"
	"strings"
)

// SetOp adds a value to the set at Key, or reads the set. Values are added to a
// set once.
type SetOp struct {
	Op
	Key Key
	// Add is the value; Absent is a read.
	Add Value
	// Session groups the adds of a client that it made over one connection.
	Session int
	// Values is what was read, as it came.
	Values []Value
	// Count is what a counter said in the same transaction that read Values;
	// negative is none.
	Count int
	// At is the time whose data was read, in microseconds; 0 is the present.
	At int64
}

// String prints the operation on a line.
func (o SetOp) String() string {
	if o.Add != Absent {
		return fmt.Sprintf("%s add %s to %s%s", o.head(), o.Add, o.Key, o.tail())
	}
	s := fmt.Sprintf("%s read %s", o.head(), o.Key)
	if o.Outcome == OK {
		s += " " + listText(o.Values)
	}
	if o.Count >= 0 {
		s += fmt.Sprintf(" count %d", o.Count)
	}
	if o.At != 0 {
		s += fmt.Sprintf(" at %d", o.At)
	}
	return s + o.tail()
}

// listMax bounds a printed list.
const listMax = 30

func listText(vs []Value) string {
	parts := make([]string, 0, listMax)
	sorted := slices.Sorted(slices.Values(vs))
	for i, v := range sorted {
		if i == listMax {
			parts = append(parts, fmt.Sprintf("… %d in all", len(vs)))
			break
		}
		parts = append(parts, v.String())
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// QueueKind says what a QueueOp does.
type QueueKind uint8

// Queue operations. Left is the read at the end, of a value that is still there.
const (
	Enqueue QueueKind = iota
	Dequeue
	Left
)

var queueNames = [...]string{"enqueue", "dequeue", "left"}

// QueueOp puts a value into a queue, takes one out, or finds one left.
type QueueOp struct {
	Op
	Kind QueueKind
	// Value of a Dequeue is Absent if there was none, or if nobody knows.
	Value Value
}

// String prints the operation on a line.
func (o QueueOp) String() string {
	return fmt.Sprintf("%s %s %s%s", o.head(), queueNames[o.Kind], o.Value, o.tail())
}

// PairOp inserts one of the two halves of a pair, if the other was not there.
type PairOp struct {
	Op
	Key  Key
	Half int
	// Inserted says that it saw no half, and inserted its own.
	Inserted bool
}

// String prints the operation on a line.
func (o PairOp) String() string {
	did := "saw the other half of"
	if o.Inserted {
		did = fmt.Sprintf("inserted half %d of", o.Half)
	}
	return fmt.Sprintf("%s %s %s%s", o.head(), did, o.Key, o.tail())
}

// IndexRead compares a table with one of its indexes, in one transaction.
type IndexRead struct {
	Op
	// Index is its name, Rows how many both have.
	Index string
	Rows  int
	// OnlyTable and OnlyIndex are rows that one of them has.
	OnlyTable, OnlyIndex []string
}

// String prints the operation on a line.
func (o IndexRead) String() string {
	return fmt.Sprintf("%s %s: %d rows; only in the table %v, only in the index %v%s", o.head(), o.Index, o.Rows, o.OnlyTable, o.OnlyIndex, o.tail())
}
