// Package version says which build this is, and in which cluster versions it works.
//
// The problem: in a rolling upgrade two builds serve at the same time, and until the
// last node has moved the operator may want to go back. So what the old build does
// not understand must not be written or sent before every node runs the new one, and
// from then on the old one must not come back. One number of the cluster, its
// version, is that line:
//
//	nodes          n1  n2  n3     works in    cluster version
//	old build      o   o   o      1           1
//	rolling        n   n   o      1-2, 1      1     the way back is open
//	all new        n   n   n      1-2         1     … for as long as
//	                                                cairn.hold_cluster_version is on
//	finalised      n   n   n      1-2         2     an old build is refused
//
// A node says in which versions it works in a record of the cluster, by a
// transaction, before it serves (internal/node, versions.go). The node that leads the
// range of the records raises the version in a transaction that reads all of them.
//
// Invariants:
//
//	I1 the cluster's version only rises, and only to one in which every node works
//	   that has not been decommissioned, up or down         Next
//	I2 no node serves in a version in which its build does not work: it is refused
//	   when it joins and by every peer, it refuses itself when it reads the
//	   version, and its store remembers it                  Range.Admit
//	I3 a raise and a node's record of itself conflict, as both are serializable
//	   transactions: either the raise sees the old build, or the old build the raise
//	I4 a node uses a version only when the record of it has committed and its own
//	   store has it durably; other nodes may learn of it later, but all of them
//	   understand it, by I1
//
// A node that has been down all the while counts with what it last said: decommission
// it, or start it with the new build. Rejected: raising the version by hand, which is
// forgotten, so that what it would enable is never on; and a version in gossip, by
// which I3 does not hold.
package version
