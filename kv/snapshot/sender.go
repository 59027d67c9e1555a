package snapshot

import (
	"context"

	"github.com/cairndb/cairn/kv/storage"
)

// Stats says what was sent.
type Stats struct {
	Keys  int64
	Bytes int64
}

// Send streams the range of h out of r, an engine snapshot whose applied index
// is h.Index. send must not keep the chunk. lim may be nil.
func Send(ctx context.Context, r storage.Reader, h Header, lim *Limiter, send func(chunk []byte) error) (Stats, error) {
	panic("todo")
}
