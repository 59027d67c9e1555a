package history

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ModelKind says what a step of a ModelTxn does.
type ModelKind uint8

// Steps of a ModelTxn.
const (
	ModelPut ModelKind = iota
	ModelDelete
	ModelSavepoint
	ModelRollback
	ModelRelease
	ModelRead
)

var modelNames = [...]string{"put", "delete", "savepoint", "rollback", "release", "read"}

// ModelStep is one step of a ModelTxn.
type ModelStep struct {
	Kind ModelKind
	// Key and Value are of puts and deletes; Key is the name of a savepoint.
	Key   Key
	Value Value
	// Rows is what a read of everything found.
	Rows map[Key]Value
}

// String prints the step.
func (s ModelStep) String() string {
	switch s.Kind {
	case ModelPut:
		return fmt.Sprintf("put %s %s", s.Key, s.Value)
	case ModelRead:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(s.Rows)) {
			parts = append(parts, fmt.Sprintf("%s=%s", k, s.Rows[k]))
		}
		return "read [" + strings.Join(parts, " ") + "]"
	}
	return modelNames[s.Kind] + " " + string(s.Key)
}

// ModelTxn is a transaction of the one client that uses its rows, so that what
// it finds is known to the row.
type ModelTxn struct {
	Op
	Steps []ModelStep
}

// String prints the transaction on a line.
func (t ModelTxn) String() string {
	parts := make([]string, len(t.Steps))
	for i, s := range t.Steps {
		parts[i] = s.String()
	}
	return t.head() + " {" + strings.Join(parts, "; ") + "}" + t.tail()
}
