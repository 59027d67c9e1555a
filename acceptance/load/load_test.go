package load

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

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
