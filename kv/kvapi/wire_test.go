package kvapi

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/internal/wire/wiretest"
)

// TestWireRoundTrip fills every tagged struct at random, encodes, decodes and
// compares; then it feeds truncated and damaged bytes to the decoder.
func TestWireRoundTrip(t *testing.T) {
	wiretest.RoundTrip[BatchRequest](t)
	wiretest.RoundTrip[BatchResponse](t)
	wiretest.RoundTrip[Transaction](t)
	wiretest.RoundTrip[RangeDescriptor](t)
	wiretest.RoundTrip[Lease](t)
	wiretest.RoundTrip[Error](t)
}

// TestWireGolden pins the encoding: a change here is a change of format.
func TestWireGolden(t *testing.T) {
	d := RangeDescriptor{RangeID: 7, StartKey: Key("a"), EndKey: Key("b"), Generation: 300,
		Replicas: []ReplicaDescriptor{{NodeID: 1, ReplicaID: 2, Type: Learner}}}
	got := d.AppendWire(nil)
	want := []byte("\x08\x07\x12\x01a\x1a\x01b\x22\x06\x08\x01\x10\x02\x18\x01\x30\xac\x02")
	if !bytes.Equal(got, want) {
		t.Fatalf("got %q\nwant %q", got, want)
	}
}

func BenchmarkBatchCodec(b *testing.B) {
	ba := &BatchRequest{Header: Header{RangeID: 5, Generation: 3,
		Txn: &Transaction{TxnMeta: TxnMeta{ID: NewTxnID(), AnchorKey: Key("table/1/2/3"),
			WriteTimestamp: hlc.Timestamp{WallTime: 1e18, Logical: 3}}}}}
	for range 3 {
		ba.Add(Request{Kind: Put, Key: Key("table/1/2/3"), Value: make([]byte, 100), Seq: TxnSeq(rand.IntN(9))})
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = ba.AppendWire(buf[:0])
		var out BatchRequest
		if err := out.UnmarshalWire(buf); err != nil || !reflect.DeepEqual(out.RangeID, ba.RangeID) {
			b.Fatal(err)
		}
	}
}
