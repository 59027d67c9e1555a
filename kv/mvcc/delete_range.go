package mvcc

import (
	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// DeleteRange deletes the keys of a span that are there, at most maxKeys (0:
// all), each by a tombstone of its own. It returns the highest timestamp
// written.
func DeleteRange(rw storage.ReadWriter, sp kvapi.Span, ts hlc.Timestamp, maxKeys int64, o WriteOptions) (keys int64, resume *kvapi.Span, at hlc.Timestamp, err error) {
	so := ScanOptions{MaxKeys: maxKeys, KeysOnly: true}
	so.Txn, so.FailOnMoreRecent, so.Finished = o.Txn, true, o.Finished
	readTS := ts
	if o.Txn != nil {
		readTS = o.Txn.ReadTimestamp
		own := *o.Txn
		own.Seq = max(own.Seq, o.Seq)
		so.Txn = &own
	}
	res, err := Scan(rw, sp, readTS, so)
	if err != nil {
		return 0, nil, ts, err
	}
	at = ts
	for i := range res.Rows {
		wrote, err := Delete(rw, res.Rows[i].Key, ts, o)
		if err != nil {
			return 0, nil, ts, err
		}
		at.Forward(wrote)
	}
	return int64(len(res.Rows)), res.Resume, at, nil
}
