package rpc

import (
	"encoding/binary"
	"fmt"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/wire"
)

// frameKind is the first byte of a frame.
type frameKind uint8

const (
	frameCall frameKind = iota + 1
	frameReply
	frameError
	frameSend
	frameCancel
)

// frame is one message of a batch:
//
//	kind (1 byte) · method (1 byte) · call id (varint) · length (varint) · payload
type frame struct {
	kind    frameKind
	method  Method
	call    uint64
	payload []byte
}

func putClock(b []byte, now hlc.ClockTimestamp) {
	binary.BigEndian.PutUint64(b, uint64(now.WallTime))
	binary.BigEndian.PutUint32(b[8:], uint32(now.Logical))
}

func cutClock(b []byte) (hlc.ClockTimestamp, []byte, error) {
	if len(b) < clockBytes {
		return hlc.ClockTimestamp{}, nil, wire.ErrTruncated
	}
	return hlc.ClockTimestamp{
		WallTime: int64(binary.BigEndian.Uint64(b)),
		Logical:  int32(binary.BigEndian.Uint32(b[8:])),
	}, b[clockBytes:], nil
}

// appendFrame appends a frame whose payload msg encodes in place; the length
// is filled in afterwards.
func appendFrame(b []byte, kind frameKind, method Method, call uint64, msg Appender) []byte {
	b = append(b, byte(kind), byte(method))
	b = binary.AppendUvarint(b, call)
	b = append(b, 0)
	start := len(b)
	if msg != nil {
		b = msg.AppendWire(b)
	}
	return wire.End(b, start)
}

// cutFrame cuts the first frame off b; its payload aliases b.
func cutFrame(b []byte) (f frame, rest []byte, err error) {
	if len(b) < 2 {
		return f, nil, wire.ErrTruncated
	}
	f.kind, f.method = frameKind(b[0]), Method(b[1])
	if f.kind < frameCall || f.kind > frameCancel {
		return f, nil, fmt.Errorf("%w: frame kind %d", wire.ErrMalformed, f.kind)
	}
	if f.call, b, err = wire.Uint(b[2:]); err != nil {
		return f, nil, err
	}
	f.payload, rest, err = wire.Cut(b)
	return f, rest, err
}
