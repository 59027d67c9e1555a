package txnwait

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/cairndb/cairn/kv/kvapi"
)

// member is a transaction of a cycle.
type member struct {
	id       kvapi.TxnID
	priority kvapi.Priority
	name     string
}

// findCycle returns the members of a cycle that the wait of pusher for pushee
// closes, given the edges that lead to pusher; nil if there is none. The
// first is the pusher; each waits for the next.
func findCycle(pusher member, pushee kvapi.TxnID, edges []kvapi.TxnWait) []member {
	path := []member{pusher}
	visited := map[kvapi.TxnID]bool{pusher.id: true}
	var walk func(id kvapi.TxnID) bool
	walk = func(id kvapi.TxnID) bool {
		if id == pusher.id {
			return true
		}
		if visited[id] {
			return false
		}
		visited[id] = true
		for _, e := range edges {
			if e.Waiter != id {
				continue
			}
			path = append(path, member{id: id, priority: e.Priority, name: e.Name})
			if walk(e.Holder) {
				return true
			}
			path = path[:len(path)-1]
		}
		return false
	}
	if !walk(pushee) {
		return nil
	}
	return path
}

// victimOf returns the member that every observer of the cycle agrees on.
func victimOf(cycle []member) kvapi.TxnID {
	return slices.MinFunc(cycle, func(a, b member) int {
		if a.priority != b.priority {
			return int(a.priority) - int(b.priority)
		}
		return bytes.Compare(a.id[:], b.id[:])
	}).id
}

// sameCycle compares two cycles seen by one observer.
func sameCycle(a, b []member) bool { return slices.Equal(a, b) }

// waitsOf lists the waits of a cycle, each for the next.
func waitsOf(cycle []member) []kvapi.TxnWait {
	out := make([]kvapi.TxnWait, len(cycle))
	for i, m := range cycle {
		out[i] = kvapi.TxnWait{Waiter: m.id, Priority: m.priority, Holder: cycle[(i+1)%len(cycle)].id, Name: m.name}
	}
	return out
}

// describe prints t1 → t2 → t1 for people.
func describe(cycle []member) string {
	var b strings.Builder
	for _, m := range cycle {
		fmt.Fprintf(&b, "%s → ", m.id.Short())
	}
	return b.String() + cycle[0].id.Short()
}
