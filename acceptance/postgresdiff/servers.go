package postgresdiff

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// postgresBin finds the programs of a PostgreSQL 15.
func postgresBin() (string, bool) {
	const dir = "/usr/lib/postgresql/15/bin"
	_, err := os.Stat(filepath.Join(dir, "initdb"))
	return dir, err == nil
}

// startPostgres runs a scratch server, as the user postgres if we are root,
// which initdb refuses to be.
func startPostgres(t *testing.T, bin string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "postgresdiff-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	attr := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("no user to run postgres as: ", err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "root", "--locale=C.UTF-8", "--auth=trust", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	// It listens on a socket in its own directory: a port could be taken.
	server := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-c", "listen_addresses=",
		"-c", "unix_socket_directories="+dir, "-c", "fsync=off", "-c", "TimeZone=UTC", "-c", "default_transaction_isolation=serializable")
	server.SysProcAttr, server.Dir = attr, dir
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	server.Stdout, server.Stderr = log, log
	ended, err := startTied(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT) // at once: nobody needs its data
		<-ended
		log.Close()
	})
	at := urlOf(dir, 5432, "root", "postgres")
	waitFor(t, at)
	return at
}

// startTied starts a server that ends with this process, however that ends.
func startTied(server *exec.Cmd) (ended <-chan struct{}, err error) {
	attr := *server.SysProcAttr
	attr.Pdeathsig = syscall.SIGQUIT
	server.SysProcAttr = &attr
	started, done := make(chan error), make(chan struct{})
	go func() {
		defer close(done)
		// The signal is sent when the thread that forked ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := server.Start()
		started <- err
		if err == nil {
			_ = server.Wait()
		}
	}()
	return done, <-started
}

// urlOf makes a URL; the host may be a directory with a socket.
func urlOf(host string, port uint16, user, database string) string {
	return fmt.Sprintf("postgres://%s@/%s?host=%s&port=%d&sslmode=disable", user, database, url.QueryEscape(host), port)
}

func waitFor(t *testing.T, server string) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = admin(t.Context(), server, "SELECT 1"); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// admin runs one statement on a connection of its own.
func admin(ctx context.Context, server, text string) error {
	conn, err := pgconn.Connect(ctx, server)
	if err != nil {
		return err
	}
	return errors.Join(conn.Exec(ctx, text).Close(), conn.Close(ctx))
}

// database makes a fresh database and returns its URL.
func database(t *testing.T, server, name string) string {
	t.Helper()
	// A server that is not new may have it from an earlier run.
	if err := admin(t.Context(), server, "DROP DATABASE IF EXISTS "+name); err != nil {
		t.Fatal(err)
	}
	if err := admin(t.Context(), server, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	cfg, err := pgconn.ParseConfig(server)
	if err != nil {
		t.Fatal(err)
	}
	return urlOf(cfg.Host, cfg.Port, cfg.User, name)
}
