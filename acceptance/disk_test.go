package acceptance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cairndb/cairn/acceptance/cluster"
)

// These tests give a node a small file system of its own, for which they must
// be allowed to mount.

func TestANodeOnAFullDiskRefusesDataAndServesTheRest(t *testing.T) {
	c := cluster.New(t, *cairn, 1)
	n := c.Nodes[0]
	n.Store = smallDisk(t, c, 96)
	n.Launch()
	c.Init()
	n.WaitReady()
	conn := connect(t, n.URL())
	mustExec(t, conn, "CREATE TABLE t (k int PRIMARY KEY, v text)")
	acked := fillUp(t, conn, 0)
	// Flushes and compactions may make room again; another program takes it.
	full := func() { fillFile(t, filepath.Join(filepath.Dir(n.Store), "filler"), 12<<20) }
	eventually(t, 10*time.Second, "the node is full for good", func() error {
		full()
		if states, err := c.NodeStates(n); err != nil || states[n.ID] != "disk full" {
			return fmt.Errorf("node ls says %v, %v", states, err)
		}
		_, err := conn.Exec(t.Context(), "UPDATE t SET v = 'x' WHERE k = 1")
		if err == nil {
			return errors.New("an update is taken")
		}
		wantCode(t, err, "53100")
		if ready := httpGet(t, n, "/ready"); !strings.Contains(ready, "nearly full") {
			return fmt.Errorf("/ready says %q", ready)
		}
		return nil
	})
	if got := one[int](t, conn, "SELECT count(*) FROM t"); got != acked {
		t.Errorf("%d rows of %d acknowledged", got, acked)
	}
	mustExec(t, conn, "DELETE FROM t WHERE k = 0")
	mustExec(t, conn, "CREATE TABLE other (k int PRIMARY KEY)")
	mustExec(t, conn, "DROP TABLE other")

	// A full node stops in good order, and starts again.
	n.Stop()
	full()
	n.Restart()
	conn = connect(t, n.URL())
	acked = fillUp(t, conn, acked)

	grow(t, n.Store, 256)
	took := eventually(t, 10*time.Second, "data are taken again", func() error {
		_, err := conn.Exec(t.Context(), "INSERT INTO t VALUES (-2, 'room')")
		return err
	})
	t.Logf("%d rows fitted; data were taken again %v after there was room", acked, took.Round(time.Millisecond))
	if got := one[int](t, conn, "SELECT count(*) FROM t WHERE k > 0"); got != acked-1 {
		t.Errorf("%d rows of %d", got, acked-1)
	}
}

// Another program fills the disk to the last byte, twice: the ballast carries
// the node over the first time. The second time it stands still, or ends and
// says why; with room again everything that was acknowledged is there.
func TestANodeWhoseDiskOthersFillLosesNothing(t *testing.T) {
	c := cluster.New(t, *cairn, 1)
	n := c.Nodes[0]
	n.Store = smallDisk(t, c, 96)
	n.Launch()
	c.Init()
	n.WaitReady()
	conn := connect(t, n.URL())
	mustExec(t, conn, "CREATE TABLE t (k int PRIMARY KEY, v text)")
	const rows, step = 20_000, 500
	mustExec(t, conn, "INSERT INTO t SELECT g, repeat(md5(g::text), 10) FROM generate_series(1, $1::int) g", rows)
	ballast := filepath.Join(n.Store, "ballast")
	hasBallast := func() bool { _, err := os.Stat(ballast); return err == nil }
	eventually(t, 5*time.Second, "there is a ballast", func() error { _, err := os.Stat(ballast); return err })
	fill := func() { fillFile(t, filepath.Join(filepath.Dir(n.Store), "filler"), 0) }
	fill()
	acked := 0
	deleteMore := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := conn.Exec(ctx, "DELETE FROM t WHERE k BETWEEN $1 AND $2", acked+1, acked+step)
		if err == nil {
			acked += step
		}
		return err
	}
	// Logs that are used again may have room for all of these.
	for hasBallast() && acked < rows/2 {
		if err := deleteMore(); err != nil {
			t.Fatalf("after %d deletes: %v", acked, err)
		}
	}
	fill()
	if _, err := conn.Exec(t.Context(), "INSERT INTO t VALUES (-1, 'no room')"); err == nil {
		t.Error("a full node takes data")
	}
	t.Logf("after %d deletes the ballast is there: %v", acked, hasBallast())

	n.ExpectEnd()
	var err error
	for err == nil && acked < rows-step {
		fill()
		err = deleteMore()
	}
	t.Logf("after %d deletes: %v; the node is running: %v", acked, err, n.Running())
	grow(t, n.Store, 256)
	if !n.Running() {
		if code := n.WaitEnd(time.Second); code != 3 {
			t.Errorf("status %d, want 3", code)
		}
		lines := strings.Split(strings.TrimSpace(n.Log()), "\n")
		isOneLine(t, lines[len(lines)-1], "cairn: fatal: ", "no space left on device")
		n.Restart()
	}
	eventually(t, 20*time.Second, "data are taken again", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if conn.IsClosed() {
			conn = connect(t, n.URL())
		}
		_, err := conn.Exec(ctx, "INSERT INTO t VALUES (-2, 'room') ON CONFLICT DO NOTHING")
		return err
	})
	if got := one[int](t, conn, "SELECT count(*) FROM t WHERE k BETWEEN 1 AND $1", acked); got != 0 {
		t.Errorf("%d rows are back whose deletion was acknowledged", got)
	}
	// The last statement's fate is open.
	if got := one[int](t, conn, "SELECT count(*) FROM t WHERE k > $1", acked+step); got != rows-acked-step {
		t.Errorf("%d rows of %d", got, rows-acked-step)
	}
	if log := n.Log(); strings.Contains(log, "goroutine ") || strings.Count(log, "\n") > 200 {
		t.Errorf("the log has %d lines:\n%s", strings.Count(log, "\n"), n.LogTail(30))
	}
}

// The ballast also lets a node start on a full disk, once. Without it a start is
// refused, and nothing is lost.
func TestANodeStartsOnAFullDiskWithItsBallast(t *testing.T) {
	c := cluster.New(t, *cairn, 1)
	n := c.Nodes[0]
	n.Store = smallDisk(t, c, 96)
	n.Launch()
	c.Init()
	n.WaitReady()
	conn := connect(t, n.URL())
	mustExec(t, conn, "CREATE TABLE t (k int PRIMARY KEY)")
	mustExec(t, conn, "INSERT INTO t SELECT generate_series(1, 1000)")
	ballast := filepath.Join(n.Store, "ballast")
	eventually(t, 5*time.Second, "there is a ballast", func() error { _, err := os.Stat(ballast); return err })
	n.Stop()
	fillFile(t, filepath.Join(filepath.Dir(n.Store), "filler"), 0)
	n.Restart()
	conn = connect(t, n.URL())
	if got := one[int](t, conn, "SELECT count(*) FROM t"); got != 1000 {
		t.Errorf("%d rows of 1000", got)
	}
	_, err := conn.Exec(t.Context(), "INSERT INTO t VALUES (-1)")
	wantCode(t, err, "53100")
	n.Stop()
	fillFile(t, filepath.Join(filepath.Dir(n.Store), "filler"), 0)
	n.Launch()
	n.ExpectEnd()
	if code := n.WaitEnd(20 * time.Second); code != 3 {
		t.Errorf("status %d of a start without room, want 3", code)
	}
	lines := strings.Split(strings.TrimSpace(n.Log()), "\n")
	isOneLine(t, lines[len(lines)-1], "cairn: ", "no space left on device")
	grow(t, n.Store, 256)
	n.Restart()
	conn = connect(t, n.URL())
	mustExec(t, conn, "INSERT INTO t VALUES (-2)")
	if got := one[int](t, conn, "SELECT count(*) FROM t WHERE k > 0"); got != 1000 {
		t.Errorf("%d rows of 1000", got)
	}
}

// TestAClusterGoesOnWithoutAFullNode: one disk of three is small. Its node hands
// its ranges to the others, which go on as if it were slow, and catches up when
// it has room.
func TestAClusterGoesOnWithoutAFullNode(t *testing.T) {
	c := cluster.New(t, *cairn, 3)
	small := c.Nodes[0]
	small.Store = smallDisk(t, c, 96)
	for _, n := range c.Nodes {
		n.Launch()
	}
	c.Init()
	for _, n := range c.Nodes {
		n.WaitReady()
	}
	replicated(t, c)
	conn := connect(t, small.URL())
	mustExec(t, conn, "CREATE TABLE t (k int PRIMARY KEY, v text)")
	replicated(t, c)
	const rows = 300 // of 400 kB: more than the small disk holds
	refused := 0
	for i := range rows {
		eventually(t, 15*time.Second, "a row is taken", func() error {
			_, err := conn.Exec(t.Context(), "INSERT INTO t VALUES ($1, $2) ON CONFLICT DO NOTHING", i, randomText(400_000))
			if err != nil {
				wantCode(t, err, "53100")
				refused++
			}
			return err
		})
	}
	t.Logf("%d statements were refused while ranges moved", refused)
	for _, n := range c.Nodes {
		if got := one[int](t, connect(t, n.URL()), "SELECT count(*) FROM t"); got != rows {
			t.Errorf("%s: %d rows of %d", n.Name, got, rows)
		}
	}
	if states, err := c.NodeStates(c.Nodes[1]); err != nil || states[small.ID] != "disk full" {
		t.Errorf("node ls says %v, %v", states, err)
	}
	grow(t, small.Store, 1024)
	eventually(t, 20*time.Second, "the node has room", func() error {
		if states, err := c.NodeStates(c.Nodes[1]); err != nil || states[small.ID] != "live" {
			return fmt.Errorf("%v, %v", states, err)
		}
		return nil
	})
	// Without another one the small node has to have everything.
	eventually(t, 60*time.Second, "the node has caught up", func() error {
		mustExec(t, conn, "INSERT INTO t VALUES (-1, 'x') ON CONFLICT (k) DO UPDATE SET v = 'y'")
		r := c.Cairn("range", "ls", "--host", small.RPC)
		if r.Code != 0 {
			return fmt.Errorf("%s", r.Stderr)
		}
		return nil
	})
	c.Nodes[2].Kill9()
	eventually(t, 60*time.Second, "two nodes of three answer", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := conn.Exec(ctx, "INSERT INTO t VALUES (-2, 'x') ON CONFLICT DO NOTHING")
		if err != nil && conn.IsClosed() {
			conn = connect(t, small.URL())
		}
		return err
	})
	if got := one[int](t, connect(t, small.URL()), "SELECT count(*) FROM t WHERE k >= 0"); got != rows {
		t.Errorf("%d rows of %d", got, rows)
	}
}

func TestANodeOnAReadOnlyDiskSaysSo(t *testing.T) {
	c := cluster.New(t, *cairn, 1)
	n := c.Nodes[0]
	n.Store = smallDisk(t, c, 96)
	start := func(parts ...string) {
		t.Helper()
		n.Launch()
		n.ExpectEnd()
		if code := n.WaitEnd(20 * time.Second); code != 1 {
			t.Errorf("status %d, want 1", code)
		}
		lines := strings.Split(strings.TrimSpace(n.Log()), "\n")
		isOneLine(t, lines[len(lines)-1], append(parts, "cairn: ")...)
		if log := n.Log(); strings.Contains(log, "goroutine ") {
			t.Errorf("a panic:\n%s", n.LogTail(30))
		}
	}
	remount(t, n.Store, "ro")
	start("make the store's folder", "read-only file system")
	remount(t, n.Store, "rw")
	n.Launch()
	c.Init()
	n.WaitReady()
	mustExec(t, connect(t, n.URL()), "CREATE TABLE t (k int PRIMARY KEY)")
	n.Stop()
	remount(t, n.Store, "ro")
	start("open the store", "read-only file system")
	remount(t, n.Store, "rw")
	n.Restart()
	mustExec(t, connect(t, n.URL()), "INSERT INTO t VALUES (1)")
}

// fillUp inserts rows, the first with key from, until they are refused for want
// of space, and returns the first that was refused.
func fillUp(t *testing.T, conn *pgx.Conn, from int) int {
	t.Helper()
	for k := from; k < from+400; k++ {
		_, err := conn.Exec(t.Context(), "INSERT INTO t VALUES ($1, $2)", k, randomText(400_000))
		if err != nil {
			wantCode(t, err, "53100")
			isOneLine(t, err.Error(), "no space left on device")
			return k
		}
	}
	t.Fatal("the disk never filled")
	return 0
}

// fillFile lets a file grow until so much room is left on its disk.
func fillFile(t *testing.T, path string, leaveBytes uint64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 64<<10); err == nil; {
		var disk syscall.Statfs_t
		if err := syscall.Statfs(path, &disk); err != nil {
			t.Fatal(err)
		}
		left := disk.Bavail * uint64(disk.Bsize)
		if left <= leaveBytes {
			return
		}
		_, err = f.Write(block[:min(uint64(len(block)), left-leaveBytes)])
	}
}

func httpGet(t *testing.T, n *cluster.Node, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + n.HTTP + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func remount(t *testing.T, store, option string) {
	t.Helper()
	out, err := exec.Command("mount", "-o", "remount,"+option, filepath.Dir(store)).CombinedOutput()
	if err != nil {
		t.Fatalf("remount: %s", out)
	}
}

func smallDisk(t *testing.T, c *cluster.Cluster, sizeMB int) string {
	t.Helper()
	dir := filepath.Join(c.Dir, "disk")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", sizeMB), "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no file systems may be mounted here: %s", out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %s", out)
		}
	})
	return filepath.Join(dir, "store")
}

func grow(t *testing.T, store string, sizeMB int) {
	t.Helper()
	remount(t, store, fmt.Sprintf("size=%dm", sizeMB))
}
