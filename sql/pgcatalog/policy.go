package pgcatalog

import (
	"context"

	"github.com/cairndb/cairn/schema"
)

func fillPolicy(_ context.Context, env *Env, w *writer) error {
	for _, t := range env.Contents.Tables(env.Database.ID) {
		for i := range t.Policies {
			p := &t.Policies[i]
			roles := []int64{}
			for _, name := range p.Roles {
				if r := env.Contents.Role(name); r != nil {
					roles = append(roles, int64(r.OID))
				} else if name == "" {
					roles = append(roles, 0)
				}
			}
			w.add(cells{"oid": p.OID, "polname": p.Name, "polrelid": t.ID, "polcmd": string(rune(p.Command)), "polpermissive": !p.Restrictive,
				"polroles": roles, "polqual": orNull(p.Using), "polwithcheck": orNull(p.Check)})
		}
	}
	return nil
}

// policyWords are the commands as pg_policies shows them.
var policyWords = map[schema.PolicyCommand]string{schema.PolicyAll: "ALL", schema.PolicySelect: "SELECT", schema.PolicyInsert: "INSERT",
	schema.PolicyUpdate: "UPDATE", schema.PolicyDelete: "DELETE"}

func fillPolicies(_ context.Context, env *Env, w *writer) error {
	for _, t := range env.Contents.Tables(env.Database.ID) {
		for i := range t.Policies {
			p := &t.Policies[i]
			roles := []string{}
			for _, name := range p.Roles {
				if name == "" {
					name = "public"
				}
				roles = append(roles, name)
			}
			kind := "PERMISSIVE"
			if p.Restrictive {
				kind = "RESTRICTIVE"
			}
			w.add(cells{"schemaname": namespaceOf(env, &t.Header), "tablename": t.Name, "policyname": p.Name, "permissive": kind, "roles": roles,
				"cmd": policyWords[p.Command], "qual": orNull(p.Using), "with_check": orNull(p.Check)})
		}
	}
	return nil
}
