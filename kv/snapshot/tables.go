package snapshot

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/kv/storage"
)

// tables writes a snapshot's spans to tables for one ingest. Every span but
// the first, whose pairs wait for the log's records, and the last, which is
// excised, begins with a range deletion over all of it. A range deletion and
// the keys of one ingested table share a sequence number, and a deletion
// covers only lower ones: so it removes what was there and nothing it brings.
type tables struct {
	eng    *storage.Engine
	path   string
	bounds [spanCount]bound

	// state are the pairs of spanReplicated.
	state      []pair
	stateBytes int

	open      *sstable.Writer
	openSpan  int // of open; spans below it are done
	openBytes int
	paths     []string
}

type pair struct{ key, value []byte }

// stateBytesMax bounds the replicated state by range id: a few records.
const stateBytesMax = 1 << 20

func (t *tables) add(span int, key, value []byte) error {
	if span == spanReplicated {
		return t.addState(key, value)
	}
	if err := t.reach(span); err != nil {
		return err
	}
	if span == spanUser && (t.open == nil || t.openBytes >= tableBytes) {
		if err := t.next(); err != nil {
			return err
		}
	}
	t.openBytes += len(key) + len(value)
	if err := t.open.Set(key, value); err != nil {
		return fmt.Errorf("snapshot: write table: %w", err)
	}
	return nil
}

func (t *tables) addState(key, value []byte) error {
	if t.stateBytes += len(key) + len(value); t.stateBytes > stateBytesMax {
		return fmt.Errorf("%w: replicated state of more than %d bytes", ErrCorrupt, stateBytesMax)
	}
	t.state = append(t.state, pair{append([]byte(nil), key...), append([]byte(nil), value...)})
	return nil
}

// reach opens the tables up to a span's, so that spans without keys are
// cleared as well.
func (t *tables) reach(span int) error {
	for t.openSpan < span {
		t.openSpan++
		if t.openSpan == spanUser {
			if err := t.closeOpen(); err != nil {
				return err
			}
			continue
		}
		if err := t.next(); err != nil {
			return err
		}
		if err := t.open.DeleteRange(t.bounds[t.openSpan].lower, t.bounds[t.openSpan].upper); err != nil {
			return fmt.Errorf("snapshot: write table: %w", err)
		}
	}
	return nil
}

// next closes the open table and opens another.
func (t *tables) next() error {
	if err := t.closeOpen(); err != nil {
		return err
	}
	path := fmt.Sprintf("%s-%d.sst", t.path, len(t.paths))
	w, err := t.eng.NewTable(path)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	t.open, t.openBytes, t.paths = w, 0, append(t.paths, path)
	return nil
}

func (t *tables) closeOpen() error {
	if t.open == nil {
		return nil
	}
	w := t.open
	t.open = nil
	if err := w.Close(); err != nil {
		return fmt.Errorf("snapshot: close table: %w", err)
	}
	return nil
}

// finish writes the table of the range id's span, with the log's records and
// the log emptied, and returns all paths.
func (t *tables) finish(logSpan bound, records []pair) ([]string, error) {
	if err := t.reach(spanUser); err != nil {
		return nil, err
	}
	if err := t.next(); err != nil {
		return nil, err
	}
	for _, b := range []bound{t.bounds[spanReplicated], logSpan} {
		if err := t.open.DeleteRange(b.lower, b.upper); err != nil {
			return nil, fmt.Errorf("snapshot: write table: %w", err)
		}
	}
	for _, p := range append(t.state, records...) {
		if err := t.open.Set(p.key, p.value); err != nil {
			return nil, fmt.Errorf("snapshot: write table: %w", err)
		}
	}
	return t.paths, t.closeOpen()
}

// clear writes a table that holds only the deletion of a span.
func (t *tables) clear(s kvapi.Span) (path string, err error) {
	if err := t.next(); err != nil {
		return "", err
	}
	if err := t.open.DeleteRange(storage.EncodeKey(nil, s.Key), storage.EncodeKey(nil, s.EndKey)); err != nil {
		return "", fmt.Errorf("snapshot: write table: %w", err)
	}
	return t.paths[len(t.paths)-1], t.closeOpen()
}

// replace writes a table that leaves a tombstone of a range's own state.
func (t *tables) replace(s Subsumed) (path string, err error) {
	p := keys.RangeIDPrefix(s.RangeID)
	if err := t.next(); err != nil {
		return "", err
	}
	if err := t.open.DeleteRange(storage.EncodeKey(nil, p), storage.EncodeKey(nil, p.PrefixEnd())); err != nil {
		return "", fmt.Errorf("snapshot: write table: %w", err)
	}
	if err := t.open.Set(storage.EncodeKey(nil, keys.Tombstone(s.RangeID)), s.Tombstone); err != nil {
		return "", fmt.Errorf("snapshot: write table: %w", err)
	}
	return t.paths[len(t.paths)-1], t.closeOpen()
}

// remove deletes the files that are still there; an ingest takes them away.
func (t *tables) remove() error {
	err := t.closeOpen()
	for _, p := range t.paths {
		if e := t.eng.FS().Remove(p); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}
