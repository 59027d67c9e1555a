CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE mood AS ENUM ('a');
CREATE TYPE twice AS ENUM ('a', 'b');
CREATE TYPE empty AS ENUM ();
CREATE TABLE person (id int PRIMARY KEY, name text, m mood DEFAULT 'ok', ms mood[]);
INSERT INTO person VALUES (1, 'a', 'happy', '{sad,happy}'), (2, 'b', 'sad', ARRAY['ok','sad']::mood[]), (3, 'c', NULL, NULL);
INSERT INTO person (id, name) VALUES (4, 'd');
INSERT INTO person VALUES (5, 'e', 'elated');
-- differs types rows: enums have numbers of their own, also in binary arrays
SELECT * FROM person ORDER BY m, id;
-- differs types rows: enums have numbers of their own, also in binary arrays
SELECT * FROM person ORDER BY m DESC NULLS LAST, id;
SELECT id FROM person WHERE m > 'sad' ORDER BY id;
SELECT id FROM person WHERE m = 'happy' ORDER BY id;
SELECT id FROM person WHERE m IN ('happy', 'sad') ORDER BY id;
SELECT id FROM person WHERE 'sad' = ANY (ms) ORDER BY id;
SELECT id FROM person WHERE m = 'elated';
SELECT id FROM person WHERE m = 3;
SELECT id FROM person WHERE m = 'sad'::text;
SELECT m::text, 'is ' || m, length(m::text) FROM person ORDER BY id;
SELECT m::text AS t FROM person WHERE m::text LIKE '%a%' ORDER BY id;
-- differs types rows: enums have numbers of their own, also in binary arrays
SELECT min(m), max(m), count(DISTINCT m), array_agg(m ORDER BY m) FROM person;
-- differs types: enums have numbers of their own
SELECT m, count(*) FROM person GROUP BY m ORDER BY m;
-- differs types rows: enums have numbers of their own, also in binary arrays
SELECT enum_first(NULL::mood), enum_last('sad'::mood), enum_range(NULL::mood), enum_range('ok', NULL::mood), enum_range(NULL, 'ok'::mood);
-- differs types: enums have numbers of their own
SELECT 'sad'::mood, 'sad'::text::mood, CAST('ok' AS mood), '{ok,NULL,sad}'::mood[], ('{ok,sad}'::mood[])[2];
SELECT 'ok'::mood < 'happy'::mood, 'ok' < 'happy'::mood, 'ok'::mood BETWEEN 'sad' AND 'happy';
SELECT 'nope'::mood;
SELECT 'Ok'::mood;
SELECT 1::mood;
SELECT pg_typeof('sad'::mood)::text, pg_typeof('{sad}'::mood[])::text, 'mood'::regtype::text, 'mood[]'::regtype::text;
SELECT CASE WHEN true THEN 'sad'::mood ELSE 'ok' END::text AS c, coalesce(NULL, 'ok'::mood)::text AS d, greatest('sad'::mood, 'happy')::text AS e;
-- differs types: enums have numbers of their own
-- params sad
SELECT id FROM person WHERE m = $1::mood;
-- differs types: enums have numbers of their own
-- params happy
SELECT id FROM person WHERE m = $1;
-- differs types: enums have numbers of their own
-- params 7 | sad
INSERT INTO person (id, m) VALUES ($1, $2);
-- differs where: the value is not repeated
-- params 8 | bad
INSERT INTO person (id, m) VALUES ($1, $2);
UPDATE person SET m = 'happy' WHERE id = 7;
UPDATE person SET m = 1 WHERE id = 7;
UPDATE person SET m = name WHERE id = 7;
DELETE FROM person WHERE m = 'happy' AND id = 7;
ALTER TYPE mood ADD VALUE 'meh' BEFORE 'ok';
ALTER TYPE mood ADD VALUE 'elated' AFTER 'happy';
ALTER TYPE mood ADD VALUE 'last';
ALTER TYPE mood ADD VALUE 'last';
ALTER TYPE mood ADD VALUE IF NOT EXISTS 'last';
ALTER TYPE mood ADD VALUE 'x' BEFORE 'nothing';
INSERT INTO person VALUES (5, 'e', 'elated'), (6, 'f', 'meh');
-- differs types: enums have numbers of their own
SELECT id, m FROM person ORDER BY m, id;
ALTER TYPE mood RENAME VALUE 'meh' TO 'bland';
ALTER TYPE mood RENAME VALUE 'meh' TO 'bland';
ALTER TYPE mood RENAME VALUE 'bland' TO 'ok';
-- differs types: enums have numbers of their own
SELECT id, m FROM person WHERE m <= 'bland' ORDER BY m, id;
SELECT enumlabel, enumsortorder > 0 FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid WHERE t.typname = 'mood' ORDER BY enumsortorder;
SELECT typname, typtype, typcategory, typlen, typbyval, typelem <> 0 AS e, typarray <> 0 AS a FROM pg_type WHERE typname IN ('mood', '_mood') ORDER BY 1;
SELECT column_name, data_type, udt_schema, udt_name FROM information_schema.columns WHERE table_name = 'person' ORDER BY ordinal_position;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'person'::regclass AND attnum > 0 ORDER BY attnum;
CREATE INDEX person_m ON person (m DESC, id);
SELECT id FROM person WHERE m = 'sad' ORDER BY id;
SELECT id FROM person ORDER BY m DESC, id LIMIT 2;
COPY person (id, m, ms) FROM STDIN;
20	last	{sad,last}
21	\N	{}
\.
COPY (SELECT id, m, ms FROM person ORDER BY id) TO STDOUT;
COPY person (id, m) FROM STDIN;
22	wrong
\.
CREATE TABLE keyed (m mood PRIMARY KEY, n int UNIQUE);
INSERT INTO keyed VALUES ('sad', 1), ('happy', 2);
INSERT INTO keyed VALUES ('sad', 3);
INSERT INTO keyed VALUES ('sad', 3) ON CONFLICT (m) DO UPDATE SET n = excluded.n + 10;
SELECT m::text, n FROM keyed ORDER BY keyed.m;
ALTER TABLE keyed ALTER COLUMN n TYPE text;
ALTER TABLE keyed ADD COLUMN other mood DEFAULT 'last';
SELECT n, other::text FROM keyed ORDER BY m;
ALTER TABLE keyed ALTER COLUMN m TYPE text;
SELECT m, n FROM keyed ORDER BY m;
-- differs detail: the order of what depends
DROP TYPE mood;
DROP TYPE nothing;
DROP TYPE IF EXISTS nothing;
DROP DOMAIN mood;
CREATE SCHEMA app;
CREATE TYPE app.color AS ENUM ('red', 'green');
CREATE TABLE app.t (c app.color);
INSERT INTO app.t VALUES ('red');
SELECT c::text FROM app.t WHERE c = 'red'::app.color;
SELECT 'red'::color;
SELECT 'blue'::app.color;
SELECT pg_typeof(c)::text FROM app.t;
ALTER TYPE app.color RENAME TO colour;
ALTER TYPE app.colour SET SCHEMA public;
SELECT pg_typeof(c)::text AS a, c::text AS b FROM app.t;
ALTER TYPE colour OWNER TO root;
COMMENT ON TYPE colour IS 'a colour';
SELECT obj_description('colour'::regtype, 'pg_type');
DROP TABLE app.t;
DROP TYPE colour;
BEGIN;
CREATE TYPE once AS ENUM ('a');
CREATE TABLE o (x once);
INSERT INTO o VALUES ('a');
SELECT x::text FROM o;
ROLLBACK;
SELECT 'a'::once;
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE DOMAIN posint AS text;
CREATE DOMAIN us_zip AS text NOT NULL CONSTRAINT zip CHECK (VALUE ~ '^\d{5}$');
CREATE DOMAIN short AS varchar(3) DEFAULT 'abc';
CREATE DOMAIN small AS posint CHECK (VALUE < 100);
CREATE DOMAIN moody AS mood CHECK (VALUE <> 'sad');
CREATE DOMAIN bad AS int CHECK (VALUE);
CREATE DOMAIN bad AS int DEFAULT 'x';
CREATE DOMAIN bad AS nothing;
CREATE DOMAIN bad AS int CHECK (other > 1);
SELECT 5::posint, '7'::posint + 1 AS eight, 3::small, 'abcdef'::short;
SELECT (-5)::posint;
SELECT '-5'::posint;
SELECT 'x'::posint;
SELECT 200::small;
SELECT (-1)::small;
SELECT NULL::us_zip;
SELECT NULL::posint;
SELECT 'sad'::moody;
SELECT 'ok'::moody::text;
SELECT pg_typeof(5::posint)::text, pg_typeof(5::posint + 1)::text, 5::posint > 4::posint, 5::posint = 5;
CREATE TABLE d0 (id posint);
INSERT INTO d0 VALUES (400);
ALTER DOMAIN posint ADD CHECK (VALUE < 3);
DROP TABLE d0;
CREATE TABLE d (id posint PRIMARY KEY, zip us_zip, s short, sm small);
INSERT INTO d VALUES (1, '12345', 'xy', 5);
INSERT INTO d VALUES (0, '12345');
INSERT INTO d VALUES (2, '123');
INSERT INTO d VALUES (2, NULL);
INSERT INTO d (id) VALUES (2);
INSERT INTO d VALUES (2, '12345', 'toolong');
INSERT INTO d (id, zip) VALUES (2, '54321');
INSERT INTO d SELECT 3, '11111', 'q', 200;
UPDATE d SET sm = -1 WHERE id = 1;
UPDATE d SET sm = sm + 1 WHERE id = 1;
SELECT * FROM d ORDER BY id;
SELECT id + 1 AS n, upper(zip) AS z, length(s) AS l, coalesce(sm, 0) AS c FROM d ORDER BY id;
SELECT max(sm), sum(id), min(zip) FROM d;
-- differs types: domains have numbers of their own
-- params 9 | 99999
INSERT INTO d (id, zip) VALUES ($1, $2);
-- differs where: Cairn checks when the row is made
-- params -9 | 99999
INSERT INTO d (id, zip) VALUES ($1, $2);
COPY d (id, zip, sm) FROM STDIN;
10	77777	50
\.
-- differs where: Postgres names the column's value
COPY d (id, zip, sm) FROM STDIN;
11	77777	500
\.
ALTER DOMAIN posint ADD CONSTRAINT under CHECK (VALUE < 500);
SELECT 600::posint;
ALTER DOMAIN posint DROP CONSTRAINT under;
ALTER DOMAIN posint DROP CONSTRAINT under;
ALTER DOMAIN posint DROP CONSTRAINT IF EXISTS under;
SELECT 600::posint;
ALTER DOMAIN short SET DEFAULT 'new';
INSERT INTO d (id, zip) VALUES (20, '20202');
SELECT s FROM d WHERE id = 20;
ALTER DOMAIN short DROP DEFAULT;
ALTER DOMAIN small SET NOT NULL;
ALTER DOMAIN us_zip DROP NOT NULL;
INSERT INTO d (id) VALUES (21);
SELECT typname, typtype, typnotnull, typbasetype::regtype::text, typtypmod FROM pg_type WHERE typname IN ('posint', 'us_zip', 'short', 'small') ORDER BY 1;
SELECT column_name, data_type, domain_name, udt_name FROM information_schema.columns WHERE table_name = 'd' ORDER BY ordinal_position;
-- differs detail: the order of what depends, and through what
DROP DOMAIN posint;
DROP TABLE d;
DROP DOMAIN small;
DROP DOMAIN posint, short;
DROP TYPE us_zip;
