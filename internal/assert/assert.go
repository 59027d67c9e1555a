// Package assert stops the node when an invariant is broken, before it can
// answer wrongly. Cheap facts are asserted always; sweeps over data only under
// the build tag invariants, which the tests set: guard those with Expensive.
//
// A caller's mistake, a user's mistake or a fault of the world is an error,
// not an assertion.
package assert

import "fmt"

// That panics with the message unless ok. The message names the invariant.
func That(ok bool, format string, args ...any) {
	if !ok {
		panic("broken invariant: " + fmt.Sprintf(format, args...))
	}
}

// NoError panics if err is not nil: for calls that cannot fail unless an
// invariant is broken.
func NoError(err error, doing string) {
	if err != nil {
		panic(fmt.Sprintf("broken invariant: %s: %v", doing, err))
	}
}
