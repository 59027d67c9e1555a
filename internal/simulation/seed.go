package simulation

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
)

// Seed decides everything that the harness does: the schedule of faults, what
// clients ask for, what the network loses, what a crash keeps. The order in
// which goroutines run within one moment of virtual time is Go's own.
type Seed uint64

// source returns the seed's random numbers for one purpose, so that a change
// in one part of the harness does not change the others.
func (s Seed) source(format string, args ...any) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintf(h, format, args...)
	return rand.New(rand.NewPCG(uint64(s), h.Sum64()))
}
