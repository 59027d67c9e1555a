package acceptance

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/cairndb/cairn/acceptance/cluster"
)

func TestWrongFlagsAreRefusedInOneLine(t *testing.T) {
	c := cluster.New(t, *cairn, 1)
	n := c.Nodes[0]
	start := func(args ...string) []string {
		return append([]string{"start", "--insecure", "--store", n.Store, "--sql-addr", n.SQL, "--rpc-addr", n.RPC,
			"--http-addr", n.HTTP, "--join", n.RPC}, args...)
	}
	for _, f := range []struct {
		name string
		args []string
		says string
	}{
		{"no store", []string{"start", "--insecure", "--join", n.RPC}, "--store"},
		{"no join", []string{"start", "--insecure", "--store", n.Store}, "--join"},
		{"unknown flag", start("--stroe", "x"), "unknown flag: --stroe"},
		{"unknown command", []string{"frobnicate"}, `unknown command "frobnicate"`},
		{"an argument too many", start("now"), "now"},
		{"neither certificates nor insecure", []string{"start", "--store", n.Store, "--join", n.RPC}, "--certs-dir"},
		{"both", start("--certs-dir", "certs"), "exclude each other"},
		{"insecure on all interfaces", start("--sql-addr", "0.0.0.0:1"), "--insecure-anywhere"},
		{"no port", start("--sql-addr", "localhost"), "--sql-addr"},
		{"port too high", start("--sql-addr", "127.0.0.1:70000"), "--sql-addr"},
		{"bad size", start("--cache", "lots"), "--cache"},
		{"bad level", start("--log-level", "loud"), "--log-level"},
		{"bad duration", start("--max-offset", "wide"), "--max-offset"},
		{"no certificates there", []string{"start", "--store", n.Store, "--join", n.RPC, "--certs-dir", filepath.Join(c.Dir, "none")}, "--certs-dir"},
		{"store is a file", start("--store", writeFile(t, c, "file")), "file"},
		{"nobody there", []string{"node", "ls", "--host", n.RPC}, n.RPC},
		{"no such key", []string{"range", "split", "here", "--host", n.RPC}, "here"},
		{"demo of none", []string{"demo", "--nodes", "0"}, "--nodes"},
	} {
		t.Run(f.name, func(t *testing.T) {
			r := c.Cairn(f.args...)
			if r.Code != 1 {
				t.Errorf("status %d, want 1", r.Code)
			}
			isOneLine(t, r.Stderr, "cairn: ", f.says)
		})
	}
}

func writeFile(t *testing.T, c *cluster.Cluster, name string) string {
	t.Helper()
	path := filepath.Join(c.Dir, name)
	if err := os.WriteFile(path, []byte("not a folder"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatCannotStartSaysWhyAndHurtsNobody(t *testing.T) {
	c := start(t, 3)
	n := c.Nodes[0]
	conn := connect(t, n.URL())
	mustExec(t, conn, "CREATE TABLE t (k int PRIMARY KEY)")

	refused := func(name string, parts []string, change func(o *cluster.Node)) {
		t.Run(name, func(t *testing.T) {
			other := cluster.New(t, *cairn, 1)
			o := other.Nodes[0]
			o.Args = []string{"--join", n.RPC, "--log-level", "error"}
			change(o)
			o.Launch()
			o.ExpectEnd()
			if code := o.WaitEnd(20 * time.Second); code != 1 {
				t.Errorf("status %d, want 1", code)
			}
			isOneLine(t, o.Log(), parts...)
		})
	}
	refused("SQL port busy", []string{"--sql-addr", "in use"}, func(o *cluster.Node) { o.SQL = n.SQL })
	refused("RPC port busy", []string{"--rpc-addr", "in use"}, func(o *cluster.Node) { o.RPC = n.RPC })
	refused("HTTP port busy", []string{"--http-addr", "in use"}, func(o *cluster.Node) { o.HTTP = n.HTTP })
	refused("store in use by another process", []string{n.Store}, func(o *cluster.Node) { o.Store = n.Store })
	refused("another maximum offset", []string{"--max-offset"}, func(o *cluster.Node) { o.Args = append(o.Args, "--max-offset", "100ms") })
	refused("store of another cluster", []string{"another cluster"}, func(o *cluster.Node) { o.Store = foreignStore(t) })
	refused("store that cannot be written", []string{"store"}, func(o *cluster.Node) { o.Store = "/proc/cairn" })

	t.Run("init twice", func(t *testing.T) {
		for _, n := range c.Nodes {
			r := c.Cairn("init", "--host", n.RPC)
			if r.Code != 1 {
				t.Errorf("status %d, want 1", r.Code)
			}
			isOneLine(t, r.Stderr, "already been initialised")
		}
	})
	for i, n := range c.Nodes {
		mustExec(t, connect(t, n.URL()), "INSERT INTO t VALUES ($1)", i)
	}
}

// foreignStore is the folder of a node of some other cluster.
func foreignStore(t *testing.T) string {
	t.Helper()
	other := start(t, 1)
	other.Nodes[0].Stop()
	return other.Nodes[0].Store
}

// packet is a message as the Postgres protocol frames it.
func packet(kind byte, body []byte) []byte {
	out := []byte{kind, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(out[1:], uint32(len(body)+4))
	return append(out, body...)
}

func TestMalformedBytesCostOneConnection(t *testing.T) {
	c := start(t, 1)
	n := c.Nodes[0]
	watch := connect(t, n.URL())
	startup := startupMessage(t)
	for _, m := range []struct {
		name string
		send []byte
	}{
		{"nothing", nil},
		{"an HTTP request", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
		{"a TLS hello", []byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}},
		{"zeros", make([]byte, 1000)},
		{"ones", bytes.Repeat([]byte{0xff}, 1000)},
		{"a start-up packet of two gigabytes", []byte{0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0}},
		{"a start-up packet of length 1", []byte{0, 0, 0, 1}},
		{"a start-up packet cut short", startup[:len(startup)-5]},
		{"protocol 2", []byte{0, 0, 0, 8, 0, 2, 0, 0}},
		{"a cancel request for nobody", []byte{0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 2}},
		{"an unknown message", append(startup[:len(startup):len(startup)], packet('!', []byte("x"))...)},
		{"a message of two gigabytes", append(startup[:len(startup):len(startup)], 'Q', 0x7f, 0xff, 0xff, 0xff)},
		{"a message of length 0", append(startup[:len(startup):len(startup)], 'Q', 0, 0, 0, 0)},
		{"a query without an end", append(startup[:len(startup):len(startup)], packet('Q', []byte("SELECT 1"))...)},
		{"a query that is not text", append(startup[:len(startup):len(startup)], packet('Q', []byte("SELECT '\xff\xfe\x00\x00'\x00"))...)},
		{"a bind with too many parameters", append(startup[:len(startup):len(startup)], packet('B', []byte("\x00\x00\x00\x01\x00\x01\xff\xff"))...)},
		{"an empty parse", append(startup[:len(startup):len(startup)], packet('P', nil)...)},
		{"copy data without a copy", append(startup[:len(startup):len(startup)], packet('d', []byte("1\t2\n"))...)},
		{"a password nobody asked for", append(startup[:len(startup):len(startup)], packet('p', []byte("secret\x00"))...)},
	} {
		t.Run(m.name, func(t *testing.T) {
			answer := exchange(t, n.SQL, m.send)
			if errs := bytes.Count(answer, []byte("SERROR\x00")) + bytes.Count(answer, []byte("SFATAL\x00")); errs > 1 {
				t.Errorf("%d errors for one mistake: %q", errs, answer)
			}
			if bytes.Contains(answer, []byte("goroutine")) || bytes.Contains(answer, []byte("panic")) {
				t.Errorf("the server's inside shows: %q", answer)
			}
			if got := one[int](t, watch, "SELECT 1"); got != 1 {
				t.Error("the server does not go on")
			}
		})
	}
	if log := n.Log(); strings.Contains(log, "panic") {
		t.Errorf("a panic:\n%s", n.LogTail(30))
	}
}

func startupMessage(t *testing.T) []byte {
	t.Helper()
	m := &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30,
		Parameters: map[string]string{"user": "root", "database": "defaultdb"}}
	out, err := m.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// exchange sends bytes, half-closes, and returns what comes until the server
// hangs up.
func exchange(t *testing.T, addr string, send []byte) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(send); err != nil {
		return nil // the server has seen enough
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return nil
	}
	answer, err := io.ReadAll(conn)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Errorf("the server neither answers nor hangs up; so far %q", answer)
	}
	return answer
}

func TestStatementsNobodyCanRunLeaveTheSessionUsable(t *testing.T) {
	url := server(t)
	conn := connect(t, url)
	deep := strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000)
	for _, s := range []struct{ name, stmt, code string }{
		{"nesting", "SELECT " + deep, ""},
		{"a long chain", "SELECT 1" + strings.Repeat(" + 1", 20_000), ""},
		{"many values", "SELECT 1 WHERE 1 IN (" + strings.Repeat("1,", 50_000) + "1)", ""},
		{"a long name", "SELECT 1 AS " + strings.Repeat("x", 100_000), ""},
		{"not text", "SELECT '\xff'", "22021"},
		{"a regular expression that explodes", "SELECT 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' ~ '^(a+)+$'", ""},
		{"too large a number", "SELECT 1e999999::numeric", ""},
		{"two statements with a parameter", "SELECT 1; SELECT 2", ""},
	} {
		t.Run(s.name, func(t *testing.T) {
			_, err := conn.PgConn().Exec(t.Context(), s.stmt).ReadAll()
			if s.code != "" {
				wantCode(t, err, s.code)
			}
			if err != nil && strings.Contains(err.Error(), "panic") {
				t.Error(err)
			}
			if got := one[int](t, conn, "SELECT 1"); got != 1 {
				t.Error("the session does not go on")
			}
		})
	}
}

// randomText does not compress.
func randomText(bytes int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	out := make([]byte, bytes)
	x := uint64(time.Now().UnixNano())
	for i := range out {
		x = x*6364136223846793005 + 1442695040888963407
		out[i] = letters[x>>58]
	}
	return string(out)
}
