package storage

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// health remembers what the engine's background work reported.
type health struct {
	last atomic.Pointer[error]
	// toldNanos is when a failure was last logged: Pebble tries failed work
	// again at once, and for ever.
	toldNanos atomic.Int64
}

// mayTell bounds what is logged to one failure per tellInterval.
func (h *health) mayTell() bool {
	now, last := time.Now().UnixNano(), h.toldNanos.Load()
	return now-last >= int64(tellInterval) && h.toldNanos.CompareAndSwap(last, now)
}

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
			if h.mayTell() {
				o.Logger.Error("storage: background work failed, and is tried again", slog.String("err", err.Error()))
			}
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			err := fmt.Errorf("storage: data corruption in %s: %w", info.Path, info.Details)
			h.last.Store(&err)
			o.Logger.Error("storage: corruption", slog.String("file", info.Path), slog.String("err", info.Details.Error()))
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
