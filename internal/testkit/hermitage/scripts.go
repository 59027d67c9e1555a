package hermitage

// Script is one anomaly.
type Script struct {
	// Name is Adya's, as Hermitage has it, and what it means.
	Name string
	// Steps are the script.
	Steps string
	// Want is what each level of Levels shows.
	Want [len(Levels)]string
	// Serial, if set, is what one session after the other would show. Where
	// clocks differ, the gateway may have to run a transaction again at another
	// moment than the table has it, and end there.
	Serial string
}

// Levels are the levels under test; weakest first.
var Levels = [...]string{"read uncommitted", "read committed", "repeatable read", "serializable"}

// all is a Want that is the same at every level.
func all(want string) [len(Levels)]string { return [len(Levels)]string{want, want, want, want} }

// byLevel is a Want by level; read uncommitted is read committed.
func byLevel(committed, repeatable, serializable string) [len(Levels)]string {
	return [len(Levels)]string{committed, committed, repeatable, serializable}
}

// Scripts are the anomalies.
var Scripts = []Script{
	{Name: "G0: write cycles", Steps: `
		1: update test set value = 11 where id = 1
		2&: update test set value = 12 where id = 1
		1: update test set value = 21 where id = 2
		1: commit
		2: update test set value = 22 where id = 2
		2: commit`,
		Want: all("1 UPDATE 1; 1 UPDATE 1; 1 COMMIT; 2 UPDATE 1; 2 UPDATE 1; 2 COMMIT; = 12,22")},
	{Name: "G1a: aborted reads", Steps: `
		1: update test set value = 101 where id = 1
		2: select value from test order by id
		1: rollback
		2: select value from test order by id
		2: commit`,
		Want: all("1 UPDATE 1; 2 10,20; 1 ROLLBACK; 2 10,20; 2 COMMIT; = 10,20")},
	{Name: "G1b: intermediate reads", Steps: `
		1: update test set value = 101 where id = 1
		2: select value from test where id = 2
		1: update test set value = 11 where id = 1
		1: commit
		2: commit`,
		Want: all("1 UPDATE 1; 2 20; 1 UPDATE 1; 1 COMMIT; 2 COMMIT; = 11,20")},
	{Name: "G1c: circular information flow", Steps: `
		1: update test set value = 11 where id = 1
		2: update test set value = 22 where id = 2
		1: select value from test where id = 2
		2: select value from test where id = 1
		1: commit
		2: commit`,
		Want: byLevel(
			"1 UPDATE 1; 2 UPDATE 1; 1 20; 2 10; 1 COMMIT; 2 COMMIT; = 11,22",
			"1 UPDATE 1; 2 UPDATE 1; 1 20; 2 10; 1 COMMIT; 2 COMMIT; = 11,22",
			"1 UPDATE 1; 2 UPDATE 1; 1 20; 2 10; 1 COMMIT; 2 ERROR 40001; = 11,20")},
	{Name: "OTV: observed transaction vanishes", Steps: `
		1: update test set value = 11 where id = 1
		1: update test set value = 19 where id = 2
		2&: update test set value = 12 where id = 1
		1: commit
		3: select value from test where id = 1
		2: update test set value = 18 where id = 2
		3: select value from test where id = 2
		2: commit
		3: select value from test where id = 2
		3: select value from test where id = 1
		3: commit`,
		Want: byLevel(
			"1 UPDATE 1; 1 UPDATE 1; 1 COMMIT; 3 11; 2 UPDATE 1; 2 UPDATE 1; 3 19; 2 COMMIT; 3 18; 3 12; 3 COMMIT; = 12,18",
			"1 UPDATE 1; 1 UPDATE 1; 1 COMMIT; 3 11; 2 UPDATE 1; 2 UPDATE 1; 3 19; 2 COMMIT; 3 19; 3 11; 3 COMMIT; = 12,18",
			"1 UPDATE 1; 1 UPDATE 1; 1 COMMIT; 3 11; 2 UPDATE 1; 2 UPDATE 1; 3 19; 2 COMMIT; 3 19; 3 11; 3 COMMIT; = 12,18")},
	{Name: "PMP: predicate many preceders, reads", Steps: `
		1: select id from test where value = 30
		2: insert into test (id, value) values (3, 30)
		2: commit
		1: select id from test where value % 3 = 0
		1: commit`,
		Want: byLevel(
			"1 ; 2 INSERT 0 1; 2 COMMIT; 1 3; 1 COMMIT; = 10,20,30",
			"1 ; 2 INSERT 0 1; 2 COMMIT; 1 ; 1 COMMIT; = 10,20,30",
			"1 ; 2 INSERT 0 1; 2 COMMIT; 1 ; 1 COMMIT; = 10,20,30")},
	{Name: "PMP: predicate many preceders, writes", Steps: `
		1: update test set value = value + 10
		2: select value from test where value = 20
		2&: delete from test where value = 20
		1: commit
		2: select value from test order by id
		2: commit`,
		Want: byLevel(
			"1 UPDATE 2; 2 20; 1 COMMIT; 2 DELETE 1; 2 30; 2 COMMIT; = 30",
			"1 UPDATE 2; 2 20; 1 COMMIT; 2 DELETE 1; 2 30; 2 COMMIT; = 30",
			"1 UPDATE 2; 2 20; 1 COMMIT; 2 DELETE 1; 2 10; 2 ERROR 40001; = 20,30"),
		Serial: "1 UPDATE 2; 2 20; 1 COMMIT; 2 DELETE 1; 2 30; 2 COMMIT; = 30"},
	{Name: "P4: lost update", Steps: `
		1: select value from test where id = 1
		2: select value from test where id = 1
		1: update test set value = 11 where id = 1
		2&: update test set value = 11 where id = 1
		1: commit
		2: commit`,
		Want: byLevel(
			"1 10; 2 10; 1 UPDATE 1; 1 COMMIT; 2 UPDATE 1; 2 COMMIT; = 11,20",
			"1 10; 2 10; 1 UPDATE 1; 1 COMMIT; 2 ERROR 40001; = 11,20",
			"1 10; 2 10; 1 UPDATE 1; 1 COMMIT; 2 ERROR 40001; = 11,20")},
	{Name: "P4: lost update, locked before", Steps: `
		1: select value from test where id = 1 for update
		2&: select value from test where id = 1 for update
		1: update test set value = value + 1 where id = 1
		1: commit
		2: update test set value = value + 1 where id = 1
		2: commit`,
		Want: all("1 10; 1 UPDATE 1; 1 COMMIT; 2 11; 2 UPDATE 1; 2 COMMIT; = 12,20")},
	{Name: "G-single: read skew", Steps: `
		1: select value from test where id = 1
		2: select value from test where id = 1
		2: select value from test where id = 2
		2: update test set value = 12 where id = 1
		2: update test set value = 18 where id = 2
		2: commit
		1: select value from test where id = 2
		1: commit`,
		Want: byLevel(
			"1 10; 2 10; 2 20; 2 UPDATE 1; 2 UPDATE 1; 2 COMMIT; 1 18; 1 COMMIT; = 12,18",
			"1 10; 2 10; 2 20; 2 UPDATE 1; 2 UPDATE 1; 2 COMMIT; 1 20; 1 COMMIT; = 12,18",
			"1 10; 2 10; 2 20; 2 UPDATE 1; 2 UPDATE 1; 2 COMMIT; 1 20; 1 COMMIT; = 12,18")},
	{Name: "G-single: read skew, by predicates", Steps: `
		1: select value from test where value % 5 = 0 order by id
		2: update test set value = 12 where value = 10
		2: commit
		1: select value from test where value % 3 = 0
		1: commit`,
		Want: byLevel(
			"1 10,20; 2 UPDATE 1; 2 COMMIT; 1 12; 1 COMMIT; = 12,20",
			"1 10,20; 2 UPDATE 1; 2 COMMIT; 1 ; 1 COMMIT; = 12,20",
			"1 10,20; 2 UPDATE 1; 2 COMMIT; 1 ; 1 COMMIT; = 12,20")},
	{Name: "G-single: read skew, by a write", Steps: `
		1: select value from test where id = 1
		2: select value from test order by id
		2: update test set value = 12 where id = 1
		2: update test set value = 18 where id = 2
		2: commit
		1: delete from test where value = 20
		1: commit`,
		Want: byLevel(
			"1 10; 2 10,20; 2 UPDATE 1; 2 UPDATE 1; 2 COMMIT; 1 DELETE 0; 1 COMMIT; = 12,18",
			"1 10; 2 10,20; 2 UPDATE 1; 2 UPDATE 1; 2 COMMIT; 1 ERROR 40001; = 12,18",
			"1 10; 2 10,20; 2 UPDATE 1; 2 UPDATE 1; 2 COMMIT; 1 DELETE 1; 1 ERROR 40001; = 12,18")},
	{Name: "G2-item: write skew", Steps: `
		1: select value from test where id in (1, 2) order by id
		2: select value from test where id in (1, 2) order by id
		1: update test set value = 11 where id = 1
		2: update test set value = 21 where id = 2
		1: commit
		2: commit`,
		Want: byLevel(
			"1 10,20; 2 10,20; 1 UPDATE 1; 2 UPDATE 1; 1 COMMIT; 2 COMMIT; = 11,21",
			"1 10,20; 2 10,20; 1 UPDATE 1; 2 UPDATE 1; 1 COMMIT; 2 COMMIT; = 11,21",
			"1 10,20; 2 10,20; 1 UPDATE 1; 2 UPDATE 1; 1 COMMIT; 2 ERROR 40001; = 11,20")},
	{Name: "G2-item: write skew, locked", Steps: `
		1: select value from test where id in (1, 2) order by id for update
		2&: select value from test where id in (1, 2) order by id for update
		1: update test set value = 11 where id = 1
		1: commit
		2: update test set value = 21 where id = 2
		2: commit`,
		Want: all("1 10,20; 1 UPDATE 1; 1 COMMIT; 2 11,20; 2 UPDATE 1; 2 COMMIT; = 11,21")},
	{Name: "G2: anti-dependency cycles", Steps: `
		1: select value from test where value % 3 = 0
		2: select value from test where value % 3 = 0
		1: insert into test (id, value) values (3, 30)
		2: insert into test (id, value) values (4, 42)
		1: commit
		2: commit`,
		Want: byLevel(
			"1 ; 2 ; 1 INSERT 0 1; 2 INSERT 0 1; 1 COMMIT; 2 COMMIT; = 10,20,30,42",
			"1 ; 2 ; 1 INSERT 0 1; 2 INSERT 0 1; 1 COMMIT; 2 COMMIT; = 10,20,30,42",
			"1 ; 2 ; 1 INSERT 0 1; 2 INSERT 0 1; 1 COMMIT; 2 ERROR 40001; = 10,20,30")},
	{Name: "G2: two anti-dependency edges", Steps: `
		1: select value from test order by id
		2: update test set value = value + 5 where id = 2
		2: commit
		3: select value from test order by id
		3: commit
		1: update test set value = 0 where id = 1
		1: commit`,
		Want: byLevel(
			"1 10,20; 2 UPDATE 1; 2 COMMIT; 3 10,25; 3 COMMIT; 1 UPDATE 1; 1 COMMIT; = 0,25",
			"1 10,20; 2 UPDATE 1; 2 COMMIT; 3 10,25; 3 COMMIT; 1 UPDATE 1; 1 COMMIT; = 0,25",
			"1 10,20; 2 UPDATE 1; 2 COMMIT; 3 10,25; 3 COMMIT; 1 UPDATE 1; 1 ERROR 40001; = 10,25")},
	{Name: "unique: two insert one key", Steps: `
		1: insert into test (id, value) values (3, 1)
		2&: insert into test (id, value) values (3, 2)
		1: commit
		2: commit`,
		Want: all("1 INSERT 0 1; 1 COMMIT; 2 ERROR 23505; = 10,20,1")},
	{Name: "unique: the first gives up", Steps: `
		1: insert into test (id, value) values (3, 1)
		2&: insert into test (id, value) values (3, 2)
		1: rollback
		2: commit`,
		Want: all("1 INSERT 0 1; 1 ROLLBACK; 2 INSERT 0 1; 2 COMMIT; = 10,20,2")},
	{Name: "phantom: an insert beside an update of all", Steps: `
		1: update test set value = value + 1
		2&: insert into test (id, value) values (3, 30)
		2: commit
		1: select value from test order by id
		1: commit`,
		Want: byLevel(
			"1 UPDATE 2; 2 INSERT 0 1; 2 COMMIT; 1 11,21,30; 1 COMMIT; = 11,21,30",
			"1 UPDATE 2; 2 INSERT 0 1; 2 COMMIT; 1 11,21; 1 COMMIT; = 11,21,30",
			"1 UPDATE 2; 2 INSERT 0 1; 2 COMMIT; 1 11,21; 1 COMMIT; = 11,21,30")},
}
