package troubledfs

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestAPowerCutTakesWhatWasNotSynced: of many files, each with a name and bytes
// that are sure and others that are not, the sure ones stay under every seed, and
// some of the others are lost under some seed and stay under another.
func TestAPowerCutTakesWhatWasNotSynced(t *testing.T) {
	var names, bytes, partly int
	for seed := range uint64(20) {
		dir := t.TempDir()
		fs, power := New(func(Op) error { return nil })
		write := func(f vfs.File, text string) {
			if _, err := f.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		create := func(name string) vfs.File {
			f, err := fs.Create(filepath.Join(dir, name), vfs.WriteCategoryUnspecified)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		old, log := create("old"), create("log")
		write(old, "thrown away")
		must(old.Sync())
		write(log, "kept")
		must(log.SyncData())
		folder, err := fs.OpenDir(dir)
		must(err)
		must(folder.Sync())
		write(log, "lost")
		next := create("next.tmp")
		write(next, "whole")
		must(next.Sync())
		must(fs.Rename(filepath.Join(dir, "next.tmp"), filepath.Join(dir, "next")))
		reused, err := fs.ReuseForWrite(filepath.Join(dir, "old"), filepath.Join(dir, "log2"), vfs.WriteCategoryUnspecified)
		must(err)
		write(reused, "new")
		must(reused.Sync())
		write(reused, "er")

		lost := power.Cut(rand.New(rand.NewPCG(seed, 0)))
		text, err := os.ReadFile(filepath.Join(dir, "log"))
		if err != nil || len(text) < 4 || string(text) != "keptlost"[:len(text)] {
			t.Errorf("seed %d: the log has %q, %v", seed, text, err)
		}
		if len(text) > 4 && len(text) < 8 {
			partly++
		}
		if text, err := os.ReadFile(filepath.Join(dir, "log2")); err != nil || string(text[:3]) != "new" {
			t.Errorf("seed %d: the file that was reused has %q, %v", seed, text, err)
		}
		if text, err := os.ReadFile(filepath.Join(dir, "next")); err == nil && string(text) != "whole" || err != nil != (lost.Names == 1) {
			t.Errorf("seed %d: the new file has %q, %v, and %+v is lost", seed, text, err, lost)
		}
		names, bytes = names+int(lost.Names), bytes+int(lost.Bytes)
	}
	if names == 0 || names == 20 || bytes == 0 || partly == 0 {
		t.Errorf("lost in 20 cuts: %d names, %d bytes, %d times a part", names, bytes, partly)
	}
}
