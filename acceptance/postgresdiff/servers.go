package postgresdiff

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
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
	port := freePort(t)
	server := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-c", "listen_addresses=127.0.0.1", "-c", "port="+port,
		"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "TimeZone=UTC", "-c", "default_transaction_isolation=serializable")
	server.SysProcAttr, server.Dir = attr, dir
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT) // at once: nobody needs its data
		_ = server.Wait()
		log.Close()
	})
	url := fmt.Sprintf("postgres://root@127.0.0.1:%s/postgres?sslmode=disable", port)
	waitFor(t, url)
	return url
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func waitFor(t *testing.T, url string) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = admin(t.Context(), url, "SELECT 1"); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// admin runs one statement on a connection of its own.
func admin(ctx context.Context, url, text string) error {
	conn, err := pgconn.Connect(ctx, url)
	if err != nil {
		return err
	}
	return errors.Join(conn.Exec(ctx, text).Close(), conn.Close(ctx))
}

// database makes a fresh database and returns its URL.
func database(t *testing.T, url, name string) string {
	t.Helper()
	// A server that is not new may have it from an earlier run.
	if err := admin(t.Context(), url, "DROP DATABASE IF EXISTS "+name); err != nil {
		t.Fatal(err)
	}
	if err := admin(t.Context(), url, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	cfg, err := pgconn.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("postgres://%s@%s:%d/%s?sslmode=disable", cfg.User, cfg.Host, cfg.Port, name)
}
