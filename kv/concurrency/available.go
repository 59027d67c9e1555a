package concurrency

import (
	"sync"

	"github.com/cairndb/cairn/kv/kvapi"
)

// availability sends away those who wait for latches while the range is
// unavailable: whoever holds them may wait for a quorum for ever.
type availability struct {
	mu sync.Mutex
	// err is why it is not, nil while it is.
	err *kvapi.Error
	// lost is closed with err set, and made anew with err gone.
	lost chan struct{}
}

// OnUnavailable sends all who wait for latches away with err, and all who would
// have to wait, until OnAvailable.
func (m *Manager) OnUnavailable(err *kvapi.Error) {
	a := &m.available
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		close(a.lost)
	}
	a.err = err
}

// OnAvailable ends what OnUnavailable began.
func (m *Manager) OnAvailable() {
	a := &m.available
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		a.err, a.lost = nil, make(chan struct{})
	}
}

// wait returns what is closed while the range is unavailable.
func (a *availability) wait() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lost
}

// why is for those whom lost has sent away.
func (a *availability) why() *kvapi.Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil { // it has come back at this moment
		return kvapi.NewError(kvapi.ErrUnavailable, "the range was not available for a while")
	}
	return a.err
}
