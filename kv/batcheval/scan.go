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
	res, err := mvcc.Scan(ev.rw, r.Span(), ev.at.read, o)
	if err != nil {
		return err
	}
	resp.Rows, resp.Resume = res.Rows, res.Resume
	if o.Inconsistent {
		if resp.Provisional, err = mvcc.ScanProvisional(ev.rw, r.Span(), kvapi.ProvisionalMax); err != nil {
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
