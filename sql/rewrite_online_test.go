package sql

import (
	"testing"
	"testing/synctest"
)

func TestTypesAndKeysAreChangedByJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newDDLGateways(t)
		a, b := gs.nodes[0].session(t), gs.nodes[1].session(t)
		fillTable(t, a, 1500)
		mustRun(t, a, "create index t_k on t (k) include (s); create unique index t_u on t (u); create index t_e on t ((k / 2)) where k > 3")
		for _, c := range []struct{ stmt, check, want string }{
			{"alter table t alter column s type varchar(5)", "select s, pg_typeof(s) from t where id = 7", "x|character varying SELECT 1"},
			{"alter table t alter column k type numeric", "select k, k / 2, pg_typeof(k) from t where id = 7", "7|3.5000000000000000|numeric SELECT 1"},
			{"alter table t alter column u type text using 'u' || u::text", "select id from t where u = 'u9'", "9 SELECT 1"},
			{"alter table t alter column id type text", "select k from t where id = '9'", "9 SELECT 1"},
			{"alter table t drop constraint t_pkey, add primary key (u, id)", "select k from t where id = '9' and u = 'u9'", "9 SELECT 1"},
		} {
			mustRun(t, a, c.stmt)
			mustShow(t, b, c.check, c.want)
			checkTable(t, gs.nodes[1], "t")
			mustShow(t, b, "select count(*) from t", "1500 SELECT 1")
		}
		mustShow(t, b, "select job_type, status, count(*) from cairn.jobs where job_type <> 'CREATE INDEX' group by 1, 2", "REWRITE TABLE|succeeded|5 SELECT 1")
	})
}
