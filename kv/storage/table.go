package storage

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/cockroachkvs"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// NewTable creates a table for IngestAndExcise at path, on the engine's file
// system. Keys are added in order; Close syncs the file. Ingested tables
// mostly go to the last level, hence no filter.
func (e *Engine) NewTable(path string) (*sstable.Writer, error) {
	f, err := e.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("create table: %w", err)
	}
	return sstable.NewWriter(objstorageprovider.NewFileWritable(f), sstable.WriterOptions{
		Comparer:                &cockroachkvs.Comparer,
		KeySchema:               &cockroachkvs.KeySchema,
		BlockPropertyCollectors: cockroachkvs.BlockPropertyCollectors,
		TableFormat:             e.db.TableFormat(),
		BlockSize:               blockBytes,
		IndexBlockSize:          indexBlockBytes,
		Compression:             sstable.SnappyCompression,
	}), nil
}
