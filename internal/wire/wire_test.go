package wire

import (
	"bytes"
	"testing"
)

// TestNestedLengths crosses the boundaries at which a length takes another byte.
func TestNestedLengths(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 129, 16383, 16384, 70000} {
		body := bytes.Repeat([]byte{7}, n)
		b, at := Begin([]byte("head"), 3)
		b = End(append(b, body...), at)
		field, typ, rest, err := Tag(b[4:])
		if err != nil || field != 3 || typ != Bytes {
			t.Fatalf("n=%d: tag %d %d %v", n, field, typ, err)
		}
		got, rest, err := Cut(rest)
		if err != nil || !bytes.Equal(got, body) || len(rest) != 0 {
			t.Fatalf("n=%d: got %d bytes, %d left, %v", n, len(got), len(rest), err)
		}
	}
}

// TestIntZigzag checks the extremes.
func TestIntZigzag(t *testing.T) {
	for _, v := range []int64{0, -1, 1, 1<<63 - 1, -1 << 63} {
		_, _, rest, _ := Tag(AppendInt(nil, 1, v))
		if got, _, err := Int(rest); got != v || err != nil {
			t.Errorf("%d came back as %d, %v", v, got, err)
		}
	}
}
