package storage

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// health remembers what the engine's background work reported.
type health struct{ last atomic.Pointer[error] }

func (h *health) err() error {
	if p := h.last.Load(); p != nil {
		return *p
	}
	return nil
}

func (h *health) listener(o Options) *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			h.last.Store(&err)
			o.Logger.Error("storage: background work failed", slog.Any("err", err))
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			err := fmt.Errorf("storage: data corruption in %s: %w", info.Path, info.Details)
			h.last.Store(&err)
			o.Logger.Error("storage: corruption", slog.String("file", info.Path), slog.Any("err", info.Details))
		},
		DiskSlow: func(info vfs.DiskSlowInfo) {
			o.Logger.Warn("storage: slow disk", slog.String("op", info.String()))
			if o.OnDiskSlow != nil {
				o.OnDiskSlow(info)
			}
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			o.Logger.Warn("storage: writes stall", slog.String("reason", info.Reason))
		},
		// A single-delete of a key written twice, and the like: data may come
		// back from the dead. It is always a bug here.
		PossibleAPIMisuse: func(info pebble.PossibleAPIMisuseInfo) {
			o.OnFatal(fmt.Errorf("storage: %s", info))
		},
	}
}
