package kvapi

import (
	"time"

	"github.com/cairndb/cairn/hlc"
)

// FeedArgs ask for a page of a feed: what is committed in the request's span
// above After. Pages are asked for in order, each again until it is there; asking
// for one says that those before it have come.
type FeedArgs struct {
	// ID is drawn by who asks; page 1 begins the feed.
	ID    uint64        `wire:"1"`
	Page  uint64        `wire:"2"`
	After hlc.Timestamp `wire:"3"`
	// PushAge is how long an intent may keep changes from being told; 0 leaves that
	// to the store.
	PushAge time.Duration `wire:"4"`
}

// FeedEvent is a version that was committed.
type FeedEvent struct {
	Key   Key    `wire:"1"`
	Value []byte `wire:"2"`
	// Deleted says that the version is a deletion.
	Deleted bool          `wire:"3"`
	At      hlc.Timestamp `wire:"4"`
}

// FeedPage is a part of a feed. Events of one key come in order of time; each
// comes once.
type FeedPage struct {
	Page   uint64      `wire:"1"`
	Events []FeedEvent `wire:"2"`
	// Resolved, if set, says that no event at or below it is still to come.
	Resolved hlc.Timestamp `wire:"3"`
	// Span is what the feed is of: not what was asked for, if the request was
	// divided on its way.
	Span Span `wire:"4"`
}
