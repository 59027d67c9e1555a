-- Temporary tables, views and sequences.
CREATE TABLE p (id int PRIMARY KEY, v text);
INSERT INTO p VALUES (1, 'permanent');
CREATE TEMP TABLE p (id int PRIMARY KEY, v text);
INSERT INTO p VALUES (2, 'temporary');
SELECT id, v FROM p;
SELECT id, v FROM public.p;
SELECT id, v FROM pg_temp.p;
-- as other
SELECT id, v FROM p;
-- as other
CREATE TEMPORARY TABLE p (x int);
-- as other
SELECT x FROM p;
SELECT relname, relpersistence::text, relkind::text FROM pg_class WHERE relname = 'p' AND relnamespace::regnamespace::text = 'public' OR relname = 'p' AND pg_table_is_visible(oid) ORDER BY 2;
SELECT table_name, table_type FROM information_schema.tables WHERE table_name = 'p' AND table_schema = 'public';
SELECT 'p'::regclass::text, current_schema(), current_schemas(false);
CREATE TEMP TABLE public.q (a int);
CREATE TEMP TABLE pg_temp.q (a int);
CREATE TABLE pg_temp.q2 (a int);
CREATE TEMP TABLE q (a int);
CREATE TEMP TABLE IF NOT EXISTS q (a int);
CREATE TABLE bad (a int) ON COMMIT DROP;
CREATE TEMP TABLE keep (a serial, b text UNIQUE, c int GENERATED ALWAYS AS IDENTITY, CHECK (b <> '')) ON COMMIT PRESERVE ROWS;
INSERT INTO keep (b) VALUES ('x'), ('y') RETURNING *;
-- differs names: the number of a temporary schema
INSERT INTO keep (b) VALUES ('x');
-- differs names: the number of a temporary schema
INSERT INTO keep (b) VALUES ('');
CREATE INDEX ON keep (lower(b));
SELECT a FROM keep WHERE lower(b) = 'y';
CREATE TEMP TABLE del (a int PRIMARY KEY) ON COMMIT DELETE ROWS;
INSERT INTO del VALUES (1);
SELECT * FROM del;
BEGIN;
INSERT INTO del VALUES (1), (2);
SELECT count(*) FROM del;
COMMIT;
SELECT * FROM del;
BEGIN;
CREATE TEMP TABLE gone (a int) ON COMMIT DROP;
INSERT INTO gone VALUES (1), (2);
SELECT sum(a) FROM gone;
COMMIT;
SELECT * FROM gone;
BEGIN;
CREATE TEMP TABLE undone (a int);
ROLLBACK;
SELECT * FROM undone;
CREATE TEMP TABLE ctas AS SELECT generate_series(1, 3) AS n;
SELECT sum(n) FROM ctas;
SELECT 1 AS one INTO TEMP TABLE into_temp;
SELECT one FROM into_temp;
CREATE TEMP TABLE wnd (LIKE keep INCLUDING ALL);
INSERT INTO wnd (b) VALUES ('z') RETURNING b, c;
CREATE TEMP VIEW tv AS SELECT b FROM keep;
SELECT * FROM tv ORDER BY b;
CREATE VIEW becomes AS SELECT a, b FROM keep;
SELECT b FROM becomes ORDER BY 1;
-- differs notices: what a statement that fails has said is taken back
CREATE VIEW public.becomes AS SELECT a, b FROM keep;
CREATE TEMP SEQUENCE ts START 7;
SELECT nextval('ts'), nextval('pg_temp.ts');
CREATE TEMP TABLE c1 (p int REFERENCES public.p);
CREATE TABLE c2 (p int REFERENCES keep (b));
CREATE TABLE c2 (p int REFERENCES pg_temp.p);
CREATE TEMP TABLE c3 (b text REFERENCES keep (b) ON DELETE CASCADE);
-- differs names: the number of a temporary schema
INSERT INTO c3 VALUES ('x'), ('nosuch');
INSERT INTO c3 VALUES ('x');
DELETE FROM keep WHERE b = 'x';
SELECT count(*) FROM c3;
ALTER TABLE keep ADD COLUMN d int DEFAULT 5;
-- differs types: hidden columns have numbers
SELECT b, d FROM keep;
COPY keep (b) FROM STDIN;
copied
\.
SELECT b FROM keep ORDER BY 1;
TRUNCATE keep CASCADE;
SELECT count(*) FROM keep;
PREPARE ins AS INSERT INTO ctas VALUES ($1) RETURNING n;
EXECUTE ins(9);
DROP TABLE p;
SELECT id, v FROM p;
-- as other
SELECT x FROM p;
DROP TABLE pg_temp.q;
DROP TABLE q;
DISCARD TEMP;
SELECT * FROM ctas;
CREATE TEMP TABLE ctas (after int);
SELECT after FROM ctas;
DISCARD ALL;
SELECT * FROM ctas;
CREATE UNLOGGED TABLE un (a int);
INSERT INTO un VALUES (1);
