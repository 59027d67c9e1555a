// Package gossip spreads what every node should know and may learn late: node
// addresses, capacities, where the first range is.
//
// The problem: nodes come, go, restart at other addresses, and take over
// addresses that others had. There is no central list that could be down.
//
//	    AddInfo            exchange (every second, a few random peers)
//	node ──► Store ◄───────── my news since your high water ─────────► Store
//	          │                                                          │
//	          └► Address(id), Nodes(), OnChange                          └► …
//
// Every record is owned by one node and stamped (incarnation, sequence) by it:
// the incarnation rises with every start of the owner, the sequence with every
// record of an incarnation. An exchange sends the records newer than the
// peer's high-water mark of each owner (anti-entropy with version vectors:
// Demers et al., "Epidemic Algorithms", 1987; van Renesse's Scuttlebutt
// reconciliation, 2008). Invariants:
//
//	I1 Only the owner creates, replaces or expires a record; a record never
//	   goes away because another node shows up at its address.   (Store.Add)
//	I2 A record is replaced only by one with a larger stamp.     (Store.merge)
//	I3 An address belongs to the newest incarnation that claims it; a node
//	   whose address was taken is reachable again as soon as it says where it
//	   is now.                                                   (Address)
//	I4 Gossip is a hint. What must be right is verified on use: connections by
//	   their handshake, ranges by generation and lease.
//	I5 A record stamped from the far future of the clock is refused, so that a
//	   node with a wrong clock cannot shut out its own later records.
//
// What goes wrong: while gossip is partitioned, nodes go on with what they
// know; discovery is late, nothing else.
//
// Store in store.go is the core, a state machine without clock or goroutine.
// Gossip in gossip.go is the shell that talks to peers.
package gossip
