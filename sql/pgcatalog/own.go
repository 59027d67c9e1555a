package pgcatalog

import (
	"context"
	"fmt"
	"time"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/schema/jobs"
	"github.com/cairndb/cairn/sql/types"
)

// Numbers of namespaces and fixed rows. Postgres fixes the first; the others
// differ from cluster to cluster there.
const (
	oidPgCatalog   = 11
	oidInformation = 13000
	oidCairn       = 13001
	oidHeap        = 2
	oidBtree       = 403
	oidGin         = 2742
	oidCollation   = 100
	oidTablespace  = 1663
)

// ownColumns are the tables of schema cairn.
const ownColumns = `
cairn.nodes 13100 v: node_id int8, sql_address text, rpc_address text, http_address text, locality text, is_live bool, ranges int8, leases int8
cairn.ranges 13101 v: range_id int8, start_key text, end_key text, database_name name, schema_name name, table_name name, leaseholder int8, replicas _int8, live_bytes int8, live_keys int8, generation int8
cairn.descriptors 13102 v: id oid, kind text, name name, database_name name, schema_name name, version int8, owner name, changing text
cairn.contention 13103 v: database_name name, schema_name name, table_name name, key text, retried int8, shown int8, last_reason text, last_transaction text, last_at timestamptz
cairn.locks 13104 v: database_name name, schema_name name, table_name name, key text, transaction_id text, node_id int8, pid int4, application_name text, strength text, durable bool, granted bool, waits_since timestamptz
cairn.range_log 13105 v: at timestamptz, node_id int8, range_id int8, event text, other_range_id int8, key text, database_name name, schema_name name, table_name name, why text
cairn.integrity 13106 v: kind text, range_id int8, start_key text, database_name name, schema_name name, table_name name, outcome text, proven_at timestamptz, checked_at timestamptz, node_id int8, detail text
cairn.placements 13108 v: database_name name, schema_name name, table_name name, replicas int4, replicas_of text, locality text, locality_of text
cairn.jobs 13107 v: job_id int8, job_type text, description text, user_name name, status text, running_status text, database_name name, schema_name name, table_name name, index_name name, created timestamptz, started timestamptz, modified timestamptz, finished timestamptz, fraction_completed float8, rows_done int8, rows_total int8, coordinator_id int8, resumed int8, error_code text, error text
`

// statementColumns are those of the extension pg_stat_statements, version 1.10, and of views that few ask for.
const statementColumns = `
pg_stat_statements 13110 v: userid oid, dbid oid, toplevel bool, queryid int8, query text, plans int8, total_plan_time float8, min_plan_time float8, max_plan_time float8, mean_plan_time float8, stddev_plan_time float8, calls int8, total_exec_time float8, min_exec_time float8, max_exec_time float8, mean_exec_time float8, stddev_exec_time float8, rows int8, shared_blks_hit int8, shared_blks_read int8, shared_blks_dirtied int8, shared_blks_written int8, local_blks_hit int8, local_blks_read int8, local_blks_dirtied int8, local_blks_written int8, temp_blks_read int8, temp_blks_written int8, blk_read_time float8, blk_write_time float8, temp_blk_read_time float8, temp_blk_write_time float8, wal_records int8, wal_fpi int8, wal_bytes numeric, jit_functions int8, jit_generation_time float8, jit_inlining_count int8, jit_inlining_time float8, jit_optimization_count int8, jit_optimization_time float8, jit_emission_count int8, jit_emission_time float8
pg_stat_statements_info 13111 v: dealloc int8, stats_reset timestamptz
pg_hba_file_rules 12110 v: line_number int4, type text, database _text, user_name _text, address text, netmask text, auth_method text, options _text, error text
`

type filler = func(ctx context.Context, env *Env, w *writer) error

// fillers are the tables that have rows.
func fillers() map[string]filler {
	return map[string]filler{
		"pg_catalog.pg_am":              fillAm,
		"pg_catalog.pg_attrdef":         fillAttrdef,
		"pg_catalog.pg_attribute":       fillAttribute,
		"pg_catalog.pg_auth_members":    fillAuthMembers,
		"pg_catalog.pg_authid":          fillAuthid,
		"pg_catalog.pg_class":           fillClass,
		"pg_catalog.pg_collation":       fillCollation,
		"pg_catalog.pg_constraint":      fillConstraint,
		"pg_catalog.pg_database":        fillDatabase,
		"pg_catalog.pg_default_acl":     fillDefaultACL,
		"pg_catalog.pg_db_role_setting": fillRoleSettings,
		"pg_catalog.pg_depend":          fillDepend,
		"pg_catalog.pg_description":     fillDescription,
		"pg_catalog.pg_shdescription":   fillShDescription,
		"pg_catalog.pg_extension":       fillExtension,
		"pg_catalog.pg_enum":            fillEnum,
		"pg_catalog.pg_group":           fillGroup,
		"pg_catalog.pg_index":           fillIndex,
		"pg_catalog.pg_indexes":         fillIndexes,
		"pg_catalog.pg_language":        fillLanguage,
		"pg_catalog.pg_locks":           fillPgLocks,
		"pg_catalog.pg_namespace":       fillNamespace,
		"pg_catalog.pg_opclass":         fillOpclass,
		"pg_catalog.pg_range":           fillRange,
		"pg_catalog.pg_operator":        fillOperator,
		"pg_catalog.pg_policies":        fillPolicies,
		"pg_catalog.pg_policy":          fillPolicy,
		"pg_catalog.pg_proc":            fillProc,
		"pg_catalog.pg_rewrite":         fillRewrite,
		"pg_catalog.pg_roles":           fillRoles,
		"pg_catalog.pg_sequence":        fillSequence,
		"pg_catalog.pg_sequences":       fillSequences,
		"pg_catalog.pg_settings":        fillSettings,
		"pg_catalog.pg_cursors":         fillCursors,
		"pg_catalog.pg_shadow":          fillShadow,
		"pg_catalog.pg_stat_activity":   fillActivity,
		"pg_catalog.pg_stats":           fillStats,

		"pg_catalog.pg_hba_file_rules":       fillConnectionRules,
		"pg_catalog.pg_prepared_statements":  fillPrepared,
		"pg_catalog.pg_stat_statements":      fillStatements,
		"pg_catalog.pg_stat_statements_info": fillStatementsInfo,

		"pg_catalog.pg_matviews":   fillMatviews,
		"pg_catalog.pg_tables":     fillTables,
		"pg_catalog.pg_tablespace": fillTablespace,
		"pg_catalog.pg_type":       fillType,
		"pg_catalog.pg_user":       fillUser,
		"pg_catalog.pg_views":      fillViews,

		"information_schema.check_constraints":               infoChecks,
		"information_schema.referential_constraints":         infoReferences,
		"information_schema.column_privileges":               infoColumnGrants,
		"information_schema.role_column_grants":              infoColumnGrants,
		"information_schema.role_table_grants":               infoTableGrants,
		"information_schema.table_privileges":                infoTableGrants,
		"information_schema.columns":                         infoColumns,
		"information_schema.constraint_column_usage":         infoColumnUsage,
		"information_schema.information_schema_catalog_name": infoCatalogName,
		"information_schema.key_column_usage":                infoKeyUsage,
		"information_schema.schemata":                        infoSchemata,
		"information_schema.sequences":                       infoSequences,
		"information_schema.table_constraints":               infoConstraints,
		"information_schema.tables":                          infoTables,
		"information_schema.views":                           infoViews,

		"cairn.nodes":       fillNodes,
		"cairn.ranges":      fillRanges,
		"cairn.descriptors": fillDescriptors,
		"cairn.contention":  fillContention,
		"cairn.locks":       fillLocks,
		"cairn.range_log":   fillRangeLog,
		"cairn.integrity":   fillIntegrity,
		"cairn.placements":  fillPlacements,
		"cairn.jobs":        fillJobs,

		"pg_catalog.pg_stat_progress_create_index": fillProgressIndex,
	}
}

// fillPlacements lists the tables of which something is asked, with what counts and who says so; and the
// databases that ask for something, without a table.
func fillPlacements(_ context.Context, env *Env, w *writer) error {
	of := func(own bool) string {
		if own {
			return "table"
		}
		return "database"
	}
	row := func(db *schema.Database, p, own schema.Placement) cells {
		return cells{"database_name": db.Name,
			"replicas": when(p.Replicas != 0, int64(p.Replicas)), "replicas_of": when(p.Replicas != 0, of(own.Replicas != 0)),
			"locality": orNull(p.Locality), "locality_of": when(p.Locality != "", of(own.Locality != ""))}
	}
	for _, o := range env.Contents.Objects() {
		switch o := o.(type) {
		case *schema.Database:
			if p := o.Placement(); !p.IsEmpty() {
				w.add(row(o, p, schema.Placement{}))
			}
		case *schema.Table:
			db, sc := env.Contents.DatabaseByID(o.DatabaseID), env.Contents.SchemaByID(o.SchemaID)
			if p := env.Contents.PlacementOf(o); db != nil && sc != nil && !p.IsEmpty() {
				c := row(db, p, o.Placement())
				c["schema_name"], c["table_name"] = sc.Name, o.Name
				w.add(c)
			}
		}
	}
	return nil
}

func fillNodes(ctx context.Context, env *Env, w *writer) error {
	if env.Cluster == nil {
		return nil
	}
	ns, err := env.Cluster.Nodes(ctx)
	for _, n := range ns {
		w.add(cells{"node_id": n.ID, "sql_address": n.SQLAddr, "rpc_address": n.RPCAddr, "http_address": n.HTTPAddr,
			"locality": n.Locality, "is_live": n.Live, "ranges": n.Ranges, "leases": n.Leases})
	}
	return err
}

func fillRanges(ctx context.Context, env *Env, w *writer) error {
	if env.Cluster == nil {
		return nil
	}
	rs, err := env.Cluster.Ranges(ctx)
	for _, r := range rs {
		c := cells{"range_id": r.ID, "start_key": r.StartKey, "end_key": r.EndKey, "leaseholder": r.Leaseholder,
			"replicas": r.Replicas, "live_bytes": r.LiveBytes, "live_keys": r.LiveKeys, "generation": r.Generation}
		if t := env.Contents.Table(r.TableID); t != nil {
			c["table_name"] = t.Name
			c["database_name"], c["schema_name"] = parentNames(env, &t.Header)
		}
		w.add(c)
	}
	return err
}

// parentNames are the names of database and schema, nil where there is none.
func parentNames(env *Env, h *schema.Header) (db, sc any) {
	if d := env.Contents.DatabaseByID(h.DatabaseID); d != nil {
		db = d.Name
	}
	if s := env.Contents.SchemaByID(h.SchemaID); s != nil {
		sc = s.Name
	}
	return db, sc
}

func fillDescriptors(_ context.Context, env *Env, w *writer) error {
	for _, o := range env.Contents.Objects() {
		h := o.Head()
		c := cells{"id": h.ID, "kind": o.Kind().String(), "name": h.Name, "version": int64(h.Version), "owner": h.Owner}
		c["database_name"], c["schema_name"] = parentNames(env, h)
		if h.Change != nil {
			c["changing"] = h.Change.What
		}
		w.add(c)
	}
	return nil
}

func fillContention(_ context.Context, env *Env, w *writer) error {
	if env.Contention == nil {
		return nil
	}
	for _, k := range env.Contention() {
		c := cells{"key": k.Key, "retried": k.Retried, "shown": k.Shown, "last_reason": k.Reason,
			"last_transaction": orNull(k.Other), "last_at": types.NewTimestampTZ(types.StampOfTime(k.At))}
		if t := env.Contents.Table(k.TableID); t != nil {
			c["table_name"] = t.Name
			c["database_name"], c["schema_name"] = parentNames(env, &t.Header)
		}
		w.add(c)
	}
	return nil
}

func fillLocks(ctx context.Context, env *Env, w *writer) error {
	if env.Locks == nil {
		return nil
	}
	locks, err := env.Locks(ctx)
	for i := range locks {
		l := &locks[i]
		c := cells{"key": l.Key, "transaction_id": orNull(l.Txn), "node_id": when(l.Node != 0, l.Node), "pid": when(l.PID != 0, l.PID),
			"application_name": orNull(l.Application), "strength": l.Strength, "durable": l.Durable, "granted": l.Granted, "waits_since": waitStart(l)}
		if t := env.Contents.Table(l.TableID); t != nil {
			c["table_name"] = t.Name
			c["database_name"], c["schema_name"] = parentNames(env, &t.Header)
		}
		w.add(c)
	}
	return err
}

func fillRangeLog(ctx context.Context, env *Env, w *writer) error {
	if env.Cluster == nil {
		return nil
	}
	es, err := env.Cluster.RangeLog(ctx)
	for _, e := range es {
		c := cells{"at": types.NewTimestampTZ(types.StampOfTime(e.At)), "node_id": e.NodeID, "range_id": e.RangeID,
			"event": e.Kind, "key": orNull(e.Key), "why": e.Why}
		if e.OtherID != 0 {
			c["other_range_id"] = e.OtherID
		}
		if t := env.Contents.Table(e.TableID); t != nil {
			c["table_name"] = t.Name
			c["database_name"], c["schema_name"] = parentNames(env, &t.Header)
		}
		w.add(c)
	}
	return err
}

func fillIntegrity(ctx context.Context, env *Env, w *writer) error {
	if env.Cluster == nil {
		return nil
	}
	is, err := env.Cluster.Integrity(ctx)
	for _, i := range is {
		c := cells{"kind": i.Kind, "range_id": when(i.RangeID != 0, i.RangeID), "start_key": orNull(i.StartKey), "outcome": i.Outcome,
			"proven_at":  when(!i.Proven.IsZero(), types.NewTimestampTZ(types.StampOfTime(i.Proven))),
			"checked_at": when(!i.Checked.IsZero(), types.NewTimestampTZ(types.StampOfTime(i.Checked))),
			"node_id":    when(i.NodeID != 0, i.NodeID), "detail": orNull(i.Detail)}
		if t := env.Contents.Table(i.TableID); t != nil {
			c["table_name"] = t.Name
			c["database_name"], c["schema_name"] = parentNames(env, &t.Header)
		}
		w.add(c)
	}
	return err
}

func waitStart(l *Lock) any {
	return when(!l.Since.IsZero(), types.NewTimestampTZ(types.StampOfTime(l.Since)))
}

// fillPgLocks shows a lock on a row as Postgres shows one that is waited for: of type tuple, but
// without the row's place, which changes; the key is in cairn.locks.
func fillPgLocks(ctx context.Context, env *Env, w *writer) error {
	if env.Locks == nil {
		return nil
	}
	locks, err := env.Locks(ctx)
	for i := range locks {
		l := &locks[i]
		c := cells{"locktype": "tuple", "database": when(l.DatabaseID != 0, l.DatabaseID), "relation": when(l.TableID != 0, l.TableID),
			"pid": when(l.PID != 0, l.PID), "mode": l.Mode, "granted": l.Granted, "fastpath": false, "waitstart": waitStart(l)}
		if l.Txn != "" {
			c["virtualtransaction"] = fmt.Sprintf("%d/%s", l.Node, l.Txn)
		}
		if a := l.Advisory; a != nil {
			c["locktype"], c["relation"] = "advisory", nil
			c["classid"], c["objid"], c["objsubid"] = a.ClassID, a.ObjID, a.ObjSubID
		}
		w.add(c)
	}
	return err
}

func fillActivity(ctx context.Context, env *Env, w *writer) error {
	if env.Cluster == nil {
		return nil
	}
	ss, err := env.Cluster.Sessions(ctx)
	for _, s := range ss {
		c := cells{"pid": s.PID, "datname": s.Database, "usename": s.User, "application_name": s.ApplicationName,
			"client_addr": orNull(s.ClientAddr), "client_port": s.ClientPort, "state": orNull(s.State), "query": s.Query,
			"wait_event_type": orNull(s.WaitEventType), "wait_event": orNull(s.WaitEvent), "backend_type": s.BackendClass,
			"backend_start": when(s.BackendStart != 0, s.BackendStart), "xact_start": when(s.TxnStart != 0, s.TxnStart),
			"query_start": when(s.QueryStart != 0, s.QueryStart), "state_change": when(s.StateChange != 0, s.StateChange)}
		if d := env.Contents.Database(s.Database); d != nil {
			c["datid"] = d.ID
		}
		if r := env.Contents.Role(s.User); r != nil {
			c["usesysid"] = r.OID
		}
		w.add(c)
	}
	return err
}

// fillJobs shows all jobs: whose table is another database's too, but not the
// names of that.
func fillJobs(ctx context.Context, env *Env, w *writer) error {
	if env.Jobs == nil {
		return nil
	}
	js, err := env.Jobs(ctx)
	for _, j := range js {
		c := cells{"job_id": int64(j.ID), "job_type": j.Kind.String(), "description": j.Description, "user_name": j.User,
			"status": jobStatus(j.Record), "running_status": orNull(j.Doing), "created": jobTime(j.CreatedNanos),
			"started": jobTime(j.StartedNanos), "modified": jobTime(j.ModifiedNanos), "finished": jobTime(j.FinishedNanos),
			"fraction_completed": types.NewFloat(j.Fraction()), "rows_done": j.Done, "rows_total": when(j.Total > 0, j.Total),
			"coordinator_id": when(j.Coordinator != 0, int64(j.Coordinator)), "resumed": j.Resumed,
			"error_code": orNull(j.Error.Code), "error": orNull(j.Error.Message)}
		if t := env.Contents.Table(j.Table); t != nil {
			c["table_name"] = t.Name
			c["database_name"], c["schema_name"] = parentNames(env, &t.Header)
			if ix := t.IndexByOID(j.Object); ix != nil {
				c["index_name"] = ix.Name
			}
		}
		w.add(c)
	}
	return err
}

func jobTime(nanos int64) any {
	return when(nanos != 0, types.NewTimestampTZ(types.StampOfTime(time.Unix(0, nanos))))
}

// jobStatus is the state, or what was asked for and is about to be done.
func jobStatus(j *jobs.Record) string {
	switch {
	case j.State == jobs.Running && j.Request == jobs.RequestPause:
		return "pause-requested"
	case j.State == jobs.Running && j.Request == jobs.RequestCancel:
		return "cancel-requested"
	}
	return j.State.String()
}

// fillProgressIndex is Postgres's view of indexes that are being built; what it
// has no word for is NULL.
func fillProgressIndex(ctx context.Context, env *Env, w *writer) error {
	if env.Jobs == nil {
		return nil
	}
	js, err := env.Jobs(ctx)
	for _, j := range js {
		if j.Kind != jobs.KindIndex || j.State.Ended() {
			continue
		}
		c := cells{"relid": j.Table, "index_relid": j.Object, "command": "CREATE INDEX CONCURRENTLY", "phase": j.Doing,
			"tuples_total": j.Total, "tuples_done": j.Done}
		if t := env.Contents.Table(j.Table); t != nil && t.DatabaseID == env.Database.ID {
			c["datid"], c["datname"] = env.Database.ID, env.Database.Name
			w.add(c)
		}
	}
	return err
}
