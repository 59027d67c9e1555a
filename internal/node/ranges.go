package node

import (
	"context"
	"fmt"
	"strings"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/txn"
)

// ClusterRange is a range as the addressing records and its leaseholder tell.
type ClusterRange struct {
	kvapi.RangeInfo
	Stats kvapi.RangeStatistics
	// Rate is how many batches a second it has been sent lately.
	Rate                   float64
	StartPretty, EndPretty string
}

// rangesPage is how many addressing records are read at once.
const rangesPage = 1000

// rangeDescriptors returns the descriptors of all ranges, in key order.
func (c *Core) rangeDescriptors(ctx context.Context) (descs []kvapi.RangeDescriptor, err error) {
	err = c.DB.Run(ctx, txn.Options{Name: "list ranges"}, func(ctx context.Context, t *txn.Txn) error {
		descs = descs[:0]
		span := &kvapi.Span{Key: keys.Meta1Prefix, EndKey: keys.MetaMax}
		for span != nil {
			rows, resume, err := t.Scan(ctx, *span, txn.ScanOptions{MaxKeys: rangesPage})
			if err != nil {
				return err
			}
			for _, row := range rows {
				var d kvapi.RangeDescriptor
				if err := d.UnmarshalWire(row.Value); err != nil {
					return fmt.Errorf("addressing record %s: %w", row.Key, err)
				}
				descs = append(descs, d)
			}
			span = resume
		}
		return nil
	})
	return descs, err
}

// ClusterRanges lists all ranges of the cluster, in key order. Lease and
// statistics are asked of each range; they are empty if it does not answer.
func (c *Core) ClusterRanges(ctx context.Context) ([]ClusterRange, error) {
	descs, err := c.rangeDescriptors(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]ClusterRange, len(descs))
	for i, d := range descs {
		out[i] = ClusterRange{RangeInfo: kvapi.RangeInfo{Desc: d}, StartPretty: prettyKey(d.StartKey), EndPretty: prettyKey(d.EndKey)}
		c.askRange(ctx, &out[i])
	}
	return out, nil
}

func (c *Core) askRange(ctx context.Context, r *ClusterRange) {
	ba := &kvapi.BatchRequest{}
	ba.Add(kvapi.Request{Kind: kvapi.RangeStats, Key: r.Desc.StartKey})
	br, err := c.DB.Send(ctx, ba)
	if err != nil || len(br.Responses) != 1 {
		return
	}
	if s := br.Responses[0].Stats; s != nil {
		r.Stats = *s
	}
	r.Rate = br.Responses[0].Rate
	if i := br.Responses[0].Info; i != nil {
		r.Lease = i.Lease
	}
}

// prettyKey prints a key by its meaning: /meta2/…, /system/…, /table/104/1/….
func prettyKey(k kvapi.Key) string {
	rest := func(prefix kvapi.Key) string { return strings.Trim(fmt.Sprintf("%q", []byte(k[len(prefix):])), `"`) }
	switch {
	case k.Equal(keys.Min):
		return "/min"
	case k.Equal(keys.Max):
		return "/max"
	case k.Less(keys.SystemPrefix):
		return "/meta/" + rest(keys.Meta1Prefix)
	case k.Less(keys.SystemMax):
		return strings.TrimSuffix("/system/"+rest(keys.SystemPrefix), "/")
	case k.Less(keys.TablePrefix):
		return "/tables"
	}
	var b strings.Builder
	b.WriteString("/table")
	r := k[len(keys.TablePrefix):]
	for range 2 {
		if len(r) < 4 {
			break
		}
		fmt.Fprintf(&b, "/%d", uint32(r[0])<<24|uint32(r[1])<<16|uint32(r[2])<<8|uint32(r[3]))
		r = r[4:]
	}
	if len(r) > 0 {
		fmt.Fprintf(&b, "/%x", []byte(r))
	}
	return b.String()
}
