package history

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
)

// Moment is a point in the history's own order.
type Moment int64

// Never is the return of an operation whose end nobody saw.
const Never Moment = math.MaxInt64

// Client names one of the clients; each does one thing at a time.
type Client int

// Outcome is what a client knows of its operation.
type Outcome uint8

// Outcomes.
const (
	OK Outcome = iota
	Fail
	Info
)

var outcomeNames = [...]string{"ok", "fail", "info"}

// String prints ok, fail or info.
func (o Outcome) String() string { return outcomeNames[o] }

// Op is what every operation has.
type Op struct {
	Client       Client
	Call, Return Moment
	Outcome      Outcome
	// Where is for people: gateway and time.
	Where string
	// Err is why the outcome is not OK, for people.
	Err string
}

// Before reports whether o ended before p began.
func (o *Op) Before(p *Op) bool { return o.Return < p.Call }

// head prints what every operation has.
func (o *Op) head() string {
	ret := "   ?"
	if o.Return != Never {
		ret = fmt.Sprintf("%4d", o.Return)
	}
	s := fmt.Sprintf("c%-2d %4d..%s %-4s", o.Client, o.Call, ret, o.Outcome)
	if o.Where != "" {
		s += " " + o.Where
	}
	return s
}

func (o *Op) tail() string {
	if o.Err == "" {
		return ""
	}
	return "  (" + o.Err + ")"
}

// Counter gives out moments. It is safe for concurrent use.
type Counter struct{ n atomic.Int64 }

// Now returns the next moment.
func (c *Counter) Now() Moment { return Moment(c.n.Add(1)) }

// Log collects operations of one kind. It is safe for concurrent use.
type Log[T any] struct {
	mu  sync.Mutex
	ops []T
}

// Add appends an operation that has ended.
func (l *Log[T]) Add(op T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops = append(l.ops, op)
}

// All returns what was collected.
func (l *Log[T]) All() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]T(nil), l.ops...)
}
