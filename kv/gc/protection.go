package gc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Protection keeps what is visible at Timestamp, and at all later timestamps,
// from being collected within its span.
type Protection struct {
	// ID names the record.
	ID        ProtectionID
	Span      kvapi.Span    `wire:"1"`
	Timestamp hlc.Timestamp `wire:"2"`
	// For says for whom it is, to people.
	For string `wire:"3"`
	// Expires, unless empty, is when it ends by itself, by the clock of
	// whoever collects: its owner must be done by the maximum offset before.
	Expires hlc.Timestamp `wire:"4"`
}

// ProtectionID names a protection.
type ProtectionID [16]byte

// String prints the id in hexadecimal.
func (id ProtectionID) String() string { return hex.EncodeToString(id[:]) }

// Overlaps reports whether the protection concerns a span.
func (p *Protection) Overlaps(sp kvapi.Span) bool { return p.Span.Overlaps(sp) }

func (p *Protection) isExpired(now hlc.Timestamp) bool {
	return !p.Expires.IsEmpty() && p.Expires.Less(now)
}

func (id ProtectionID) key() kvapi.Key { return append(keys.ProtectionPrefix.Clone(), id[:]...) }

// Protector makes and ends protections.
type Protector struct {
	Sender kvapi.Sender
	Clock  *hlc.Clock
}

// releaseTimeout bounds taking back a protection that came too late.
const releaseTimeout = 10 * time.Second

// Protect writes a record of protection and returns its id when it holds. It
// fails with ErrBelowGCThreshold if some of what it is to protect may be gone
// already. After another failure the record may be there until it expires.
func (p Protector) Protect(ctx context.Context, want Protection) (ProtectionID, error) {
	var id ProtectionID
	if want.Timestamp.IsEmpty() || want.Span.IsPoint() {
		return id, errors.New("gc: a protection needs a timestamp and a span")
	}
	if _, err := rand.Read(id[:]); err != nil {
		return id, err
	}
	put := &kvapi.BatchRequest{}
	put.Timestamp = p.Clock.Now().Timestamp()
	put.Add(kvapi.Request{Kind: kvapi.Put, Key: id.key(), Value: want.AppendWire(nil)})
	br, err := p.Sender.Send(ctx, put)
	if err != nil {
		return id, fmt.Errorf("gc: record of protection: %w", err)
	}
	check := &kvapi.BatchRequest{}
	check.Timestamp = br.Timestamp
	check.Add(kvapi.Request{Kind: kvapi.CheckProtection, Key: want.Span.Key, EndKey: want.Span.EndKey,
		GC: &kvapi.GCArgs{Threshold: want.Timestamp, ProtectedAsOf: br.Timestamp}})
	if _, err := p.Sender.Send(ctx, check); err != nil {
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
		defer cancel()
		_ = p.Release(rctx, id) // what stays expires
		return id, fmt.Errorf("gc: protect %s at %s: %w", want.Span, want.Timestamp, err)
	}
	return id, nil
}

// Release ends a protection. It may be repeated.
func (p Protector) Release(ctx context.Context, id ProtectionID) error {
	ba := &kvapi.BatchRequest{}
	ba.Timestamp = p.Clock.Now().Timestamp()
	ba.Add(kvapi.Request{Kind: kvapi.Delete, Key: id.key()})
	_, err := p.Sender.Send(ctx, ba)
	return err.AsError()
}

// protectionsPage bounds one answer.
const protectionsPage = 1000

// Protections returns all records, and a timestamp at which they are all there
// are.
func (p Protector) Protections(ctx context.Context) (out []Protection, asOf hlc.Timestamp, err error) {
	asOf = p.Clock.Now().Timestamp()
	sp := &kvapi.Span{Key: keys.ProtectionPrefix, EndKey: keys.ProtectionPrefix.PrefixEnd()}
	for sp != nil {
		ba := &kvapi.BatchRequest{}
		ba.Timestamp, ba.MaxKeys = asOf, protectionsPage
		ba.Add(kvapi.Request{Kind: kvapi.Scan, Key: sp.Key, EndKey: sp.EndKey})
		br, err := p.Sender.Send(ctx, ba)
		if err != nil {
			return nil, asOf, fmt.Errorf("gc: read protections: %w", err)
		}
		for _, row := range br.Responses[0].Rows {
			var rec Protection
			if err := rec.UnmarshalWire(row.Value); err != nil {
				return nil, asOf, fmt.Errorf("gc: record of protection %x: %w", row.Key, err)
			}
			copy(rec.ID[:], row.Key[len(keys.ProtectionPrefix):])
			out = append(out, rec)
		}
		sp = br.Responses[0].Resume
	}
	return out, asOf, nil
}
