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
//
// A scan whose rows are worked on where they lie (kvapi.Programs) answers with
// little however much it reads, so that some ranges are asked at a time, and what
// the limit cuts off is seldom read in vain:
//
//	ranges   r1 ───────┐ page page page ▶┐
//	         r2 ───────┤ page page      ▶┤ taken in key order, up to the first
//	         r3 ───────┤ page           ▶┤ that has a page left, since its rows
//	         r4 ───────┘ page page page ▶┘ alone were as many as may be
//	         r5 …        the next window
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
	window := o.window()
	for !o.limitPassed {
		parts, err := o.nextParts(ctx, s, window)
		switch {
		case err != nil:
			return nil, s.giveUp(f, lookupError(ctx, err))
		case len(parts) == 0:
			o.finish()
			o.out.Txn = mergeTxns(ba.Txn, o.parts)
			return o.out, nil
		}
		h.MaxKeys, h.TargetBytes = o.keysLeft, o.bytesLeft
		if window > 1 {
			s.sendWindow(ctx, h, parts, f)
		} else {
			p := parts[0]
			p.br, p.err = s.sendPart(ctx, p.e, p.batch(h), p.fate(f))
		}
		for _, p := range parts {
			o.parts = append(o.parts, p)
			if p.err != nil {
				return combine(ba, o.parts)
			}
			h.Txn = mergeTxns(h.Txn, []*part{p})
			if o.take(p) {
				break // what comes behind it was read in vain
			}
		}
	}
	o.finish()
	o.out.Txn = mergeTxns(ba.Txn, o.parts)
	return o.out, nil
}

// window is how many ranges are asked at a time.
func (o *ordered) window() int {
	if len(o.ba.Requests) == 1 && len(o.ba.Requests[0].Program) > 0 && o.ba.MaxKeys == 0 && o.ba.IsReadOnly() {
		return programWindow
	}
	return 1
}

// nextParts are the parts that come next, at most max of them.
func (o *ordered) nextParts(ctx context.Context, s *Sender, max int) (parts []*part, err error) {
	at := o.at
	defer func() { o.at = at }()
	for len(parts) < max {
		from, ok := o.next()
		if !ok {
			break
		}
		e, err := s.lookup(ctx, from, o.reverse)
		if err != nil {
			return nil, err
		}
		parts = append(parts, o.cutTo(e))
		o.passed(e)
	}
	return parts, nil
}

// passed notes that e's range is done.
func (o *ordered) passed(e *entry) {
	o.at = e.desc.EndKey
	if o.reverse {
		o.at = e.desc.StartKey
	}
}

// sendWindow sends parts of one request each, every one page after page until it
// is done or has answered as much as the whole may.
func (s *Sender) sendWindow(ctx context.Context, h kvapi.Header, parts []*part, f fate) {
	s.sideBySide(parts, func(p *part) {
		h, whole := h, p.batch(h)
		var pages []*part
		for rest := p.reqs[0]; ; {
			page := &part{e: p.e}
			page.add(rest, 0)
			pages = append(pages, page)
			if page.br, page.err = s.sendPart(ctx, p.e, page.batch(h), p.fate(f)); page.err != nil {
				break
			}
			resp := &page.br.Responses[0]
			h.TargetBytes -= resp.Bytes()
			if resp.Resume == nil || h.TargetBytes <= 0 {
				break
			}
			rest.Key, rest.EndKey, resp.Resume = resp.Resume.Key, resp.Resume.EndKey, nil
		}
		p.br, p.err = combine(whole, pages)
	})
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

// take adds a part's answers and moves on. It reports whether the part has
// something left.
func (o *ordered) take(p *part) (left bool) {
	for i := range p.br.Responses {
		resp, r := &p.br.Responses[i], &o.ba.Requests[p.pos[i]]
		merge(&o.out.Responses[p.pos[i]], resp, r)
		left = left || resp.Resume != nil
		o.charge(resp)
	}
	o.limitPassed = o.limitPassed || left
	o.passed(p.e)
	o.out.Timestamp.Forward(p.br.Timestamp)
	if hlcLess(o.out.Now, p.br.Now) {
		o.out.Now = p.br.Now
	}
	return left
}

// charge takes the rows of an answer off the limits.
func (o *ordered) charge(resp *kvapi.Response) {
	rows := int64(len(resp.Rows)) + resp.Keys
	if resp.Exists {
		rows++
	}
	if o.ba.MaxKeys > 0 {
		o.keysLeft -= rows
		o.limitPassed = o.limitPassed || o.keysLeft <= 0
	}
	if o.ba.TargetBytes > 0 {
		o.bytesLeft -= resp.Bytes()
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
