package raftgroup

import (
	"errors"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/cairndb/cairn/kv/kvapi"
)

// ConfChangeOp is one step of a ConfChange.
type ConfChangeOp uint8

// Conf change operations. AddVoter also promotes a learner, AddLearner also
// demotes a voter (which needs a joint change).
const (
	AddVoter      = ConfChangeOp(pb.ConfChangeAddNode)
	RemoveReplica = ConfChangeOp(pb.ConfChangeRemoveNode)
	AddLearner    = ConfChangeOp(pb.ConfChangeAddLearnerNode)
)

// ReplicaChange is one replica's part in a ConfChange.
type ReplicaChange struct {
	Op        ConfChangeOp
	ReplicaID ReplicaID
}

// ConfChange moves a group to another configuration.
//
// Simple (one change, Joint false): effective at once. Joint: both old and
// new majorities decide until a ConfChange with no changes leaves the joint
// configuration; the owner proposes that, Raft never does so by itself.
type ConfChange struct {
	Changes []ReplicaChange
	Joint   bool
}

// LeavesJoint reports whether the change ends a joint configuration.
func (c ConfChange) LeavesJoint() bool { return len(c.Changes) == 0 }

func (c ConfChange) validate() error {
	if !c.Joint && len(c.Changes) > 1 {
		return errors.New("raftgroup: a simple conf change makes one change")
	}
	if c.Joint && len(c.Changes) == 0 {
		return errors.New("raftgroup: leaving a joint configuration is no joint change")
	}
	return nil
}

func (c ConfChange) library(payload []byte) *pb.ConfChangeV2 {
	cc := &pb.ConfChangeV2{Context: payload}
	if c.Joint {
		cc.Transition = pb.ConfChangeTransitionJointExplicit.Enum()
	}
	for _, r := range c.Changes {
		id := uint64(r.ReplicaID)
		cc.Changes = append(cc.Changes,
			&pb.ConfChangeSingle{Type: pb.ConfChangeType(r.Op).Enum(), NodeId: &id})
	}
	return cc
}

// ProposeConfChange appends a conf change with the command that goes with it.
// At most one may be between proposal and application.
func (g *Group) ProposeConfChange(c ConfChange, payload []byte) error {
	if err := c.validate(); err != nil {
		return err
	}
	data, err := proto.Marshal(c.library(payload))
	if err != nil {
		return fmt.Errorf("raftgroup: encode conf change: %w", err)
	}
	g.statusStale = true
	ents := []*pb.Entry{{Type: pb.EntryConfChangeV2.Enum(), Data: data}}
	if err := g.propose(ents); err != nil {
		return err
	}
	// The library silently puts an empty entry where it refuses a change.
	if ents[0].GetType() != pb.EntryConfChangeV2 {
		return ErrConfChangeRefused
	}
	return nil
}

// DecodeConfChange returns the change and the command of an EntryConfChange.
func DecodeConfChange(e Entry) (ConfChange, []byte, error) {
	if e.Kind != EntryConfChange {
		return ConfChange{}, nil, fmt.Errorf("raftgroup: entry %d is no conf change", e.Index)
	}
	var cc pb.ConfChangeV2
	if err := proto.Unmarshal(e.Data, &cc); err != nil {
		return ConfChange{}, nil, fmt.Errorf("raftgroup: decode conf change: %w", err)
	}
	c := ConfChange{Joint: cc.GetTransition() == pb.ConfChangeTransitionJointExplicit}
	for _, s := range cc.Changes {
		c.Changes = append(c.Changes,
			ReplicaChange{Op: ConfChangeOp(s.GetType()), ReplicaID: ReplicaID(s.GetNodeId())})
	}
	return c, cc.Context, nil
}

// ApplyConfChange activates a committed change. It is called when the change
// is applied and takes effect, never for one that is rejected on application.
func (g *Group) ApplyConfChange(c ConfChange) ConfState {
	g.statusStale = true
	cs := confStateOf(g.rn.ApplyConfChange(c.library(nil)))
	g.storage.cs = cs
	return cs
}

func confStateOf(c *pb.ConfState) ConfState {
	return ConfState{
		Voters:         replicaIDs(c.GetVoters()),
		Learners:       replicaIDs(c.GetLearners()),
		VotersOutgoing: replicaIDs(c.GetVotersOutgoing()),
		LearnersNext:   replicaIDs(c.GetLearnersNext()),
	}
}

func (c ConfState) library() *pb.ConfState {
	return &pb.ConfState{
		Voters:         numbers(c.Voters),
		Learners:       numbers(c.Learners),
		VotersOutgoing: numbers(c.VotersOutgoing),
		LearnersNext:   numbers(c.LearnersNext),
	}
}

func replicaIDs(in []uint64) []kvapi.ReplicaID { return convert[kvapi.ReplicaID](in) }
func numbers(in []kvapi.ReplicaID) []uint64    { return convert[uint64](in) }

func convert[To, From ~uint64](in []From) []To {
	if len(in) == 0 {
		return nil
	}
	out := make([]To, len(in))
	for i, v := range in {
		out[i] = To(v)
	}
	return out
}
