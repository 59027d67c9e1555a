package cluster

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports are taken from below the kernel's range for outgoing connections
// (32768 and up by default): a port from that range may be somebody's by the
// time a killed node wants it back.
const (
	portMin = 20000
	portMax = 32000
)

// freeAddr returns a loopback address nobody listens on.
func freeAddr() (string, error) {
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", portMin+rand.IntN(portMax-portMin))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		l.Close()
		return addr, nil
	}
	return "", fmt.Errorf("no free port between %d and %d", portMin, portMax)
}
