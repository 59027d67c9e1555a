package builtins

import (
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/sql/types"
)

// Notifier is the session behind pg_notify.
type Notifier interface {
	// Notify sends a notification when the transaction commits.
	Notify(channel, payload string) error
	// Channels are what the session listens to, in order.
	Channels() []string
}

func notifyFuncs() []Overload {
	return []Overload{
		fn("pg_notify", []types.T{types.Text, types.Text}, types.Void, "sends a notification when the transaction commits", func(ec ectx, a []datum) (datum, error) {
			if ec == nil || ec.Notifier == nil {
				return types.Null, sqlerr.Unsupported("function pg_notify() here")
			}
			text := func(d datum) string {
				if d.IsNull() {
					return ""
				}
				return d.Str()
			}
			return types.NewText(""), ec.Notifier.Notify(text(a[0]), text(a[1]))
		}).lenient().volatile(),
		srf("pg_listening_channels", nil, types.Text, "channels that the session listens to", func(ec ectx, _ []datum) (Rows, error) {
			var rows []datum
			if ec != nil && ec.Notifier != nil {
				for _, c := range ec.Notifier.Channels() {
					rows = append(rows, types.NewText(c))
				}
			}
			return single(rows), nil
		}).stable(),
		fn("pg_notification_queue_usage", nil, types.Float8, "0: notifications are not kept", func(ectx, []datum) (datum, error) {
			return types.NewFloat(0), nil
		}).volatile(),
	}
}
