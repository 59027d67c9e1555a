package link

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// established is a TCP socket's state in /proc/net/tcp (proc(5)).
const established = "01"

// OwnerAmong returns which of the processes has the socket that a connection
// comes from, by its port on this machine; 0 is none of them. It needs no rights
// but those on processes of the same user.
func OwnerAmong(remote, local net.Addr, pids []int) int {
	inode := socketInode(port(remote), port(local))
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

func port(a net.Addr) int {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.Port
	}
	return 0
}

// socketInode finds the socket with these ports: the one of who called, so its
// own port first.
func socketInode(own, other int) string {
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		// sl local remote state queues timer retransmits uid timeout inode
		f := strings.Fields(line)
		if len(f) > 9 && f[3] == established && hexPort(f[1]) == own && hexPort(f[2]) == other {
			return f[9]
		}
	}
	return ""
}

func hexPort(addr string) int {
	_, p, _ := strings.Cut(addr, ":")
	n, err := strconv.ParseInt(p, 16, 32)
	if err != nil {
		return -1
	}
	return int(n)
}
