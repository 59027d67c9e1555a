package node

import (
	"testing"

	"github.com/cairndb/cairn/internal/rpc"
)

// TestMethodsHaveNumbersOfTheirOwn: two of one number would answer for each other.
func TestMethodsHaveNumbersOfTheirOwn(t *testing.T) {
	seen := map[rpc.Method]bool{}
	for _, m := range []rpc.Method{methodGossip, methodBatch, methodRaft, methodSnapshot, methodDrain, methodCancel, methodSessions,
		methodLocks, methodSettings, methodLiveness, methodNotify, methodAreYouThere, methodStatements, methodSignal} {
		if seen[m] {
			t.Errorf("two methods are number %d", m)
		}
		seen[m] = true
	}
}
