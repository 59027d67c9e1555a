package sqllogic

import (
	"context"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// statementMax is how long a statement may take before it counts as failed.
const statementMax = 30 * time.Second

// server is a connection on which a script runs.
type server struct {
	conn     *pgconn.PgConn
	extended bool
	took     time.Duration
}

func connect(ctx context.Context, url string, extended bool) (*server, error) {
	cfg, err := pgconn.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.RuntimeParams["statement_timeout"] = fmt.Sprint(statementMax.Milliseconds())
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &server{conn: conn, extended: extended}
	return s, s.exec(ctx, "DROP SCHEMA IF EXISTS slt CASCADE; CREATE SCHEMA slt; SET search_path = slt")
}

func (s *server) exec(ctx context.Context, text string) error {
	_, err := s.conn.Exec(ctx, text).ReadAll()
	return err
}

// verdict is what came of a record on one server.
type verdict struct {
	wrong  string // empty: as expected
	answer string // to compare servers by
}

// run does a record and judges it.
func (s *server) run(ctx context.Context, r *record) verdict {
	start := time.Now()
	values, err := s.values(ctx, r)
	s.took += time.Since(start)
	switch {
	case !r.query && r.fails && err == nil:
		return verdict{"no error", "no error"}
	case !r.query && r.fails:
		return verdict{}
	case err != nil:
		return verdict{err.Error(), "error"}
	case !r.query:
		return verdict{}
	}
	return verdict{r.judge(values), strings.Join(r.answer(values), "\n")}
}

// values runs a record and returns the values of all its rows, as text.
func (s *server) values(ctx context.Context, r *record) ([]string, error) {
	var results []*pgconn.Result
	var err error
	if s.extended {
		result := s.conn.ExecParams(ctx, r.sql, nil, nil, nil, nil).Read()
		results, err = []*pgconn.Result{result}, result.Err
	} else {
		results, err = s.conn.Exec(ctx, r.sql).ReadAll()
	}
	if err != nil || !r.query {
		return nil, err
	}
	var out []string
	for _, result := range results {
		for _, row := range result.Rows {
			if len(row) != len(r.types) {
				return nil, fmt.Errorf("%d columns, want %d", len(row), len(r.types))
			}
			for i, v := range row {
				out = append(out, written(v, r.types[i]))
			}
		}
	}
	return out, nil
}

// written is a value as the corpus writes it.
func written(v []byte, t byte) string {
	if v == nil {
		return "NULL"
	}
	number, isNumber := new(big.Rat).SetString(string(v))
	switch {
	case t == 'I' && isNumber:
		return new(big.Int).Quo(number.Num(), number.Denom()).String()
	case t == 'I' && string(v) == "t":
		return "1"
	case t == 'I':
		return "0" // as C's atoi has it
	case t == 'R' && isNumber:
		return strings.Replace(number.FloatString(3), "-0.000", "0.000", 1)
	case len(v) == 0:
		return "(empty)"
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '@'
		}
		return c
	}, string(v))
}
