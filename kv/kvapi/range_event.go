package kvapi

// RangeEventKind says what happened to a range.
type RangeEventKind string

// Kinds of range events.
const (
	EventSplit RangeEventKind = "split"
	EventMerge RangeEventKind = "merge"
	// EventLearner: a node is to get a replica, EventVoters: the voters changed.
	EventLearner RangeEventKind = "learner"
	EventVoters  RangeEventKind = "voters"
	// EventLease: the lease was moved, by a decision.
	EventLease RangeEventKind = "lease"
	// EventHotKey: a range is busy with one key, which no split can divide.
	EventHotKey RangeEventKind = "hot key"
	// EventQuarantine: replicas were found to differ from the others, and are
	// taken out of use.
	EventQuarantine RangeEventKind = "quarantine"
)

// RangeEvent is an entry of the range log: what was done to a range, and why.
// It is written by the transaction that does it, so that there is an entry
// exactly for what took effect.
type RangeEvent struct {
	// WallNanos is the clock of the node that did it.
	WallNanos int64          `wire:"1"`
	NodeID    NodeID         `wire:"2"`
	RangeID   RangeID        `wire:"3"`
	Kind      RangeEventKind `wire:"4"`
	// Other is the second range of a split or a merge, if there is one.
	Other RangeID `wire:"5"`
	// Key is where a range was split, or where two were joined.
	Key Key    `wire:"6"`
	Why string `wire:"7"`
}
