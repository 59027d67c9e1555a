package jobs

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/schema"
)

// ErrLost says that the job is not this node's any more.
var ErrLost = errors.New("jobs: the claim is lost")

// Handle is a job in the hands of the node that claimed it.
type Handle struct {
	g     *Registry
	id    ID
	token Token
	rec   atomic.Pointer[Record]
	// poke has the claim renewed, and so requests noticed, at once.
	poke chan struct{}
}

// Record is the job as last seen; it must not be changed.
func (h *Handle) Record() *Record { return h.rec.Load() }

// UpdateIn changes the record in a transaction of the caller's, who calls
// Reload after its commit. ErrLost ends the work.
func (h *Handle) UpdateIn(ctx context.Context, t schema.Txn, fn func(*Record) error) error {
	_, err := h.updateIn(ctx, t, fn)
	return err
}

func (h *Handle) updateIn(ctx context.Context, t schema.Txn, fn func(*Record) error) (*Record, error) {
	r, err := get(ctx, t, h.id)
	if err != nil {
		return nil, err
	}
	if r == nil || r.Claim.Token != h.token {
		return nil, ErrLost
	}
	if err := fn(r); err != nil {
		return nil, err
	}
	now := h.g.cfg.Clock.PhysicalNow()
	r.ModifiedNanos = now
	r.Claim.Expires = h.g.claimExpiry()
	if r.State.Ended() || r.State == Paused {
		r.Claim, r.Request = Claim{}, NoRequest
	}
	if r.State.Ended() {
		r.FinishedNanos = now
	}
	return r, put(ctx, t, r)
}

// Update changes the record.
func (h *Handle) Update(ctx context.Context, fn func(*Record) error) error {
	var after *Record
	err := h.g.cfg.Store.Run(ctx, "job", func(ctx context.Context, t schema.Txn) (err error) {
		after, err = h.updateIn(ctx, t, fn)
		return err
	})
	if err == nil {
		h.rec.Store(after)
	}
	return err
}

// Reload reads the record anew. ErrLost says that the job is not this node's
// any more, unless it has ended by itself.
func (h *Handle) Reload(ctx context.Context) error {
	var r *Record
	err := h.g.cfg.Store.Run(ctx, "job", func(ctx context.Context, t schema.Txn) (err error) {
		r, err = find(ctx, t, h.id)
		return err
	})
	if err != nil {
		return err
	}
	if r == nil || r.Claim.Token != h.token && !r.State.Ended() && r.State != Paused {
		return ErrLost
	}
	h.rec.Store(r)
	return nil
}

// Revert has the job go back, for a reason; canceled jobs have none.
func (h *Handle) Revert(ctx context.Context, why Problem) error {
	return h.Update(ctx, func(r *Record) error {
		if r.State != Reverting {
			r.State, r.Error = Reverting, why
		}
		return nil
	})
}

// Pause stops the job until somebody resumes it.
func (h *Handle) Pause(ctx context.Context) error {
	return h.Update(ctx, func(r *Record) error {
		if r.State == Running {
			r.State = Paused
		}
		return nil
	})
}

// renew keeps the claim until ctx ends; lost is called when that fails (I2).
func (h *Handle) renew(ctx context.Context, lost func()) {
	tick := time.NewTicker(claimDuration / 3)
	defer tick.Stop()
	expires := h.Record().Claim.Expires
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-h.poke:
		}
		attempt, cancel := context.WithTimeout(ctx, claimDuration/3)
		err := h.Update(attempt, func(*Record) error { return nil })
		cancel()
		if r := h.Record(); err == nil {
			expires = r.Claim.Expires
		}
		if errors.Is(err, ErrLost) || err != nil && expires.WallTime < h.g.cfg.Clock.PhysicalNow()+int64(claimDuration/3) {
			lost()
			return
		}
	}
}

func (g *Registry) claimExpiry() hlc.Timestamp {
	return hlc.Timestamp{WallTime: g.cfg.Clock.PhysicalNow() + int64(claimDuration)}
}
