package cluster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports are taken from below the kernel's range for outgoing connections
// (32768 and up by default): a port from that range may be somebody's by the
// time a killed node wants it back.
const (
	portMin = 20000
	portMax = 32000
)

// taken are the ports that this process has given out. Nobody listens on them
// until their node has started, so trying to is not enough.
var taken struct {
	sync.Mutex
	ports map[int]bool
}

// freeAddr returns a loopback address nobody listens on, another one each time.
func freeAddr() (string, error) {
	taken.Lock()
	defer taken.Unlock()
	if taken.ports == nil {
		taken.ports = map[int]bool{}
	}
	for range 100 {
		port := portMin + rand.IntN(portMax-portMin)
		if taken.ports[port] {
			continue
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		l.Close()
		taken.ports[port] = true
		return addr, nil
	}
	return "", fmt.Errorf("no free port between %d and %d", portMin, portMax)
}
