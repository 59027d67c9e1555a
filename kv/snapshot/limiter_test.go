package snapshot

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimiterPaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(1000, 1)
		start := time.Now()
		for range 10 {
			if err := l.Wait(context.Background(), 500); err != nil {
				t.Fatal(err)
			}
		}
		// The last 500 bytes may pass when the 4500 before have.
		if got := time.Since(start); got < 4400*time.Millisecond || got > 4600*time.Millisecond {
			t.Fatalf("5000 bytes at 1000 a second took %s", got)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if l.Wait(ctx, 1) == nil {
			t.Fatal("the wait outlived its context")
		}
	})
}

func TestLimiterPlaces(t *testing.T) {
	l := NewLimiter(1, 1)
	release, ok := l.TryAcquire()
	if !ok {
		t.Fatal("no place at first")
	}
	if _, ok := l.TryAcquire(); ok {
		t.Fatal("two in one place")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.Acquire(ctx); err == nil {
		t.Fatal("a place for a dead context")
	}
	release()
	release() // twice does not give two places
	if _, err := l.Acquire(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, ok := l.TryAcquire(); ok {
		t.Fatal("a release counted twice")
	}
}
