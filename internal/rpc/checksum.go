package rpc

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/cairndb/cairn/hlc"
	"google.golang.org/grpc/mem"
)

// TCP's checksum lets one of 65,536 damaged segments pass, and hardware that
// computes it anew lets all of them; without TLS nothing else would notice. So
// everything carries a CRC-32C of its own:
//
//	batch     the head's first four bytes, over the rest of the batch, continuing
//	          the checksum of the batch before it on the stream: one that was lost,
//	          repeated or changed places is noticed as well (I7)
//	Hello     its last field
//	unary     an unknown field at the message's end, which older builds skip
//
// Rejected: a checksum of each frame, which costs more and would not notice the
// loss of a whole batch, as when a flipped bit makes an unknown kind of HTTP/2
// frame of it.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errChecksum = errors.New("rpc: what arrived is not what was sent: its checksum is wrong")

const (
	// sumBytes and clockBytes are the two parts of a batch's head.
	sumBytes   = 4
	clockBytes = 12
	headBytes  = sumBytes + clockBytes
)

// chain is the checksum of the batches so far of one direction of a stream. Only
// the goroutine that writes, or reads, uses it.
type chain uint32

// seal fills in the head of a batch.
func (c *chain) seal(b []byte, now hlc.ClockTimestamp) {
	putClock(b[sumBytes:], now)
	*c = chain(crc32.Update(uint32(*c), castagnoli, b[sumBytes:]))
	binary.BigEndian.PutUint32(b, uint32(*c))
}

// open checks a batch, and returns its clock reading and its frames.
func (c *chain) open(b []byte) (hlc.ClockTimestamp, []byte, error) {
	if len(b) < headBytes {
		return hlc.ClockTimestamp{}, nil, errChecksum
	}
	*c = chain(crc32.Update(uint32(*c), castagnoli, b[sumBytes:]))
	if binary.BigEndian.Uint32(b) != uint32(*c) {
		return hlc.ClockTimestamp{}, nil, errChecksum
	}
	return cutClock(b[sumBytes:])
}

// sum is the checksum of a Hello's other fields.
func (h Hello) sum() uint32 {
	h.Sum = 0
	return crc32.Checksum(h.AppendWire(nil), castagnoli)
}

// A unary message ends with field 2047, a fixed32: the checksum of what is before.
const (
	trailerTag   = 2047<<3 | 5
	trailerBytes = 2 + 4
)

// trailer is what follows the bytes of a unary message.
func trailer(data mem.BufferSlice) mem.Buffer {
	var sum uint32
	for _, b := range data {
		sum = crc32.Update(sum, castagnoli, b.ReadOnlyData())
	}
	out := binary.AppendUvarint(make([]byte, 0, trailerBytes), trailerTag)
	return mem.SliceBuffer(binary.LittleEndian.AppendUint32(out, sum))
}

// checkTrailer checks the bytes of a unary message. One without a trailer is from
// an older build.
func checkTrailer(b []byte) error {
	at := len(b) - trailerBytes
	if at < 0 {
		return nil
	}
	if tag, n := binary.Uvarint(b[at:]); tag != trailerTag || n != trailerBytes-4 {
		return nil
	}
	if binary.LittleEndian.Uint32(b[at+2:]) != crc32.Checksum(b[:at], castagnoli) {
		return errChecksum
	}
	return nil
}
