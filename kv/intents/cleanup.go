package intents

import (
	"context"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// job is the clean-up after one transaction, or after several that have no
// record to forget.
type job struct {
	updates []kvapi.LockUpdate
	// txn is the finished transaction whose record goes when the updates are
	// done; zero for none.
	txn kvapi.Transaction
}

// work does what is queued, jobs of whatever transactions together, until
// nothing is left (I3).
func (r *Resolver) work() {
	for jobs := r.take(); jobs != nil; jobs = r.take() {
		if r.resolveJobs(jobs) {
			r.forgetLater(jobs)
			continue
		}
		// One range may have stood in the way of all.
		for i := range jobs {
			if one := jobs[i : i+1]; len(jobs) > 1 && r.resolveJobs(one) {
				r.forgetLater(one)
			} else {
				r.failed.Add(int64(len(jobs[i].updates)))
			}
		}
	}
}

// take returns the next jobs, or nil when the worker is to end.
func (r *Resolver) take() []job {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, locks := 0, 0
	for n < len(r.mu.queue) && (n == 0 || locks+len(r.mu.queue[n].updates) <= batchMax) {
		locks += len(r.mu.queue[n].updates)
		n++
	}
	if n == 0 || r.mu.closed {
		r.mu.workers--
		return nil
	}
	jobs := r.mu.queue[:n:n]
	r.mu.queue = r.mu.queue[n:]
	r.mu.queued -= locks
	if len(r.mu.queue) == 0 {
		r.mu.queue = nil // lets go of what was resolved
	}
	return jobs
}

// resolveJobs reports whether all locks of the jobs were resolved.
func (r *Resolver) resolveJobs(jobs []job) bool {
	updates := jobs[0].updates
	if len(jobs) > 1 {
		updates = nil
		for i := range jobs {
			updates = append(updates, jobs[i].updates...)
		}
	}
	ctx, cancel := context.WithTimeout(r.ctx, asyncTimeout)
	defer cancel()
	return r.resolve(ctx, updates, true) == nil
}

// forgetLater queues the records of jobs that are done (I4).
func (r *Resolver) forgetLater(jobs []job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgetLaterLocked(jobs)
}

func (r *Resolver) forgetLaterLocked(jobs []job) {
	for i := range jobs {
		if t := &jobs[i].txn; !t.ID.IsZero() && !r.mu.closed && len(r.mu.forget) < queueMax {
			r.mu.forget = append(r.mu.forget, *t)
		}
	}
	if len(r.mu.forget) > 0 && !r.mu.forgetting {
		r.mu.forgetting = true
		r.mu.done.Go(r.forgetAll)
	}
}

// forgetAll removes records, those of forgetFor together, until none is left.
func (r *Resolver) forgetAll() {
	for {
		wait := time.NewTimer(forgetFor)
		select {
		case <-wait.C:
		case <-r.ctx.Done():
			wait.Stop()
		}
		r.mu.Lock()
		list := r.mu.forget
		r.mu.forget = nil
		if len(list) == 0 || r.mu.closed {
			r.mu.forgetting = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		ctx, cancel := context.WithTimeout(r.ctx, asyncTimeout)
		if err := inBatches(ctx, list, r.forget); err != nil {
			r.unforgotten.Add(int64(len(list)))
		}
		cancel()
	}
}

// forget says that all locks of these transactions are resolved.
func (r *Resolver) forget(ctx context.Context, txns []kvapi.Transaction) error {
	ba := r.newBatch()
	ba.Deferrable = true
	ba.Requests = make([]kvapi.Request, 0, len(txns))
	for i := range txns {
		ba.Add(kvapi.Request{Kind: kvapi.RecoverTxn, Key: txns[i].AnchorKey, Recover: &kvapi.RecoverArgs{Txn: txns[i]}})
	}
	_, err := r.cfg.Sender.Send(ctx, ba)
	if err == nil {
		r.forgotten.Add(int64(len(txns)))
	}
	return err.AsError()
}
