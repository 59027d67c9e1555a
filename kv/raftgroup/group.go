package raftgroup

import (
	"errors"
	"fmt"
	"log/slog"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/cairndb/cairn/kv/kvapi"
)

// Config is what New needs. Zero ticks take the defaults of limits.go.
type Config struct {
	ID  ReplicaID
	Log LogReader
	// HardState and ConfState are what the log and the descriptor say. An
	// uninitialised replica has the empty ConfState: it votes and waits.
	HardState HardState
	ConfState ConfState
	// Applied is the last index in the durable state machine.
	Applied  kvapi.LogIndex
	Snapshot SnapshotFunc

	ElectionTicks  int
	HeartbeatTicks int
	// Logger receives warnings and errors, nil: none.
	Logger *slog.Logger
}

// Group is one replica's Raft state machine.
type Group struct {
	rn      *raft.RawNode
	storage *storageAdapter
	id      ReplicaID
	status  Status
	// statusStale says that status must be read again from the library,
	// which allocates to answer.
	statusStale bool
	// held is the rest of an append that began with a snapshot; see split.
	held *StorageAppend
}

// New returns the group of a replica, as a follower without a leader.
func New(c Config) (*Group, error) {
	if c.ID == 0 {
		return nil, errors.New("raftgroup: a group needs a replica id")
	}
	if c.HardState.Commit < c.Applied {
		c.HardState.Commit = c.Applied
	}
	if last := c.Log.LastIndex(); c.HardState.Commit > last {
		return nil, fmt.Errorf("raftgroup: log ends at %d before commit index %d: "+
			"acknowledged entries are missing", last, c.HardState.Commit)
	}
	if first := c.Log.FirstIndex(); c.Applied+1 < first {
		return nil, fmt.Errorf("raftgroup: log starts at %d but only %d is applied", first, c.Applied)
	}
	st := &storageAdapter{log: c.Log, snapshot: c.Snapshot, hs: c.HardState, cs: c.ConfState}
	rn, err := raft.NewRawNode(libraryConfig(c, st))
	if err != nil {
		return nil, fmt.Errorf("raftgroup: %w", err)
	}
	return &Group{rn: rn, storage: st, id: c.ID, statusStale: true}, nil
}

func libraryConfig(c Config, st raft.Storage) *raft.Config {
	election, heartbeat := c.ElectionTicks, c.HeartbeatTicks
	if election == 0 {
		election = electionTicksDefault
	}
	if heartbeat == 0 {
		heartbeat = heartbeatTicksDefault
	}
	return &raft.Config{
		ID:                        uint64(c.ID),
		ElectionTick:              election,
		HeartbeatTick:             heartbeat,
		Storage:                   st,
		Applied:                   uint64(c.Applied),
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             appendBytesMax,
		MaxCommittedSizePerReady:  applyBytesMax,
		MaxUncommittedEntriesSize: uncommittedBytesMax,
		MaxInflightMsgs:           inflightMessagesMax,
		MaxInflightBytes:          inflightBytesMax,
		CheckQuorum:               true,
		PreVote:                   true,
		DisableProposalForwarding: true,
		StepDownOnRemoval:         true,
		ReadOnlyOption:            raft.ReadOnlySafe, // ForgetLeader needs it
		Logger:                    &quietLogger{log: c.Logger, id: c.ID},
	}
}

// Tick advances the group's logical clock: elections and heartbeats.
func (g *Group) Tick() {
	g.statusStale = true
	g.rn.Tick()
}

// Step takes a message of a peer, or a storage response of this group's own
// Append or Apply. What Raft ignores is ignored.
func (g *Group) Step(m Message) error {
	g.statusStale = true
	err := g.rn.Step(m.m)
	if errors.Is(err, raft.ErrStepPeerNotFound) {
		return nil // a response of a replica that was removed
	}
	if err != nil {
		return fmt.Errorf("raftgroup: step %s: %w", m, err)
	}
	return nil
}

// Campaign starts a (pre-)vote now, if this replica may stand for election.
func (g *Group) Campaign() error {
	g.statusStale = true
	return g.rn.Campaign()
}

// ForgetLeader makes a follower forget its leader, so that it grants
// pre-votes at once; the next message of the leader undoes it.
func (g *Group) ForgetLeader() error {
	g.statusStale = true
	return g.rn.ForgetLeader()
}

// TransferLeader asks the leader to hand over to a replica. Proposals are
// dropped until it has, or for an election timeout.
func (g *Group) TransferLeader(to ReplicaID) {
	g.statusStale = true
	g.rn.TransferLeader(uint64(to))
}

// Propose appends commands to the leader's log: all, in this order, or none.
// The group keeps the slices.
func (g *Group) Propose(cmds [][]byte) error {
	for _, c := range cmds {
		if len(c) == 0 || len(c) > EntryBytesMax {
			return fmt.Errorf("raftgroup: a command of %d bytes cannot be proposed", len(c))
		}
	}
	g.statusStale = true
	return g.propose(commandEntries(cmds))
}

func (g *Group) propose(ents []*pb.Entry) error {
	id := uint64(g.id)
	err := g.rn.Step(&pb.Message{Type: pb.MsgProp.Enum(), From: &id, Entries: ents})
	if errors.Is(err, raft.ErrProposalDropped) {
		return ErrProposalDropped
	}
	return err
}

// ReportUnreachable says that messages to a replica are being lost, so that
// the leader probes instead of pipelining.
func (g *Group) ReportUnreachable(id ReplicaID) { g.rn.ReportUnreachable(uint64(id)) }

// ReportSnapshot tells the leader what became of a snapshot it asked for.
// Each MsgSnapshot must be followed by a report, or the follower waits forever.
func (g *Group) ReportSnapshot(id ReplicaID, ok bool) {
	status := raft.SnapshotFinish
	if !ok {
		status = raft.SnapshotFailure
	}
	g.rn.ReportSnapshot(uint64(id), status)
}

// HasReady reports whether Ready has something to do.
func (g *Group) HasReady() bool { return g.held != nil || g.rn.HasReady() }

// Ready returns the work that is due and considers it taken.
func (g *Group) Ready() Ready {
	if held := g.held; held != nil {
		g.held = nil
		return Ready{Append: held}
	}
	g.statusStale = true
	rd := g.rn.Ready()
	out := Ready{LeaderChanged: rd.SoftState != nil}
	for _, m := range rd.Messages {
		switch m.GetType() {
		case pb.MsgStorageAppend:
			out.Append, g.held = split(appendOf(m))
		case pb.MsgStorageApply:
			out.Apply = &StorageApply{Entries: entriesOf(m.Entries), Responses: messagesOf(m.Responses)}
		default:
			out.Messages = append(out.Messages, Message{m})
		}
	}
	return out
}

// Status returns where the group stands.
func (g *Group) Status() Status {
	if g.statusStale {
		g.status, g.statusStale = statusOf(g.rn.BasicStatus()), false
	}
	return g.status
}

func statusOf(s raft.BasicStatus) Status {
	return Status{
		HardState:      hardStateOf(s.HardState),
		Self:           ReplicaID(s.ID),
		Leader:         ReplicaID(s.Lead),
		Role:           Role(s.RaftState),
		Applied:        kvapi.LogIndex(s.Applied),
		TransferTarget: ReplicaID(s.LeadTransferee),
	}
}

// VisitProgress calls f for each replica of the configuration, this one
// included. On a follower what it says is meaningless.
func (g *Group) VisitProgress(f func(Progress)) {
	g.rn.WithProgress(func(id uint64, typ raft.ProgressType, p tracker.Progress) {
		f(Progress{
			ReplicaID:       ReplicaID(id),
			Match:           kvapi.LogIndex(p.Match),
			Next:            kvapi.LogIndex(p.Next),
			State:           ProgressState(p.State),
			PendingSnapshot: kvapi.LogIndex(p.PendingSnapshot),
			RecentActive:    p.RecentActive,
			IsLearner:       typ == raft.ProgressTypeLearner,
			Paused:          p.MsgAppFlowPaused,
		})
	})
}
