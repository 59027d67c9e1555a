package workers

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestEverythingRunsAndNothingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(4)
		var ran atomic.Int32
		var wg sync.WaitGroup
		for range 1000 {
			wg.Add(1)
			p.Go(func() { ran.Add(1); wg.Done() })
		}
		wg.Wait()
		synctest.Wait()
		if ran.Load() != 1000 || p.idle.Load() > 4 {
			t.Fatalf("%d ran, %d idle", ran.Load(), p.idle.Load())
		}
		p.Close() // synctest fails if a goroutine is left
		p.Go(func() { ran.Add(1) })
	})
}

// deep needs more stack than a new goroutine has.
//
//go:noinline
func deep(n int) int {
	var pad [256]byte
	if n == 0 {
		return int(pad[0])
	}
	return deep(n-1) + int(pad[n%256])
}

func BenchmarkDeepCall(b *testing.B) {
	b.Run("pool", func(b *testing.B) {
		p := New(16)
		defer p.Close()
		done := make(chan int)
		for b.Loop() {
			p.Go(func() { done <- deep(60) })
			<-done
		}
	})
	b.Run("go", func(b *testing.B) {
		done := make(chan int)
		for b.Loop() {
			go func() { done <- deep(60) }()
			<-done
		}
	})
}
