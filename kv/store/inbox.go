package store

import (
	"sync"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
)

// inbox holds what waits for a replica's next turn. Messages of peers are
// bounded and may be dropped, as Raft allows; storage responses and snapshot
// reports may not (a lost one would stall the group), and are bounded by what
// the group has under way.
type inbox struct {
	mu struct {
		sync.Mutex
		peers   []raftgroup.Envelope
		own     []raftgroup.Message
		reports []snapshotReport
		// lost are peers that messages did not reach.
		lost []kvapi.ReplicaID
		// answers are to what leaders were asked.
		answers []released
		// due says that own may wait no longer (later.go); acked is the highest
		// index that a peer has acknowledged.
		due   bool
		acked uint64
		// next, if set, is where messages of peers go: the replica was replaced.
		next *inbox
	}
}

// snapshotReport tells Raft what became of a snapshot it asked for.
type snapshotReport struct {
	to kvapi.ReplicaID
	ok bool
}

// inboxContent is all of an inbox at a moment.
type inboxContent struct {
	peers   []raftgroup.Envelope
	own     []raftgroup.Message
	reports []snapshotReport
	lost    []kvapi.ReplicaID
	answers []released
}

func (b *inbox) addPeer(e raftgroup.Envelope) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.next != nil {
		return b.mu.next.addPeer(e)
	}
	if len(b.mu.peers) >= inboxMax {
		return false
	}
	b.mu.peers = append(b.mu.peers, e)
	switch {
	case e.Message.Type() == raftgroup.MsgAppendResponse && !e.Message.Rejects():
		b.mu.acked = max(b.mu.acked, uint64(e.Message.Index()))
	case isCommitOnly(e.Message):
		b.mu.due = true
	}
	return true
}

// addOwn returns the highest index that a peer has acknowledged so far.
func (b *inbox) addOwn(ms []raftgroup.Message) (acked uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.own = append(b.mu.own, ms...)
	return b.mu.acked
}

// makeDue says that nothing may wait any longer, and reports whether anything does.
func (b *inbox) makeDue() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.due = len(b.mu.own) > 0
	return b.mu.due || len(b.mu.peers) > 0
}

func (b *inbox) addReport(r snapshotReport) {
	b.mu.Lock()
	b.mu.reports = append(b.mu.reports, r)
	b.mu.Unlock()
}

// addLost notes that a message to a peer was dropped. It wakes nobody: the next
// turn will do.
func (b *inbox) addLost(id kvapi.ReplicaID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.mu.lost {
		if l == id {
			return
		}
	}
	b.mu.lost = append(b.mu.lost, id)
}

func (b *inbox) addAnswer(a released) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.mu.answers) < inboxMax {
		b.mu.answers = append(b.mu.answers, a)
	}
}

// handOver gives what peers have sent, and will still send, to the inbox of the
// replica that takes this one's place. What its own storage answers ends here:
// the new replica's Raft group has not asked for it.
func (b *inbox) handOver(to *inbox) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.next = to
	for _, e := range b.mu.peers {
		to.addPeer(e)
	}
	b.mu.peers = nil
}

// take empties the inbox; if lazy, but for storage responses that may wait.
func (b *inbox) take(lazy bool) inboxContent {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := inboxContent{peers: b.mu.peers, reports: b.mu.reports, lost: b.mu.lost, answers: b.mu.answers}
	b.mu.peers, b.mu.reports, b.mu.lost, b.mu.answers = nil, nil, nil, nil
	if !lazy || b.mu.due || len(b.mu.own) >= ownMax {
		c.own, b.mu.own, b.mu.due = b.mu.own, nil, false
	}
	return c
}
