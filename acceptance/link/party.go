package link

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// party is one end of links: a namespace with a TUN device, which is a network card
// whose cable ends in this process. Both are the kernel's to remove when the last
// that holds them ends, however it ends (I4).
type party struct {
	name string
	// away says that it has a namespace of its own.
	away      bool
	device    string
	addresses []address
	namespace *os.File
	tun       *os.File
}

// newParty makes a namespace, or uses this process's, and a device in it.
func newParty(name, device string, away bool, addresses ...address) (*party, error) {
	x := &party{name: name, device: device, away: away, addresses: addresses}
	err := onThread(func() error {
		if away {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("make a network namespace: %w", err)
			}
		}
		var err error
		if x.namespace, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		if err := up("lo"); err != nil {
			return fmt.Errorf("bring up lo: %w", err)
		}
		if x.tun, err = openTUN(device); err != nil {
			return fmt.Errorf("make the TUN device %s: %w", device, err)
		}
		return x.configure()
	})
	if err != nil {
		x.close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return x, nil
}

// openTUN makes a device without a header before its packets.
func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	r, err := unix.NewIfreq(name)
	if err == nil {
		r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// configure gives the device its addresses. It runs in the namespace.
func (x *party) configure() error {
	if err := device(x.device, unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(mtuBytes); return nil }); err != nil {
		return err
	}
	for i := range x.addresses {
		if err := x.address(i); err != nil {
			return err
		}
	}
	return up(x.device)
}

// address sets the i-th address; the second is that of an alias.
func (x *party) address(i int) error {
	name := x.device
	if i > 0 {
		name = fmt.Sprintf("%s:%d", x.device, i)
	}
	a := x.addresses[i]
	return errors.Join(
		device(name, unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(a[:]) }),
		device(name, unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) }))
}

// readdress sets the i-th address again, which has become another one.
func (x *party) readdress(i int) error { return x.in(func() error { return x.address(i) }) }

// device does something to an interface of the thread's namespace.
func device(name string, what uint, fill func(*unix.Ifreq) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := fill(r); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, what, r); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func up(name string) error {
	return device(name, unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil })
}

// enter puts the calling thread into the namespace.
func (x *party) enter() error { return unix.Setns(int(x.namespace.Fd()), unix.CLONE_NEWNET) }

// in runs f in the namespace.
func (x *party) in(f func() error) error {
	return onThread(func() error {
		if err := x.enter(); err != nil {
			return err
		}
		return f()
	})
}

// onThread runs f on a thread that ends with it, so that nobody runs where it went.
// The main thread does not end, and its namespaces are those that /proc/self has.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			defer runtime.UnlockOSThread()
			done <- onThread(f)
			return
		}
		done <- f()
	}()
	return <-done
}

// take hands the party a packet. One that it has no room for is lost.
func (x *party) take(b packet) { _, _ = x.tun.Write(b) }

func (x *party) close() {
	if x.tun != nil {
		x.tun.Close()
	}
	if x.namespace != nil {
		x.namespace.Close()
	}
}

// kernel reads the namespace's counters.
func (x *party) kernel() (k Kernel, err error) {
	err = x.in(func() error {
		for _, file := range []struct {
			name, prefix string
			want         map[string]*int64
		}{
			{"snmp", "Tcp:", map[string]*int64{"RetransSegs": &k.Retransmitted, "InCsumErrors": &k.BadChecksums}},
			{"netstat", "TcpExt:", map[string]*int64{"TCPOFOQueue": &k.OutOfOrder, "TCPDSACKOldSent": &k.Repeated}},
		} {
			f, err := os.Open("/proc/thread-self/net/" + file.name)
			if err != nil {
				return err
			}
			err = counters(f, file.prefix, file.want)
			f.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
	return k, err
}

// counters reads a table whose lines come in pairs, of names and of numbers.
func counters(in io.Reader, prefix string, want map[string]*int64) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		names := strings.Fields(lines.Text())
		if !lines.Scan() || names[0] != prefix {
			continue
		}
		for i, value := range strings.Fields(lines.Text()) {
			if to := want[names[i]]; to != nil {
				n, err := strconv.ParseInt(value, 10, 64)
				if err != nil {
					return err
				}
				*to = n
			}
		}
		return nil
	}
	return fmt.Errorf("no line begins with %s: %w", prefix, lines.Err())
}
