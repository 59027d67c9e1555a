package pgwire

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/cairndb/cairn/sql"
	"github.com/cairndb/cairn/sql/hba"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// fakeBackend knows one role with a password, and sessions that answer a few
// made-up statements.
type fakeBackend struct {
	verifier string
	rules    *hba.Rules
	// terminate, if set, gets what ends each session.
	terminate chan func()
}

func (f *fakeBackend) ConnectionRule(_ context.Context, c hba.Client) (*hba.Rule, bool, error) {
	rule, ok := f.rules.Match(c)
	return rule, ok, nil
}

func (f *fakeBackend) ConnectionsMax() int { return 0 }

func (f *fakeBackend) LookupRole(_ context.Context, name string) (sql.Role, bool, error) {
	return sql.Role{Name: name, CanLogin: true, Verifier: f.verifier}, name == "ann", nil
}

func (f *fakeBackend) NewSession(_ context.Context, a sql.SessionArgs) (Session, error) {
	if a.Database == "nowhere" {
		// As a function returns it whose result is a pointer: not a nil Session.
		return (*fakeSession)(nil), sqlerr.New(sqlerr.InvalidCatalogName, "database %q does not exist", a.Database)
	}
	if f.terminate != nil {
		f.terminate <- a.Terminate
	}
	return &fakeSession{cancelled: make(chan struct{}, 1), params: a.Params}, nil
}

type fakeSession struct {
	Session
	cancelled chan struct{}
	params    map[string]string
	prepared  string
	failed    bool
	mu        sync.Mutex
	closed    bool
}

func (s *fakeSession) StartupParams() []sql.Param {
	return []sql.Param{{Name: "server_version", Value: "15.0"}}
}
func (s *fakeSession) Env() *types.Env              { return &types.Env{} }
func (s *fakeSession) TxnStatus() sql.TxnStatus     { return sql.TxnIdle }
func (s *fakeSession) IdleTimeout() sql.IdleTimeout { return sql.IdleTimeout{} }
func (s *fakeSession) Fail()                        { s.failed = true }

func (s *fakeSession) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (s *fakeSession) Cancel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	select {
	case s.cancelled <- struct{}{}:
	default:
	}
}

var textCol = []sql.Column{{Name: "v", Type: types.T{OID: 25, Mod: -1}}}

func (s *fakeSession) ExecSimple(ctx context.Context, q string, w sql.ResultWriter) error {
	switch q {
	case "wait":
		select {
		case <-s.cancelled:
			return sqlerr.New(sqlerr.QueryCanceled, "canceling statement due to user request")
		case <-ctx.Done():
			return ctx.Err()
		}
	case "copy":
		r, err := w.CopyIn(sql.FormatText, 1)
		if err != nil {
			return err
		}
		n := 0
		for {
			b, err := r.Next()
			if err == io.EOF {
				return w.CommandComplete(fmt.Sprintf("COPY %d", n))
			}
			if err != nil {
				return err
			}
			if bytes.Contains(b, []byte("bad")) {
				return sqlerr.New(sqlerr.InvalidTextRepresentation, "bad row")
			}
			n += bytes.Count(b, []byte("\n"))
		}
	}
	return s.rows(q, w)
}

func (s *fakeSession) rows(q string, w sql.ResultWriter) error {
	if err := w.RowDescription(textCol); err != nil {
		return err
	}
	if err := w.BeginRows(textCol); err != nil {
		return err
	}
	mark := w.Mark()
	if err := w.Row(types.Row{types.NewText("taken back")}); err != nil || !w.Rewind(mark) {
		return fmt.Errorf("rewind: %v", err)
	}
	if err := w.Row(types.Row{types.NewText(q)}); err != nil {
		return err
	}
	if err := w.Row(types.Row{types.Null}); err != nil {
		return err
	}
	return w.CommandComplete("SELECT 2")
}

func (s *fakeSession) Prepare(_ context.Context, w sql.ResultWriter, _, q string, _ []types.OID) error {
	if q == "bad" {
		return sqlerr.New(sqlerr.SyntaxError, "syntax error at or near %q", q).WithPos(1)
	}
	s.prepared = q
	return w.Ack(sql.AckParse)
}
func (s *fakeSession) Bind(_ context.Context, w sql.ResultWriter, a sql.BindArgs) error {
	for _, p := range a.Params {
		s.prepared += "," + string(p)
	}
	return w.Ack(sql.AckBind)
}
func (s *fakeSession) DescribeStatement(_ context.Context, w sql.ResultWriter, _ string) error {
	if err := w.ParameterDescription([]types.T{{OID: 25, Mod: -1}}); err != nil {
		return err
	}
	return w.RowDescription(textCol)
}
func (s *fakeSession) DescribePortal(_ context.Context, w sql.ResultWriter, _ string) error {
	return w.RowDescription(textCol)
}
func (s *fakeSession) Execute(_ context.Context, w sql.ResultWriter, _ string, _ int) error {
	if err := w.BeginRows(textCol); err != nil {
		return err
	}
	if err := w.Row(types.Row{types.NewText(s.prepared)}); err != nil {
		return err
	}
	return w.CommandComplete("SELECT 1")
}
func (s *fakeSession) CloseStatement(_ context.Context, w sql.ResultWriter, _ string) error {
	return w.Ack(sql.AckClose)
}
func (s *fakeSession) ClosePortal(_ context.Context, w sql.ResultWriter, _ string) error {
	return w.Ack(sql.AckClose)
}
func (s *fakeSession) Sync(context.Context, sql.ResultWriter) error { return nil }

func serve(t testing.TB, edit func(*Config)) (*Server, string) {
	t.Helper()
	verifier, err := NewVerifier("s3cret")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Backend: &fakeBackend{verifier: verifier}, NodeID: 3, Insecure: true, Log: slog.New(slog.DiscardHandler)}
	if edit != nil {
		edit(&cfg)
	}
	s := NewServer(cfg)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(s.Close)
	return s, l.Addr().String()
}

func connect(t testing.TB, addr, rest string) *pgconn.PgConn {
	t.Helper()
	c, err := pgconn.Connect(t.Context(), "postgres://ann@"+addr+"/db?"+rest)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func TestSimpleQueryAndRewind(t *testing.T) {
	_, addr := serve(t, nil)
	c := connect(t, addr, "sslmode=disable")
	res, err := c.Exec(t.Context(), "hello").ReadAll()
	if err != nil || len(res) != 1 || len(res[0].Rows) != 2 || string(res[0].Rows[0][0]) != "hello" || res[0].Rows[1][0] != nil {
		t.Fatalf("%v %v", res, err)
	}
	if got := c.ParameterStatus("server_version"); got != "15.0" {
		t.Errorf("server_version %q", got)
	}
	if c.PID()>>sql.PIDNodeShift != 3 {
		t.Errorf("pid %x does not name node 3", c.PID())
	}
}

func TestExtendedProtocolSkipsToSyncAfterAnError(t *testing.T) {
	_, addr := serve(t, nil)
	c := connect(t, addr, "sslmode=disable")
	r := c.ExecParams(t.Context(), "echo", [][]byte{[]byte("x")}, nil, nil, nil).Read()
	if r.Err != nil || string(r.Rows[0][0]) != "echo,x" {
		t.Fatalf("%v", r)
	}
	var pe *pgconn.PgError
	r = c.ExecParams(t.Context(), "bad", nil, nil, nil, nil).Read()
	if !errors.As(r.Err, &pe) || pe.Code != "42601" || pe.Position != 1 {
		t.Fatalf("%v", r.Err)
	}
	b := &pgconn.Batch{}
	b.ExecParams("one", nil, nil, nil, nil)
	b.ExecParams("two", nil, nil, nil, nil)
	all, err := c.ExecBatch(t.Context(), b).ReadAll()
	if err != nil || len(all) != 2 || string(all[1].Rows[0][0]) != "two" {
		t.Fatalf("batch: %v %v", all, err)
	}
}

func TestCopyInAndItsFailures(t *testing.T) {
	_, addr := serve(t, nil)
	c := connect(t, addr, "sslmode=disable")
	tag, err := c.CopyFrom(t.Context(), strings.NewReader("a\nb\nc\n"), "copy")
	if err != nil || tag.RowsAffected() != 3 {
		t.Fatalf("%v %v", tag, err)
	}
	if _, err := c.CopyFrom(t.Context(), strings.NewReader("a\nbad\nc\n"), "copy"); err == nil {
		t.Fatal("a bad row was copied")
	}
	if _, err := c.CopyFrom(t.Context(), io.MultiReader(strings.NewReader("a\n"), &failing{}), "copy"); err == nil {
		t.Fatal("a failing source was copied")
	}
	if _, err := c.Exec(t.Context(), "still here").ReadAll(); err != nil {
		t.Fatalf("the connection did not survive: %v", err)
	}
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, errors.New("source broke") }

func TestCancel(t *testing.T) {
	_, addr := serve(t, nil)
	c := connect(t, addr, "sslmode=disable")
	done := make(chan error)
	go func() { _, err := c.Exec(context.Background(), "wait").ReadAll(); done <- err }()
	for {
		if err := c.CancelRequest(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			var pe *pgconn.PgError
			if !errors.As(err, &pe) || pe.Code != "57014" {
				t.Fatal(err)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A session that is ended while its client rests says so, and closes; one that
// is in a call does so when that returns.
func TestTerminatedSessionsSaySo(t *testing.T) {
	b := &fakeBackend{terminate: make(chan func(), 1)}
	_, addr := serve(t, func(c *Config) { c.Backend = b })
	c := connect(t, addr, "sslmode=disable")
	(<-b.terminate)()
	_, err := c.Exec(t.Context(), "rows 1").ReadAll()
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Code != "57P01" || pe.Severity != "FATAL" || !c.IsClosed() {
		t.Errorf("%v, closed %t", err, c.IsClosed())
	}
	c = connect(t, addr, "sslmode=disable")
	end := <-b.terminate
	done := make(chan error)
	go func() { _, err := c.Exec(context.Background(), "wait").ReadAll(); done <- err }()
	end()
	for {
		// The fake session's statement ends when it is cancelled.
		_ = c.CancelRequest(t.Context())
		select {
		case err := <-done:
			if err == nil || !c.IsClosed() {
				t.Errorf("%v, closed %t", err, c.IsClosed())
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestScram(t *testing.T) {
	_, addr := serve(t, func(c *Config) { c.Insecure = false })
	for _, tc := range []struct{ user, password, code string }{
		{"ann", "s3cret", ""},
		{"ann", "wrong", "28P01"},
		{"bob", "s3cret", "28P01"},
	} {
		c, err := pgconn.Connect(t.Context(), fmt.Sprintf("postgres://%s:%s@%s/db?sslmode=disable", tc.user, tc.password, addr))
		var pe *pgconn.PgError
		switch {
		case tc.code == "" && err != nil:
			t.Errorf("%s: %v", tc.user, err)
		case tc.code != "" && (!errors.As(err, &pe) || pe.Code != tc.code):
			t.Errorf("%s/%s: %v, want %s", tc.user, tc.password, err, tc.code)
		}
		if c != nil {
			c.Close(t.Context())
		}
	}
}

// Rules come before what holds without them, and nobody's certificate but root's
// comes before rules.
func TestConnectionRules(t *testing.T) {
	verifier, err := NewVerifier("secret")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ rules, url, want string }{
		{"host all ann all trust", "postgres://ann@%s/db?sslmode=disable", ""},
		{"host other ann all trust", "postgres://ann:secret@%s/db?sslmode=disable",
			`no pg_hba.conf entry for host "127.0.0.1", user "ann", database "db", no encryption`},
		{"host all all 10.0.0.0/8 trust; host all all all reject", "postgres://ann:secret@%s/db?sslmode=disable",
			`pg_hba.conf rejects connection for host "127.0.0.1", user "ann", database "db", no encryption`},
		{"host all all all scram-sha-256", "postgres://ann:secret@%s/db?sslmode=disable", ""},
		{"host all all all scram-sha-256", "postgres://ann:wrong@%s/db?sslmode=disable", `password authentication failed for user "ann"`},
		{"hostssl all all all cert", "postgres://ann:secret@%s/db?sslmode=require", `certificate authentication failed for user "ann"`},
		{"hostssl all all all scram-sha-256 clientcert=verify-full", "postgres://ann:secret@%s/db?sslmode=require",
			"connection requires a valid client certificate"},
		{"hostnossl all all all trust", "postgres://ann@%s/db?sslmode=require",
			`no pg_hba.conf entry for host "127.0.0.1", user "ann", database "db", SSL encryption`},
	} {
		rules, err := hba.Parse(tc.rules)
		if err != nil {
			t.Fatal(err)
		}
		_, addr := serve(t, func(c *Config) {
			c.Insecure = false
			c.Backend = &fakeBackend{verifier: verifier, rules: rules}
			c.TLS = &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}
		})
		c, err := pgconn.Connect(t.Context(), fmt.Sprintf(tc.url, addr))
		var pe *pgconn.PgError
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", tc.rules, err)
		case tc.want != "" && (!errors.As(err, &pe) || pe.Message != tc.want || pe.Severity != "FATAL"):
			t.Errorf("%s: %v, want %s", tc.rules, err, tc.want)
		}
		if c != nil {
			c.Close(t.Context())
		}
	}
}

func TestVerifierIsPostgresForm(t *testing.T) {
	v, err := NewVerifier("x")
	if err != nil {
		t.Fatal(err)
	}
	creds, err := ParseVerifier(v)
	if err != nil || creds.Iters != scramIterations || !equalKeys(creds.StoredKey, creds.StoredKey) {
		t.Fatalf("%s: %v", v, err)
	}
	for _, bad := range []string{"", "md5abc", "SCRAM-SHA-256$x:y$z:w", "SCRAM-SHA-256$4096:!$a:b"} {
		if _, err := ParseVerifier(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestTLSAndRequireTLS(t *testing.T) {
	cert := selfSigned(t)
	_, addr := serve(t, func(c *Config) {
		c.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		c.RequireTLS = true
	})
	connect(t, addr, "sslmode=require")
	_, err := pgconn.Connect(t.Context(), "postgres://ann@"+addr+"/db?sslmode=disable")
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Code != "28000" {
		t.Fatalf("without TLS: %v", err)
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "node"},
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestStartupErrorsReachTheClient(t *testing.T) {
	_, addr := serve(t, func(c *Config) { c.ConnectionsMax = 1 })
	var pe *pgconn.PgError
	_, err := pgconn.Connect(t.Context(), "postgres://ann@"+addr+"/nowhere?sslmode=disable")
	if !errors.As(err, &pe) || pe.Code != "3D000" || pe.Severity != "FATAL" {
		t.Fatalf("%v", err)
	}
	time.Sleep(10 * time.Millisecond)
	connect(t, addr, "sslmode=disable")
	_, err = pgconn.Connect(t.Context(), "postgres://ann@"+addr+"/db?sslmode=disable")
	if !errors.As(err, &pe) || pe.Code != "53300" {
		t.Fatalf("one too many: %v", err)
	}
}

func TestDrainEndsIdleSessionsAndWaitsForRunningOnes(t *testing.T) {
	s, addr := serve(t, nil)
	idle, busy := connect(t, addr, "sslmode=disable"), connect(t, addr, "sslmode=disable")
	done := make(chan error)
	go func() { _, err := busy.Exec(context.Background(), "wait").ReadAll(); done <- err }()
	time.Sleep(20 * time.Millisecond)
	drained := make(chan struct{})
	go func() { s.Drain(context.Background()); close(drained) }()
	_, err := idle.ReceiveMessage(t.Context())
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Code != "57P01" {
		t.Fatalf("idle session: %v", err)
	}
	select {
	case <-drained:
		t.Fatal("drained while a statement runs")
	case <-time.After(20 * time.Millisecond):
	}
	if err := busy.CancelRequest(t.Context()); err == nil {
		t.Log("a cancel request got through although the listener is closed")
	}
	s.Close()
	<-done
	<-drained
}

func TestOptionsParameter(t *testing.T) {
	p := map[string]string{"options": `-c a=1 --b-c=two\ words -cd=4 -x`}
	expandOptions(p)
	want := map[string]string{"a": "1", "b_c": "two words", "d": "4"}
	if fmt.Sprint(p) != fmt.Sprint(want) {
		t.Errorf("got %v want %v", p, want)
	}
}

// TestPgxRoundTrip runs the driver most clients use.
func TestPgxRoundTrip(t *testing.T) {
	_, addr := serve(t, nil)
	c, err := pgx.Connect(t.Context(), "postgres://ann@"+addr+"/db?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	var got string
	if err := c.QueryRow(t.Context(), "q", "arg").Scan(&got); err != nil || got != "q,arg" {
		t.Fatalf("%q %v", got, err)
	}
}

// FuzzConnection feeds bytes to a fresh connection: it must end or answer, and
// never panic (I2).
func FuzzConnection(f *testing.F) {
	start, _ := (&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "ann"}}).Encode(nil)
	query, _ := (&pgproto3.Query{String: "x"}).Encode(nil)
	parse, _ := (&pgproto3.Parse{Query: "x"}).Encode(nil)
	bind, _ := (&pgproto3.Bind{Parameters: [][]byte{{1}}}).Encode(nil)
	f.Add(append(append([]byte{}, start...), query...))
	f.Add(append(append(append([]byte{}, start...), parse...), bind...))
	f.Add([]byte{0, 0, 0, 8, 4, 210, 22, 47})
	s := NewServer(Config{Backend: &fakeBackend{}, Insecure: true, Log: slog.New(slog.DiscardHandler)})
	f.Fuzz(func(t *testing.T, in []byte) {
		client, server := net.Pipe()
		go func() {
			io.Copy(io.Discard, client)
		}()
		go func() {
			client.Write(in)
			client.Close()
		}()
		if bytes.Contains(in, []byte("wait")) {
			return
		}
		s.ServeConn(server)
	})
}

// A row whose values panic half way is dropped by what is written next.
func TestAHalfWrittenRowIsDropped(t *testing.T) {
	var w writer
	_ = w.BeginRows([]sql.Column{{Type: types.Int4}, {Type: types.Int4}})
	before := len(w.buf)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the value is meant to panic")
			}
		}()
		_ = w.Row(types.Row{types.NewInt(1), types.NewInt(2), types.NewInt(3)}) // more than there are columns
	}()
	if err := w.CommandComplete("SELECT 1"); err != nil || len(w.buf) != before+len("C1234SELECT 1\x00") || w.buf[before] != 'C' {
		t.Errorf("%v, %q", err, w.buf[before:])
	}
}
