package sql

import (
	"context"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/cairndb/cairn/kv/keys"
	"github.com/cairndb/cairn/kv/kvapi"
	"github.com/cairndb/cairn/sql/sqlerr"
	"github.com/cairndb/cairn/txn"
)

// Cluster settings: ALTER SYSTEM SET gives a parameter another default, in the whole cluster and for
// good. They are rows of the system keyspace, which every node keeps a copy of:
//
//	ALTER SYSTEM SET p = v ──▶ keys.SettingPrefix + p
//	        │                        │
//	        └─ peers: read again ──▶ copy of each node ──▶ sessions, at their next transaction
//	                                 (also when a feed of the rows tells of a change,
//	                                 and every settingsInterval)
//
// What counts is, in this order: SET, what the connection asked for, the cluster's setting, the
// default. Unlike in Postgres there is no pg_reload_conf: when ALTER SYSTEM returns, the nodes that
// answered know; one that did not learns when the change has applied (internal/node, watch.go). A node that cannot read the settings
// does not begin to serve, so that it never serves by weaker ones.
type clusterSettings struct {
	view atomic.Pointer[settingsView]
	// reading is held from reading the rows to storing the view, so that no
	// view replaces a newer one.
	reading sync.Mutex
}

// settingsView is a state of the settings; it never changes.
type settingsView struct{ vals map[string]string }

func (v *settingsView) get(name string) (string, bool) {
	if v == nil {
		return "", false
	}
	x, ok := v.vals[name]
	return x, ok
}

// settingsInterval is how often a node reads the settings without being asked to.
const settingsInterval = 30 * time.Second

// RefreshSettings reads the settings, and has statistics be read again when they are next used.
func (s *Server) RefreshSettings(ctx context.Context) error {
	s.stats.Expire()
	s.settings.reading.Lock()
	defer s.settings.reading.Unlock()
	vals := map[string]string{}
	span := kvapi.Span{Key: keys.SettingPrefix, EndKey: keys.SettingPrefix.PrefixEnd()}
	err := s.cfg.DB.Run(ctx, txn.Options{Name: "read settings"}, func(ctx context.Context, t *txn.Txn) error {
		clear(vals)
		rows, _, err := t.Scan(ctx, span, txn.ScanOptions{})
		for _, r := range rows {
			vals[string(r.Key[len(span.Key):])] = string(r.Value)
		}
		return err
	})
	if err != nil {
		return err
	}
	if old := s.settings.view.Load(); old == nil && len(vals) > 0 || old != nil && !maps.Equal(old.vals, vals) {
		s.settings.view.Store(&settingsView{vals: vals})
	}
	return nil
}

// RunSettings reads the settings now and then, until ctx ends.
func (s *Server) RunSettings(ctx context.Context) {
	tick := time.NewTicker(settingsInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := s.RefreshSettings(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("the cluster's settings cannot be read", "err", err)
		}
	}
}

// notOfTheCluster are parameters that mean something to one session or transaction only.
var notOfTheCluster = map[string]bool{
	"transaction_isolation": true, "transaction_read_only": true, "transaction_deferrable": true, "role": true,
	causalityToken: true, idempotencyKey: true, readAsOf: true,
}

// alterSystem runs ALTER SYSTEM SET, RESET and RESET ALL, in a transaction of its own.
func (s *Session) alterSystem(ctx context.Context, n *pg.VariableSetStmt, w ResultWriter, alone bool) error {
	if s.tx.explicit || s.tx.done > 0 || !alone {
		return sqlerr.New(sqlerr.ActiveSQLTransaction, "ALTER SYSTEM cannot run inside a transaction block")
	}
	name := strings.ToLower(n.Name)
	if r := s.pg.Contents.Role(s.args.User); r == nil || !r.Superuser {
		if name == "" {
			return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to perform ALTER SYSTEM RESET ALL")
		}
		return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to set parameter \"%s\"", name)
	}
	var change func(ctx context.Context, t *txn.Txn) error
	key := append(keys.SettingPrefix.Clone(), name...)
	switch n.Kind {
	case pg.VariableSetKind_VAR_RESET_ALL:
		change = func(ctx context.Context, t *txn.Txn) error {
			rows, _, err := t.Scan(ctx, kvapi.Span{Key: keys.SettingPrefix, EndKey: keys.SettingPrefix.PrefixEnd()}, txn.ScanOptions{})
			for i := range rows {
				if err == nil {
					err = t.Delete(ctx, rows[i].Key)
				}
			}
			return err
		}
	case pg.VariableSetKind_VAR_SET_VALUE:
		v, err := s.vars.checkForCluster(name, setValue(name, n.Args))
		if err != nil {
			return err
		}
		change = func(ctx context.Context, t *txn.Txn) error { return t.Put(ctx, key, []byte(v)) }
	default: // RESET, SET … TO DEFAULT
		if err := s.vars.settable(name); err != nil {
			return err
		}
		change = func(ctx context.Context, t *txn.Txn) error { return t.Delete(ctx, key) }
	}
	if err := s.srv.cfg.DB.Run(ctx, txn.Options{Name: "ALTER SYSTEM"}, change); err != nil {
		return err
	}
	if err := s.srv.RefreshSettings(ctx); err != nil {
		return err
	}
	if s.srv.cfg.Peers != nil {
		s.srv.cfg.Peers.RefreshSettings(ctx)
	}
	return w.CommandComplete("ALTER SYSTEM")
}

// settable says why a parameter cannot be a setting of the cluster.
func (v *vars) settable(name string) error {
	d, ok := varDefs[name]
	switch {
	case !ok:
		return sqlerr.New(sqlerr.UndefinedObject, "unrecognized configuration parameter \"%s\"", name)
	case d.fixed || notOfTheCluster[name]:
		return sqlerr.New(sqlerr.CantChangeRuntimeParam, "parameter \"%s\" cannot be changed", name)
	}
	return nil
}

// checkForCluster is check, without an effect on the session.
func (v *vars) checkForCluster(name, value string) (string, error) {
	if err := v.settable(name); err != nil {
		return "", err
	}
	d := varDefs[name]
	value, err := v.checkValue(name, value, &d)
	v.reapply(name)
	return value, err
}

// reapply makes the present value of a parameter effective.
func (v *vars) reapply(name string) {
	if d := varDefs[name]; d.apply != nil && !d.fixed {
		_, _ = d.apply(v.s, v.get(name)) // it was valid before
	}
}

// syncCluster takes in what has changed of the cluster's settings.
func (v *vars) syncCluster() {
	now, before := v.s.srv.settings.view.Load(), v.cluster
	if now == before {
		return
	}
	v.cluster = now
	v.stale = true
	for _, view := range []*settingsView{before, now} {
		if view == nil {
			continue
		}
		for name := range view.vals {
			v.reapply(name)
		}
	}
}
