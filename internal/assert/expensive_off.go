//go:build !invariants

package assert

// Expensive is true in builds that check invariants by sweeping over data.
const Expensive = false
