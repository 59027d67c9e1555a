package troubledfs

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cairndb/cairn/kv/storage"
)

// Power is a file system that knows what its disk has not been made to keep, so
// that a power cut can be played on a disk that keeps everything: of each file the
// bytes since its last sync, and the new names since their folder's last sync.
// What POSIX lets a disk lose or keep as it likes and what is known to be kept here
// (a name that was removed or taken by another file, a new folder) is kept.
//
// Killing the process is not enough: the kernel writes what a dead process wrote.
type Power struct {
	vfs.FS
	// mu is held to read by what changes the disk, and to write, for ever, by Cut:
	// nothing reaches the disk afterwards, and nothing is acknowledged.
	mu sync.RWMutex
	// state guards the maps and the files' counts.
	state sync.Mutex
	files map[string]*extent
	// fresh are names whose folder was not synced since they came.
	fresh map[string]bool
}

// extent is how many bytes of a file are written, and how many are sure to stay.
type extent struct{ written, synced int64 }

// Lost is what a power cut took.
type Lost struct{ Bytes, Names int64 }

func newPower(fs vfs.FS) *Power {
	return &Power{FS: fs, files: map[string]*extent{}, fresh: map[string]bool{}}
}

// Cut cuts the power: the disk loses some of what it had not been made to keep, all
// of it or the end of it as rng has it, and every operation from now on waits for
// ever. The process must end.
func (p *Power) Cut(rng *rand.Rand) (lost Lost) {
	p.mu.Lock()
	p.state.Lock()
	for name, x := range p.files {
		keep := x.synced
		if x.written > keep && rng.IntN(2) == 0 {
			keep += rng.Int64N(x.written - keep + 1)
		}
		if keep < x.written && os.Truncate(name, keep) == nil {
			lost.Bytes += x.written - keep
		}
	}
	for name := range p.fresh {
		if rng.IntN(2) == 0 && os.Remove(name) == nil {
			lost.Names++
		}
	}
	return lost
}

// changing runs an operation that changes names, and then notes that it did.
func (p *Power) changing(do func() error, note func()) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	err := do()
	if err == nil {
		p.state.Lock()
		defer p.state.Unlock()
		note()
	}
	return err
}

// Create implements vfs.FS.
func (p *Power) Create(name string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	x := &extent{}
	err = p.changing(func() error {
		f, err = p.FS.Create(name, category)
		return err
	}, func() { p.files[name], p.fresh[name] = x, true })
	return p.file(f, x, err)
}

// OpenReadWrite implements vfs.FS.
func (p *Power) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (f vfs.File, err error) {
	var x *extent
	err = p.changing(func() error {
		f, err = p.FS.OpenReadWrite(name, category, opts...)
		return err
	}, func() { x = p.extentLocked(name) })
	return p.file(f, x, err)
}

// extentLocked is that of a file; one which was there before is kept as it is.
func (p *Power) extentLocked(name string) *extent {
	if p.files[name] == nil {
		x := &extent{}
		if info, err := os.Stat(name); err == nil {
			x.written, x.synced = info.Size(), info.Size()
		}
		p.files[name] = x
	}
	return p.files[name]
}

// ReuseForWrite implements vfs.FS: what is not synced of the new content is lost
// with what was there before.
func (p *Power) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	x := &extent{}
	err = p.changing(func() error {
		f, err = p.FS.ReuseForWrite(old, name, category)
		return err
	}, func() {
		p.forgetLocked(old)
		p.files[name] = x
	})
	return p.file(f, x, err)
}

// Link implements vfs.FS.
func (p *Power) Link(old, name string) error {
	return p.changing(func() error { return p.FS.Link(old, name) }, func() {
		if x := p.files[old]; x != nil {
			p.files[name] = x
		}
		p.fresh[name] = true
	})
}

// Rename implements vfs.FS: a file that is not sure to be there under its old name
// is not under its new one, unless it took another's place.
func (p *Power) Rename(old, name string) error {
	_, err := os.Stat(name)
	taken := err == nil
	return p.changing(func() error { return p.FS.Rename(old, name) }, func() {
		x, fresh := p.files[old], p.fresh[old]
		p.forgetLocked(old)
		p.forgetLocked(name)
		if x != nil {
			p.files[name] = x
		}
		if fresh && !taken {
			p.fresh[name] = true
		}
	})
}

// Remove implements vfs.FS.
func (p *Power) Remove(name string) error {
	return p.changing(func() error { return p.FS.Remove(name) }, func() { p.forgetLocked(name) })
}

// RemoveAll implements vfs.FS.
func (p *Power) RemoveAll(name string) error {
	return p.changing(func() error { return p.FS.RemoveAll(name) }, func() {
		p.forgetLocked(name)
		for inside := range p.files {
			if strings.HasPrefix(inside, name+string(filepath.Separator)) {
				p.forgetLocked(inside)
			}
		}
	})
}

func (p *Power) forgetLocked(name string) {
	delete(p.files, name)
	delete(p.fresh, name)
}

// OpenDir implements vfs.FS.
func (p *Power) OpenDir(name string) (vfs.File, error) {
	f, err := p.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &folder{File: f, power: p, name: filepath.Clean(name)}, nil
}

// Unwrap implements vfs.FS.
func (p *Power) Unwrap() vfs.FS { return p.FS }

// folder is one that was opened to be synced.
type folder struct {
	vfs.File
	power *Power
	name  string
}

// Sync implements vfs.File.
func (d *folder) Sync() error {
	p := d.power
	p.state.Lock()
	var names []string
	for name := range p.fresh {
		if filepath.Dir(name) == d.name {
			names = append(names, name)
		}
	}
	p.state.Unlock()
	err := d.File.Sync()
	return p.changing(func() error { return err }, func() {
		for _, name := range names {
			delete(p.fresh, name)
		}
	})
}

func (p *Power) file(f vfs.File, x *extent, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &powered{File: f, power: p, extent: x}, nil
}

// powered is a file that is written.
type powered struct {
	vfs.File
	power  *Power
	extent *extent
	// at is where Write goes on.
	at int64
}

// Write implements vfs.File; see WriteAt.
func (f *powered) Write(b []byte) (n int, err error) {
	err = f.power.changing(func() error {
		n, err = f.File.Write(b)
		return err
	}, func() {
		f.extent.synced = min(f.extent.synced, f.at)
		f.at += int64(n)
		f.extent.written = max(f.extent.written, f.at)
	})
	return n, err
}

// WriteAt implements vfs.File: what it writes over may be lost with what follows.
func (f *powered) WriteAt(b []byte, offset int64) (n int, err error) {
	err = f.power.changing(func() error {
		n, err = f.File.WriteAt(b, offset)
		return err
	}, func() {
		f.extent.synced = min(f.extent.synced, offset)
		f.extent.written = max(f.extent.written, offset+int64(n))
	})
	return n, err
}

// syncing runs a sync, which makes sure of what was written before it.
func (f *powered) syncing(do func() error) error {
	f.power.state.Lock()
	written := f.extent.written
	f.power.state.Unlock()
	err := do()
	// Whoever is told of a sync may tell others: not after the power was cut.
	return f.power.changing(func() error { return err }, func() { f.extent.synced = max(f.extent.synced, written) })
}

// Sync implements vfs.File.
func (f *powered) Sync() error { return f.syncing(f.File.Sync) }

// SyncData implements vfs.File.
func (f *powered) SyncData() error { return f.syncing(f.File.SyncData) }

// SyncTo implements vfs.File: a prefix that is only queued is not sure.
func (f *powered) SyncTo(length int64) (full bool, err error) {
	f.power.state.Lock()
	written := f.extent.written
	f.power.state.Unlock()
	full, err = f.File.SyncTo(length)
	return full, f.power.changing(func() error { return err }, func() {
		if full {
			f.extent.synced = max(f.extent.synced, written)
		}
	})
}

var _ storage.FS = (*Power)(nil)
