package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Band is one wound in time, for reports.
type Band struct {
	Nemesis, What string
	From, To      time.Duration // since the run's start
	Evidence      string
	Felt          bool
	// Effect is what clients had of it.
	Effect Effect
}

// For is how long the wound was open, or healing.
func (b Band) For() time.Duration { return b.To - b.From }

// Effect is what clients had of a wound: operations a second that were acknowledged,
// beside those in calm, errors, and the longest time in which nobody was
// served who used some workload.
type Effect struct {
	Rate, Calm float64
	Errors     int
	Silence    time.Duration
}

// String says it in words.
func (e Effect) String() string {
	return fmt.Sprintf("%.0f/s acknowledged (calm: %.0f/s), %d errors, %v without an answer", e.Rate, e.Calm, e.Errors, e.Silence.Round(time.Millisecond))
}

// Schedule runs nemeses against a cluster.
type Schedule struct {
	Env   *Env
	Start time.Time
	Seed  uint64
	// Effect, if set, says what clients had of a wound in some time.
	Effect func(from, to time.Duration) Effect
	// Say is told what happens, as it happens.
	Say func(format string, args ...any)
	mu  struct {
		sync.Mutex
		bands []Band
		errs  []error
	}
}

// Quiet times between wounds.
const (
	quietMin = 200 * time.Millisecond
	quietMax = 1500 * time.Millisecond
	// healMax bounds the healing of a wound: nodes take that long to come back
	// on a busy machine.
	healMax = time.Minute
)

// Run lets the nemeses strike, all at the same time, until d has passed or ctx
// ends, and heals what they did (I1).
func (s *Schedule) Run(ctx context.Context, nemeses []Nemesis, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for _, n := range nemeses {
		if err := n.Usable(s.Env); err != nil {
			return err
		}
	}
	var wg sync.WaitGroup
	for i, n := range nemeses {
		wg.Go(func() { s.loop(ctx, n, rand.New(rand.NewPCG(s.Seed, uint64(i)))) })
	}
	wg.Wait()
	<-ctx.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.mu.errs...)
}

func (s *Schedule) loop(ctx context.Context, n Nemesis, rng *rand.Rand) {
	struck := map[string]bool{}
	for pause(ctx, between(rng, quietMin, quietMax)) {
		now := n
		if n.Name == "mix" {
			all := slices.DeleteFunc(usable(s.Env), func(n Nemesis) bool { return n.Once && struck[n.Name] })
			now = all[rng.IntN(len(all))]
		}
		did, err := s.strike(ctx, now, rng)
		if err != nil {
			s.mu.Lock()
			s.mu.errs = append(s.mu.errs, fmt.Errorf("%s: %w", now.Name, err))
			s.mu.Unlock()
			return
		}
		struck[now.Name] = struck[now.Name] || did
		if n.Once && did {
			return
		}
	}
}

// strike does one wound from beginning to end.
func (s *Schedule) strike(ctx context.Context, n Nemesis, rng *rand.Rand) (bool, error) {
	hold := between(rng, orDefault(n.HoldMin, holdMin), orDefault(n.HoldMax, holdMax))
	from := time.Since(s.Start)
	w, err := n.Strike(ctx, s.Env, rng)
	if err != nil || w == nil {
		return false, err
	}
	s.say("%s: %s", n.Name, w.What)
	pause(ctx, hold)
	b := Band{Nemesis: n.Name, What: w.What, From: from}
	b.Evidence, b.Felt = w.Bite()
	heal, cancel := context.WithTimeout(context.WithoutCancel(ctx), healMax)
	defer cancel()
	err = w.Heal(heal)
	b.To = time.Since(s.Start)
	if s.Effect != nil {
		b.Effect = s.Effect(b.From, b.To)
	}
	felt := "felt"
	if !b.Felt {
		felt = "NOT felt"
	}
	s.say("%s: healed after %v; %s: %s; clients: %s", n.Name, (b.To - b.From).Round(time.Millisecond), felt, b.Evidence, b.Effect)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.bands = append(s.mu.bands, b)
	return true, err
}

func (s *Schedule) say(format string, args ...any) {
	if s.Say != nil {
		s.Say(format, args...)
	}
}

// Bands are the wounds so far.
func (s *Schedule) Bands() []Band {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mu.bands)
}

// Unfelt names the nemeses none of whose wounds was felt (I2).
func (s *Schedule) Unfelt(nemeses []Nemesis) []string {
	var out []string
	for _, n := range nemeses {
		if !slices.ContainsFunc(s.Bands(), func(b Band) bool { return b.Felt && (b.Nemesis == n.Name || n.Name == "mix") }) {
			out = append(out, n.Name)
		}
	}
	return out
}

// pause waits, and reports whether ctx lasted.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)+1))
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
