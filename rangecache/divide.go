package rangecache

import (
	"context"
	"slices"
	"sync"

	"github.com/cairndb/cairn/kv/kvapi"
)

// part is what one range gets of a batch: requests cut at its bounds, and
// their positions in the batch.
type part struct {
	e    *entry
	reqs []kvapi.Request
	pos  []int32
	br   *kvapi.BatchResponse
	err  *kvapi.Error
}

func (p *part) add(r kvapi.Request, pos int) {
	p.reqs = append(p.reqs, r)
	p.pos = append(p.pos, int32(pos))
}

func (p *part) hasWrite() bool {
	return slices.ContainsFunc(p.reqs, func(r kvapi.Request) bool { return r.IsWrite() })
}

func (p *part) hasEndTxn() bool { return p.reqs[len(p.reqs)-1].Kind == kvapi.EndTxn }

// divide cuts ba by range, parts in key order. All requests of one key go to
// one part, in their order.
func (s *Sender) divide(ctx context.Context, ba *kvapi.BatchRequest) ([]*part, error) {
	d := division{s: s}
	for i := range ba.Requests {
		if err := d.place(ctx, &ba.Requests[i], i); err != nil {
			return nil, err
		}
	}
	return d.parts, nil
}

type division struct {
	s *Sender
	// parts are ordered by start key and do not overlap.
	parts []*part
	last  *part
}

// place puts the pieces of one request into their parts.
func (d *division) place(ctx context.Context, r *kvapi.Request, pos int) error {
	sp, err := addr(r)
	if err != nil {
		return err
	}
	for k := sp.Key; ; {
		p, err := d.partOf(ctx, k)
		if err != nil {
			return err
		}
		if sp.IsPoint() {
			p.add(*r, pos)
			return nil
		}
		p.add(cut(r, p.e.desc.Span()), pos)
		if k = p.e.desc.EndKey; !k.Less(sp.EndKey) {
			return nil
		}
	}
}

// partOf returns the part whose range holds k. The cache may have changed
// since the first parts were made; a new range that overlaps them is narrowed
// to the hole (the server corrects what is wrong with it, I1), so that a key
// is never in two parts.
func (d *division) partOf(ctx context.Context, k kvapi.Key) (*part, error) {
	if d.last != nil && d.last.e.desc.ContainsKey(k) {
		return d.last, nil
	}
	i, found := slices.BinarySearchFunc(d.parts, k, func(p *part, k kvapi.Key) int {
		return p.e.desc.StartKey.Compare(k)
	})
	if !found && i > 0 {
		found = d.parts[i-1].e.desc.ContainsKey(k)
		if found {
			i--
		}
	}
	if found {
		d.last = d.parts[i]
		return d.last, nil
	}
	e, err := d.s.lookup(ctx, k, false)
	if err != nil {
		return nil, err
	}
	d.last = &part{e: d.narrow(e, i)}
	d.parts = slices.Insert(d.parts, i, d.last)
	return d.last, nil
}

// narrow cuts e to the hole between parts i-1 and i.
func (d *division) narrow(e *entry, i int) *entry {
	lo, hi := e.desc.StartKey, e.desc.EndKey
	if i > 0 && lo.Less(d.parts[i-1].e.desc.EndKey) {
		lo = d.parts[i-1].e.desc.EndKey
	}
	if i < len(d.parts) && d.parts[i].e.desc.StartKey.Less(hi) {
		hi = d.parts[i].e.desc.StartKey
	}
	if lo.Equal(e.desc.StartKey) && hi.Equal(e.desc.EndKey) {
		return e
	}
	n := newEntry(e.info())
	n.desc.StartKey, n.desc.EndKey = lo, hi
	return n
}

// cut returns r narrowed to sp.
func cut(r *kvapi.Request, sp kvapi.Span) kvapi.Request {
	out := *r
	if out.Key.Less(sp.Key) {
		out.Key = sp.Key
	}
	if sp.EndKey.Less(out.EndKey) {
		out.EndKey = sp.EndKey
	}
	return out
}

// sendDivided sends the parts of an unlimited batch side by side.
func (s *Sender) sendDivided(ctx context.Context, ba *kvapi.BatchRequest, f fate) (*kvapi.BatchResponse, *kvapi.Error) {
	parts, err := s.divide(ctx, ba)
	if err != nil {
		return nil, s.giveUp(f, lookupError(ctx, err))
	}
	if len(parts) == 1 {
		return s.sendPart(ctx, parts[0].e, ba, f)
	}
	h := s.partHeader(ba)
	if end := parts[endTxnPart(parts)]; needsOrder(ba, parts) {
		s.sendAll(ctx, h, others(parts, end), f)
		if err := firstError(others(parts, end)); err == nil {
			h.Txn = mergeTxns(h.Txn, others(parts, end))
			s.sendAll(ctx, h, []*part{end}, f)
		}
	} else {
		s.sendAll(ctx, h, parts, f)
	}
	return combine(ba, parts)
}

// partHeader returns the header for the parts of a divided batch. What holds
// for a batch that one range sees whole does not hold for its parts: the read
// timestamp may not move in one of them alone, and one part may have locked what
// others want while another waits.
func (s *Sender) partHeader(ba *kvapi.BatchRequest) kvapi.Header {
	h := ba.Header
	h.CanForwardReadTimestamp = false
	h.Holds = h.Holds || locks(ba)
	if h.Txn == nil && h.Timestamp.IsEmpty() && !h.Inconsistent && s.cfg.Clock != nil && ba.IsReadOnly() {
		h.Timestamp = s.cfg.Clock.Now().Timestamp()
	}
	return h
}

// locks reports whether the batch may leave locks.
func locks(ba *kvapi.BatchRequest) bool {
	return slices.ContainsFunc(ba.Requests, func(r kvapi.Request) bool { return r.Kind.IsIntentWrite() || r.Lock != kvapi.LockNone })
}

func endTxnPart(parts []*part) int {
	for i, p := range parts {
		if p.hasEndTxn() {
			return i
		}
	}
	return 0
}

func others(parts []*part, not *part) []*part {
	var out []*part
	for _, p := range parts {
		if p != not {
			out = append(out, p)
		}
	}
	return out
}

// needsOrder reports whether the commit must follow the other parts because
// it does not promise their writes.
func needsOrder(ba *kvapi.BatchRequest, parts []*part) bool {
	e := ba.EndTxnRequest()
	if e == nil || !e.Commit || len(e.InFlightWrites) > 0 {
		return false
	}
	end := parts[endTxnPart(parts)]
	return slices.ContainsFunc(others(parts, end), (*part).hasWrite)
}

// sendAll sends parts side by side and returns when all have an answer.
func (s *Sender) sendAll(ctx context.Context, h kvapi.Header, parts []*part, f fate) {
	s.sideBySide(parts, func(p *part) { p.br, p.err = s.sendPart(ctx, p.e, p.batch(h), p.fate(f)) })
}

// sideBySide runs send for each part, side by side as far as there are slots, the
// last on the caller's goroutine.
func (s *Sender) sideBySide(parts []*part, send func(*part)) {
	var wg sync.WaitGroup
	for i, p := range parts {
		run := func() { send(p) }
		if i == len(parts)-1 {
			run()
			break
		}
		select {
		case s.slots <- struct{}{}:
			wg.Add(1)
			s.cfg.Go(func() {
				defer wg.Done()
				run()
				<-s.slots
			})
		default:
			run()
		}
	}
	wg.Wait()
}

// fate of a part: a read beside a commit is just a read.
func (p *part) fate(f fate) fate {
	if !p.hasWrite() {
		return fate{resend: true, depth: f.depth}
	}
	return f
}

// batch is the part as a batch. An EndTxn among several parts cannot be the
// only phase.
func (p *part) batch(h kvapi.Header) *kvapi.BatchRequest {
	if p.hasEndTxn() {
		last := &p.reqs[len(p.reqs)-1]
		args := *last.EndTxn
		args.CanCommitOnePhase = false
		last.EndTxn = &args
	}
	return &kvapi.BatchRequest{Header: h, Requests: p.reqs}
}
