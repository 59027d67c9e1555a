package link

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// startPackets makes links between a and the echo server b, or skips where this
// process may not make namespaces.
func startPackets(t *testing.T) *Packets {
	t.Helper()
	p, err := NewPackets("me", "a", "b")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(p.Close)
	return p
}

// serveIn echoes bytes in a party's namespace.
func serveIn(t *testing.T, p *Packets, name, addr string) string {
	t.Helper()
	var l net.Listener
	if err := p.all[name].in(func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(addr, "7000"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func callFrom(t *testing.T, p *Packets, name, addr string) net.Conn {
	t.Helper()
	var c net.Conn
	if err := p.all[name].in(func() (err error) {
		c, err = net.DialTimeout("tcp", addr, 20*time.Second)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// echoed sends bytes and compares what comes back.
func echoed(t *testing.T, c net.Conn, n int) error {
	t.Helper()
	sent := make([]byte, n)
	for i := range sent {
		sent[i] = byte(rand.Uint32())
	}
	failed := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		failed <- err
	}()
	got := make([]byte, n)
	_, err := io.ReadFull(c, got)
	if err == nil {
		err = <-failed
	}
	if err == nil && !bytes.Equal(sent, got) {
		err = errChanged
	}
	return err
}

var errChanged = fmt.Errorf("other bytes came back")

func TestPacketsSufferAndStreamsDoNot(t *testing.T) {
	p := startPackets(t)
	kept, _ := p.Addresses("b")
	c := callFrom(t, p, "a", serveIn(t, p, "b", kept))
	for _, test := range []struct {
		name  string
		shape Shape
		felt  func(Counts) bool
	}{
		{"nothing", Shape{}, func(c Counts) bool { return c.Pieces > 0 && c.Delayed == 0 }},
		{"delay", Shape{Delay: time.Millisecond, Jitter: time.Millisecond}, func(c Counts) bool { return c.Delayed > 0 }},
		{"loss", Shape{Loss: 0.05}, func(c Counts) bool { return c.Lost > 0 && c.Kernel.Retransmitted > 0 }},
		{"reorder", Shape{Reorder: 0.2, ReorderTime: 3 * time.Millisecond}, func(c Counts) bool { return c.Reordered > 0 && c.Kernel.OutOfOrder > 0 }},
		{"duplicate", Shape{Duplicate: 0.3}, func(c Counts) bool { return c.Duplicated > 0 && c.Kernel.Repeated > 0 }},
		{"corrupt", Shape{Corrupt: 0.05}, func(c Counts) bool { return c.Corrupted > 0 && c.Kernel.BadChecksums > 0 }},
	} {
		did := p.Measure(ab, ba)
		p.Shape(test.shape, ab, ba)
		for range 4 {
			if err := echoed(t, c, 200_000); err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
		}
		p.Heal()
		if c := did(); !test.felt(c) {
			t.Errorf("%s: %+v", test.name, c)
		}
	}
}

func TestAFlippedBitPassesTCP(t *testing.T) {
	p := startPackets(t)
	kept, _ := p.Addresses("b")
	c := callFrom(t, p, "a", serveIn(t, p, "b", kept))
	p.Shape(Shape{Flip: 1}, ab)
	did := p.Measure(ab)
	if err := echoed(t, c, 1000); err != errChanged {
		t.Fatal(err)
	}
	if c := did(); c.Flipped == 0 || c.Kernel.BadChecksums > 0 {
		t.Errorf("%+v", c)
	}
}

func TestACutOfPackets(t *testing.T) {
	p := startPackets(t)
	kept, _ := p.Addresses("b")
	c := callFrom(t, p, "a", serveIn(t, p, "b", kept))
	did := p.Measure(ab, ba)
	p.Shape(Shape{Cut: true}, ba)
	done := make(chan error, 1)
	go func() { done <- echoed(t, c, 10) }()
	for did().Held == 0 {
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-done:
		t.Fatalf("it passed the cut: %v", err)
	default:
	}
	p.Heal()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBrokenPackets(t *testing.T) {
	p := startPackets(t)
	kept, _ := p.Addresses("b")
	addr := serveIn(t, p, "b", kept)
	for name, hurt := range map[string]func(){
		"break": func() {
			if n := p.Break(ba); n < 1 {
				t.Errorf("%d connections", n)
			}
		},
		"reset": func() { p.Shape(Shape{Reset: 1}, ab) },
	} {
		c := callFrom(t, p, "a", addr)
		if err := echoed(t, c, 10); err != nil {
			t.Fatal(err)
		}
		hurt()
		if err := echoed(t, c, 10); err == nil || err == errChanged {
			t.Errorf("%s: %v", name, err)
		}
		p.Heal()
		if err := echoed(t, callFrom(t, p, "a", addr), 10); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

func TestPartiesSwapAddresses(t *testing.T) {
	p := startPackets(t)
	_, was := p.Addresses("a")
	if err := p.Swap("a", "b"); err != nil {
		t.Fatal(err)
	}
	if _, is := p.Addresses("b"); is != was {
		t.Fatalf("%s is not %s", is, was)
	}
	// This process is a party too.
	addr := serveIn(t, p, "b", was)
	for _, from := range []string{"me", "a"} {
		did := p.Measure(Way{from, "b"})
		if err := echoed(t, callFrom(t, p, from, addr), 1000); err != nil || did().Pieces == 0 {
			t.Errorf("from %s: %v, %+v", from, err, did())
		}
	}
}

// Nothing is left: not even a device of this process.
func TestClosedPacketsLeaveNothing(t *testing.T) {
	p := startPackets(t)
	p.Close()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if strings.HasPrefix(i.Name, fmt.Sprintf("cairn%d", os.Getpid())) {
			t.Errorf("%s is still there", i.Name)
		}
	}
}

func BenchmarkPackets(b *testing.B) {
	p, err := NewPackets("me", "a", "b")
	if err != nil {
		b.Skip(err)
	}
	defer p.Close()
	var l net.Listener
	if err := p.all["b"].in(func() (err error) {
		kept, _ := p.Addresses("b")
		l, err = net.Listen("tcp", kept+":7000")
		return err
	}); err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, _ = io.Copy(c, c)
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 300)
	for b.Loop() {
		if _, err := c.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			b.Fatal(err)
		}
	}
}
