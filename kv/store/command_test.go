package store

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

func sampleCommand() command {
	return command{id: 7, header: commandHeader{LeaseSequence: 3, Term: 6, Proposer: 1,
		StatsDelta:     kvapi.RangeStatistics{LiveBytes: -5, LiveCount: 1},
		WriteTimestamp: hlc.Timestamp{WallTime: 9, Logical: 1}, TruncateTo: 12, TruncateTerm: 5}, batch: []byte("bytes"),
		closed: hlc.Timestamp{WallTime: 8, Logical: 2}}
}

// The bytes of a command are on disk: this test fails when their meaning moves.
func TestCommandGolden(t *testing.T) {
	c := sampleCommand()
	const golden = "022f78f8d80700000000000000160803100618012204080910022a0408121002500c580562797465730800000000000000020000007fa4da15"
	got := c.encode()
	if hex.EncodeToString(got) != golden {
		t.Errorf("%x", got)
	}
	d, err := decodeCommand(got)
	if err != nil || !reflect.DeepEqual(d, c) {
		t.Fatalf("%+v %v", d, err)
	}
}

func TestDamagedCommandIsRefused(t *testing.T) {
	c := sampleCommand()
	good := c.encode()
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if _, err := decodeCommand(bad); err == nil {
			t.Errorf("byte %d changed and not noticed", i)
		}
	}
	for n := range good {
		if _, err := decodeCommand(good[:n]); err == nil {
			t.Errorf("%d of %d bytes accepted", n, len(good))
		}
	}
}

func FuzzDecodeCommand(f *testing.F) {
	c := sampleCommand()
	f.Add(c.encode())
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = decodeCommand(b) })
}

func TestConfChangeBetween(t *testing.T) {
	desc := func(reps ...kvapi.ReplicaDescriptor) *kvapi.RangeDescriptor {
		return &kvapi.RangeDescriptor{RangeID: 1, StartKey: keys.Min, EndKey: keys.Max, Replicas: reps}
	}
	v := func(id kvapi.ReplicaID, typ kvapi.ReplicaType) kvapi.ReplicaDescriptor {
		return kvapi.ReplicaDescriptor{NodeID: kvapi.NodeID(id), ReplicaID: id, Type: typ}
	}
	for _, c := range []struct {
		name     string
		from, to *kvapi.RangeDescriptor
		ok       bool
		joint    bool
	}{
		{"add a learner", desc(v(1, kvapi.Voter)), desc(v(1, kvapi.Voter), v(2, kvapi.Learner)), true, false},
		{"promote", desc(v(1, kvapi.Voter), v(2, kvapi.Learner)), desc(v(1, kvapi.Voter), v(2, kvapi.Voter)), true, false},
		{"remove", desc(v(1, kvapi.Voter), v(2, kvapi.Voter)), desc(v(1, kvapi.Voter)), true, false},
		{"demote", desc(v(1, kvapi.Voter), v(2, kvapi.Voter)), desc(v(1, kvapi.Voter), v(2, kvapi.Learner)), true, false},
		{"nothing", desc(v(1, kvapi.Voter)), desc(v(1, kvapi.Voter)), false, false},
		{"swap without a joint step", desc(v(1, kvapi.Voter), v(2, kvapi.Voter)), desc(v(1, kvapi.Voter), v(3, kvapi.Voter)), false, false},
		{"two learners at once", desc(v(1, kvapi.Voter)), desc(v(1, kvapi.Voter), v(2, kvapi.Learner), v(3, kvapi.Learner)), false, false},
		{"swap begins", desc(v(1, kvapi.Voter), v(2, kvapi.Voter), v(3, kvapi.Learner)),
			desc(v(1, kvapi.Voter), v(2, kvapi.VoterDemotingLearner), v(3, kvapi.VoterIncoming)), true, true},
		{"swap ends", desc(v(1, kvapi.Voter), v(2, kvapi.VoterDemotingLearner), v(3, kvapi.VoterIncoming)),
			desc(v(1, kvapi.Voter), v(2, kvapi.Learner), v(3, kvapi.Voter)), true, false},
		{"swap ends by half", desc(v(1, kvapi.Voter), v(2, kvapi.VoterDemotingLearner), v(3, kvapi.VoterIncoming)),
			desc(v(1, kvapi.Voter), v(2, kvapi.VoterDemotingLearner), v(3, kvapi.Voter)), false, false},
		{"swap ends and more", desc(v(1, kvapi.Voter), v(2, kvapi.VoterDemotingLearner), v(3, kvapi.VoterIncoming)),
			desc(v(1, kvapi.Voter), v(2, kvapi.Learner), v(3, kvapi.Voter), v(4, kvapi.Learner)), false, false},
		{"a joint voter is removed", desc(v(1, kvapi.Voter), v(2, kvapi.VoterDemotingLearner), v(3, kvapi.VoterIncoming)),
			desc(v(1, kvapi.Voter), v(3, kvapi.Voter)), false, false},
	} {
		change, err := confChangeBetween(c.from, c.to)
		if (err == nil) != c.ok || change.Joint != c.joint && c.ok {
			t.Errorf("%s: %+v, %v", c.name, change, err)
		}
	}
}
