package load

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/cairndb/cairn/internal/testkit/history"
)

// Pulse watches how long each target goes without an answer to anybody, and
// counts answers and errors.
type Pulse struct {
	// Seed is what clients draw from.
	Seed uint64
	// Pace is how long a client rests after each operation.
	Pace  time.Duration
	start time.Time
	mu    struct {
		sync.Mutex
		beats   map[string]*beat
		errors  map[string]int
		samples []Sample
	}
}

// Sample is one operation of a client: when it began, how long it took, and the
// kind of its error, empty for none.
type Sample struct {
	Client   history.Client
	Target   string
	At, Took time.Duration
	Error    string
}

// samplesMax bounds what is kept for pictures.
const samplesMax = 1 << 20

// Samples returns the operations so far, times since the start of the pulse.
func (p *Pulse) Samples() []Sample {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Sample(nil), p.mu.samples...)
}

// Start is when the pulse began.
func (p *Pulse) Start() time.Time { return p.start }

// done notes an operation that began at a time and has just ended.
func (p *Pulse) done(c *client, began time.Time, err error) {
	s := Sample{Client: c.id, Target: c.target.Name, At: began.Sub(p.start)}
	if err != nil {
		s.Error = errorKind(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Took = time.Since(began)
	if len(p.mu.samples) < samplesMax {
		p.mu.samples = append(p.mu.samples, s)
	}
}

// Tally is what came of the operations that ended in some time.
type Tally struct {
	Done, Errors int
	// Silence is the longest time in which none was acknowledged.
	Silence time.Duration
}

// Between tallies the operations that ended after one moment and up to another,
// times since the start of the pulse.
func (p *Pulse) Between(from, to time.Duration) (t Tally) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := to
	// They are in the order in which they ended.
	for _, s := range slices.Backward(p.mu.samples) {
		end := s.At + s.Took
		if end <= from {
			break
		}
		switch {
		case end > to:
		case s.Error != "":
			t.Errors++
		default:
			t.Done++
			t.Silence, next = max(t.Silence, next-end), end
		}
	}
	t.Silence = max(t.Silence, next-from)
	return t
}

type beat struct {
	last    time.Time
	longest time.Duration
	at      time.Time // when the longest silence began
	count   int
	// conflicts are answers that said: again, later.
	conflicts int
}

// NewPulse starts watching the targets.
func NewPulse(targets []Target) *Pulse {
	p := &Pulse{start: time.Now()}
	p.mu.beats, p.mu.errors = map[string]*beat{}, map[string]int{}
	for _, t := range targets {
		p.mu.beats[t.Name] = &beat{last: time.Now()}
	}
	return p
}

// Answer notes that the target acknowledged something.
func (p *Pulse) Answer(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.mu.beats[name]
	b.silence(time.Now())
	b.count++
}

func (b *beat) silence(now time.Time) {
	if d := now.Sub(b.last); d > b.longest {
		b.longest, b.at = d, b.last
	}
	b.last = now
}

// Error notes an error by its kind.
func (p *Pulse) Error(name string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.errors[name+": "+errorKind(err)]++
	if isConflict(err) {
		p.mu.beats[name].conflicts++
	}
}

// End closes the last silence of every target.
func (p *Pulse) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.mu.beats {
		b.silence(time.Now())
	}
}

// Longest returns the target's longest silence.
func (p *Pulse) Longest(name string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.beats[name].longest
}

// Count returns how many answers the target gave.
func (p *Pulse) Count(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.beats[name].count
}

// Conflicts returns how many operations the target refused for a conflict.
func (p *Pulse) Conflicts(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.beats[name].conflicts
}

// Errors returns each kind of error with its count.
func (p *Pulse) Errors() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]int{}
	for k, n := range p.mu.errors {
		out[k] = n
	}
	return out
}

// String tells everything on a few lines.
func (p *Pulse) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lines []string
	for name, b := range p.mu.beats {
		lines = append(lines, fmt.Sprintf("%s: %d answers, longest silence %v", name, b.count, b.longest.Round(time.Millisecond)))
	}
	for kind, n := range p.mu.errors {
		lines = append(lines, fmt.Sprintf("%s × %d", kind, n))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}
