package sql

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/cairndb/cairn/sql/sqlerr"
)

// TestNoReferenceBreaks has sessions at all isolation levels add rows, move
// them, and remove what they refer to, all at once. In the end no row may refer
// to nothing.
func TestNoReferenceBreaks(t *testing.T) {
	for _, action := range []string{"NO ACTION", "CASCADE", "SET NULL"} {
		t.Run(action, func(t *testing.T) {
			_, srv := newTestServerEnv(t)
			s := newTestSession(t, srv)
			mustExec(t, s, `CREATE TABLE parent (id int PRIMARY KEY, code int UNIQUE, v int);
				CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent ON DELETE `+action+`,
					c int REFERENCES parent (code) ON DELETE `+action+`);
				CREATE INDEX ON child (p);
				INSERT INTO parent SELECT g, g + 1000, 0 FROM generate_series(0, 200) g`)
			var wg sync.WaitGroup
			for n, level := range []string{"serializable", "repeatable read", "read committed", "read committed"} {
				session := newTestSession(t, srv)
				wg.Go(func() { breakReferences(t, session, level, n) })
			}
			wg.Wait()
			for _, col := range []string{"p = parent.id", "c = parent.code"} {
				name, _, _ := strings.Cut(col, " ")
				got := mustExec(t, s, "SELECT count(*) FROM child WHERE "+name+" IS NOT NULL AND NOT EXISTS (SELECT FROM parent WHERE child."+col+")")
				if !strings.HasPrefix(got, "0\n") {
					t.Errorf("rows whose %s refers to nothing: %s", name, got)
				}
			}
		})
	}
}

func breakReferences(t *testing.T, s *Session, level string, n int) {
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	for i := range 150 {
		k := i + rng.IntN(3) // no key comes twice, so that nothing repairs what breaks
		id := n*1000 + i
		stmts := []string{
			fmt.Sprintf("INSERT INTO child VALUES (%d, %d, NULL)", id, k),
			fmt.Sprintf("INSERT INTO child VALUES (%d, NULL, %d)", id, k+1000),
			fmt.Sprintf("UPDATE child SET p = %d WHERE id = %d", k, id-1),
			fmt.Sprintf("DELETE FROM parent WHERE id = %d", k),
			fmt.Sprintf("UPDATE parent SET v = v + 1 WHERE id = %d", k),
			fmt.Sprintf("DELETE FROM child WHERE p = %d", k),
		}
		script := []string{"BEGIN ISOLATION LEVEL " + level}
		for range 1 + rng.IntN(3) {
			script = append(script, stmts[rng.IntN(len(stmts))])
		}
		for _, text := range append(script, "COMMIT") {
			err := s.ExecSimple(context.Background(), text, &textWriter{s: s})
			runtime.Gosched() // the others run while this transaction is open
			if err == nil {
				continue
			}
			switch sqlerr.From(err).Code {
			case sqlerr.ForeignKeyViolation, sqlerr.UniqueViolation, sqlerr.SerializationFailure, sqlerr.DeadlockDetected:
			default:
				t.Errorf("%s: %v", script, err)
			}
			break
		}
		if s.TxnStatus() != TxnIdle {
			if err := s.ExecSimple(context.Background(), "ROLLBACK", &textWriter{s: s}); err != nil {
				t.Error(err)
			}
		}
	}
}

func mustExec(t *testing.T, s *Session, query string) string {
	t.Helper()
	w := &textWriter{s: s}
	if err := s.ExecSimple(t.Context(), query, w); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return w.out.String()
}
