package batcheval

import (
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/mvcc"
)

func evalScan(ev *evaluator, r *kvapi.Request, resp *kvapi.Response) error {
	if ev.limitReached() {
		resp.Resume = &kvapi.Span{Key: r.Key, EndKey: r.EndKey}
		return nil
	}
	o := mvcc.ScanOptions{ReadOptions: ev.readOptions(r), Reverse: r.Kind == kvapi.ReverseScan,
		MaxKeys: max(0, ev.keysLeft), TargetBytes: max(0, ev.bytesLeft)}
	if p := ev.program(r); p != nil {
		if done, err := ev.scanWith(p, r, o, resp); done || err != nil {
			return err
		}
	}
	res, err := mvcc.Scan(ev.rw, r.Span(), ev.at.read, o)
	if err != nil {
		return err
	}
	resp.Rows, resp.Resume = res.Rows, res.Resume
	if o.Inconsistent {
		// Not beyond the rows: nobody asks for what is there.
		sp := r.Span()
		if res.Resume != nil && !o.Reverse {
			sp.EndKey = res.Resume.Key
		}
		if resp.Provisional, err = mvcc.ScanProvisional(ev.rw, sp, kvapi.ProvisionalMax); err != nil {
			return err
		}
	}
	ev.spend(int64(len(res.Rows)), res.Bytes)
	for i := range res.Rows {
		if err := ev.lock(r, res.Rows[i].Key); err != nil {
			return err
		}
	}
	return nil
}

// program begins the request's program, if there is one that this node can run
// and it is one of those that may have one.
func (ev *evaluator) program(r *kvapi.Request) kvapi.Program {
	if len(r.Program) == 0 || ev.ec.Programs == nil || r.Kind != kvapi.Scan || r.Lock != kvapi.LockNone ||
		ev.ba.Inconsistent || ev.keysLeft >= 0 {
		return nil
	}
	p, err := ev.ec.Programs.Compile(r.Program)
	if err != nil {
		return nil // an older or a newer node made it
	}
	return p
}

// scanWith answers a scan with what a program leaves of it; false if it failed,
// and nothing was answered. Bytes that were read count for the bound, not
// only those answered.
func (ev *evaluator) scanWith(p kvapi.Program, r *kvapi.Request, o mvcc.ScanOptions, resp *kvapi.Response) (bool, error) {
	var rows []kvapi.KeyValue
	read, kept, taken := int64(0), int64(0), int64(0)
	rest := &kvapi.Span{Key: r.Key, EndKey: r.EndKey}
	o.TargetBytes = programChunk
	for rest != nil && read < programBytesMax && (ev.bytesLeft < 0 || kept < ev.bytesLeft) {
		if err := ev.ctx.Err(); err != nil {
			return false, kvapi.NewError(kvapi.ErrCanceled, "%v", err)
		}
		res, err := mvcc.Scan(ev.rw, *rest, ev.at.read, o)
		if err != nil {
			return false, err
		}
		for _, row := range res.Rows {
			if p.Take(row.Key, row.Value) {
				taken++
				continue
			}
			rows = append(rows, row)
			kept += int64(len(row.Key) + len(row.Value))
		}
		read, rest = read+res.Bytes, res.Resume
	}
	partial, ok := p.Partial()
	if !ok {
		return false, nil
	}
	if partial != nil {
		resp.Partials = []kvapi.Partial{{Data: partial}}
	}
	resp.Rows, resp.Resume, resp.Keys = rows, rest, taken
	ev.spend(int64(len(rows)), kept)
	return true, nil
}
