package rpc

import (
	"bytes"
	"errors"
	"testing"

	"google.golang.org/grpc/mem"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/rpc/rpcpb"
	"github.com/cairndb/cairn/internal/version"
)

// sealed is a stream of three batches.
func sealed() [][]byte {
	var out chain
	var all [][]byte
	for i, text := range []string{"one", "", "three"} {
		b := appendFrame(make([]byte, headBytes), frameSend, methodNote, 0, Raw(text))
		out.seal(b, hlc.ClockTimestamp{WallTime: int64(i) + 7, Logical: int32(i)})
		all = append(all, b)
	}
	return all
}

func opens(all [][]byte) error {
	var in chain
	for _, b := range all {
		if _, _, err := in.open(b); err != nil {
			return err
		}
	}
	return nil
}

func TestABatchThatALinkChangedIsNotOpened(t *testing.T) {
	if err := opens(sealed()); err != nil {
		t.Fatal(err)
	}
	var in chain
	if now, frames, err := in.open(sealed()[0]); err != nil || now.WallTime != 7 || !bytes.Contains(frames, []byte("one")) {
		t.Fatalf("%v %q %v", now, frames, err)
	}
	for i, b := range sealed() {
		for bit := range 8 * len(b) {
			all := sealed()
			all[i][bit/8] ^= 1 << (bit % 8)
			if err := opens(all); !errors.Is(err, errChecksum) {
				t.Fatalf("batch %d with bit %d flipped: %v", i, bit, err)
			}
		}
		for n := range b {
			all := sealed()
			all[i] = b[:n]
			if err := opens(all); err == nil {
				t.Fatalf("batch %d of %d bytes was opened", i, n)
			}
		}
	}
}

func TestALostRepeatedOrMovedBatchIsNoticed(t *testing.T) {
	b := sealed()
	for name, all := range map[string][][]byte{
		"lost": {b[0], b[2]}, "repeated": {b[0], b[0], b[1]}, "moved": {b[1], b[0], b[2]}, "the first is lost": b[1:],
	} {
		if err := opens(all); !errors.Is(err, errChecksum) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAHelloThatALinkChangedIsRefused(t *testing.T) {
	clock := hlc.NewClock(hlc.SystemClock{}, 1)
	who := Identity{ClusterID: testCluster, NodeID: 2, Address: "there:1", Incarnation: 9, Versions: version.Binary()}
	sent := hello(who, 1, KV, clock)
	b := sent.encode()
	if got, err := decodeHello(b); err != nil || got != *sent {
		t.Fatalf("%+v %v", got, err)
	}
	for bit := range 8 * len(b) {
		changed := bytes.Clone(b)
		changed[bit/8] ^= 1 << (bit % 8)
		if got, err := decodeHello(changed); err == nil {
			t.Fatalf("bit %d: %+v", bit, got)
		}
	}
	// A build that knows more fields says more, one of before the checksum less.
	more := append(sent.AppendWire(nil), 0xfa, 0x06, 0x01, 0x07)
	if got, err := decodeHello(append(more, trailer(more)...)); err != nil || got != *sent {
		t.Errorf("%+v %v", got, err)
	}
	sent.VersionMin, sent.VersionLatest = 0, 0
	if got, err := decodeHello(sent.AppendWire(nil)); err != nil || got != *sent || got.sealed(who) {
		t.Errorf("%+v %v", got, err)
	}
}

func TestAUnaryMessageThatALinkChangedIsRefused(t *testing.T) {
	c := newCodec()
	m := &rpcpb.JoinRequest{Version: "v1.2.3", RpcAddress: "127.0.0.1:7433", NodeId: 7}
	data, err := c.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	whole := data.Materialize()
	var got rpcpb.JoinRequest
	for bit := range 8 * (len(whole) - len(trailerHead) - sumBytes) {
		b := bytes.Clone(whole)
		b[bit/8] ^= 1 << (bit % 8)
		if err := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &got); !errors.Is(err, errChecksum) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	// Builds from before skip the checksum, and send none.
	if err := c.proto.Unmarshal(mem.BufferSlice{mem.SliceBuffer(whole)}, &got); err != nil || got.Version != m.Version {
		t.Errorf("%v %v", &got, err)
	}
	old, err := c.proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Unmarshal(old, &got); err != nil || got.NodeId != 7 {
		t.Errorf("%v %v", &got, err)
	}
	if err := c.Unmarshal(nil, &got); err != nil {
		t.Errorf("an empty message: %v", err)
	}
}
