package lease

import (
	"fmt"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// State is what a lease is worth to the replica that asks.
type State uint8

// States, in the order in which Status tests them; an earlier one hides a
// later one. In particular EXPIRED comes before UNUSABLE: a lease that is over
// must be replaced, not waited for.
const (
	// Error: it cannot be known, e.g. the range never had a lease.
	Error State = iota
	// Expired: nobody can use the lease; the leader may replace it.
	Expired
	// Proscribed: ours and not over, but we must not use it; we replace it with
	// one of a new sequence.
	Proscribed
	// Unusable: held and not over, but the timestamp asked for is too close to
	// its end.
	Unusable
	// Valid: the holder may use it for the timestamp asked for.
	Valid
)

// String prints the state in capitals, as the protocol's texts do.
func (s State) String() string {
	return [...]string{"ERROR", "EXPIRED", "PROSCRIBED", "UNUSABLE", "VALID"}[s]
}

// Input is what Status needs to know beside the lease.
type Input struct {
	// Own is the replica that asks.
	Own kvapi.ReplicaID
	// Leads says that the asker is the Raft leader, of Term.
	Leads bool
	Term  kvapi.Term
	// Now is a fresh reading of the asker's clock, taken after any waiting.
	Now hlc.ClockTimestamp
	// MinProposedAt is the asker's clock at its start, or at the last transfer
	// it began: leases proposed earlier are not used by it again.
	MinProposedAt hlc.ClockTimestamp
	// Request is the highest timestamp the request needs the lease for: its
	// read or write timestamp, and with uncertainty the end of its interval
	// that is still open (see Needs).
	Request hlc.Timestamp
	// LeadSupportUntil is until when a quorum holds the asker up as leader of
	// Term; a leader lease ends there. Empty if it is not known to.
	LeadSupportUntil hlc.Timestamp
	// MaxOffset is the cluster's maximum clock offset.
	MaxOffset time.Duration
}

// Status is a judgement on a lease.
type Status struct {
	Lease kvapi.Lease
	State State
	// End is where the lease ends as far as the asker knows; the empty one if it
	// does not.
	End hlc.Timestamp
	// Owned says that the asker holds the lease, whatever its state.
	Owned bool
	// Why is for people.
	Why string
}

// IsValid reports whether the asker itself may serve the request.
func (s Status) IsValid() bool { return s.Owned && s.State == Valid }

// MayAcquire reports whether the asker, if it leads, may ask for a new
// sequence.
func (s Status) MayAcquire() bool {
	return s.State == Expired || s.State == Proscribed || (s.State == Error && s.Lease.IsEmpty())
}

// String prints the judgement on one line.
func (s Status) String() string {
	return fmt.Sprintf("%s: %s (%s)", s.State, s.Why, s.Lease.String())
}

// Judge says what the lease is worth. The order of the questions matters, see
// the states.
func Judge(l kvapi.Lease, in Input) Status {
	st := Status{Lease: l, Owned: !l.IsEmpty() && l.Holder.ReplicaID == in.Own}
	set := func(s State, why string) Status {
		st.State, st.Why = s, why
		return st
	}
	now := in.Now.Timestamp()
	if l.IsEmpty() {
		return set(Error, "the range has no lease yet")
	}
	st.End = l.Expiration
	if l.Kind == kvapi.LeaderLease {
		switch st.End = in.LeadSupportUntil; {
		case in.Leads && (!st.Owned || l.Term < in.Term):
			// Whoever was elected after its holder has a clock beyond its end.
			return set(Expired, "its term is over")
		case !st.Owned:
			return set(Valid, "for as long as its holder leads")
		}
	} else if st.End.LessEq(now) {
		return set(Expired, "its end has passed")
	}
	switch {
	case st.Owned && l.ProposedAt.Timestamp().Less(in.MinProposedAt.Timestamp()):
		return set(Proscribed, "from before our start or our last transfer")
	case st.Owned && !in.Leads:
		return set(Unusable, "we do not lead the range")
	case st.Owned && l.Term != in.Term:
		return set(Proscribed, "of an earlier term")
	case st.End.LessEq(now):
		return set(Unusable, "no quorum holds us up")
	case in.Request.IsEmpty():
		// A request without a timestamp needs the lease for now only.
		return set(Valid, "held")
	case st.End.AddNanos(-int64(in.MaxOffset)).LessEq(in.Request):
		return set(Unusable, "the timestamp is in the stasis at its end")
	case st.End.AddNanos(-int64(in.MaxOffset)).LessEq(now):
		return set(Unusable, "the clock is in the stasis at its end")
	}
	return set(Valid, "held")
}
