package sql

import (
	"strings"
	"testing"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/sql/sqlerr"
)

// tokenOf is the session's token.
func tokenOf(t *testing.T, s *Session) hlc.Timestamp {
	t.Helper()
	got, err := query(t, s, "show cairn.causality_token")
	if err != nil {
		t.Fatal(err)
	}
	at, err := hlc.ParseTimestamp(strings.TrimSuffix(got, " SHOW"))
	if err != nil {
		t.Fatalf("%q: %v", got, err)
	}
	return at
}

// A session that was given another's token reads and writes above it, though
// its gateway's clock has not come so far.
func TestATokenOrdersTransactionsOfTwoGateways(t *testing.T) {
	srv := newTestServer(t)
	a := newTableSession(t, srv)
	clock := srv.cfg.DB.Clock()
	ahead := clock.Now().Timestamp().AddNanos(int64(clock.MaxOffset()) - int64(50*time.Millisecond))
	mustShow(t, a, "set cairn.causality_token = '"+ahead.String()+"'", "SET")
	mustShow(t, a, "insert into t values (1, 1)", "INSERT 0 1")
	wrote := tokenOf(t, a)
	if wrote.Less(ahead) {
		t.Errorf("wrote at %s, below the token %s", wrote, ahead)
	}
	b := newTestSession(t, srv)
	mustShow(t, b, "begin", "BEGIN")
	mustShow(t, b, "set cairn.causality_token = '"+wrote.String()+"'", "SET")
	mustShow(t, b, "select b from t", "1 SELECT 1")
	if read := b.tx.t.ReadTimestamp(); read.Less(wrote) {
		t.Errorf("read at %s, below the token %s", read, wrote)
	}
	if _, err := query(t, b, "set cairn.causality_token = '"+wrote.String()+"'"); !sqlerr.HasCode(err, sqlerr.ActiveSQLTransaction) {
		t.Errorf("a token in the middle of a transaction: %v", err)
	}
	mustShow(t, b, "rollback", "ROLLBACK")
	if got := tokenOf(t, b); got.Less(wrote) {
		t.Errorf("the token fell to %s", got)
	}
}

func TestTokensThatAreNone(t *testing.T) {
	s := newTestSession(t, newTestServer(t))
	far := s.srv.cfg.DB.Clock().Now().Timestamp().AddNanos(int64(time.Hour))
	for _, v := range []string{"x", "-5", far.String()} {
		if _, err := query(t, s, "set cairn.causality_token = '"+v+"'"); !sqlerr.HasCode(err, sqlerr.InvalidParameterValue) {
			t.Errorf("%s: %v", v, err)
		}
	}
}

// The client is told of the token after each transaction, once it has asked.
func TestTheTokenIsReported(t *testing.T) {
	srv := newTestServer(t)
	a := newTableSession(t, srv)
	run := func(q string) string {
		w := &statusWriter{textWriter: textWriter{s: a}}
		if err := a.ExecSimple(t.Context(), q, w); err != nil {
			t.Fatal(err)
		}
		return w.told
	}
	if got := run("insert into t values (1, 1)"); got != "" {
		t.Errorf("nobody asked: %s", got)
	}
	run("set cairn.causality_token = ''")
	if got, want := run("begin; insert into t values (2, 2); commit"), causalityToken+"="+a.causality.String(); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

// statusWriter keeps the last ParameterStatus.
type statusWriter struct {
	textWriter
	told string
}

// ParameterStatus implements ResultWriter.
func (w *statusWriter) ParameterStatus(name, value string) error {
	w.told = name + "=" + value
	return nil
}
