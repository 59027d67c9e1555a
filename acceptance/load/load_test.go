package load

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cairndb/cairn/internal/testkit/check"
	"github.com/cairndb/cairn/internal/testkit/history"
)

func TestOutcomesAreNeverGuessed(t *testing.T) {
	for _, c := range []struct {
		err  error
		want history.Outcome
	}{
		{nil, history.OK},
		{&pgconn.PgError{Code: "40001"}, history.Fail},
		{&pgconn.PgError{Code: "23505"}, history.Fail},
		{&pgconn.PgError{Code: "57014"}, history.Fail},
		{&pgconn.PgError{Code: "40003"}, history.Info},
		{&pgconn.PgError{Code: "57P01"}, history.Info},
		{&pgconn.PgError{Code: "08006"}, history.Info},
		{io.ErrUnexpectedEOF, history.Info},
		{pgconn.ErrConnClosed, history.Info},
		{errors.New("anything else"), history.Info},
	} {
		if got := commitOutcome(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

func TestTPCBFindsWhatIsLostDoubledOrNotRefused(t *testing.T) {
	for _, c := range []struct {
		outcome history.Outcome
		times   int
		want    bool
	}{
		{history.OK, 1, true}, {history.OK, 0, false}, {history.OK, 2, false},
		{history.Fail, 0, true}, {history.Fail, 1, false},
		{history.Info, 0, true}, {history.Info, 1, true}, {history.Info, 2, false},
	} {
		t.Run(fmt.Sprintf("%v seen %d times", c.outcome, c.times), func(t *testing.T) {
			b := &TPCB{}
			b.mu.outcomes = map[string]history.Outcome{"c0-1": c.outcome}
			problems := b.compare(map[string]int{"c0-1": c.times})
			if (len(problems) == 0) != c.want {
				t.Errorf("problems %v", problems)
			}
		})
	}
	b := &TPCB{}
	if p := b.compare(map[string]int{"c9-9": 1}); !slices.Equal(p, []string{"transaction c9-9 is nobody's"}) {
		t.Error(p)
	}
}

func TestPulseMeasuresTheLongestSilence(t *testing.T) {
	p := NewPulse([]Target{{Name: "n1"}})
	b := p.mu.beats["n1"]
	start := b.last
	for _, at := range []time.Duration{1, 2, 7, 8} {
		b.silence(start.Add(at * time.Second))
	}
	if got := p.Longest("n1"); got != 5*time.Second {
		t.Error(got)
	}
}

func TestPulseTalliesWhatEndedInATime(t *testing.T) {
	p := NewPulse([]Target{{Name: "n1"}})
	for _, end := range []time.Duration{1, 2, 3, 7, 8} {
		s := Sample{At: (end - 1) * time.Second, Took: time.Second}
		if end == 3 {
			s.Error = "40001"
		}
		p.mu.samples = append(p.mu.samples, s)
	}
	for _, c := range []struct {
		from, to time.Duration
		want     Tally
	}{
		{0, 9, Tally{4, 1, 5 * time.Second}},
		{1, 2, Tally{1, 0, time.Second}},
		{2, 6, Tally{0, 1, 4 * time.Second}},
		{8, 9, Tally{0, 0, time.Second}},
	} {
		if got := p.Between(c.from*time.Second, c.to*time.Second); got != c.want {
			t.Errorf("%d to %d: %+v, want %+v", c.from, c.to, got, c.want)
		}
	}
}

func TestMixedFindsWhatIsHalf(t *testing.T) {
	op := func(call, ret history.Moment, o history.Outcome) history.Op {
		return history.Op{Call: call, Return: ret, Outcome: o}
	}
	batch := func(id int64, o history.Outcome) mixedOp { return mixedOp{Op: op(1, 2, o), Batch: id} }
	read := func(wrong []string, found ...int64) mixedOp {
		r := mixedOp{Op: op(5, 6, history.OK), Wrong: wrong, Found: map[int64]bool{}}
		for _, b := range found {
			r.Found[b] = true
		}
		return r
	}
	for name, c := range map[string]struct {
		ops  []mixedOp
		want check.Anomaly
	}{
		"good":             {[]mixedOp{batch(1, history.OK), batch(2, history.Fail), batch(3, history.Info), read(nil, 1, 3)}, ""},
		"unknown, not":     {[]mixedOp{batch(1, history.OK), batch(3, history.Info), read(nil, 1)}, ""},
		"deleted":          {[]mixedOp{batch(1, history.OK), batch(1+mixedBatches, history.OK), read(nil, 1+mixedBatches)}, ""},
		"lost":             {[]mixedOp{batch(1, history.OK), batch(mixedBatches, history.OK), read(nil, mixedBatches)}, check.LostWrite},
		"refused":          {[]mixedOp{batch(1, history.Fail), read(nil, 1)}, check.G1a},
		"half of it":       {[]mixedOp{batch(1, history.OK), read([]string{"batch 1 has 7 rows"}, 1)}, check.HalfBatch},
		"read that failed": {[]mixedOp{{Op: op(5, 6, history.Fail), Wrong: []string{"half"}}}, ""},
	} {
		m := &Mixed{}
		for _, o := range c.ops {
			m.log.Add(o)
		}
		wantAnomaly(t, name, m.Check(), c.want)
	}
}

func TestDDLFindsWhatIsWrong(t *testing.T) {
	row := func(id int64, o history.Outcome) history.SetOp {
		return history.SetOp{Op: history.Op{Call: 1, Return: 2, Outcome: o}, Key: "ddl0", Add: history.Value(id), Count: -1}
	}
	end := func(ids ...history.Value) history.SetOp {
		return history.SetOp{Op: history.Op{Call: 5, Return: 6}, Key: "ddl0", Values: ids, Count: -1}
	}
	for name, c := range map[string]struct {
		rows []history.SetOp
		gone []int64
		mess func(*DDL)
		want check.Anomaly
	}{
		"good":     {rows: []history.SetOp{row(1, history.OK), row(2, history.Fail), row(3, history.Info), end(1, 3)}},
		"deleted":  {rows: []history.SetOp{row(1, history.OK), row(2, history.OK), end(2)}, gone: []int64{1, 2}},
		"lost":     {rows: []history.SetOp{row(1, history.OK), end()}, want: check.LostWrite},
		"refused":  {rows: []history.SetOp{row(1, history.Fail), end(1)}, want: check.G1a},
		"internal": {mess: func(d *DDL) { d.look(&pgconn.PgError{Code: "XX000"}, "INSERT") }, want: check.InternalError},
		"no mess":  {mess: func(d *DDL) { d.look(&pgconn.PgError{Code: "42703"}, "INSERT") }},
		"diverged": {mess: func(d *DDL) { d.checks.Add(history.IndexRead{OnlyIndex: []string{"diverged: …"}}) }, want: check.IndexMismatch},
	} {
		d := newDDL()
		for _, o := range c.rows {
			d.rows.Add(o)
		}
		for _, id := range c.gone {
			d.mu.gone[id] = true
		}
		if c.mess != nil {
			c.mess(d)
		}
		wantAnomaly(t, name, d.Check(), c.want)
	}
}

func wantAnomaly(t *testing.T, name string, err error, want check.Anomaly) {
	t.Helper()
	var v *check.Violation
	switch found := errors.As(err, &v); {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && (!found || v.Anomaly != want):
		t.Errorf("%s: %v, want %s", name, err, want)
	}
}
