// Package nemesis hurts a running cluster, measures that it hurt, and undoes it.
//
//	schedule ──▶ Strike ──▶ Wound ── hold ──▶ Bite ──▶ Heal
//	 (seeded)      │ what was done             │ was it felt?
//	               ▼
//	       processes (signals), links (package link), the trouble file of a
//	       test build (clock, disk), SQL, and the cairn command line
//
// Nemeses are named as operators name what happens to them, run alone or
// several at a time ("kill+slow-links"), and draw from the run's seed. List
// them with cairn verify --list.
//
// Invariants:
//
//	I1 whatever happens, every wound is healed before Run returns    schedule.go
//	I2 a nemesis that was never felt makes the run invalid: each wound is
//	   measured where it was inflicted (bytes that a cut held, the state of a
//	   process, statements that went through)                        Wound.Bite
//	I3 two nemeses never have the same process in hand               Env.take
//	I4 a node that may end because of its wound is expected to, and is started
//	   again; any other end of a process fails the run      (package cluster)
//
// The seed fixes what is done and in which order, not what comes of it: these
// are real processes on a real clock.
//
// Not here: what the clients do (package load), who is right (testkit/check).
package nemesis
