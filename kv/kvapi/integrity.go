package kvapi

// IntegrityKind says what a check looked at.
type IntegrityKind string

// Kinds of checks.
const (
	// CheckReplicas compares a range's replicas, byte by byte, and its statistics
	// with a recount.
	CheckReplicas IntegrityKind = "replicas"
	// CheckIndexes compares a table's indexes with its rows.
	CheckIndexes IntegrityKind = "indexes"
)

// IntegrityOutcome is what a check found.
type IntegrityOutcome string

// Outcomes of checks. Only CheckGood proves anything.
const (
	CheckGood IntegrityOutcome = "good"
	// CheckIncomplete: nothing is wrong with what could be looked at, but that
	// was not all.
	CheckIncomplete IntegrityOutcome = "incomplete"
	// CheckRepaired: the data agree; what is kept beside them was wrong, and was
	// put right.
	CheckRepaired IntegrityOutcome = "repaired"
	// CheckDiverged: there are two truths, and the record's Detail says which
	// and what was done.
	CheckDiverged IntegrityOutcome = "diverged"
)

// IntegrityRecord is the result of the last check of one kind of one range or
// table.
type IntegrityRecord struct {
	Kind    IntegrityKind `wire:"1"`
	RangeID RangeID       `wire:"2"`
	// TableID is the table's, or 0.
	TableID uint32           `wire:"3"`
	Outcome IntegrityOutcome `wire:"4"`
	// Detail is for people.
	Detail string `wire:"5"`
	// CheckedNanos is when the check was made, ProvenNanos when the last one was
	// that found everything good; 0 for never.
	CheckedNanos int64 `wire:"6"`
	ProvenNanos  int64 `wire:"7"`
	// NodeID made the check.
	NodeID NodeID `wire:"8"`
}

// ReplicaChecksum is what one replica found in its own data, as of the command
// that asked for it.
type ReplicaChecksum struct {
	// Index is the command's place in the log, Sum the SHA-256 of all replicated
	// data there.
	Index LogIndex `wire:"1"`
	Sum   []byte   `wire:"2"`
	// Keys counts what was read, Kept and Counted are the statistics as commands
	// changed them and as a recount finds them.
	Keys    int64           `wire:"3"`
	Kept    RangeStatistics `wire:"4"`
	Counted RangeStatistics `wire:"5"`
	// Unreadable says why the replica's data could not be read, if so.
	Unreadable string `wire:"6"`
}

// QuarantineArgs name a replica that is to be taken out of use, and why.
type QuarantineArgs struct {
	ReplicaID ReplicaID `wire:"1"`
	Why       string    `wire:"2"`
}
