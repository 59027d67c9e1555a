package schema

import (
	"context"
	"sync"
	"sync/atomic"
)

// use counts the transactions of this node that use one version of one
// descriptor. It is retired when a newer version has been seen; from then on
// no transaction starts to use it.
type use struct {
	n       atomic.Int64
	retired atomic.Bool
	once    sync.Once
	done    chan struct{}
}

func newUse() *use { return &use{done: make(chan struct{})} }

// acquire counts one user; it fails if the version is retired. The order
// (count, then look) against retire's (mark, then look) leaves no gap.
func (u *use) acquire() bool {
	u.n.Add(1)
	if u.retired.Load() {
		u.release()
		return false
	}
	return true
}

func (u *use) release() {
	n := u.n.Add(-1)
	if n < 0 {
		panic("schema: a descriptor was released more often than acquired")
	}
	if n == 0 && u.retired.Load() {
		u.finish()
	}
}

func (u *use) retire() {
	u.retired.Store(true)
	if u.n.Load() == 0 {
		u.finish()
	}
}

func (u *use) finish() { u.once.Do(func() { close(u.done) }) }

// wait returns when the retired version has no user left.
func (u *use) wait(ctx context.Context) error {
	select {
	case <-u.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
