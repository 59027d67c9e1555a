package rangecache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestAWatchIsAContext: it ends with the caller's context, with the attempt, and
// with what is derived from it, whether or not somebody has asked for its end
// before.
func TestAWatchIsAContext(t *testing.T) {
	type key struct{}
	for _, asked := range []bool{false, true} {
		s := NewSender(Config{})
		parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "v"))
		w := s.watch(parent, nil, 1)
		if asked {
			w.Done()
		}
		if w.Err() != nil || w.Value(key{}) != "v" {
			t.Errorf("a new watch: %v, %v", w.Err(), w.Value(key{}))
		}
		why := errors.New("why")
		cancel(why)
		if w.Err() != context.Canceled || context.Cause(w) != why {
			t.Errorf("after the caller's end: %v because of %v", w.Err(), context.Cause(w))
		}
		<-w.Done()
		s.stop(w)

		w = s.watch(t.Context(), nil, 1)
		if asked {
			w.Done()
		}
		child, end := context.WithCancel(w)
		defer end()
		s.stop(w)
		<-child.Done()
		if w.Err() != context.Canceled || context.Cause(w) != context.Canceled {
			t.Errorf("after the attempt's end: %v because of %v", w.Err(), context.Cause(w))
		}
		<-w.Done()
	}
}

// TestWatchesRest: the timer is there only while attempts are under way, and
// those that are quick are not suspected.
func TestWatchesRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSender(Config{})
		for range 10 {
			w := s.watch(t.Context(), nil, 1) // to suspect it would panic without an entry
			time.Sleep(slowAttempt - time.Millisecond)
			s.stop(w)
		}
		time.Sleep(2 * watchInterval)
		s.watches.mu.Lock()
		defer s.watches.mu.Unlock()
		if s.watches.armed || s.watches.list.next != &s.watches.list {
			t.Error("the timer runs though nothing is under way")
		}
	})
}
