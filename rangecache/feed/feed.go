package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cairndb/cairn/hlc"
	"github.com/cairndb/cairn/kv/kvapi"
)

// Sink takes what a feed tells. It is called by one goroutine.
type Sink interface {
	Change(kvapi.FeedEvent)
	Resolved(hlc.Timestamp)
}

// ErrBehind says that too much waits for the slowest range.
var ErrBehind = errors.New("feed: too many changes wait for the slowest range")

const (
	// bufferMax bounds the changes that wait, in bytes.
	bufferMax = 64 << 20
	// retryMin and retryMax bound the pause before a range is asked anew.
	retryMin = 20 * time.Millisecond
	retryMax = time.Second
	// watchPushAge is how long an intent may keep a watcher from learning what
	// became of it: some times what cleaning up after a commit takes.
	watchPushAge = 300 * time.Millisecond
	// eventOverhead is about what an event takes beside key and value.
	eventOverhead = 100
)

// Run tells sink what is committed in a span above a timestamp, until ctx ends or
// something is wrong that asking again does not help.
func Run(ctx context.Context, s kvapi.Sender, span kvapi.Span, after hlc.Timestamp, sink Sink) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &follower{sender: s, fail: cancel, told: after, changed: make(chan struct{}, 1)}
	f.add(ctx, &part{span: span, resolved: after})
	defer f.working.Wait()
	defer cancel(nil)
	return f.run(ctx, sink)
}

// Watch tells arrived of each change in a span above a timestamp as soon as a
// range tells of it, without waiting for others or for what is resolved: in any
// order, some changes twice, and from several goroutines. It is for those who want
// to know that they should look. It returns as Run does.
func Watch(ctx context.Context, s kvapi.Sender, span kvapi.Span, after hlc.Timestamp, arrived func(kvapi.FeedEvent)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &follower{sender: s, fail: cancel, arrived: arrived, changed: make(chan struct{}, 1)}
	f.add(ctx, &part{span: span, resolved: after})
	defer f.working.Wait()
	<-ctx.Done()
	return context.Cause(ctx)
}

func (f *follower) run(ctx context.Context, sink Sink) error {
	for {
		select {
		case <-f.changed:
			f.tell(sink)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// follower is a feed at work.
type follower struct {
	sender  kvapi.Sender
	fail    context.CancelCauseFunc
	working sync.WaitGroup
	// arrived, if set, is told of changes at once, and no others are kept.
	arrived func(kvapi.FeedEvent)
	// changed says that a part has more, or has resolved more.
	changed chan struct{}
	// told is what was told to be resolved; of Run alone.
	told hlc.Timestamp

	mu struct {
		sync.Mutex
		parts []*part
		bytes int
	}
}

// part is a span that lies in one range, as far as is known. The follower's mu
// guards it; its span is changed by its own goroutine alone.
type part struct {
	span     kvapi.Span
	resolved hlc.Timestamp
	events   []kvapi.FeedEvent
}

// add follows a part from now on.
func (f *follower) add(ctx context.Context, p *part) {
	f.mu.Lock()
	f.mu.parts = append(f.mu.parts, p)
	f.mu.Unlock()
	f.working.Go(func() { f.follow(ctx, p) })
}

// follow asks for the part's changes until ctx ends.
func (f *follower) follow(ctx context.Context, p *part) {
	for pause := retryMin; ctx.Err() == nil; {
		began := time.Now()
		err := f.fitToRange(ctx, p)
		if err == nil {
			err = f.pages(ctx, p)
		}
		if err != nil && isFinal(err) {
			f.fail(fmt.Errorf("feed of %s: %w", p.span, err))
			return
		}
		if time.Since(began) > retryMax {
			pause = retryMin
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, retryMax)
	}
}

// isFinal reports whether asking again does not help.
func isFinal(err error) bool {
	var e *kvapi.Error
	return errors.Is(err, ErrBehind) || errors.As(err, &e) && (e.Kind == kvapi.ErrBelowGCThreshold || e.Kind == kvapi.ErrInternal)
}

// fitToRange cuts off what is not in the range of the part's first key, and has
// it followed as a part of its own; and drops what is not resolved (I3).
func (f *follower) fitToRange(ctx context.Context, p *part) error {
	br, err := f.sender.Send(ctx, (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.LeaseInfo, Key: p.span.Key}))
	if err != nil {
		return err
	}
	if len(br.Responses) != 1 || br.Responses[0].Info == nil {
		return fmt.Errorf("nobody says which range has %s", p.span.Key)
	}
	end := br.Responses[0].Info.Desc.EndKey
	f.mu.Lock()
	f.dropLocked(p, func(e *kvapi.FeedEvent) bool { return p.resolved.Less(e.At) })
	if !end.Less(p.span.EndKey) {
		f.mu.Unlock()
		return nil
	}
	right := &part{span: kvapi.Span{Key: end.Clone(), EndKey: p.span.EndKey}, resolved: p.resolved}
	p.span.EndKey = right.span.Key
	for _, e := range p.events {
		if !e.Key.Less(end) {
			right.events = append(right.events, e)
		}
	}
	p.events = slices.DeleteFunc(p.events, func(e kvapi.FeedEvent) bool { return !e.Key.Less(end) })
	f.mu.Unlock()
	f.add(ctx, right)
	return nil
}

func (f *follower) dropLocked(p *part, gone func(*kvapi.FeedEvent) bool) {
	p.events = slices.DeleteFunc(p.events, func(e kvapi.FeedEvent) bool {
		if !gone(&e) {
			return false
		}
		f.mu.bytes -= size(&e)
		return true
	})
}

func size(e *kvapi.FeedEvent) int { return len(e.Key) + len(e.Value) + eventOverhead }

// pages asks a replica for page after page, until it cannot go on.
func (f *follower) pages(ctx context.Context, p *part) error {
	id, age := rand.Uint64(), time.Duration(0)
	if f.arrived != nil {
		age = watchPushAge
	}
	for page := uint64(1); ; page++ {
		got, err := f.page(ctx, p, &kvapi.FeedArgs{ID: id, Page: page, After: p.resolved, PushAge: age})
		if err != nil {
			return err
		}
		if f.arrived != nil {
			for _, e := range got.Events {
				f.arrived(e)
			}
			got.Events = nil
		}
		f.mu.Lock()
		for i := range got.Events {
			f.mu.bytes += size(&got.Events[i])
		}
		p.events = append(p.events, got.Events...)
		p.resolved.Forward(got.Resolved)
		behind := f.mu.bytes > bufferMax
		f.mu.Unlock()
		if behind {
			return ErrBehind
		}
		select {
		case f.changed <- struct{}{}:
		default:
		}
	}
}

func (f *follower) page(ctx context.Context, p *part, q *kvapi.FeedArgs) (*kvapi.FeedPage, error) {
	ba := (&kvapi.BatchRequest{}).Add(kvapi.Request{Kind: kvapi.FeedRange, Key: p.span.Key, EndKey: p.span.EndKey, Feed: q})
	br, err := f.sender.Send(ctx, ba)
	if err != nil {
		return nil, err
	}
	got := br.Responses[0].Feed
	switch {
	case got == nil:
		return nil, fmt.Errorf("an answer without a page of the feed of %s", p.span)
	case !got.Span.Key.Equal(p.span.Key) || !got.Span.EndKey.Equal(p.span.EndKey):
		return nil, fmt.Errorf("the range of %s was split", p.span)
	}
	return got, nil
}

// tell tells what all parts have resolved.
func (f *follower) tell(sink Sink) {
	f.mu.Lock()
	frontier := hlc.MaxTimestamp
	for _, p := range f.mu.parts {
		frontier = frontier.Min(p.resolved)
	}
	if frontier.LessEq(f.told) {
		f.mu.Unlock()
		return
	}
	var due []kvapi.FeedEvent
	for _, p := range f.mu.parts {
		f.dropLocked(p, func(e *kvapi.FeedEvent) bool {
			if frontier.Less(e.At) {
				return false
			}
			due = append(due, *e)
			return true
		})
	}
	f.mu.Unlock()
	slices.SortFunc(due, func(a, b kvapi.FeedEvent) int {
		return cmp.Or(a.At.Compare(b.At), a.Key.Compare(b.Key))
	})
	for _, e := range due {
		sink.Change(e)
	}
	f.told = frontier
	sink.Resolved(frontier)
}
