package lease

import (
	"testing"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

func sec(f float64) hlc.Timestamp { return hlc.Timestamp{WallTime: int64(f * 1e9)} }

func TestJudge(t *testing.T) {
	held := kvapi.Lease{
		Sequence: 3, Holder: kvapi.ReplicaDescriptor{NodeID: 1, ReplicaID: 1},
		Start: sec(10), Expiration: sec(14), Term: 7, ProposedAt: hlc.ClockTimestamp(sec(10)),
	}
	ours := Input{Own: 1, Leads: true, Term: 7, Now: hlc.ClockTimestamp(sec(11)), Request: sec(11),
		MinProposedAt: hlc.ClockTimestamp(sec(5)), MaxOffset: 250 * time.Millisecond}
	for _, c := range []struct {
		name  string
		lease func(*kvapi.Lease)
		in    func(*Input)
		want  State
		serve bool
		take  bool
	}{
		{name: "in its middle", want: Valid, serve: true},
		{name: "a read of the past", in: func(i *Input) { i.Request = sec(1) }, want: Valid, serve: true},
		{name: "no timestamp", in: func(i *Input) { i.Request = hlc.Timestamp{} }, want: Valid, serve: true},
		{name: "no lease", lease: func(l *kvapi.Lease) { *l = kvapi.Lease{} }, want: Error, take: true},
		{name: "over", in: func(i *Input) { i.Now = hlc.ClockTimestamp(sec(14)) }, want: Expired, take: true},
		{name: "over, and the request in stasis", want: Expired, take: true,
			in: func(i *Input) { i.Now, i.Request = hlc.ClockTimestamp(sec(15)), sec(13.9) }},
		{name: "over for a follower", in: func(i *Input) { i.Own, i.Leads, i.Now = 2, false, hlc.ClockTimestamp(sec(15)) },
			want: Expired, take: true},
		{name: "request in stasis", in: func(i *Input) { i.Request = sec(13.75) }, want: Unusable},
		{name: "request just before stasis", in: func(i *Input) { i.Request = sec(13.749) }, want: Valid, serve: true},
		{name: "clock in stasis", in: func(i *Input) { i.Now = hlc.ClockTimestamp(sec(13.8)) }, want: Unusable},
		{name: "we restarted", in: func(i *Input) { i.MinProposedAt = hlc.ClockTimestamp(sec(10.5)) },
			want: Proscribed, take: true},
		{name: "we restarted, long ago", want: Expired, take: true,
			in: func(i *Input) {
				i.MinProposedAt, i.Now = hlc.ClockTimestamp(sec(10.5)), hlc.ClockTimestamp(sec(20))
			}},
		{name: "we were deposed", in: func(i *Input) { i.Leads, i.Term = false, 8 }, want: Unusable},
		{name: "we lead again", in: func(i *Input) { i.Term = 9 }, want: Proscribed, take: true},
		{name: "another's", in: func(i *Input) { i.Own, i.Leads, i.Term = 2, true, 8 }, want: Valid},
		{name: "another's, we restarted",
			in:   func(i *Input) { i.Own, i.MinProposedAt = 2, hlc.ClockTimestamp(sec(12)) },
			want: Valid},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, in := held, ours
			if c.lease != nil {
				c.lease(&l)
			}
			if c.in != nil {
				c.in(&in)
			}
			got := Judge(l, in)
			if got.State != c.want || got.IsValid() != c.serve || got.MayAcquire() != c.take {
				t.Fatalf("%v, serve %v, acquire %v; want %v, %v, %v", got, got.IsValid(), got.MayAcquire(),
					c.want, c.serve, c.take)
			}
		})
	}
}

func TestJudgeLeaderLease(t *testing.T) {
	held := kvapi.Lease{
		Sequence: 3, Holder: kvapi.ReplicaDescriptor{NodeID: 1, ReplicaID: 1}, Kind: kvapi.LeaderLease,
		Start: sec(10), Term: 7, ProposedAt: hlc.ClockTimestamp(sec(10)),
	}
	ours := Input{Own: 1, Leads: true, Term: 7, Now: hlc.ClockTimestamp(sec(11)), Request: sec(11),
		MinProposedAt: hlc.ClockTimestamp(sec(5)), LeadSupportUntil: sec(14), MaxOffset: 250 * time.Millisecond}
	for _, c := range []struct {
		name  string
		in    func(*Input)
		want  State
		serve bool
		take  bool
	}{
		{name: "held up", want: Valid, serve: true},
		{name: "for now", in: func(i *Input) { i.Request = hlc.Timestamp{} }, want: Valid, serve: true},
		{name: "alone, for ever", in: func(i *Input) { i.LeadSupportUntil = hlc.MaxTimestamp }, want: Valid, serve: true},
		{name: "nobody has promised yet", in: func(i *Input) { i.LeadSupportUntil = hlc.Timestamp{} }, want: Unusable},
		{name: "support has run out", want: Unusable,
			in: func(i *Input) { i.Now, i.Request = hlc.ClockTimestamp(sec(14)), hlc.Timestamp{} }},
		{name: "request in stasis", in: func(i *Input) { i.Request = sec(13.8) }, want: Unusable},
		{name: "clock in stasis", in: func(i *Input) { i.Now = hlc.ClockTimestamp(sec(13.8)) }, want: Unusable},
		{name: "deposed", in: func(i *Input) { i.Leads, i.Term = false, 8 }, want: Unusable},
		{name: "elected again", in: func(i *Input) { i.Term = 8 }, want: Expired, take: true},
		{name: "restarted, elected again", want: Expired, take: true,
			in: func(i *Input) { i.Term, i.MinProposedAt = 8, hlc.ClockTimestamp(sec(10.5)) }},
		{name: "from before a transfer that failed", want: Proscribed, take: true,
			in: func(i *Input) { i.MinProposedAt = hlc.ClockTimestamp(sec(10.5)) }},
		{name: "another's, and we follow", in: func(i *Input) { i.Own, i.Leads = 2, false }, want: Valid},
		{name: "another's, and we lead", in: func(i *Input) { i.Own, i.Term = 2, 8 }, want: Expired, take: true},
		{name: "another's from a split, and we lead its first term", in: func(i *Input) { i.Own = 2 }, want: Expired, take: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := ours
			if c.in != nil {
				c.in(&in)
			}
			got := Judge(held, in)
			if got.State != c.want || got.IsValid() != c.serve || got.MayAcquire() != c.take {
				t.Fatalf("%v, serve %v, acquire %v; want %v, %v, %v", got, got.IsValid(), got.MayAcquire(),
					c.want, c.serve, c.take)
			}
		})
	}
}

// I1: whatever the clocks within the maximum offset, a timestamp is served by
// the old holder or by the successor, never by both.
func TestNoTimestampIsServedTwice(t *testing.T) {
	const maxOffset = 250 * time.Millisecond
	old := kvapi.Lease{Sequence: 1, Holder: kvapi.ReplicaDescriptor{ReplicaID: 1}, Start: sec(10), Expiration: sec(14), Term: 1}
	for now := 13.0; now < 15; now += 0.01 {
		successor := Judge(old, Input{Own: 2, Leads: true, Term: 2, Now: hlc.ClockTimestamp(sec(now)), MaxOffset: maxOffset})
		if !successor.MayAcquire() {
			continue
		}
		for ts := 13.0; ts < 15; ts += 0.01 {
			for skew := -0.25; skew <= 0.25; skew += 0.05 {
				st := Judge(old, Input{Own: 1, Leads: true, Term: 1, Now: hlc.ClockTimestamp(sec(now + skew)),
					Request: sec(ts), MaxOffset: maxOffset})
				if st.IsValid() && ts >= now {
					t.Fatalf("old holder serves %v at %v while the successor starts at %v", ts, now+skew, now)
				}
			}
		}
	}
}
