package scheduler

import (
	"runtime"
	"sync"

	"github.com/cairndb/cairn/kv/kvapi"
)

// Processor handles a range's events. For one range no two of its methods run
// at the same time; for different ranges they do.
type Processor interface {
	// ProcessMessages handles what peers and the log writer sent, and
	// proposals. It reports whether a Ready may be due.
	ProcessMessages(id kvapi.RangeID) (ready bool)
	// ProcessTick handles one tick. It reports whether a Ready may be due.
	ProcessTick(id kvapi.RangeID) (ready bool)
	// ProcessReady handles the range's Ready, if it has one.
	ProcessReady(id kvapi.RangeID)
}

// Options of a Scheduler; zero takes the defaults of limits.go.
type Options struct {
	Workers int
}

// Scheduler is a set of workers and the queues they serve.
type Scheduler struct {
	processor Processor
	shards    []*shard
	workers   int
	wg        sync.WaitGroup
}

// New returns a scheduler that does nothing until Start.
func New(p Processor, o Options) *Scheduler {
	if o.Workers == 0 {
		o.Workers = workersDefault()
	}
	s := &Scheduler{processor: p, workers: o.Workers}
	for range (o.Workers + workersPerShard - 1) / workersPerShard {
		s.shards = append(s.shards, newShard())
	}
	return s
}

// Start starts the workers.
func (s *Scheduler) Start() {
	for i := range s.workers {
		sh := s.shards[i%len(s.shards)]
		s.wg.Go(func() { s.work(sh) })
	}
}

// Stop handles what was enqueued and ends the workers. Events enqueued later
// are dropped.
func (s *Scheduler) Stop() {
	for _, sh := range s.shards {
		sh.stop()
	}
	s.wg.Wait()
}

// EnqueueMessages says that a range has messages or proposals.
func (s *Scheduler) EnqueueMessages(id kvapi.RangeID) { s.shard(id).add(id, events{messages: true}) }

// EnqueueReady says that a range may have a Ready.
func (s *Scheduler) EnqueueReady(id kvapi.RangeID) { s.shard(id).add(id, events{ready: true}) }

// EnqueueTicks ticks ranges. The slice is not kept.
func (s *Scheduler) EnqueueTicks(ids []kvapi.RangeID) {
	for _, sh := range s.shards {
		sh.tickAll(s, ids)
	}
}

func (s *Scheduler) shard(id kvapi.RangeID) *shard {
	return s.shards[uint64(id)%uint64(len(s.shards))]
}

func (s *Scheduler) work(sh *shard) {
	for {
		id, ev, ok := sh.take()
		if !ok {
			return
		}
		// Whoever is ready to run may have something for this range: one pass,
		// with one Ready, for all of it costs little more than for the first.
		runtime.Gosched()
		s.process(id, ev)
		sh.done(id)
	}
}

// process handles one pass: messages before ticks, so that a heartbeat that
// has arrived counts against the election timeout; both before Ready.
func (s *Scheduler) process(id kvapi.RangeID, ev events) {
	ready := ev.ready
	if ev.messages && s.processor.ProcessMessages(id) {
		ready = true
	}
	for range ev.ticks {
		if s.processor.ProcessTick(id) {
			ready = true
		}
	}
	if ready {
		s.processor.ProcessReady(id)
	}
}
