package pgcatalog

import (
	"context"
	"strings"

	"github.com/cairndb/cairn/schema"
	"github.com/cairndb/cairn/sql/rowenc"
	"github.com/cairndb/cairn/sql/stats"
	"github.com/cairndb/cairn/sql/types"
)

// statistics are what is known of all tables of the database.
func (e *Env) statistics(ctx context.Context) (map[schema.DescID]*stats.Table, error) {
	if e.Statistics == nil {
		return nil, nil
	}
	var ids []schema.DescID
	for _, t := range e.Contents.Tables(e.Database.ID) {
		ids = append(ids, t.ID)
	}
	return e.Statistics(ctx, ids)
}

// fillStats shows, as in Postgres, the columns that the user may read.
func fillStats(ctx context.Context, env *Env, w *writer) error {
	known, err := env.statistics(ctx)
	if err != nil {
		return err
	}
	for _, t := range env.Contents.Tables(env.Database.ID) {
		if t.RowSecurity && !isSuper(env) && (t.ForceRowSecurity || !env.Contents.Owns(env.User, t)) {
			continue // values of rows that are not to be seen
		}
		k := known[t.ID]
		for i := range t.Columns {
			col := &t.Columns[i]
			c := k.Column(col)
			if c == nil || col.Hidden || env.Contents.GrantedOn(env.User, t, col, schema.PrivSelect) == 0 {
				continue
			}
			row := cells{"tablename": t.Name, "attname": col.Name, "inherited": false, "null_frac": c.NullFrac,
				"avg_width": int(c.WidthBytes), "n_distinct": distinctOf(c, k.Rows), "correlation": c.Correlation}
			if s := env.Contents.SchemaByID(t.SchemaID); s != nil {
				row["schemaname"] = s.Name
			}
			if len(c.Common) > 0 {
				var keys [][]byte
				var freqs []types.Datum
				for i := range c.Common {
					keys, freqs = append(keys, c.Common[i].Key), append(freqs, types.NewFloat(c.Common[i].Freq))
				}
				row["most_common_vals"] = valuesText(keys, col.Type)
				row["most_common_freqs"] = types.NewArray(types.Float4, freqs)
			}
			if len(c.Bounds) > 0 {
				row["histogram_bounds"] = valuesText(c.Bounds, col.Type)
			}
			w.add(row)
		}
	}
	return nil
}

// distinctOf is n_distinct: the count, or negated its share of the rows where it is likely to grow
// with them.
func distinctOf(c *stats.Column, rows float64) float64 {
	if rows > 0 && c.Distinct > 0.1*rows {
		return -min(c.Distinct/rows, 1)
	}
	return c.Distinct
}

// valuesText shows values as an array; one of which only the beginning was kept, as it is.
func valuesText(keys [][]byte, t schema.Type) string {
	typ := types.T{OID: types.OID(t.OID), Mod: t.Mod, User: t.User}
	var out []types.Datum
	for _, k := range keys {
		d, _, err := rowenc.DecodeKey(k, typ, false)
		if err != nil {
			d = types.NewText(strings.ToValidUTF8(string(k[1:]), "?") + "…")
		}
		out = append(out, types.NewText(string(types.AppendText(nil, typ, d, &types.Env{}))))
	}
	return string(types.AppendText(nil, types.TextArray, types.NewArray(types.Text, out), &types.Env{}))
}
