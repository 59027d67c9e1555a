package sql

import (
	"testing"
	"testing/synctest"
)

// A transaction block that has failed is over for others, though its session has
// not said ROLLBACK yet.
func TestAFailedBlockHoldsNoTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := newDDLGateways(t)
		a, b := gs.nodes[0].session(t), gs.nodes[1].session(t)
		mustShow(t, a, "create table t (id int primary key); insert into t values (1)", "CREATE TABLE INSERT 0 1")
		wantError(t, a, "begin; alter table t add column n int; select 1 / 0", "22012")
		mustShow(t, b, "select * from t", "1 SELECT 1")
		wantError(t, a, "select 1", "25P02")
		mustShow(t, a, "rollback", "ROLLBACK")
		wantError(t, a, "begin; update t set id = 2; select 1 / 0", "22012")
		mustShow(t, b, "update t set id = 3", "UPDATE 1")
		mustShow(t, a, "commit", "ROLLBACK")
		wantError(t, a, "begin; update t set id = 4; savepoint s; select 1 / 0", "22012")
		mustShow(t, a, "rollback to s; commit; select id from t; update t set id = 1", "ROLLBACK COMMIT 4 SELECT 1 UPDATE 1")
		mustShow(t, b, "select * from t", "1 SELECT 1")
	})
}
