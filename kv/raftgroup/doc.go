// Package raftgroup is one range's Raft group: the consensus core of
// go.etcd.io/raft, stepped by its owner, behind types of our own. No other
// package imports that library, so its message layout and its versions are
// known here alone.
//
//	 peers' messages     proposals          ticks
//	       │ Step           │ Propose         │ Tick
//	       ▼                ▼                 ▼
//	┌───────────────────── Group ─────────────────────┐
//	│  pure: no clock, no goroutine, no disk, no lock │◀── reads ── LogReader
//	└──────────────────────┬──────────────────────────┘
//	                 Ready │
//	   ┌───────────────────┼──────────────────────┐
//	   ▼                   ▼                      ▼
//	Messages            Append                  Apply
//	to peers, now       write, sync, then       apply, then
//	                    deliver Responses       Step(Responses)
//
// A Ready is handled without waiting: the append of one Ready may be on its
// way to disk while the next Ready is taken (asynchronous storage writes;
// Ongaro's thesis 10.2.1: the leader writes its log in parallel with its
// followers). What depends on durability (votes, acknowledgements of appended
// entries) is in Append.Responses, never in Messages.
//
// Invariants
//
//	I1  A Group is used by one goroutine at a time; its owner holds the
//	    replica's Raft mutex. Not checked.
//	I2  Append.Responses are delivered after everything in that Append and
//	    in all earlier ones is durable, and in order. Kept by kv/raftlog.
//	I3  Appends are never dropped or reordered; likewise Applies.
//	I4  A message a peer sent never contains a storage response: those are
//	    made here and returned to here. Checked by the codec and by Step.
//	I5  Entries handed out or stepped are never changed by anybody.
//	I6  A conf change activates when it is applied: ApplyConfChange is called
//	    for each committed one that takes effect, and for no other.
//	I7  Leaving a joint configuration is proposed by the owner, so that both
//	    steps carry the range descriptor that mirrors them.
//	I8  Applied ≤ commit ≤ last index when a Group is made. Checked by New; a
//	    commit index lost in a crash is raised to what was applied.
//
// What goes wrong: proposals are refused with ErrProposalDropped when this
// replica does not lead, is handing leadership over, or has too many
// uncommitted bytes. They are never forwarded: a proposal carries decisions
// that only the leader that took them may have.
//
// Not here: where the log is (kv/raftlog), when a group runs (kv/scheduler),
// how a snapshot's data travels (kv/snapshot; the message carries only where
// it stands), what entries mean (kv/store).
//
// Read next: group.go, ready.go, message.go, then codec.go.
package raftgroup
