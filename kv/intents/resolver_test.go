package intents

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// store plays every range: one staging transaction and the intents in place.
type store struct {
	mu      sync.Mutex
	record  *kvapi.Transaction
	intents map[string]bool
	// prevented are the writes that QueryIntent made impossible.
	prevented map[string]bool
	expired   bool
	// onQuery runs before a batch of QueryIntents.
	onQuery func(s *store)
	// fail makes the n-th batch of the kind fail.
	fail     map[kvapi.Kind]int
	batches  map[kvapi.Kind]int
	sizeMax  int
	resolved []string
	// forgotten transactions, after stuck ones were not resolved.
	forgotten []string
	stuck     string
	gate      chan struct{}
}

func newStore(writes, present int) *store {
	s := &store{intents: map[string]bool{}, prevented: map[string]bool{}, expired: true,
		fail: map[kvapi.Kind]int{}, batches: map[kvapi.Kind]int{}}
	s.record = &kvapi.Transaction{Status: kvapi.Staging}
	s.record.ID, s.record.AnchorKey, s.record.Epoch = kvapi.TxnID{1}, kvapi.Key("k0000"), 1
	s.record.WriteTimestamp.WallTime = 10
	for i := range writes {
		k := fmt.Sprintf("k%04d", i)
		s.record.InFlightWrites = append(s.record.InFlightWrites, kvapi.SequencedWrite{Key: kvapi.Key(k), Seq: kvapi.TxnSeq(i + 1)})
		s.intents[k] = i < present
	}
	return s
}

func (s *store) resolver() *Resolver {
	return New(Config{Sender: s, Clock: hlc.NewClock(hlc.SystemClock{}, 0), NodeID: 1})
}

func (s *store) Send(ctx context.Context, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	if err := ctx.Err(); err != nil {
		return nil, kvapi.NewError(kvapi.ErrCanceled, "%v", err)
	}
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return nil, kvapi.NewError(kvapi.ErrCanceled, "%v", ctx.Err())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := ba.Requests[0].Kind
	s.batches[kind]++
	s.sizeMax = max(s.sizeMax, len(ba.Requests))
	if s.fail[kind] == s.batches[kind] {
		return nil, kvapi.NewError(kvapi.ErrUnavailable, "%s fails", kind)
	}
	if kind == kvapi.QueryIntent && s.onQuery != nil {
		s.onQuery(s)
	}
	br := &kvapi.BatchResponse{}
	for i := range ba.Requests {
		resp, err := s.eval(&ba.Requests[i], ba)
		if err != nil {
			return nil, err
		}
		br.Responses = append(br.Responses, resp)
	}
	return br, nil
}

func (s *store) eval(r *kvapi.Request, ba *kvapi.BatchRequest) (resp kvapi.Response, _ *kvapi.Error) {
	resp.Kind = r.Kind
	switch r.Kind {
	case kvapi.PushTxn:
		switch {
		case s.record.Status == kvapi.Staging && s.expired:
			e := kvapi.NewError(kvapi.ErrIndeterminateCommit, "")
			e.Pushee = s.record.Clone()
			return resp, e
		case !s.record.Status.IsFinal():
			return resp, kvapi.NewError(kvapi.ErrPushFailed, "")
		}
		resp.Pushee = s.record.Clone()
	case kvapi.QueryIntent:
		if resp.Found = s.intents[string(r.Key)]; !resp.Found {
			s.prevented[string(r.Key)] = true
		}
	case kvapi.RecoverTxn:
		seen := &r.Recover.Txn
		if seen.Status.IsFinal() {
			s.forgotten = append(s.forgotten, string(seen.ID[:1]))
			break
		}
		if s.record.Status == kvapi.Staging && seen.Epoch == s.record.Epoch && seen.WriteTimestamp == s.record.WriteTimestamp {
			s.record = s.record.Clone()
			s.record.Status = kvapi.Aborted
			if r.Recover.ImplicitlyCommitted {
				s.record.Status = kvapi.Committed
			}
		}
		resp.Pushee = s.record.Clone()
	case kvapi.ResolveIntent:
		if s.stuck == string(r.Key) {
			return resp, kvapi.NewError(kvapi.ErrUnavailable, "no quorum")
		}
		s.resolved = append(s.resolved, string(r.Key))
	case kvapi.ResolveIntentRange:
		// Three pages of one key.
		resp.Keys = 1
		s.resolved = append(s.resolved, string(r.Key))
		if next := r.Key.Next(); len(next) < 4 {
			resp.Resume = &kvapi.Span{Key: next, EndKey: r.EndKey}
		}
	}
	return resp, nil
}

func (s *store) push(r *Resolver) (*kvapi.Transaction, *kvapi.Error) {
	return r.PushTxn(context.Background(), kvapi.TxnMeta{}, "", s.record.TxnMeta, kvapi.PushAbort, hlc.Timestamp{})
}

func TestRecovery(t *testing.T) {
	for _, c := range []struct {
		name            string
		writes, present int
		want            kvapi.TxnStatus
	}{
		{"all in place: committed", 3, 3, kvapi.Committed},
		{"none promised: committed", 0, 0, kvapi.Committed},
		{"the last is missing: aborted", 3, 2, kvapi.Aborted},
		{"all are missing: aborted", 3, 0, kvapi.Aborted},
		{"many batches, all in place", 1050, 1050, kvapi.Committed},
		{"many batches, the last is missing", 1050, 1049, kvapi.Aborted},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(c.writes, c.present)
			r := s.resolver()
			defer r.Close()
			txn, err := s.push(r)
			if err != nil || txn.Status != c.want {
				t.Fatalf("%v %v", txn, err)
			}
			if c.want == kvapi.Aborted && len(s.prevented) == 0 {
				t.Error("aborted, but nothing was prevented (I1)")
			}
			if s.sizeMax > batchMax {
				t.Errorf("a batch of %d", s.sizeMax)
			}
		})
	}
}

// TestCoordinatorComesBack: the record moves on while recovery queries; then
// nothing was decided, and the push fails as for any live transaction.
func TestCoordinatorComesBack(t *testing.T) {
	s := newStore(3, 2)
	s.onQuery = func(s *store) {
		s.record = s.record.Clone()
		s.record.WriteTimestamp.WallTime, s.expired = 20, false
	}
	r := s.resolver()
	defer r.Close()
	if txn, err := s.push(r); err == nil || err.Kind != kvapi.ErrPushFailed {
		t.Fatalf("%v %v", txn, err)
	}
	if s.record.Status != kvapi.Staging {
		t.Errorf("decided: %s", s.record)
	}
}

// TestRecoveryNeverGuesses: whatever fails and whatever is there, a record
// becomes committed only with all writes in place, and aborted only with one
// prevented.
func TestRecoveryNeverGuesses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		writes := rapid.IntRange(0, 450).Draw(t, "writes")
		s := newStore(writes, writes)
		for range rapid.IntRange(0, 2).Draw(t, "missing") {
			if writes > 0 {
				s.intents[fmt.Sprintf("k%04d", rapid.IntRange(0, writes-1).Draw(t, "which"))] = false
			}
		}
		complete := true
		for _, there := range s.intents {
			complete = complete && there
		}
		s.fail[kvapi.QueryIntent] = rapid.IntRange(0, 5).Draw(t, "failing query")
		s.fail[kvapi.RecoverTxn] = rapid.IntRange(0, 1).Draw(t, "failing recovery")
		r := s.resolver()
		defer r.Close()
		txn, err := s.push(r)
		switch s.record.Status {
		case kvapi.Committed:
			if !complete {
				t.Fatal("committed with a write missing")
			}
		case kvapi.Aborted:
			if complete || len(s.prevented) == 0 {
				t.Fatal("aborted with all writes in place")
			}
		default:
			if err == nil {
				t.Fatalf("no error, but %s", txn)
			}
		}
	})
}

func updates(n int) []kvapi.LockUpdate {
	list := make([]kvapi.LockUpdate, n)
	for i := range list {
		list[i] = kvapi.LockUpdate{Span: kvapi.Span{Key: kvapi.Key(fmt.Sprintf("k%05d", i))}, Status: kvapi.Aborted}
	}
	return list
}

// TestTenThousand: the intents of a dead coordinator take a hundred commands.
func TestTenThousand(t *testing.T) {
	s := newStore(0, 0)
	r := s.resolver()
	defer r.Close()
	list := append(updates(10000), kvapi.LockUpdate{Span: kvapi.Span{Key: kvapi.Key("s"), EndKey: kvapi.Key("t")}, Status: kvapi.Aborted})
	if err := r.ResolveIntents(context.Background(), list); err != nil {
		t.Fatal(err)
	}
	if len(s.resolved) != 10003 || s.batches[kvapi.ResolveIntent] != 100 || s.batches[kvapi.ResolveIntentRange] != 3 {
		t.Errorf("%d resolved in %v", len(s.resolved), s.batches)
	}
}

// TestAsync: work is queued and done, bounded, and ended by Close.
func TestAsync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(0, 0)
		s.gate = make(chan struct{})
		r := s.resolver()
		if !r.ResolveAsync(updates(queueMax)) {
			t.Fatal("refused")
		}
		synctest.Wait()
		for r.ResolveAsync(updates(100)) { // until the queue is full again
		}
		if m := r.Metrics(); m.Queued > queueMax || m.Dropped != 100 {
			t.Errorf("%+v", m)
		}
		for range 5 {
			s.gate <- struct{}{}
		}
		synctest.Wait()
		s.mu.Lock()
		if len(s.resolved) != 500 {
			t.Errorf("%d resolved", len(s.resolved))
		}
		s.mu.Unlock()
		r.Close()
		if r.ResolveAsync(updates(1)) {
			t.Error("taken after Close")
		}
	})
}

func TestResolveTxnAsync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(0, 0)
		r := s.resolver()
		txn := &kvapi.Transaction{Status: kvapi.Committed}
		r.ResolveTxnAsync(txn, []kvapi.Span{{Key: kvapi.Key("a")}, {Key: kvapi.Key("b")}})
		synctest.Wait()
		if len(s.resolved) != 2 || r.Metrics().Queued != 0 {
			t.Errorf("%v", s.resolved)
		}
		r.Close()
	})
}

// TestRecordsAreForgottenTogether: after their locks, in one batch.
func TestRecordsAreForgottenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(0, 0)
		r := s.resolver()
		for i := range byte(50) {
			finishTxn(r, '0'+i, "a", "b")
		}
		synctest.Wait()
		s.mu.Lock()
		if len(s.resolved) != 100 || len(s.forgotten) != 0 {
			t.Errorf("%d resolved, %d forgotten", len(s.resolved), len(s.forgotten))
		}
		s.mu.Unlock()
		time.Sleep(2 * forgetFor)
		synctest.Wait()
		if len(s.forgotten) != 50 || s.batches[kvapi.RecoverTxn] != 1 {
			t.Errorf("%v in %v", s.forgotten, s.batches)
		}
		r.Close()
	})
}

// TestRecordStaysWhileALockDoes (I4): a range that cannot be reached keeps the
// records of those that have locks there, and of no others.
func TestRecordStaysWhileALockDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(0, 0)
		s.stuck = "stuck"
		s.gate = make(chan struct{})
		r := s.resolver()
		for range workersMax { // so that the others share a batch
			r.ResolveAsync(updates(1))
		}
		synctest.Wait()
		finishTxn(r, 'x', "a", "stuck")
		finishTxn(r, 'y', "a", "b")
		close(s.gate)
		time.Sleep(2 * forgetFor)
		synctest.Wait()
		if m := r.Metrics(); len(s.forgotten) != 1 || s.forgotten[0] != "y" || m.Failed != 2 || m.Forgotten != 1 {
			t.Errorf("forgotten %v, %+v", s.forgotten, m)
		}
		r.Close()
	})
}

func finishTxn(r *Resolver, id byte, keys ...string) {
	txn := &kvapi.Transaction{Status: kvapi.Committed}
	txn.ID, txn.AnchorKey = kvapi.TxnID{id}, kvapi.Key("a")
	var spans []kvapi.Span
	for _, k := range keys {
		spans = append(spans, kvapi.Span{Key: kvapi.Key(k)})
	}
	r.ResolveTxnAsync(txn, spans)
}
