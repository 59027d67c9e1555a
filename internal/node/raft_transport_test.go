package node

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// oneAtATime receives snapshots as a store does: one at a time.
type oneAtATime struct{ place chan struct{} }

func (s oneAtATime) HandleSnapshot(ctx context.Context, next func() ([]byte, error)) error {
	select {
	case s.place <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.place }()
	for {
		if _, err := next(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// TestSilentSnapshotSender: one who is cut off in the middle of a transfer does
// not keep others out for long.
func TestSilentSnapshotSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSnapshotReceiver(oneAtATime{make(chan struct{}, 1)})
		send := func(from kvapi.NodeID, c snapshotChunk) error {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			c.ID = 1
			_, err := r.handle(ctx, from, c.AppendWire(nil))
			return err
		}
		if err := send(2, snapshotChunk{First: true, Data: []byte("half")}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for send(3, snapshotChunk{First: true, Data: []byte("all")}) != nil {
			if time.Since(began) > 10*time.Second {
				t.Fatal("the place is still taken")
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err := send(3, snapshotChunk{Last: true}); err != nil {
			t.Fatal(err)
		}
		r.close()
	})
}
