package pgcatalog

import "context"

// counterFillers are the views of PostgreSQL's statistics collector that list tables, indexes and
// sequences. Tools join them for names, and for how many rows there are; Cairn counts no accesses, so
// what would count them is NULL.
func counterFillers() map[string]filler {
	out := map[string]filler{}
	for _, name := range []string{"pg_stat_all_tables", "pg_stat_user_tables", "pg_stat_xact_all_tables",
		"pg_stat_xact_user_tables", "pg_statio_all_tables", "pg_statio_user_tables"} {
		out["pg_catalog."+name] = fillTableCounters
	}
	for _, name := range []string{"pg_stat_all_indexes", "pg_stat_user_indexes", "pg_statio_all_indexes", "pg_statio_user_indexes"} {
		out["pg_catalog."+name] = fillIndexCounters
	}
	out["pg_catalog.pg_statio_all_sequences"] = fillSequenceCounters
	out["pg_catalog.pg_statio_user_sequences"] = fillSequenceCounters
	out["pg_catalog.pg_stat_database"] = fillDatabaseCounters
	return out
}

func fillTableCounters(ctx context.Context, env *Env, w *writer) error {
	known, err := env.statistics(ctx)
	if err != nil {
		return err
	}
	for _, t := range env.Contents.Tables(env.Database.ID) {
		c := cells{"relid": t.ID, "schemaname": namespaceOf(env, &t.Header), "relname": t.Name}
		if k := known[t.ID]; k != nil && w.t.has("n_live_tup") {
			c["n_live_tup"] = int64(k.Rows)
		}
		w.add(c)
	}
	return nil
}

func fillIndexCounters(_ context.Context, env *Env, w *writer) error {
	for _, t := range env.Contents.Tables(env.Database.ID) {
		for _, ix := range namedIndexes(t) {
			w.add(cells{"relid": t.ID, "indexrelid": ix.OID, "schemaname": namespaceOf(env, &t.Header), "relname": t.Name,
				"indexrelname": ix.Name})
		}
	}
	return nil
}

func fillSequenceCounters(_ context.Context, env *Env, w *writer) error {
	for _, q := range env.Contents.Sequences(env.Database.ID) {
		w.add(cells{"relid": q.ID, "schemaname": namespaceOf(env, &q.Header), "relname": q.Name})
	}
	return nil
}

func fillDatabaseCounters(ctx context.Context, env *Env, w *writer) error {
	clients := map[string]int64{}
	if env.Cluster != nil {
		ss, err := env.Cluster.Sessions(ctx)
		if err != nil {
			return err
		}
		for _, s := range ss {
			clients[s.Database]++
		}
	}
	for _, d := range env.Contents.Databases() {
		w.add(cells{"datid": d.ID, "datname": d.Name, "numbackends": clients[d.Name]})
	}
	return nil
}
