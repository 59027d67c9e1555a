package batcheval

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/spanset"
)

// ReadSpans returns what the batch read and must be kept in the timestamp
// cache before its latches are dropped: after success (err nil) with the
// response's resume spans taken off, and after an error which reveals what
// was read (ConditionFailed).
func ReadSpans(ba *kvapi.BatchRequest, br *kvapi.BatchResponse, err *kvapi.Error) []spanset.ReadSpan {
	if ba.Inconsistent {
		return nil
	}
	rs := reads{}
	if ba.Txn != nil {
		rs.txn = ba.Txn.ID
	}
	if err != nil {
		rs.at = ReadTimestamp(ba)
		if err.Kind == kvapi.ErrConditionFailed && len(err.Key) > 0 {
			rs.add(kvapi.Span{Key: err.Key})
		}
		return rs.out
	}
	rs.at = readAt(ba, br)
	for i := range ba.Requests {
		rs.request(&ba.Requests[i], &br.Responses[i])
	}
	return rs.out
}

// readAt returns where the batch really read: it may have been moved up.
func readAt(ba *kvapi.BatchRequest, br *kvapi.BatchResponse) hlc.Timestamp {
	switch {
	case ba.Txn == nil:
		return br.Timestamp
	case br.Txn != nil:
		return ba.Txn.ReadTimestamp.Max(br.Txn.ReadTimestamp)
	}
	return ba.Txn.ReadTimestamp
}

type reads struct {
	at  hlc.Timestamp
	txn kvapi.TxnID
	out []spanset.ReadSpan
}

func (rs *reads) add(sp kvapi.Span) {
	rs.out = append(rs.out, spanset.ReadSpan{Span: sp, Timestamp: rs.at, TxnID: rs.txn})
}

func (rs *reads) request(r *kvapi.Request, resp *kvapi.Response) {
	switch r.Kind {
	case kvapi.Get, kvapi.Refresh:
		skipped := r.Kind == kvapi.Get && r.Wait == kvapi.WaitSkip && (r.Lock == kvapi.LockNone || !resp.Exists)
		if resp.Resume == nil && !skipped {
			rs.add(r.Span())
		}
	case kvapi.Scan, kvapi.ReverseScan:
		if r.Wait == kvapi.WaitSkip {
			// What was passed over was not read; rows between are unknown to
			// the reader by its own wish. Those that it only looked at it will
			// lock, and read again then.
			for i := range resp.Rows {
				if r.Lock == kvapi.LockNone {
					break
				}
				rs.add(kvapi.Span{Key: resp.Rows[i].Key})
			}
			return
		}
		rs.trimmed(r, resp)
	case kvapi.DeleteRange, kvapi.RefreshRange:
		rs.trimmed(r, resp)
	}
	// A ConditionalPut that succeeded is protected by what it wrote.
}

// trimmed adds the span up to where the request stopped.
func (rs *reads) trimmed(r *kvapi.Request, resp *kvapi.Response) {
	sp := r.Span()
	if resp.Resume != nil {
		if r.Kind == kvapi.ReverseScan {
			sp.Key = resp.Resume.EndKey
		} else {
			sp.EndKey = resp.Resume.Key
		}
	}
	if sp.Key.Less(sp.EndKey) {
		rs.add(sp)
	}
}
