CREATE TABLE t (id int PRIMARY KEY, v int);
BEGIN;
INSERT INTO t VALUES (1, 1);
SELECT * FROM t;
COMMIT;
BEGIN;
INSERT INTO t VALUES (2, 2);
ROLLBACK;
SELECT * FROM t;
BEGIN;
INSERT INTO t VALUES (1, 1);
SELECT 1;
INSERT INTO t VALUES (3, 3);
COMMIT;
SELECT * FROM t;
BEGIN;
SELECT nosuch;
ROLLBACK;
COMMIT;
ROLLBACK;
BEGIN;
BEGIN;
END;
START TRANSACTION;
COMMIT WORK;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
INSERT INTO t VALUES (5, 5);
ABORT;
BEGIN;
SAVEPOINT a;
INSERT INTO t VALUES (4, 4);
SAVEPOINT b;
INSERT INTO t VALUES (4, 4);
ROLLBACK TO b;
INSERT INTO t VALUES (5, 5);
RELEASE a;
SELECT * FROM t ORDER BY id;
ROLLBACK TO a;
SELECT 1;
ROLLBACK;
SELECT * FROM t ORDER BY id;
SAVEPOINT x;
ROLLBACK TO x;
RELEASE x;
BEGIN;
SAVEPOINT s;
SELECT 1/0;
ROLLBACK TO SAVEPOINT s;
INSERT INTO t VALUES (6, 6);
RELEASE SAVEPOINT s;
COMMIT;
SELECT * FROM t ORDER BY id;
BEGIN;
SAVEPOINT s;
SELECT 1/0;
SAVEPOINT s2;
RELEASE s;
ROLLBACK TO nosuch;
COMMIT AND CHAIN;
ROLLBACK;
BEGIN;
COMMIT AND CHAIN;
ROLLBACK AND CHAIN;
ROLLBACK;
-- simple only: several statements in one string
INSERT INTO t VALUES (7, 7); SELECT 1/0; INSERT INTO t VALUES (8, 8);
-- simple only: several statements in one string
INSERT INTO t VALUES (7, 7); INSERT INTO t VALUES (8, 8); SELECT count(*) FROM t;
-- simple only: several statements in one string
BEGIN; INSERT INTO t VALUES (9, 9); COMMIT; INSERT INTO t VALUES (9, 9);
SELECT * FROM t ORDER BY id;
SELECT 1; SELECT 2;
BEGIN;
CREATE TABLE made (id int);
INSERT INTO made VALUES (1);
ROLLBACK;
SELECT * FROM made;
BEGIN;
CREATE TABLE made (id int);
INSERT INTO made VALUES (1);
COMMIT;
SELECT * FROM made;
PREPARE p AS SELECT * FROM t WHERE id = $1;
EXECUTE p (1);
EXECUTE p;
EXECUTE p (1, 2);
EXECUTE p ('x');
PREPARE p AS SELECT 1;
PREPARE q (int, text) AS SELECT $1 + 1, $2 || 'x';
EXECUTE q (1, 'a');
PREPARE r AS SELECT nosuch;
PREPARE ins (int, int) AS INSERT INTO t VALUES ($1, $2);
EXECUTE ins (100, 1);
EXECUTE ins (100, 1);
DEALLOCATE p;
EXECUTE p (1);
DEALLOCATE p;
DEALLOCATE ALL;
SELECT current_setting('server_version_num')::int / 10000;
SHOW transaction_isolation;
SHOW TimeZone;
SET TimeZone = 'America/New_York';
SHOW TimeZone;
SELECT timestamptz '2024-01-01 00:00:00+00';
SET TIME ZONE 'UTC';
SET TimeZone TO 'Nowhere';
RESET TimeZone;
SET nosuch = 1;
SHOW nosuch;
SET my.var = 'x';
SHOW my.var;
SET application_name = 'me';
SHOW application_name;
RESET application_name;
BEGIN;
SET LOCAL application_name = 'local';
SHOW application_name;
COMMIT;
SHOW application_name;
SET LOCAL application_name = 'x';
SET search_path = nosuch, public;
SHOW search_path;
SELECT * FROM t WHERE id = 1;
RESET ALL;
SET statement_timeout = '2s';
SHOW statement_timeout;
SET statement_timeout = 'x';
SET statement_timeout = 50;
SELECT pg_sleep(5);
RESET statement_timeout;
-- differs hint: the hint says what is there
SET client_encoding = 'nosuch';
-- differs detail hint: the hint says what is there
SET DateStyle = 'nosuch';
SHOW DateStyle;
SET extra_float_digits = 9;
SET standard_conforming_strings = on;
SET bytea_output = 'escape';
SELECT 'a\000'::text, '\x6100'::bytea::text;
RESET bytea_output;
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE;
BEGIN;
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;
SELECT 1;
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
ROLLBACK;
BEGIN ISOLATION LEVEL READ COMMITTED;
SHOW transaction_isolation;
SAVEPOINT a;
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
ROLLBACK;
BEGIN;
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
SHOW transaction_isolation;
COMMIT AND CHAIN;
SHOW transaction_isolation;
ROLLBACK;
SET default_transaction_isolation = 'read uncommitted';
BEGIN;
SHOW transaction_isolation;
ROLLBACK;
SHOW transaction_isolation;
SET default_transaction_isolation = 'nothing';
RESET default_transaction_isolation;
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE;
SET TRANSACTION READ ONLY;
DISCARD ALL;
BEGIN;
-- differs everything: not there yet: a cursor (DECLARE, FETCH, MOVE, CLOSE) is not supported
DECLARE c CURSOR FOR SELECT * FROM generate_series(1, 5) g;
-- differs everything: follows from the statement before
FETCH 2 FROM c;
-- differs everything: follows from the statement before
FETCH ALL FROM c;
-- differs everything: follows from the statement before
CLOSE c;
-- differs tag: follows from the cursor above
COMMIT;
-- differs everything: not there yet: a cursor (DECLARE, FETCH, MOVE, CLOSE) is not supported
DECLARE c CURSOR FOR SELECT 1;
-- differs everything: not there yet: a cursor (DECLARE, FETCH, MOVE, CLOSE) is not supported
FETCH c;
-- differs everything: not there yet: a cursor (DECLARE, FETCH, MOVE, CLOSE) is not supported
CLOSE nosuch;
-- differs everything: not there yet: LISTEN / NOTIFY is not supported
LISTEN ch;
-- differs everything: not there yet: LISTEN / NOTIFY is not supported
NOTIFY ch;
UNLISTEN *;
LOCK TABLE t;
BEGIN;
LOCK TABLE t IN ACCESS SHARE MODE;
COMMIT;
DO $$ BEGIN END $$;
DO $$ BEGIN CREATE TABLE t (x int); EXCEPTION WHEN duplicate_table THEN RAISE NOTICE 'there: %', SQLERRM; END $$;
DO $$ BEGIN IF NOT EXISTS (SELECT FROM t WHERE false) THEN PERFORM 1; ELSE RAISE EXCEPTION 'no'; END IF; END $$;
DO $$ BEGIN RAISE EXCEPTION 'stop % of %', 1, NULL; END $$;
DO $$ BEGIN
  INSERT INTO t VALUES (1/0);
END $$;
EXPLAIN SELECT nosuch;
-- as other
BEGIN;
-- as other
SELECT * FROM t WHERE id = 1 FOR UPDATE;
SELECT * FROM t WHERE id = 1 FOR UPDATE NOWAIT;
SELECT id FROM t WHERE id <= 4 ORDER BY id FOR UPDATE SKIP LOCKED;
SELECT id FROM t WHERE id IN (1, 6) ORDER BY id FOR UPDATE SKIP LOCKED;
SET lock_timeout = 0;
SET statement_timeout = '50ms';
-- differs where: rows have no tuple numbers
UPDATE t SET v = 100 WHERE id = 1;
RESET statement_timeout;
-- as other
COMMIT;
SELECT * FROM t WHERE id = 1 FOR UPDATE NOWAIT;
SELECT pg_advisory_lock(1), pg_try_advisory_lock(1), pg_advisory_unlock(1);
-- as other
SELECT pg_try_advisory_lock(1), pg_try_advisory_lock(1, 1), pg_try_advisory_lock_shared(2);
SELECT pg_try_advisory_lock(1, 1), pg_try_advisory_lock(2), pg_try_advisory_xact_lock_shared(2);
-- as other
SELECT pg_advisory_unlock_all();
SELECT pg_try_advisory_lock(1, 1), pg_advisory_unlock(1);
SELECT pg_advisory_unlock_all();
-- as other
BEGIN;
-- as other
SELECT * FROM t WHERE id = 1 FOR KEY SHARE;
SELECT * FROM t WHERE id = 1 FOR SHARE NOWAIT;
SELECT * FROM t WHERE id = 1 FOR NO KEY UPDATE NOWAIT;
SELECT * FROM t WHERE id = 1 FOR UPDATE NOWAIT;
SET lock_timeout = '50ms';
-- differs where: rows have no tuple numbers
SELECT * FROM t WHERE id = 1 FOR UPDATE;
UPDATE t SET v = v WHERE id = 1;
RESET lock_timeout;
-- as other
COMMIT;
SELECT count(*) FROM t FOR KEY SHARE;
SELECT DISTINCT v FROM t FOR SHARE;
SELECT 1 FROM t FOR NO KEY UPDATE OF nosuch;
CREATE ROLE somebody LOGIN;
DROP ROLE somebody;
DROP ROLE somebody;
GRANT SELECT ON t TO nosuch;
SET ROLE nosuch;
SET timezone = '+02:00';
SHOW timezone;
SELECT '2024-01-01 00:00Z'::timestamptz;
SET timezone = '<+03>-03';
SELECT '2024-01-01 00:00Z'::timestamptz;
SET timezone = 'FOO-2:30';
SELECT '2024-01-01 00:00Z'::timestamptz;
SET timezone = 5.5;
SHOW timezone;
SET timezone = 'nosuch';
RESET timezone;
