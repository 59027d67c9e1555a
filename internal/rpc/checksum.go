package rpc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/version"
)

// TCP's checksum lets one of 65,536 damaged segments pass, and hardware that
// computes it anew lets all of them; without TLS nothing else would notice. So
// everything carries a CRC-32C of its own, but to and from builds of before
// version.V2:
//
//	batch     the head's first four bytes, over the rest of the batch, continuing
//	          the checksum of the batch before it on the stream: one that was lost,
//	          repeated or changed places is noticed as well (I7)
//	Hello, unary messages
//	          a last field that nobody knows, and that older builds skip
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

// trailerHead begins field 2047, of four bytes: the checksum of what is before it.
var trailerHead = append(binary.AppendUvarint(nil, 2047<<3|2), sumBytes)

// trailer is what follows the bytes of a message.
func trailer(data ...[]byte) []byte {
	var sum uint32
	for _, b := range data {
		sum = crc32.Update(sum, castagnoli, b)
	}
	return binary.BigEndian.AppendUint32(bytes.Clone(trailerHead), sum)
}

// checkTrailer checks the bytes of a message, and says whether they have a trailer.
// One without is from a build of before version.V2.
func checkTrailer(b []byte) (sealed bool, err error) {
	at := len(b) - len(trailerHead) - sumBytes
	if at < 0 || !bytes.HasPrefix(b[at:], trailerHead) {
		return false, nil
	}
	if !bytes.Equal(b[at:], trailer(b[:at])) {
		return true, errChecksum
	}
	return true, nil
}

// encode is the Hello's bytes.
func (h *Hello) encode() []byte {
	b := h.AppendWire(nil)
	return append(b, trailer(b)...)
}

// decodeHello is the opposite.
func decodeHello(b []byte) (h Hello, err error) {
	sealed, err := checkTrailer(b)
	if err == nil {
		err = h.UnmarshalWire(b)
	}
	if err == nil && !sealed && h.versions().Latest >= version.V2 {
		err = errChecksum
	}
	return h, err
}
