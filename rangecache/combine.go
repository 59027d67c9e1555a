package rangecache

import (
	"slices"

	"github.com/cairndb/cairn/kv/kvapi"
)

// combine puts the answers of parts, which are in key order, together.
func combine(ba *kvapi.BatchRequest, parts []*part) (*kvapi.BatchResponse, *kvapi.Error) {
	if err := firstError(parts); err != nil {
		e := *err
		e.Txn = errorTxn(ba, parts, err)
		e.MaybeApplied = maybeApplied(parts)
		return nil, &e
	}
	out := &kvapi.BatchResponse{Responses: make([]kvapi.Response, len(ba.Requests))}
	for _, p := range parts {
		p.collect(ba, out, func(r *kvapi.Request) bool { return r.Kind != kvapi.ReverseScan })
	}
	for _, p := range slices.Backward(parts) {
		p.collect(ba, out, func(r *kvapi.Request) bool { return r.Kind == kvapi.ReverseScan })
	}
	for _, p := range parts {
		out.Timestamp.Forward(p.br.Timestamp)
		out.FollowerReads += p.br.FollowerReads
		if hlcLess(out.Now, p.br.Now) {
			out.Now = p.br.Now
		}
	}
	out.Txn = mergeTxns(ba.Txn, parts)
	return out, nil
}

// collect adds the part's answers to the requests that take chooses.
func (p *part) collect(ba *kvapi.BatchRequest, out *kvapi.BatchResponse, take func(*kvapi.Request) bool) {
	for i := range p.br.Responses {
		at := p.pos[i]
		if r := &ba.Requests[at]; take(r) {
			merge(&out.Responses[at], &p.br.Responses[i], r)
		}
	}
}

// merge adds the answer of the next piece of r to what is there. Once a piece
// stopped early, later ones do not count: the resume span covers them.
func merge(to, piece *kvapi.Response, r *kvapi.Request) {
	if to.Resume != nil {
		return
	}
	if to.Kind == 0 {
		*to = *piece
	} else {
		to.Rows = append(slices.Clip(to.Rows), piece.Rows...)
		to.Provisional = append(slices.Clip(to.Provisional), piece.Provisional...)
		to.Keys += piece.Keys
		to.Partials = append(slices.Clip(to.Partials), piece.Partials...)
	}
	to.Resume = extend(piece.Resume, r)
}

// extend widens a piece's resume span to the end of the whole request.
func extend(resume *kvapi.Span, r *kvapi.Request) *kvapi.Span {
	if resume == nil || !r.Kind.IsRange() {
		return resume
	}
	if r.Kind == kvapi.ReverseScan {
		return &kvapi.Span{Key: r.Key, EndKey: resume.EndKey}
	}
	return &kvapi.Span{Key: resume.Key, EndKey: r.EndKey}
}

// mergeTxns returns what the transaction became in all parts that answered,
// nil if nothing changed. The status is that of the part with the EndTxn.
func mergeTxns(txn *kvapi.Transaction, parts []*part) *kvapi.Transaction {
	var out *kvapi.Transaction
	for _, p := range parts {
		if p.br == nil || p.br.Txn == nil {
			continue
		}
		out = MergeTxn(orTxn(out, txn), p.br.Txn)
		if p.hasEndTxn() {
			out.Status = p.br.Txn.Status
		}
	}
	if out == nil {
		return txn
	}
	return out
}

func orTxn(a, b *kvapi.Transaction) *kvapi.Transaction {
	if a != nil {
		return a
	}
	return b
}

// MergeTxn returns a copy of t with what a server made of it: timestamps only
// rise, observed clocks are united. The status stays t's.
func MergeTxn(t, server *kvapi.Transaction) *kvapi.Transaction {
	if t == nil {
		return server.Clone()
	}
	c := t.Clone()
	c.WriteTimestamp.Forward(server.WriteTimestamp)
	c.ReadTimestamp.Forward(server.ReadTimestamp)
	for _, o := range server.ObservedTimestamps {
		if _, ok := c.Observed(o.NodeID); !ok {
			c.ObservedTimestamps = append(c.ObservedTimestamps, o)
		}
	}
	return c
}

// errorTxn is the failed batch's transaction, pushes of all parts included,
// so that one refresh covers them.
func errorTxn(ba *kvapi.BatchRequest, parts []*part, err *kvapi.Error) *kvapi.Transaction {
	if ba.Txn == nil {
		return err.Txn
	}
	out := orTxn(err.Txn, ba.Txn)
	for _, p := range parts {
		switch {
		case p.br != nil && p.br.Txn != nil:
			out = MergeTxn(out, p.br.Txn)
		case p.err != nil && p.err.Txn != nil:
			out = MergeTxn(out, p.err.Txn)
		}
	}
	return out
}

// maybeApplied reports whether any part may have had effects (I5).
func maybeApplied(parts []*part) bool {
	return slices.ContainsFunc(parts, func(p *part) bool {
		return (p.err != nil && p.err.MaybeApplied) || (p.br != nil && p.hasWrite())
	})
}

// firstError returns the error of the parts that says most about the batch,
// its index that of the batch.
func firstError(parts []*part) *kvapi.Error {
	var worst *part
	for _, p := range parts {
		if p.err != nil && (worst == nil || rank(p.err.Kind) < rank(worst.err.Kind)) {
			worst = p
		}
	}
	if worst == nil {
		return nil
	}
	e := *worst.err
	if e.Index >= 0 && int(e.Index) < len(worst.pos) {
		e.Index = worst.pos[e.Index]
	}
	return &e
}

// rank orders errors: what proves a commit, what leaves its fate open, what
// ends the transaction, what ends the request, what a refresh can mend.
func rank(k kvapi.ErrorKind) int {
	switch k {
	case kvapi.ErrTxnFinished:
		return 0
	case kvapi.ErrAmbiguous:
		return 1
	case kvapi.ErrInternal:
		return 2
	case kvapi.ErrTxnAborted, kvapi.ErrDeadlock:
		return 3
	case kvapi.ErrWriteTooOld, kvapi.ErrUncertain, kvapi.ErrTxnRetry:
		return 5
	}
	return 4
}
