package link

import (
	"encoding/binary"
	"net"
	"strconv"
	"syscall"
	"unsafe"
)

// Of linux/sock_diag.h and linux/inet_diag.h.
const (
	netlinkSockDiag  = 4
	sockDiagByFamily = 20
)

// diagID is struct inet_diag_sockid: addresses and ports in network order.
type diagID struct {
	sport, dport [2]byte
	src, dst     [16]byte
	interfaceID  uint32
	cookie       [2]uint32
}

// diagRequest is struct nlmsghdr and struct inet_diag_req_v2.
type diagRequest struct {
	header                    syscall.NlMsghdr
	family, protocol, ext, pa uint8
	states                    uint32
	id                        diagID
}

// diagAnswer is struct nlmsghdr and struct inet_diag_msg.
type diagAnswer struct {
	header                        syscall.NlMsghdr
	family, state, timer, retrans uint8
	id                            diagID
	expires, rqueue, wqueue       uint32
	uid, inode                    uint32
}

// askKernel finds the inode of one socket by its two addresses. The kernel looks
// it up in its table; /proc/net/tcp would have it print the whole of it, which
// takes 17 ms on a machine with five hundred sockets. It is empty if the kernel
// does not answer, as where its module is missing.
func askKernel(own, peer net.Addr) string {
	a, ok := own.(*net.TCPAddr)
	b, ok2 := peer.(*net.TCPAddr)
	if !ok || !ok2 || a.IP.To4() == nil || b.IP.To4() == nil {
		return ""
	}
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, netlinkSockDiag)
	if err != nil {
		return ""
	}
	defer syscall.Close(fd)
	// A kernel that never answers must not hold up a connection.
	timeout := syscall.Timeval{Sec: 1}
	if syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout) != nil {
		return ""
	}
	q := diagRequest{family: syscall.AF_INET, protocol: syscall.IPPROTO_TCP, states: ^uint32(0)}
	q.header = syscall.NlMsghdr{Len: uint32(unsafe.Sizeof(q)), Type: sockDiagByFamily, Flags: syscall.NLM_F_REQUEST, Seq: 1}
	binary.BigEndian.PutUint16(q.id.sport[:], uint16(a.Port))
	binary.BigEndian.PutUint16(q.id.dport[:], uint16(b.Port))
	copy(q.id.src[:], a.IP.To4())
	copy(q.id.dst[:], b.IP.To4())
	q.id.cookie = [2]uint32{^uint32(0), ^uint32(0)}
	out := (*[unsafe.Sizeof(q)]byte)(unsafe.Pointer(&q))[:]
	if err := syscall.Sendto(fd, out, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return ""
	}
	in := make([]byte, 8192)
	n, _, err := syscall.Recvfrom(fd, in, 0)
	if err != nil || n < int(unsafe.Sizeof(diagAnswer{})) {
		return ""
	}
	answer := (*diagAnswer)(unsafe.Pointer(&in[0]))
	if answer.header.Type != sockDiagByFamily || answer.inode == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(answer.inode), 10)
}
