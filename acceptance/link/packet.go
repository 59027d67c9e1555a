package link

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
)

// packet is one of IPv4 (RFC 791), with its header.
type packet []byte

// Of the headers of IPv4 and TCP (RFC 9293).
const (
	ipHeaderMin  = 20
	tcpHeaderMin = 20
	protocolTCP  = 6

	flagFIN, flagSYN, flagRST, flagACK = 1, 2, 4, 16
)

func (b packet) valid() bool {
	return len(b) >= ipHeaderMin && b[0]>>4 == 4 && b.header() >= ipHeaderMin && len(b) >= b.header()
}

// header is the length of the IP header.
func (b packet) header() int   { return int(b[0]&15) * 4 }
func (b packet) from() address { return address(b[12:16]) }
func (b packet) to() address   { return address(b[16:20]) }
func (b packet) clone() packet { return bytes.Clone(b) }

func (b packet) isTCP() bool { return b[9] == protocolTCP && len(b) >= b.header()+tcpHeaderMin }

func (b packet) tcp() []byte { return b[b.header():] }
func (b packet) flags() byte { return b.tcp()[13] }

// corrupt flips a bit behind the IP header: the segment's checksum tells.
func (b packet) corrupt() {
	if rest := b[b.header():]; len(rest) > 0 {
		flip(rest)
	}
}

// flipData flips a bit of the data and makes the checksum right again, as hardware
// does that computes it anew. It is false if there is no data.
func (b packet) flipData() bool {
	if !b.isTCP() {
		return false
	}
	t := b.tcp()
	head := int(t[12]>>4) * 4
	if head < tcpHeaderMin || head >= len(t) {
		return false
	}
	flip(t[head:])
	b.sumTCP()
	return true
}

func (b packet) sumTCP() {
	t := b.tcp()
	binary.BigEndian.PutUint16(t[16:], 0)
	pseudo := append(bytes.Clone(b[12:20]), 0, protocolTCP, byte(len(t)>>8), byte(len(t)))
	binary.BigEndian.PutUint16(t[16:], ^fold(fold(0, pseudo), t))
}

func (b packet) sumIP() {
	binary.BigEndian.PutUint16(b[10:], 0)
	binary.BigEndian.PutUint16(b[10:], ^fold(0, b[:b.header()]))
}

// fold adds up 16-bit words in one's complement (RFC 1071).
func fold(sum uint16, b []byte) uint16 {
	n := uint32(sum)
	for len(b) > 1 {
		n += uint32(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		n += uint32(b[0]) << 8
	}
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return uint16(n)
}

// resets are two packets that break the connection which b, of TCP, belongs to: one
// for whom it is to, in its sender's name, and one the other way round.
func (b packet) resets() (there, back packet) {
	t := b.tcp()
	seq, ack := binary.BigEndian.Uint32(t[4:]), binary.BigEndian.Uint32(t[8:])
	there = rst(b.from(), b.to(), t[0:2], t[2:4], seq, ack)
	if b.flags()&flagACK == 0 {
		ack, seq = 0, seq+1 // the answer to a SYN
	}
	return there, rst(b.to(), b.from(), t[2:4], t[0:2], ack, seq)
}

func rst(from, to address, fromPort, toPort []byte, seq, ack uint32) packet {
	b := make(packet, ipHeaderMin+tcpHeaderMin)
	b[0], b[8], b[9] = 4<<4|ipHeaderMin/4, 64, protocolTCP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], uint16(rand.Uint32()))
	copy(b[12:], from[:])
	copy(b[16:], to[:])
	t := b.tcp()
	copy(t, fromPort)
	copy(t[2:], toPort)
	binary.BigEndian.PutUint32(t[4:], seq)
	binary.BigEndian.PutUint32(t[8:], ack)
	t[12], t[13] = tcpHeaderMin/4<<4, flagRST|flagACK
	b.sumIP()
	b.sumTCP()
	return b
}

// reset breaks the connection that a packet belongs to.
func (p *Packets) reset(b packet) {
	there, back := b.resets()
	routes := *p.routes.Load()
	for _, r := range []packet{there, back} {
		if x := routes[r.to()]; x != nil {
			x.take(r)
		}
	}
}
