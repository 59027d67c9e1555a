package rangecache

import (
	"context"
	"slices"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

func hlcLess(a, b hlc.ClockTimestamp) bool { return hlc.Timestamp(a).Less(hlc.Timestamp(b)) }

// ordered is a limited batch on its way through the ranges, one after the
// other in key order (or against it): in parallel every range would read up
// to the whole limit.
type ordered struct {
	ba      *kvapi.BatchRequest
	reverse bool
	// at separates what was done from what was not: keys before it (with
	// reverse: from it on) are done. nil before the start.
	at          kvapi.Key
	keysLeft    int64
	bytesLeft   int64
	out         *kvapi.BatchResponse
	parts       []*part
	limitPassed bool
}

func (s *Sender) sendOrdered(ctx context.Context, ba *kvapi.BatchRequest, b bounds, f fate) (*kvapi.BatchResponse, *kvapi.Error) {
	o := &ordered{ba: ba, keysLeft: ba.MaxKeys, bytesLeft: ba.TargetBytes}
	o.reverse = slices.ContainsFunc(ba.Requests, func(r kvapi.Request) bool { return r.Kind == kvapi.ReverseScan })
	o.out = &kvapi.BatchResponse{Responses: make([]kvapi.Response, len(ba.Requests))}
	h := s.partHeader(ba)
	for !o.limitPassed {
		from, ok := o.next()
		if !ok {
			break
		}
		e, err := s.lookup(ctx, from, o.reverse)
		if err != nil {
			return nil, s.giveUp(f, lookupError(ctx, err))
		}
		p := o.cutTo(e)
		h.MaxKeys, h.TargetBytes = o.keysLeft, o.bytesLeft
		o.parts = append(o.parts, p)
		if p.br, p.err = s.sendPart(ctx, e, p.batch(h), p.fate(f)); p.err != nil {
			return combine(ba, o.parts)
		}
		h.Txn = mergeTxns(h.Txn, []*part{p})
		o.take(p)
	}
	o.finish()
	o.out.Txn = mergeTxns(ba.Txn, o.parts)
	return o.out, nil
}

// undone returns what is left of request i, false if nothing is.
func (o *ordered) undone(i int) (kvapi.Span, bool) {
	sp, _ := addr(&o.ba.Requests[i])
	if o.at == nil {
		return sp, true
	}
	if sp.IsPoint() {
		return sp, sp.Key.Less(o.at) == o.reverse
	}
	if o.reverse {
		if o.at.Less(sp.EndKey) {
			sp.EndKey = o.at
		}
	} else if sp.Key.Less(o.at) {
		sp.Key = o.at
	}
	return sp, sp.Key.Less(sp.EndKey)
}

// next returns the key whose range comes next.
func (o *ordered) next() (kvapi.Key, bool) {
	var best kvapi.Key
	for i := range o.ba.Requests {
		sp, ok := o.undone(i)
		switch {
		case !ok:
		case o.reverse && best.Less(sp.End()):
			best = sp.End()
		case !o.reverse && (best == nil || sp.Key.Less(best)):
			best = sp.Key
		}
	}
	return best, best != nil
}

// cutTo makes the part of e's range out of what is undone.
func (o *ordered) cutTo(e *entry) *part {
	p := &part{e: e}
	for i := range o.ba.Requests {
		sp, ok := o.undone(i)
		if !ok || !e.desc.Span().Overlaps(sp) {
			continue
		}
		r := o.ba.Requests[i]
		if !sp.IsPoint() {
			r.Key, r.EndKey = sp.Key, sp.EndKey
			r = cut(&r, e.desc.Span())
		}
		p.add(r, i)
	}
	return p
}

// take adds a part's answers and moves on.
func (o *ordered) take(p *part) {
	for i := range p.br.Responses {
		resp, r := &p.br.Responses[i], &o.ba.Requests[p.pos[i]]
		merge(&o.out.Responses[p.pos[i]], resp, r)
		o.limitPassed = o.limitPassed || resp.Resume != nil
		o.charge(resp)
	}
	o.at = p.e.desc.EndKey
	if o.reverse {
		o.at = p.e.desc.StartKey
	}
	o.out.Timestamp.Forward(p.br.Timestamp)
	if hlcLess(o.out.Now, p.br.Now) {
		o.out.Now = p.br.Now
	}
}

// charge takes the rows of an answer off the limits.
func (o *ordered) charge(resp *kvapi.Response) {
	rows, size := int64(len(resp.Rows))+resp.Keys, int64(len(resp.Value))
	if resp.Exists {
		rows++
	}
	for i := range resp.Rows {
		size += int64(len(resp.Rows[i].Key) + len(resp.Rows[i].Value))
	}
	if o.ba.MaxKeys > 0 {
		o.keysLeft -= rows
		o.limitPassed = o.limitPassed || o.keysLeft <= 0
	}
	if o.ba.TargetBytes > 0 {
		o.bytesLeft -= size
		o.limitPassed = o.limitPassed || o.bytesLeft <= 0
	}
}

// finish sets the resume spans of what was not reached.
func (o *ordered) finish() {
	for i := range o.out.Responses {
		resp := &o.out.Responses[i]
		sp, ok := o.undone(i)
		if !ok || resp.Resume != nil {
			continue
		}
		resp.Kind = o.ba.Requests[i].Kind
		resp.Resume = &sp
	}
}
