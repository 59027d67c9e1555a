package pgwire

import (
	"encoding/binary"
	"time"

	"github.com/cairndb/cairn/sql"
)

// notified is a session that gets notifications; *sql.Session is one.
type notified interface {
	Notifications() []sql.Notification
	OnNotify(wake func())
}

// notifyWriteMax is how long a client at rest has to take notifications in.
const notifyWriteMax = 10 * time.Second

// wakeForNotify writes notifications to a client that is at rest. To one that is not, they go before
// its next ReadyForQuery outside a transaction.
func (c *conn) wakeForNotify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.atRest {
		c.notifications()
	}
}

// notifications writes what there is and sends it. The lock is held: the connection's own goroutine
// waits for a message, or is about to.
func (c *conn) notifications() {
	c.writeNotifications()
	if len(c.w.buf) == 0 {
		return
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(notifyWriteMax))
	err := c.w.flush()
	if err != nil {
		c.nc.Close() // its own goroutine finds out
		return
	}
	_ = c.nc.SetWriteDeadline(time.Time{})
}

// writeNotifications puts what waits for the client into the buffer.
func (c *conn) writeNotifications() {
	n, ok := c.sess.(notified)
	if !ok {
		return
	}
	for _, x := range n.Notifications() {
		c.w.notification(x)
	}
}

func (w *writer) notification(n sql.Notification) {
	at := w.begin('A')
	w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(n.PID))
	w.buf = append(append(w.buf, n.Channel...), 0)
	w.buf = append(append(w.buf, n.Payload...), 0)
	w.end(at)
}
