package node

import (
	"context"
	"time"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/rangecache/feed"
	"github.com/cairndb/cairn/schema"
)

// What each node keeps a copy of, and should know when it changes, it watches: the
// cluster's settings and the catalog's version. Whoever changes them also tells the
// other nodes, which makes the change count everywhere when the statement returns;
// but he may die between the commit and the telling. The feed of the range comes
// from whichever replica is asked, so it outlives every gateway.
//
//	commit ──▶ applied on a replica ──▶ page of the feed ──▶ settings: read anew
//	                                                         catalog: read anew
//	                                                         before its next use
//
// A feed that breaks begins again with a look, for changes may have passed
// meanwhile. The copies' own clocks (sql, settingsInterval; schema, the
// snapshot's expiry) stay, for a range without quorum tells nothing.

// watchAgain is the pause before a watch that has ended begins again.
const watchAgain = time.Second

// watchSystem watches what the node keeps copies of, until it stops.
func (c *Core) watchSystem() {
	settings := kvapi.Span{Key: keys.SettingPrefix, EndKey: keys.SettingPrefix.PrefixEnd()}
	c.wg.Go(func() { c.watch(settings, c.settingsChanged()) })
	c.wg.Go(func() {
		c.watch(schema.VersionSpan(), func(e *kvapi.FeedEvent) {
			if e == nil || e.Deleted {
				return // the snapshot in use is renewed by itself
			}
			if err := c.Catalog.OnVersion(e.Value); err != nil {
				c.cfg.Log.Warn("the catalog's version cannot be read", "err", err)
			}
		})
	})
}

// watch calls changed for each change of a span, and without one where some may
// have been missed.
func (c *Core) watch(span kvapi.Span, changed func(*kvapi.FeedEvent)) {
	for c.ctx.Err() == nil {
		after := c.Clock.Now().Timestamp()
		changed(nil)
		err := feed.Watch(c.ctx, c.Sender, span, after, func(e kvapi.FeedEvent) { changed(&e) })
		select {
		case <-time.After(watchAgain):
			c.cfg.Log.Info("a watch begins again", "span", span, "err", err)
		case <-c.ctx.Done():
		}
	}
}

// settingsChanged returns what has the settings read again, once for changes that
// come together, and not by the feed's goroutine.
func (c *Core) settingsChanged() func(*kvapi.FeedEvent) {
	kick := make(chan struct{}, 1)
	c.wg.Go(func() {
		for {
			select {
			case <-kick:
			case <-c.ctx.Done():
				return
			}
			s := c.sql.Load()
			if s == nil {
				continue // it reads them before it serves
			}
			ctx, cancel := context.WithTimeout(c.ctx, settingsReadMax)
			if err := s.RefreshSettings(ctx); err != nil && c.ctx.Err() == nil {
				c.cfg.Log.Warn("the cluster's settings cannot be read", "err", err)
			}
			cancel()
		}
	})
	return func(*kvapi.FeedEvent) {
		select {
		case kick <- struct{}{}:
		default:
		}
	}
}
