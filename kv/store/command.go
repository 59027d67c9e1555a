package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// commandID names a proposal; random, so that it names one across restarts.
type commandID uint64

// command is what a Raft entry holds: the bytes that the leader's evaluation
// wants written, and what changes beside them. Replicas apply it without
// knowing what was asked for, so evaluation may change from version to
// version; what this struct means may not.
//
//	version 1 | crc32c 4 | id 8 | wire(header) with its length | write batch |
//	closed timestamp 12 | crc32c 4
//
// The first checksum covers everything from the id to the write batch, the
// second the first and the closed timestamp. That is known only when the command
// goes into the log, which one goroutine does for all of a range's; and written
// there without the rest being encoded anew.
type command struct {
	id     commandID
	header commandHeader
	// closed: no command after this one writes at or below it (kv/closedts).
	closed hlc.Timestamp
	// batch is a Pebble batch representation, or empty.
	batch []byte
}

// commandHeader is a command without its bytes.
type commandHeader struct {
	// LeaseSequence is the lease the command was evaluated under; it has effect
	// only while that is the applied lease. A lease command has PrevLease
	// instead.
	LeaseSequence kvapi.LeaseSequence `wire:"1"`
	// Term is the Raft term the proposer led.
	Term kvapi.Term `wire:"2"`
	// Proposer is the replica that evaluated the command.
	Proposer kvapi.ReplicaID `wire:"3"`
	// StatsDelta is what the batch does to the range's statistics.
	StatsDelta kvapi.RangeStatistics `wire:"4"`
	// WriteTimestamp is the highest timestamp written, for clocks.
	WriteTimestamp hlc.Timestamp `wire:"5"`
	// LowestWrite is the lowest timestamp of a version written, or empty.
	LowestWrite hlc.Timestamp `wire:"26"`

	Split *splitResult                 `wire:"6"`
	Desc  *kvapi.ChangeReplicasTrigger `wire:"7"`
	// Lease becomes the lease if the applied one is PrevLease (I4).
	Lease     *kvapi.Lease `wire:"8"`
	PrevLease *kvapi.Lease `wire:"9"`
	// TruncateTo is the last index of the log to forget.
	TruncateTo   kvapi.LogIndex `wire:"10"`
	TruncateTerm kvapi.Term     `wire:"11"`
	GCThreshold  hlc.Timestamp  `wire:"12"`
	// Removes and RemovesUpTo say what versions a command removes outside of
	// transactions, see batcheval.ReplicatedResult and checkRemoval.
	Removes     *kvapi.Span   `wire:"20"`
	RemovesUpTo hlc.Timestamp `wire:"21"`
	// Freeze stops the range for a merge, Thaw undoes the freeze at an index.
	Freeze *freeze        `wire:"22"`
	Thaw   kvapi.LogIndex `wire:"23"`
	Merge  *mergeResult   `wire:"24"`
	// Check has every replica sum up its data, as of this command.
	Check *checkArgs `wire:"25"`
	// Reads come with a lease that gives up the one before it (handover.go).
	Reads *handedOver `wire:"27"`
}

// checkArgs name a check.
type checkArgs struct {
	ID uint64 `wire:"1"`
}

// splitResult is a split trigger as evaluated.
type splitResult struct {
	Trigger kvapi.SplitTrigger `wire:"1"`
	// RightStats are the statistics of the right half, after the command.
	RightStats kvapi.RangeStatistics `wire:"2"`
}

// mergeResult is a merge trigger as evaluated.
type mergeResult struct {
	Trigger kvapi.MergeTrigger `wire:"1"`
	// RightStats and RightGCThreshold are the frozen right range's.
	RightStats       kvapi.RangeStatistics `wire:"2"`
	RightGCThreshold hlc.Timestamp         `wire:"3"`
	// RightClosed is what its commands have closed.
	RightClosed hlc.Timestamp `wire:"4"`
}

// isTrivial reports whether the command may share an engine batch with others.
func (h *commandHeader) isTrivial() bool {
	return h.Split == nil && h.Desc == nil && h.Lease == nil && h.GCThreshold.IsEmpty() &&
		h.Freeze == nil && h.Thaw == 0 && h.Merge == nil && h.Check == nil
}

const (
	commandVersion = 2
	// commandPrefixBytes is version, checksum and id.
	commandPrefixBytes = 1 + 4 + 8
	// commandSuffixBytes is the closed timestamp and its checksum.
	commandSuffixBytes = 8 + 4 + 4
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// encode returns the command's bytes.
func (c *command) encode() []byte {
	head := c.header.AppendWire(nil)
	b := make([]byte, commandPrefixBytes, commandPrefixBytes+binary.MaxVarintLen32+len(head)+len(c.batch)+commandSuffixBytes)
	b[0] = commandVersion
	binary.LittleEndian.PutUint64(b[5:], uint64(c.id))
	b = binary.AppendUvarint(b, uint64(len(head)))
	b = append(append(b, head...), c.batch...)
	binary.LittleEndian.PutUint32(b[1:], crc32.Checksum(b[5:], crcTable))
	b = b[:len(b)+commandSuffixBytes]
	setClosed(b, c.closed)
	return b
}

// setClosed writes the closed timestamp into an encoded command.
func setClosed(encoded []byte, closed hlc.Timestamp) {
	suffix := encoded[len(encoded)-commandSuffixBytes:]
	binary.LittleEndian.PutUint64(suffix, uint64(closed.WallTime))
	binary.LittleEndian.PutUint32(suffix[8:], uint32(closed.Logical))
	binary.LittleEndian.PutUint32(suffix[12:], suffixChecksum(encoded))
}

func suffixChecksum(encoded []byte) uint32 {
	suffix := encoded[len(encoded)-commandSuffixBytes:]
	return crc32.Update(crc32.Checksum(encoded[1:5], crcTable), crcTable, suffix[:12])
}

// decodeCommand reads what encode wrote; the result shares b's memory.
func decodeCommand(b []byte) (command, error) {
	var c command
	if len(b) < commandPrefixBytes+commandSuffixBytes {
		return c, fmt.Errorf("command of %d bytes is too short", len(b))
	}
	if b[0] != commandVersion {
		return c, fmt.Errorf("command of unknown version %d", b[0])
	}
	encoded, suffix := b, b[len(b)-commandSuffixBytes:]
	if got, want := suffixChecksum(encoded), binary.LittleEndian.Uint32(suffix[12:]); got != want {
		return c, fmt.Errorf("checksum of a command's end is %08x, not %08x", got, want)
	}
	c.closed = hlc.Timestamp{WallTime: int64(binary.LittleEndian.Uint64(suffix)), Logical: int32(binary.LittleEndian.Uint32(suffix[8:]))}
	b = b[:len(b)-commandSuffixBytes]
	if got, want := crc32.Checksum(b[5:], crcTable), binary.LittleEndian.Uint32(b[1:]); got != want {
		return c, fmt.Errorf("command checksum is %08x, not %08x", got, want)
	}
	c.id = commandID(binary.LittleEndian.Uint64(b[5:]))
	rest := b[commandPrefixBytes:]
	n, w := binary.Uvarint(rest)
	if w <= 0 || n > uint64(len(rest)-w) {
		return c, fmt.Errorf("command header does not fit its %d bytes", len(b))
	}
	if err := c.header.UnmarshalWire(rest[w : w+int(n)]); err != nil {
		return c, fmt.Errorf("command header: %w", err)
	}
	c.batch = rest[w+int(n):]
	return c, nil
}
