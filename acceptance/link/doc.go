// Package link puts a proxy into every TCP connection between processes, so
// that each link between two of them, and each direction of it, can be cut,
// slowed and broken, without root and without network namespaces.
//
//	n1 ──dials 127.0.1.2:P──▶ proxy ──127.0.0.1:P──▶ n2
//	                            │ whose socket is this? (/proc) n1
//	                            ▼
//	            n1→n2  Shape: cut, delay, jitter, stalls, resets, rate
//	            n2→n1  Shape: of its own
//
// A node listens on 127.0.0.1 and tells others another loopback address with
// the same port; there the proxy listens. Who called is asked of the kernel: the
// inode of the socket with the caller's port, and the process that has it open.
//
// Invariants:
//
//	I1 bytes of a connection arrive in order, once and whole, or the connection
//	   breaks: it is TCP, what a packet suffers is time        pipe.go
//	I2 what a cut holds arrives late when the cut heals, as after retransmission,
//	   unless the connection is broken first                   pipe.go
//	I3 every direction counts what it held, delayed and broke, so that a fault
//	   that did nothing is noticed                             shape.go
//
// Simpler would be a cut that closes connections: but a peer that is told at
// once is the easy case, silence is the hard one.
//
// Network namespaces with veth and tc netem would reach below TCP. They need root
// and a kernel with sch_netem, which neither containers nor CI machines have as a
// rule, so nothing here depends on them.
//
// Not here: lost, doubled and corrupted packets, which TCP repairs: a lost one is
// a stall. Nothing here knows what the bytes mean.
package link
