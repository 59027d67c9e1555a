package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/raftgroup"
	"github.com/cairndb/cairn/kv/raftlog"
	"github.com/cairndb/cairn/kv/storage"
	"github.com/cairndb/cairn/kv/storage/storagetest"
)

var testDesc = kvapi.RangeDescriptor{
	RangeID: 7, StartKey: kvapi.Key("b"), EndKey: kvapi.Key("m"), Generation: 3,
	Replicas: []kvapi.ReplicaDescriptor{{NodeID: 1, ReplicaID: 1}, {NodeID: 2, ReplicaID: 2}},
}

func testHeader() Header {
	return Header{Desc: testDesc, Index: 100, Term: 6, From: testDesc.Replicas[0], To: testDesc.Replicas[1]}
}

// fill writes a range's data, of a generation that shows in every value, and
// neighbours that no snapshot may touch.
func fill(t *testing.T, w storage.Writer, gen string, rows, valueBytes int) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	value := append([]byte(gen), bytes.Repeat([]byte{'x'}, valueBytes)...)
	check(storage.PutUnversioned(w, keys.AppliedState(7), []byte(gen)))
	check(storage.PutUnversioned(w, keys.Lease(7), []byte(gen)))
	check(storage.PutUnversioned(w, keys.RangeDescriptor(testDesc.StartKey), []byte(gen)))
	check(storage.PutUnversioned(w, keys.TxnRecord(kvapi.Key("c-"+gen), kvapi.TxnID{1}), []byte(gen)))
	check(w.SetRaw(storage.EncodeLockKey(nil, kvapi.Key("d-"+gen), storage.SlotIntent, kvapi.TxnID{2}), []byte(gen)))
	// A split or a replica change under way leaves an intent on a local key.
	lockOnDesc := keys.RangeDescriptor(kvapi.Key("d-" + gen))
	check(w.SetRaw(storage.EncodeLockKey(nil, lockOnDesc, storage.SlotIntent, kvapi.TxnID{3}), []byte(gen)))
	for i := range rows {
		k := fmt.Appendf(nil, "f-%s-%05d", gen, i)
		check(w.SetRaw(storage.EncodeMVCCKey(nil, k, hlc.Timestamp{WallTime: 2}), value))
		check(w.SetRaw(storage.EncodeMVCCKey(nil, k, hlc.Timestamp{WallTime: 1, Logical: 3}), value))
	}
}

// neighbours writes what surrounds the range in every keyspan.
func neighbours(t *testing.T, w storage.Writer) {
	t.Helper()
	for _, k := range []kvapi.Key{
		keys.AppliedState(6), keys.AppliedState(8), keys.HardState(6), keys.LogEntry(6, 5), keys.LogEntry(8, 5),
		keys.ReplicaID(7), keys.Tombstone(7),
		keys.RangeDescriptor(kvapi.Key("a")), keys.RangeDescriptor(kvapi.Key("m")),
		kvapi.Key("azzz"), kvapi.Key("m"),
	} {
		if err := storage.PutUnversioned(w, k, []byte("neighbour")); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range []kvapi.Key{kvapi.Key("a"), kvapi.Key("m"),
		keys.RangeDescriptor(kvapi.Key("a")), keys.RangeDescriptor(kvapi.Key("m"))} {
		if err := w.SetRaw(storage.EncodeLockKey(nil, k, storage.SlotIntent, kvapi.TxnID{2}), []byte("n")); err != nil {
			t.Fatal(err)
		}
	}
}

// dump returns everything in the engine as text.
func dump(t *testing.T, r storage.Reader) string {
	t.Helper()
	it, err := r.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = it.Close() }()
	var b bytes.Buffer
	for ok := it.First(); ok; ok = it.Next() {
		fmt.Fprintf(&b, "%x=%x\n", it.Key(), it.Value())
	}
	if it.Error() != nil {
		t.Fatal(it.Error())
	}
	return b.String()
}

// stream returns the chunks of the snapshot of an engine.
func stream(t *testing.T, e *storage.Engine) [][]byte {
	t.Helper()
	snap := e.NewSnapshot()
	defer func() { _ = snap.Close() }()
	var chunks [][]byte
	_, err := Send(context.Background(), snap, testHeader(), nil, func(c []byte) error {
		chunks = append(chunks, bytes.Clone(c))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return chunks
}

func receive(r *Receiver, chunks [][]byte) error {
	for _, c := range chunks {
		if err := r.Add(context.Background(), c); err != nil {
			return err
		}
	}
	return nil
}

// oldReplica writes the receiving replica as it was: data, log, votes.
func oldReplica(t *testing.T, e *storage.Engine) {
	t.Helper()
	b := e.NewBatch()
	neighbours(t, b)
	fill(t, b, "old", 20, 10)
	for i := kvapi.LogIndex(11); i < 90; i++ {
		if err := storage.PutUnversioned(b, keys.LogEntry(7, i), []byte("entry")); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(
		raftlog.PutTruncatedState(b, 7, raftlog.TruncatedState{Index: 10, Term: 5}),
		raftlog.PutHardState(b, 7, raftgroup.HardState{Term: 6, Vote: 2, Commit: 50}),
		e.Commit(b, true), b.Close()); err != nil {
		t.Fatal(err)
	}
}

// wanted is the receiver's engine after the snapshot, made the plain way.
func wanted(t *testing.T, rows, valueBytes int) string {
	t.Helper()
	e := storagetest.Open(t)
	b := e.NewBatch()
	neighbours(t, b)
	fill(t, b, "new", rows, valueBytes)
	if err := errors.Join(
		raftlog.PutTruncatedState(b, 7, raftlog.TruncatedState{Index: 100, Term: 6}),
		raftlog.PutHardState(b, 7, raftgroup.HardState{Term: 8, Vote: 2, Commit: 100}),
		e.Commit(b, true), b.Close()); err != nil {
		t.Fatal(err)
	}
	return dump(t, e)
}

var install = Install{HardState: raftgroup.HardState{Term: 8, Vote: 2, Commit: 50}}

func source(t *testing.T, rows, valueBytes int) *storage.Engine {
	t.Helper()
	e := storagetest.Open(t)
	b := e.NewBatch()
	neighbours(t, b)
	fill(t, b, "new", rows, valueBytes)
	// The sender's own log and votes must not travel.
	if err := errors.Join(storage.PutUnversioned(b, keys.LogEntry(7, 99), []byte("sender")),
		storage.PutUnversioned(b, keys.HardState(7), []byte("sender")),
		e.Commit(b, true), b.Close()); err != nil {
		t.Fatal(err)
	}
	return e
}

var sizes = []struct {
	name       string
	rows, size int
	spilled    bool
}{
	{"empty", 0, 0, false},
	{"small", 50, 100, false},
	{"large", 800, 1000, true},
}

func TestApplyReplacesExactlyTheRange(t *testing.T) {
	for _, tc := range sizes {
		t.Run(tc.name, func(t *testing.T) {
			chunks := stream(t, source(t, tc.rows, tc.size))
			dst := storagetest.Open(t)
			oldReplica(t, dst)
			r := NewReceiver(dst, "store/snap", "1")
			if err := receive(r, chunks); err != nil {
				t.Fatal(err)
			}
			if got := r.tables != nil; got != tc.spilled {
				t.Fatalf("spilled: %v", got)
			}
			if err := r.Apply(context.Background(), install); err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if got, want := dump(t, dst), wanted(t, tc.rows, tc.size); got != want {
				t.Fatalf("after the snapshot:\n%s\nwant\n%s", got, want)
			}
			if l, _ := dst.FS().List("store/snap"); len(l) != 0 {
				t.Fatalf("files left: %v", l)
			}
		})
	}
}

// TestApplyClearsWhatAWiderReplicaHeld: the replica reached to p and missed
// the split at m; what is from p on stays.
func TestApplyClearsWhatAWiderReplicaHeld(t *testing.T) {
	for _, tc := range sizes {
		t.Run(tc.name, func(t *testing.T) {
			chunks := stream(t, source(t, tc.rows, tc.size))
			dst := storagetest.Open(t)
			b := dst.NewBatch()
			for _, k := range []string{"m", "n", "ozz", "p", "q"} {
				if err := errors.Join(
					storage.PutUnversioned(b, kvapi.Key(k), []byte("wide")),
					storage.PutUnversioned(b, keys.RangeDescriptor(kvapi.Key(k)), []byte("wide")),
					b.SetRaw(storage.EncodeLockKey(nil, kvapi.Key(k), storage.SlotIntent, kvapi.TxnID{2}), []byte("wide")),
				); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(dst.Commit(b, true), b.Close()); err != nil {
				t.Fatal(err)
			}
			r := NewReceiver(dst, "store/snap", "1")
			wide := install
			wide.ClearTo = kvapi.Key("p")
			if err := errors.Join(receive(r, chunks), r.Apply(context.Background(), wide), r.Close()); err != nil {
				t.Fatal(err)
			}
			left := strings.Count(dump(t, dst), "="+fmt.Sprintf("%x", "wide"))
			if left != 6 {
				t.Fatalf("%d of the wide replica's keys are left, want those of p and q: 6", left)
			}
		})
	}
}

// TestCrashAtEveryWrite crashes before each change of the file system that
// receiving and applying makes: what is found is the old replica or the new.
func TestCrashAtEveryWrite(t *testing.T) {
	for _, tc := range sizes[1:] {
		t.Run(tc.name, func(t *testing.T) {
			chunks := stream(t, source(t, tc.rows, tc.size))
			crash := storagetest.NewCrashFS()
			rng := rand.New(rand.NewPCG(1, 2))
			// Pebble writes from goroutines of its own as well.
			var mu sync.Mutex
			var armed atomic.Bool
			var clones []vfs.FS
			inj := errorfs.InjectorFunc(func(op errorfs.Op) error {
				if armed.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
					mu.Lock()
					defer mu.Unlock()
					clones = append(clones, crash.Crash([]int{0, 50, 100}[len(clones)%3], rng))
				}
				return nil
			})
			dst := openOn(t, errorfs.Wrap(crash, inj))
			oldReplica(t, dst)
			before := dump(t, dst)
			// The new term and vote are written without sync: the snapshot must
			// not become durable ahead of them and lose them.
			b := dst.NewBatch()
			if err := errors.Join(raftlog.PutHardState(b, 7, raftgroup.HardState{Term: 8, Vote: 2, Commit: 50}),
				dst.Commit(b, false), b.Close()); err != nil {
				t.Fatal(err)
			}
			voted := dump(t, dst)
			armed.Store(true)
			r := NewReceiver(dst, "store/snap", "1")
			if err := errors.Join(receive(r, chunks), r.Apply(context.Background(), install)); err != nil {
				t.Fatal(err)
			}
			after := dump(t, dst)
			armed.Store(false)
			last := crash.Crash(0, rng)
			if err := errors.Join(r.Close(), dst.Close()); err != nil {
				t.Fatal(err)
			}
			seen := map[string]int{}
			for i, c := range append(clones, last) {
				e := openOn(t, c)
				got := dump(t, e)
				switch got {
				case before, voted:
					seen["old"]++
				case after:
					seen["new"]++
				default:
					t.Fatalf("crash %d: neither the old nor the new replica:\n%.4000s", i, got)
				}
				if i == len(clones) && got != after {
					t.Fatal("an applied snapshot is not durable")
				}
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if seen["old"] == 0 || seen["new"] == 0 {
				t.Fatalf("the crashes do not cover the step: %v", seen)
			}
			t.Logf("%d crashes: %v", len(clones), seen)
		})
	}
}

func openOn(t *testing.T, fs vfs.FS) *storage.Engine {
	t.Helper()
	e, err := storage.Open(storage.Options{FS: fs, Dir: "store", CacheBytes: 8 << 20, MemTableBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestBrokenStreams: whatever is lost, repeated, swapped or flipped, no
// snapshot comes of it, and nothing changes.
func TestBrokenStreams(t *testing.T) {
	chunks := stream(t, source(t, 600, 1000))
	n := len(chunks)
	flip := bytes.Clone(chunks[2])
	flip[len(flip)/2] ^= 1
	other := testHeader()
	other.Desc.EndKey = kvapi.Key("f-new-00100")
	foreign := sealChunk(other.AppendWire(beginChunk(nil, chunkHeader)))
	cases := map[string][][]byte{
		"no header":       chunks[1:],
		"two headers":     {chunks[0], chunks[0]},
		"chunk lost":      append(append([][]byte{}, chunks[:2]...), chunks[3:]...),
		"chunk twice":     append(append([][]byte{}, chunks[:2]...), chunks[1:]...),
		"swapped":         {chunks[0], chunks[2], chunks[1]},
		"bit flipped":     {chunks[0], chunks[1], flip},
		"other's keys":    append([][]byte{foreign}, chunks[1:]...),
		"empty chunk":     {chunks[0], {}},
		"after the end":   append(append([][]byte{}, chunks...), chunks[n-1]),
		"unknown kind":    {chunks[0], sealChunk(beginChunk(nil, 9))},
		"broken pairs":    {chunks[0], sealChunk(append(beginChunk(nil, chunkData), 0xff))},
		"broken header":   {sealChunk(append(beginChunk(nil, chunkHeader), 0xff))},
		"key no engine's": {chunks[0], sealChunk(appendKV(beginChunk(nil, chunkData), []byte("c"), nil))},
	}
	dst := storagetest.Open(t)
	oldReplica(t, dst)
	before := dump(t, dst)
	for name, in := range cases {
		r := NewReceiver(dst, "store/snap", "x")
		if err := receive(r, in); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
	}
	r := NewReceiver(dst, "store/snap", "y")
	if err := receive(r, chunks[:n-1]); err != nil {
		t.Fatal(err)
	}
	if r.Apply(context.Background(), install) == nil {
		t.Fatal("applied without a trailer")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if dump(t, dst) != before {
		t.Fatal("a broken stream changed the replica")
	}
}
