package exec

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Operators that would hold more than Run.WorkMem write rows to temporary files.
//
//	sort        sorted runs, merged                                        (sort.go)
//	hash join   both sides cut by hash into partitions, joined one by one  (hash_join.go)
//	aggregate,  groups in memory stay; rows of others go to partitions,    (agg.go, distinct.go)
//	distinct    which are aggregated one by one
//	INTERSECT,  the same with both sides                                    (setop.go)
//	EXCEPT
//	window      a sort, and the rows of one partition as an array            (window.go, array.go)
//	recursive   an array                                                    (setop.go)
//	WITH, DML
//
// A partition that is still too large is cut again by other bits of the hash, spillLevelMax times; what
// is left then (one key with very many rows) is held as it is, up to the statement's limit.
//
// A statement has one file, which loses its name as soon as it is open: nothing of it stays, however the
// process ends. Rows in it are in the clear, as in the store.
const (
	spillPartitions = 16
	spillLevelMax   = 6
	spillBlock      = 16 << 10
)

// TempFiles says where temporary files go and how much they may take.
type TempFiles struct {
	// Dir is a folder of the store; "" is the system's.
	Dir string
	// BytesMax bounds the files of a statement; 0 or less: no bound.
	BytesMax int64
}

// spillFile is the one file of a statement, in blocks that tempFiles take and give back.
type spillFile struct {
	f    *os.File
	end  int64
	free []int64
}

func (r *Run) openSpill() error {
	if r.spill.f != nil {
		return nil
	}
	f, err := os.CreateTemp(r.Temp.Dir, "cairn-spill-")
	if err != nil {
		return tempError(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return tempError(err)
	}
	r.spill.f = f
	return nil
}

// block is a free one's offset.
func (s *spillFile) block() int64 {
	if n := len(s.free); n > 0 {
		at := s.free[n-1]
		s.free = s.free[:n-1]
		return at
	}
	s.end += spillBlock
	return s.end - spillBlock
}

// tempFile holds rows one after another. It is written first and read then, by one or many readers. All
// its blocks but the last are full; the last stays in memory if it is the only one.
type tempFile struct {
	r      *Run
	codec  types.SpillCodec
	blocks []int64 // offsets in the statement's file
	tail   []byte
	buf    []byte
	size   int64
	closed bool
}

func (r *Run) newTemp() *tempFile {
	r.Spilled.Files++
	return &tempFile{r: r}
}

func tempError(err error) error {
	code := sqlerr.IOError
	if errors.Is(err, syscall.ENOSPC) {
		code = sqlerr.DiskFull
	}
	return sqlerr.New(code, "could not write to a temporary file: %v", err).WithCause(err)
}

// append writes a row.
func (t *tempFile) append(row []types.Datum) error {
	t.buf = t.codec.AppendRow(t.buf[:0], row)
	before := len(t.tail)
	t.tail = binary.AppendUvarint(t.tail, uint64(len(t.buf)))
	t.tail = append(t.tail, t.buf...)
	size := int64(len(t.tail) - before)
	t.size += size
	r := t.r
	r.Spilled.Bytes += size
	r.tempBytes += size
	if limit := r.Temp.BytesMax; limit > 0 && r.tempBytes > limit {
		return sqlerr.New(sqlerr.ConfigurationLimitExceeded, "temporary file size exceeds temp_file_limit (%dkB)", limit>>10)
	}
	for len(t.tail) >= spillBlock {
		if err := t.flush(spillBlock); err != nil {
			return err
		}
	}
	return nil
}

// flush writes the first n bytes of the tail as a block.
func (t *tempFile) flush(n int) error {
	if err := t.r.openSpill(); err != nil {
		return err
	}
	at := t.r.spill.block()
	t.blocks = append(t.blocks, at)
	if _, err := t.r.spill.f.WriteAt(t.tail[:n], at); err != nil {
		return tempError(err)
	}
	t.tail = t.tail[:copy(t.tail, t.tail[n:])]
	return nil
}

// save writes the registers of a layout.
func (t *tempFile) save(l layout, row types.Row) error {
	for i, id := range l {
		row[i] = t.r.Slots[id]
	}
	return t.append(row[:len(l)])
}

// finish ends writing.
func (t *tempFile) finish() error {
	t.buf = nil
	if len(t.blocks) == 0 || len(t.tail) == 0 {
		return nil
	}
	err := t.flush(len(t.tail))
	t.tail = nil
	return err
}

func (t *tempFile) close() {
	if t.closed {
		return
	}
	t.closed = true
	t.r.tempBytes -= t.size
	t.r.spill.free = append(t.r.spill.free, t.blocks...)
	t.blocks, t.tail = nil, nil
}

// reader reads rows from one offset to another.
func (t *tempFile) reader(from, to int64, buffer int) *tempReader {
	return &tempReader{t: t, in: bufio.NewReaderSize(&blockReader{t: t, at: from, end: to}, buffer)}
}

// blockReader reads a part of a file through its blocks.
type blockReader struct {
	t       *tempFile
	at, end int64
}

// Read implements io.Reader.
func (b *blockReader) Read(p []byte) (int, error) {
	if b.at >= b.end {
		return 0, io.EOF
	}
	i, off := b.at/spillBlock, b.at%spillBlock
	n := int(min(int64(len(p)), b.end-b.at, spillBlock-off))
	if int(i) >= len(b.t.blocks) {
		n = copy(p[:n], b.t.tail[off:])
	} else if _, err := b.t.r.spill.f.ReadAt(p[:n], b.t.blocks[i]+off); err != nil {
		return 0, err
	}
	b.at += int64(n)
	return n, nil
}

type tempReader struct {
	t  *tempFile
	in *bufio.Reader
}

// next reads a row of so many values; nil at the end. The row is new.
func (x *tempReader) next(s *slab, width int) (types.Row, error) {
	n, err := binary.ReadUvarint(x.in)
	if err == io.EOF {
		return nil, nil
	}
	if err != nil {
		return nil, tempError(err)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(x.in, b); err != nil {
		return nil, tempError(err)
	}
	row := s.row(width)
	return row, x.t.codec.DecodeRow(b, row)
}

// tempCursor yields the rows of a file as an operator would.
type tempCursor struct {
	r  *Run
	l  layout
	in *tempReader
	s  slab
}

func (t *tempFile) cursor(l layout) *tempCursor {
	return &tempCursor{r: t.r, l: l, in: t.reader(0, t.size, spillBlock)}
}

// Next implements Cursor.
func (c *tempCursor) Next() (bool, error) {
	row, err := c.in.next(&c.s, len(c.l))
	if err != nil || row == nil {
		return false, err
	}
	c.l.load(c.r, row)
	return true, c.r.tick()
}

// Close implements Cursor.
func (c *tempCursor) Close() { c.in.t.close() }

// partitions are rows cut by hash.
type partitions struct {
	r     *Run
	l     layout
	level int
	files [spillPartitions]*tempFile
	row   types.Row
}

func newPartitions(r *Run, l layout, level int) *partitions {
	return &partitions{r: r, l: l, level: level, row: make(types.Row, max(len(l), 1))}
}

// at is the partition of a hash: each level looks at other bits.
func (p *partitions) at(h uint64) int { return int(h>>(60-4*uint(p.level))) & (spillPartitions - 1) }

func (p *partitions) file(i int) *tempFile {
	if p.files[i] == nil {
		p.files[i] = p.r.newTemp()
	}
	return p.files[i]
}

// add writes the registers of the layout.
func (p *partitions) add(h uint64) error {
	return p.file(p.at(h)).save(p.l, p.row)
}

// addRow writes a row of the layout that was saved before.
func (p *partitions) addRow(h uint64, row types.Row) error {
	return p.file(p.at(h)).append(row)
}

func (p *partitions) finish() error {
	for _, f := range p.files {
		if f == nil {
			continue
		}
		if err := f.finish(); err != nil {
			return err
		}
	}
	return nil
}

// cursor reads a partition; it is empty if it has no file.
func (p *partitions) cursor(i int) Cursor {
	if p.files[i] == nil {
		return &oneRowCursor{done: true}
	}
	return p.files[i].cursor(p.l)
}

func (p *partitions) close() {
	for _, f := range p.files {
		if f != nil {
			f.close()
		}
	}
}
