package rangecache

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairndb/cairn/kv/kvapi"
)

// suspects are nodes that have just left an attempt without an answer. They are
// asked last, even where the cache believes that they lead: an attempt that
// hangs costs seconds, and if it carries a commit nobody may know afterwards
// whether it was evaluated. The other replicas name the leader, also if it is
// the suspect after all. Whatever the node answers clears it.
type suspects struct {
	// count mirrors len(mu.until), for the usual case without any.
	count atomic.Int32
	mu    struct {
		sync.Mutex
		until map[kvapi.NodeID]time.Time
	}
}

func (s *suspects) add(n kvapi.NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.until == nil {
		s.mu.until = map[kvapi.NodeID]time.Time{}
	}
	s.mu.until[n] = time.Now().Add(suspectFor)
	s.count.Store(int32(len(s.mu.until)))
}

func (s *suspects) clear(n kvapi.NodeID) {
	if s.count.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.until, n)
	s.count.Store(int32(len(s.mu.until)))
}

func (s *suspects) has(n kvapi.NodeID) bool {
	if s.count.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.mu.until[n])
}
