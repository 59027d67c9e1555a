// Package model holds Promela models of the protocols and the test that checks
// them exhaustively for small sizes with spin (https://spinroot.com).
//
//	parallel_commit.pml   packages txn and intents         I1, I2, I3 of package txn
//	leader_lease.pml      packages lease, liveness and     L1..L4, at its top
//	                      store (promise.go, support.go)
//
// A model says at its top what it checks, in the names of the code, and what
// it leaves out. It has mistakes to switch on (#ifdef BUG_…), each of which the
// search must find: a model that cannot fail proves nothing.
//
// What can go wrong: a search that is cut off proves nothing either, so the
// test fails if spin's depth or memory was too small. A model speaks of the
// protocol and not of the code; what the code does with it, the simulation
// tries (internal/simulation).
package model
