package check

import "strings"

// Anomaly is the name of what went wrong.
type Anomaly string

// Anomalies.
const (
	NotLinearizable Anomaly = "not linearizable"
	Undecided       Anomaly = "undecided within the time limit"

	TotalChanged   Anomaly = "total changed"
	MissingAccount Anomaly = "missing account"
	NegativeAmount Anomaly = "negative balance"
	LostTransfer   Anomaly = "acknowledged transfer lost"
	GhostTransfer  Anomaly = "failed transfer happened"
	LedgerMismatch Anomaly = "ledger does not explain balances"

	LostWrite  Anomaly = "acknowledged write lost"
	GhostWrite Anomaly = "write that nobody committed"
	WrongRead  Anomaly = "read that no version explains"
	TwoHolders Anomaly = "two holders of one lock"

	LongFork      Anomaly = "long fork"
	ChangedPast   Anomaly = "the past has changed"
	HalfBatch     Anomaly = "half a transaction"
	ForbiddenNull Anomaly = "NULL in a column that has none"
	InternalError Anomaly = "an internal error was told to a client"
	CausalReverse Anomaly = "causal reverse"
	SessionOrder  Anomaly = "session out of order"
	CountMismatch Anomaly = "counter and entries disagree"
	LostUpdate    Anomaly = "lost update"
	TakenTwice    Anomaly = "taken twice"
	IndexMismatch Anomaly = "index and table disagree"

	Internal          Anomaly = "internal inconsistency"
	GarbageRead       Anomaly = "garbage read"
	DuplicateAppend   Anomaly = "duplicate append"
	IncompatibleOrder Anomaly = "incompatible order"
	LostAppend        Anomaly = "lost append"
	StaleRead         Anomaly = "stale read"
	G0                Anomaly = "G0 (write cycle)"
	G1a               Anomaly = "G1a (aborted read)"
	G1b               Anomaly = "G1b (intermediate read)"
	G1c               Anomaly = "G1c (circular information flow)"
	GSingle           Anomaly = "G-single (read skew)"
	G2                Anomaly = "G2 (anti-dependency cycle)"
	GRealTime         Anomaly = "cycle through real time"
)

// Violation is a broken promise and its proof.
type Violation struct {
	Anomaly Anomaly
	// Story is the proof, a line each.
	Story []string
}

// Error implements error.
func (v *Violation) Error() string {
	return string(v.Anomaly) + ":\n  " + strings.Join(v.Story, "\n  ")
}

func violation(a Anomaly, story ...string) *Violation { return &Violation{Anomaly: a, Story: story} }
