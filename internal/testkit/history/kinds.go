package history

import (
	"fmt"
	"strings"
)

// Key names what is read and written.
type Key string

// Value is what clients write; each value is written to a key at most once.
// Absent is the value of a key that was never written.
type Value int64

// Absent is no value.
const Absent Value = 0

// String prints the value, or nil.
func (v Value) String() string {
	if v == Absent {
		return "nil"
	}
	return fmt.Sprint(int64(v))
}

// RegisterKind says what a RegisterOp does.
type RegisterKind uint8

// Register operations.
const (
	Read RegisterKind = iota
	Write
	CompareAndSet
)

// RegisterOp is one operation on one register.
type RegisterOp struct {
	Op
	Kind RegisterKind
	Key  Key
	// Value is what was read (an outcome of OK) or written.
	Value Value
	// Expected is what CompareAndSet wanted to find, Swapped whether it did.
	Expected Value
	Swapped  bool
}

// String prints the operation on a line.
func (o RegisterOp) String() string {
	s := o.head() + " "
	switch o.Kind {
	case Read:
		s += fmt.Sprintf("read %s", o.Key)
		if o.Outcome == OK {
			s += " -> " + o.Value.String()
		}
	case Write:
		s += fmt.Sprintf("write %s %s", o.Key, o.Value)
	case CompareAndSet:
		s += fmt.Sprintf("cas %s %s->%s", o.Key, o.Expected, o.Value)
		if o.Outcome == OK {
			s += map[bool]string{true: " yes", false: " no"}[o.Swapped]
		}
	}
	return s + o.tail()
}

// Account names a bank account.
type Account int

// Transfer moves money between two accounts and leaves an entry in the ledger,
// in one transaction.
type Transfer struct {
	Op
	// ID is the ledger entry's, never used twice.
	ID       Value
	From, To Account
	Amount   int64
	// Refused says that the account had too little and nothing was written.
	Refused bool
}

// String prints the operation on a line.
func (t Transfer) String() string {
	return fmt.Sprintf("%s transfer #%d: %d from %d to %d%s", t.head(), t.ID, t.Amount, t.From, t.To, t.tail())
}

// BankRead is one transaction that read all accounts, and perhaps the ledger.
type BankRead struct {
	Op
	// Balances has an entry for every account that was found.
	Balances map[Account]int64
	// Ledger holds the entries, if the read was of the ledger too.
	Ledger []Transfer
}

// String prints the operation on a line.
func (r BankRead) String() string {
	return fmt.Sprintf("%s read %v%s", r.head(), r.Balances, r.tail())
}

// Micro is a step of a Txn: an append of Value to the list at Key, or a read
// of it.
type Micro struct {
	Append bool
	Key    Key
	Value  Value
	List   []Value
}

// String prints append x 1, or r x [1 2].
func (m Micro) String() string {
	if m.Append {
		return fmt.Sprintf("append %s %s", m.Key, m.Value)
	}
	parts := make([]string, len(m.List))
	for i, v := range m.List {
		parts[i] = v.String()
	}
	return fmt.Sprintf("r %s [%s]", m.Key, strings.Join(parts, " "))
}

// Txn is a transaction over lists.
type Txn struct {
	Op
	Steps []Micro
}

// String prints the transaction on a line.
func (t Txn) String() string { return t.head() + " {" + t.Body() + "}" + t.tail() }

// Body prints the steps.
func (t Txn) Body() string {
	parts := make([]string, len(t.Steps))
	for i, s := range t.Steps {
		parts[i] = s.String()
	}
	return strings.Join(parts, "; ")
}

// Hold is the possession of a lock: from Call, when its client was told that it
// has it, to Return, when it began to give it up. OK means that the client was
// told afterwards that it had it all the time.
type Hold struct {
	Op
	Key Key
	// Shared locks exclude only those that are not.
	Shared bool
}

// String prints the hold on a line.
func (h Hold) String() string {
	return fmt.Sprintf("%s %s %s%s", h.head(), map[bool]string{true: "shares", false: "holds"}[h.Shared], h.Key, h.tail())
}
