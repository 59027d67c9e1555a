// Package link stands between processes, so that each link between two of them, and
// each direction of it, can be cut, slowed and broken. There are two ways to do it,
// which are shaped and measured alike.
//
// Network is a proxy in every TCP connection. It needs no rights:
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
// Packets carries each packet between network namespaces, of which every party has
// one. A TUN device is its network card, and this process the cable:
//
//	 n1's namespace           this process               n2's namespace
//	┌───────────────┐  ┌──────────────────────────┐  ┌───────────────┐
//	│ n1 ── cairn0 ═╪══╪═▶ n1→n2  Shape: loss, …  ═╪══╪▶ cairn0 ── n2 │
//	└───────────────┘  │ ◀═ n2→n1  Shape: its own │  └───────────────┘
//	                   └──────────────────────────┘
//
// Invariants:
//
//	I1 in a Network bytes of a connection arrive in order, once and whole, or the connection
//	   breaks: it is TCP, what a packet suffers is time        pipe.go
//	I2 what a cut holds arrives late when the cut heals, as after retransmission,
//	   unless the connection is broken first                   pipe.go
//	I3 every direction counts what it held, delayed and broke, so that a fault
//	   that did nothing is noticed                             shape.go
//
//	I4 nothing is left of Packets when their process has ended, however it did: a
//	   namespace without a name and a device without an owner are gone with the last
//	   descriptor of them, and there is nothing for the next start to find  party.go
//
// Simpler would be a cut that closes connections: but a peer that is told at
// once is the easy case, silence is the hard one.
//
// Rejected: veth pairs with tc netem. They need a kernel with sch_netem, which
// containers and CI machines lack as a rule (those without CONFIG_NET_SCH_NETEM
// say "Specified qdisc kind is unknown"), named namespaces outlive a kill -9 and
// have to be swept up, and netem cannot flip a bit that TCP's checksum does not
// tell, which is the case that checksums of our own are for. A packet costs 6 µs of
// this process more; 300 bytes and their echo take 24 µs.
//
// Not here: in a Network, lost, repeated, overtaken and corrupt packets, which TCP
// repairs: a lost one is a stall. Nothing here knows what the bytes mean.
package link
