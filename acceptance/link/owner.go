package link

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
)

// OwnerAmong returns which of the processes has the socket that a connection
// comes from, by its port on this machine; 0 is none of them. It needs no rights
// but those on processes of the same user.
func OwnerAmong(remote, local net.Addr, pids []int) int {
	inode := askKernel(remote, local)
	if inode == "" {
		inode = socketInode(remote, local)
	}
	if inode == "" {
		return 0
	}
	want := "socket:[" + inode + "]"
	for _, pid := range pids {
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		fds, err := os.ReadDir(dir)
		if err != nil {
			continue // it has just ended
		}
		for _, fd := range fds {
			if to, err := os.Readlink(dir + "/" + fd.Name()); err == nil && to == want {
				return pid
			}
		}
	}
	return 0
}

// socketInode finds the inode of the socket of who called: its own address is
// remote, and its peer's local. It is empty for none. The table may have many
// thousands of lines, and be read as often as nodes fail to connect, so only the
// one line is taken apart.
func socketInode(remote, local net.Addr) string {
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return ""
	}
	return inodeIn(text, hexAddr(remote)+" "+hexAddr(local)+" 01 ")
}

// inodeIn finds the line with the two addresses and the state, 01 for
// established: sl local remote state queues timer retransmits uid timeout inode
// (proc(5)).
func inodeIn(table []byte, want string) string {
	i := bytes.Index(table, []byte(want))
	if i < 0 {
		return ""
	}
	rest := table[i+len(want):]
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	f := bytes.Fields(line)
	const inode = 5 // after the state
	if len(f) <= inode {
		return ""
	}
	return string(f[inode])
}

// hexAddr is an IPv4 address and port as the kernel prints them: the address as
// a number in the machine's byte order.
func hexAddr(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok || t.IP.To4() == nil {
		return "none"
	}
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(t.IP.To4()), t.Port)
}
