package link

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"testing"
	"time"
)

// echo serves lines back, and returns its address.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
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
				in := bufio.NewScanner(c)
				for in.Scan() {
					fmt.Fprintln(c, in.Text())
				}
			}()
		}
	}()
	return l.Addr().String()
}

// start makes a network between a and the echo server b, and calls b as a.
func start(t *testing.T) (*Network, *caller) {
	t.Helper()
	n := New(func(net.Addr, net.Addr) string { return "a" })
	t.Cleanup(n.Close)
	x, err := n.Listen("127.0.0.1:0", "", "b", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	return n, call(t, x.Addr())
}

type caller struct {
	net.Conn
	lines chan string
}

func call(t *testing.T, addr string) *caller {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &caller{conn, make(chan string, 100)}
	go func() {
		defer close(c.lines)
		in := bufio.NewScanner(conn)
		for in.Scan() {
			c.lines <- in.Text()
		}
	}()
	return c
}

func (c *caller) say(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(c, line); err != nil {
		t.Fatal(err)
	}
}

var ab, ba = Way{"a", "b"}, Way{"b", "a"}

func TestACutHoldsAndHealingDelivers(t *testing.T) {
	for _, w := range []Way{ab, ba} {
		n, c := start(t)
		c.say(t, "one")
		if got := <-c.lines; got != "one" {
			t.Fatal(got)
		}
		did := n.Measure(w)
		n.Shape(Shape{Cut: true}, w)
		c.say(t, "two")
		c.say(t, "three")
		select {
		case got := <-c.lines:
			t.Errorf("%q passed the cut of %v", got, w)
		case <-time.After(30 * time.Millisecond):
		}
		n.Heal()
		if a, b := <-c.lines, <-c.lines; a != "two" || b != "three" {
			t.Errorf("%q, %q", a, b)
		}
		if d := did(); d.Held == 0 {
			t.Errorf("%v: %+v", w, d)
		}
	}
}

func TestAConnectionWaitsForACutToHeal(t *testing.T) {
	n := New(func(net.Addr, net.Addr) string { return "a" })
	t.Cleanup(n.Close)
	x, err := n.Listen("127.0.0.1:0", "", "b", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	n.Shape(Shape{Cut: true}, ba) // one way is enough
	c := call(t, x.Addr())
	c.say(t, "hello")
	for len(n.conns()) == 0 {
		time.Sleep(time.Millisecond)
	}
	n.Heal()
	if got := <-c.lines; got != "hello" {
		t.Error(got)
	}
}

func TestABrokenConnectionEnds(t *testing.T) {
	n, c := start(t)
	c.say(t, "one")
	<-c.lines
	n.Shape(Shape{Cut: true}, ab)
	c.say(t, "lost")
	if n.Break(ba) != 1 {
		t.Error("nothing was broken")
	}
	if got, open := <-c.lines; open {
		t.Errorf("%q after the end", got)
	}
}

func TestResetsLoseAnswers(t *testing.T) {
	n, c := start(t)
	n.Shape(Shape{Reset: 1}, ba)
	c.say(t, "asked")
	if got, open := <-c.lines; open {
		t.Errorf("answered %q", got)
	}
}

func TestDelaysKeepOrder(t *testing.T) {
	n, c := start(t)
	n.Shape(Shape{Delay: time.Millisecond, Jitter: 4 * time.Millisecond, Loss: 0.2, StallTime: 10 * time.Millisecond}, ab)
	did := n.Measure(ab)
	for i := range 50 {
		c.say(t, fmt.Sprint(i))
	}
	for i := range 50 {
		if got := <-c.lines; got != fmt.Sprint(i) {
			t.Fatalf("%s instead of %d", got, i)
		}
	}
	if did().Delayed == 0 {
		t.Error("nothing was delayed")
	}
}

func TestTheKernelKnowsWhoCalls(t *testing.T) {
	owner := make(chan int, 1)
	n := New(func(remote, local net.Addr) string {
		owner <- OwnerAmong(remote, local, []int{1, os.Getpid()})
		return "a"
	})
	t.Cleanup(n.Close)
	x, err := n.Listen("127.0.0.1:0", "", "b", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	call(t, x.Addr())
	if got := <-owner; got != os.Getpid() {
		t.Errorf("process %d, not %d", got, os.Getpid())
	}
}

// The two ways to ask for a socket's inode agree, where the kernel has both.
func TestTheKernelAndItsTableAgree(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := call(t, l.Addr().String())
	table := socketInode(c.LocalAddr(), c.RemoteAddr())
	if table == "" {
		t.Error("it is not in the table")
	}
	if asked := askKernel(c.LocalAddr(), c.RemoteAddr()); asked != "" && asked != table {
		t.Errorf("the kernel says %s, its table %s", asked, table)
	}
	if asked := askKernel(c.LocalAddr(), &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9), Port: 9}); asked != "" {
		t.Errorf("a socket that is not there has inode %s", asked)
	}
}

func BenchmarkOwner(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer near.Close()
	for b.Loop() {
		if OwnerAmong(near.LocalAddr(), near.RemoteAddr(), []int{os.Getpid()}) != os.Getpid() {
			b.Fatal("not found")
		}
	}
}
