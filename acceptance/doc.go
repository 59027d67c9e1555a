// Package acceptance judges Cairn from outside: real processes, real disks,
// real sockets, and clients that know nothing of what is inside.
//
//	pgbench  psql  pgx  raw bytes        clients, each recording what it was told
//	    │      │     │      │
//	┌───▼──┐ ┌─▼────┐ ┌─────▼┐
//	│node 1│ │node 2│ │node 3│           processes of bin/cairn (package cluster)
//	└──────┘ └──────┘ └──────┘
//	   ▲  kill -9, SIGSTOP, SIGTERM, other addresses, full disks
//
// A scenario reads: set-up, fault, claim; its name is the claim. What clients
// were told is one of three things: it happened, it certainly did not, nobody
// knows. The claims hold for every one of these histories:
//
//	I1 what was acknowledged is there, once           load.TPCB, load.Bank
//	I2 what was refused is not there                  load.TPCB, load.Bank
//	I3 sums agree: money is neither made nor lost     load.CheckSums, check.Bank
//	I4 single keys are linearizable                   check.Registers
//	I5 clients of live nodes go on within ten seconds load.Gaps
//	I6 bad input gets one clear error, and the server goes on
//
// The whole package runs in CI with short runs; -long makes them as long as the
// project's promises are worded (pgbench at scale 10, sixty seconds).
//
// Scenarios with one fault and one claim are in this package. Random faults of
// all kinds under all workloads are package verify's, which is cairn verify as
// well; README.md has an overview. Not here: faults of disks in the middle of a
// write, which package internal/simulation makes by the thousand.
// TRACK_RECORD.md says which test would catch which bug of other databases.
package acceptance
