package batcheval

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// TestParallelCommitUnderRecovery runs one parallel commit, two recoverers, a
// reader and a writer in random order, one batch at a time, with replies of
// the coordinator lost at random, and asks whether everybody agrees:
//
//	coordinator   A: put a, stage {a, n}   ┐ in either order; then, if both
//	              B: put n                 ┘ stand at or below the staging
//	              timestamp, it tells its client "committed"; if n was moved,
//	              both are proven and it commits explicitly above; later it
//	              makes the record explicit and resolves
//	recoverer     push; if staging: query a, n in either order, recover;
//	              resolve both; sometimes then forget the record, and
//	              sometimes tell evaluation of the commit before, so that
//	              the reader and the writer treat the intent as committed
//	settler       the coordinator, once it does not know: pushes, recovers as
//	              above, and if there is no record asks for the signed version
//	reader        reads n above the transaction, which moves a later put of n
//	writer        writes n without a transaction, likewise
//
// The claims: never one of a and n without the other; "committed" means both;
// "failed" means neither, also of a settler, who always knows; all recoverers come to the same fate (I1, I2, I5),
// unless the record is forgotten: then a late one may say "aborted", which
// concerns no lock any more (I7).
func TestParallelCommitUnderRecovery(t *testing.T) {
	outcomes := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		e, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "s", CacheBytes: 1 << 20, MemTableBytes: 256 << 10})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = e.Close() }()
		w := newWorld(t, rt, e)
		actors := []func() bool{w.sendA, w.sendB, w.finish, w.recoverer(), w.recoverer(), w.read, w.write}
		for len(actors) > 0 {
			i := rapid.IntRange(0, len(actors)-1).Draw(rt, "actor")
			if done := actors[i](); done {
				actors = append(actors[:i], actors[i+1:]...)
			}
		}
		outcomes[w.judge()]++
	})
	t.Logf("outcomes: %v", outcomes)
}

type world struct {
	rt           *rapid.T
	a, b         *sim
	x            *kvapi.Transaction
	sentA, sentB bool
	okA, okB     *kvapi.BatchResponse
	errA, errB   *kvapi.Error
	ack          string // what the client was told
	fates        map[kvapi.TxnStatus]bool
	known        knownTxns
	forgotten    bool
	// signed is the key that carries the transaction's signature.
	signed string
	// settle is the settler at work.
	settle func() bool
}

func newWorld(t *testing.T, rt *rapid.T, e *storage.Engine) *world {
	w := &world{rt: rt, a: newSim(t, e, 1, "\x02", "m"), b: newSim(t, e, 2, "m", "\xff"), x: newTxn(1, "a", 10),
		fates: map[kvapi.TxnStatus]bool{}, known: knownTxns{}}
	w.a.known, w.b.known = w.known, w.known
	w.a.fatalf, w.b.fatalf = rt.Fatalf, rt.Fatalf
	w.signed = rapid.SampledFrom([]string{"a", "n"}).Draw(rt, "signed")
	return w
}

func (w *world) step(format string, args ...any) { w.rt.Logf(format, args...) }

// attempt sends a batch of the coordinator; its reply may be lost, and then
// it is sent again.
func (w *world) attempt(s *sim, ba *kvapi.BatchRequest) (*kvapi.BatchResponse, *kvapi.Error) {
	br, err := s.send(ba)
	if rapid.IntRange(0, 3).Draw(w.rt, "lost") == 0 {
		again := *ba
		again.AmbiguousReplay = true
		// What happens between the attempts is up to the others.
		if rapid.Bool().Draw(w.rt, "recovered between") {
			for r := w.recoverer(); !r(); {
			}
		}
		br, err = s.send(&again)
	}
	w.step("coordinator %v: %v", ba.Requests[0].Key, err)
	return br, err
}

func (w *world) sign(r kvapi.Request) kvapi.Request {
	r.Sign = string(r.Key) == w.signed
	return r
}

// settler returns an actor that finds out for the coordinator, a step at a
// time, and tells the client.
func (w *world) settler() func() bool {
	var rec *kvapi.Transaction
	var missing bool
	var keys []string
	asked := false
	return func() bool {
		switch {
		case asked:
			q := kvapi.Request{Kind: kvapi.QueryCommit, Key: kvapi.Key(w.signed), Push: &kvapi.PushArgs{Pushee: w.x.TxnMeta}}
			ba := at(0, q)
			ba.Timestamp = w.x.MinTimestamp
			w.ack = "failed"
			if w.of(w.signed).must(ba).Responses[0].Pushee != nil {
				w.ack = "committed"
			}
			w.step("signed: %s", w.ack)
			return true
		case rec == nil:
			p := push(w.x.TxnMeta, kvapi.PushAbort, 0)
			p.Push.Force = true
			br, err := w.a.send(at(0, p))
			if err != nil {
				rec, missing, keys = err.Pushee, false, []string{"n", "a"}
				return false
			}
			rec = br.Responses[0].Pushee
		case len(keys) > 0:
			br := w.of(keys[0]).must(at(0, kvapi.Request{Kind: kvapi.QueryIntent, Key: kvapi.Key(keys[0]),
				Query: &kvapi.QueryArgs{Txn: rec.TxnMeta, Seq: map[string]kvapi.TxnSeq{"a": 1, "n": 2}[keys[0]]}}))
			missing = missing || !br.Responses[0].Found
			keys = keys[1:]
			return false
		default:
			br := w.a.must(at(0, kvapi.Request{Kind: kvapi.RecoverTxn, Key: kvapi.Key("a"),
				Recover: &kvapi.RecoverArgs{Txn: *rec, ImplicitlyCommitted: !missing}}))
			if rec = br.Responses[0].Pushee; !rec.Status.IsFinal() {
				rec = nil
				return false
			}
			if len(rec.InFlightWrites) > 0 { // made up from what was asked
				rec = &kvapi.Transaction{TxnMeta: rec.TxnMeta, Status: rec.Status}
			}
		}
		real := !rec.LastHeartbeat.IsEmpty() || len(rec.LockSpans) > 0
		switch {
		case rec.Status == kvapi.Committed:
			w.ack = "committed"
		case real:
			w.ack = "failed"
		default:
			asked = true
			return false
		}
		w.step("settled: %s", rec)
		return true
	}
}

func (w *world) sendA() bool {
	w.okA, w.errA = w.attempt(w.a, batch(w.x, w.sign(put("a", "1", 1)), end("a", kvapi.EndTxnArgs{
		Commit: true, InFlightWrites: writes("a", "n"), LockSpans: []kvapi.Span{span("a"), span("n")}})))
	w.sentA = true
	return true
}

func (w *world) sendB() bool {
	w.okB, w.errB = w.attempt(w.b, batch(w.x, w.sign(put("n", "1", 2))))
	w.sentB = true
	return true
}

// finish waits for both replies and decides.
func (w *world) finish() bool {
	if !w.sentA || !w.sentB {
		return false
	}
	if w.settle != nil {
		return w.settle()
	}
	if w.errA != nil || w.errB != nil {
		if w.errA != nil && w.errA.Kind != kvapi.ErrAmbiguous && w.errA.Kind != kvapi.ErrTxnFinished {
			w.ack = "failed"
		} else {
			w.settle = w.settler()
			return false
		}
		return true
	}
	commit := w.okA.Txn
	proven := w.okB.Txn != nil && commit.WriteTimestamp.Less(w.okB.Txn.WriteTimestamp)
	if !proven {
		w.ack = "committed"
	} else {
		commit = commit.Clone()
		commit.WriteTimestamp = w.okB.Txn.WriteTimestamp
		commit.ReadTimestamp = commit.WriteTimestamp
	}
	_, err := w.a.send(w.explicit(commit, proven))
	w.step("explicit commit: %v", err)
	switch {
	case err == nil || err.Kind == kvapi.ErrTxnFinished:
		w.ack = "committed"
	case proven && err.Kind == kvapi.ErrTxnAborted:
		w.ack = "failed"
	case w.forgotten && err.Kind == kvapi.ErrTxnAborted:
		// Recovered and forgotten; the client has been answered already.
	default:
		w.rt.Fatalf("commit of %s: %v", w.ack, err)
	}
	return true
}

// explicit commits above the staging timestamp by EndTxn; at it, the record
// says so already, and it is ended like after a recovery.
func (w *world) explicit(commit *kvapi.Transaction, proven bool) *kvapi.BatchRequest {
	if proven || rapid.Bool().Draw(w.rt, "by EndTxn") {
		return batch(commit, end("a", kvapi.EndTxnArgs{Commit: true, LockSpans: []kvapi.Span{span("a"), span("n")}}))
	}
	staging := kvapi.Transaction{TxnMeta: commit.TxnMeta, Status: kvapi.Staging}
	return at(0, kvapi.Request{Kind: kvapi.RecoverTxn, Key: kvapi.Key("a"),
		Recover: &kvapi.RecoverArgs{Txn: staging, ImplicitlyCommitted: true}})
}

// recoverer returns an actor that settles the transaction, a step at a time.
func (w *world) recoverer() func() bool {
	var pushee *kvapi.Transaction
	var keys []string
	stage, missing := "push", false
	return func() bool {
		switch stage {
		case "push":
			p := push(w.x.TxnMeta, kvapi.PushAbort, 0)
			p.Push.Force = true
			br, err := w.a.send(at(0, p))
			if err == nil {
				pushee = br.Responses[0].Pushee
				stage = "resolve"
				break
			}
			if err.Kind != kvapi.ErrIndeterminateCommit {
				w.rt.Fatalf("push: %v", err)
			}
			pushee, stage = err.Pushee, "query"
			keys = rapid.Permutation([]string{"a", "n"}).Draw(w.rt, "order")
		case "query":
			q := kvapi.Request{Kind: kvapi.QueryIntent, Key: kvapi.Key(keys[0]),
				Query: &kvapi.QueryArgs{Txn: pushee.TxnMeta, Seq: map[string]kvapi.TxnSeq{"a": 1, "n": 2}[keys[0]]}}
			br := w.of(keys[0]).must(at(0, q))
			missing = missing || !br.Responses[0].Found
			if keys = keys[1:]; len(keys) == 0 || missing {
				stage = "recover"
			}
		case "recover":
			br := w.a.must(at(0, kvapi.Request{Kind: kvapi.RecoverTxn, Key: kvapi.Key("a"),
				Recover: &kvapi.RecoverArgs{Txn: *pushee, ImplicitlyCommitted: !missing}}))
			pushee, stage = br.Responses[0].Pushee, "resolve"
			if !pushee.Status.IsFinal() {
				stage, missing = "push", false
			}
		case "resolve":
			w.step("recovered as %s", pushee)
			w.fates[pushee.Status] = true
			if pushee.Status == kvapi.Committed && rapid.Bool().Draw(w.rt, "tell") {
				w.known[pushee.ID] = pushee
				stage = "told"
				return false
			}
			stage = "told"
			fallthrough
		case "told":
			for _, k := range []string{"n", "a"} {
				w.of(k).must(at(0, kvapi.Request{Kind: kvapi.ResolveIntent, Key: kvapi.Key(k),
					Resolve: &kvapi.LockUpdate{Txn: pushee.TxnMeta, Status: pushee.Status}}))
			}
			if rapid.Bool().Draw(w.rt, "forget") {
				w.forgotten = true
				w.a.must(at(0, kvapi.Request{Kind: kvapi.RecoverTxn, Key: kvapi.Key("a"), Recover: &kvapi.RecoverArgs{
					Txn: kvapi.Transaction{TxnMeta: pushee.TxnMeta, Status: pushee.Status}}}))
			}
			return true
		}
		return false
	}
}

func (w *world) of(key string) *sim {
	if w.a.desc.ContainsKey(kvapi.Key(key)) {
		return w.a
	}
	return w.b
}

// read reads n above the transaction; an intent there is passed by.
func (w *world) read() bool {
	g := get("n")
	_, err := w.b.send(at(rapid.Int64Range(5, 30).Draw(w.rt, "read at"), g))
	w.step("read: %v", err)
	return true
}

func (w *world) write() bool {
	_, err := w.b.send(at(rapid.Int64Range(5, 30).Draw(w.rt, "write at"), put("n", "0", 0)))
	w.step("write: %v", err)
	return true
}

// judge settles what is left and compares what all were told.
func (w *world) judge() string {
	told := w.ack
	for s := w.settler(); !s(); {
	}
	if told != w.ack {
		w.rt.Fatalf("the client was told %q, and then %q", told, w.ack)
	}
	for r := w.recoverer(); !r(); {
	}
	w.a.now, w.b.now = 100, 100
	a, n := w.a.value("a") == "1", w.wrote()
	claim := fmt.Sprintf("client %q, a %v, n %v, fates %v", w.ack, a, n, w.fates)
	switch {
	case a != n, w.ack == "committed" && !a, w.ack == "failed" && a:
		w.rt.Fatalf("%s", claim)
	case a && !w.forgotten && w.fates[kvapi.Aborted] && w.fates[kvapi.Committed]:
		w.rt.Fatalf("%s", claim)
	}
	return fmt.Sprintf("%s/%v", w.ack, a)
}

// wrote reports whether the transaction's n is among the versions of n.
func (w *world) wrote() bool {
	for i := int64(0); i < 8*30; i++ {
		ba := at(5+i/8, get("n"))
		ba.Timestamp.Logical = int32(i % 8)
		br := w.b.must(ba)
		if br.Responses[0].Exists && string(br.Responses[0].Value) == "1" {
			return true
		}
	}
	return false
}
