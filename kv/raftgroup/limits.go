package raftgroup

// Limits of one group; New puts them where Config leaves a zero.
const (
	// electionTicksDefault × the 200 ms tick: a follower campaigns after 2 to
	// 4 s of silence, long enough for a starved two-core machine.
	electionTicksDefault = 10
	// heartbeatTicksDefault keeps five heartbeats within an election timeout
	// while an idle range sends few.
	heartbeatTicksDefault = 2

	// appendBytesMax bounds one append message. Small, so that a follower that
	// catches up shares the stream with others.
	appendBytesMax = 64 << 10
	// inflightMessagesMax and inflightBytesMax bound what is on its way to one
	// follower; beyond, the follower is left behind and probed.
	inflightMessagesMax = 128
	inflightBytesMax    = 8 << 20
	// applyBytesMax bounds the committed entries that are being applied, over
	// all outstanding Applies.
	applyBytesMax = 1 << 20
	// uncommittedBytesMax bounds a leader's uncommitted log; beyond, proposals
	// are dropped. One command may be as large, hence never smaller.
	uncommittedBytesMax = 16 << 20

	// EntryBytesMax bounds one entry's data: 16 MB of command and its
	// envelope. A decoder refuses more before it allocates.
	EntryBytesMax = 17 << 20
	// EnvelopesMax bounds the envelopes in one encoded batch.
	EnvelopesMax = 1 << 16
)
