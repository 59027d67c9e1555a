CREATE TYPE point2 AS (x int, y numeric(5,2));
CREATE TYPE point2 AS (x int);
CREATE TYPE bad AS (a int, a text);
CREATE TYPE bad AS (a nosuch);
CREATE TYPE empty AS ();
CREATE TYPE line2 AS (name text, a point2, b point2, tags text[]);
CREATE TABLE shapes (id int PRIMARY KEY, p point2, l line2, ps point2[], n text DEFAULT 'none');
INSERT INTO shapes VALUES (1, ROW(1, 2.345), ROW('l', ROW(1, 2), (3, 4), '{a,"b c"}'), ARRAY[ROW(1, 2), (3, 4)]::point2[]);
INSERT INTO shapes VALUES (2, '(5,6.789)', '("x ""y"" \\ z,","(1,2)","(,)","{a,NULL}")', '{"(1,2)","(3,)",NULL}');
INSERT INTO shapes VALUES (3, '(,)', NULL, '{}'), (4, NULL, '(,,,)', NULL);
INSERT INTO shapes (id, p) VALUES (5, (7, NULL)) RETURNING id;
INSERT INTO shapes (id, p) VALUES (6, ROW(1));
INSERT INTO shapes (id, p) VALUES (6, ROW(1, 2, 3));
INSERT INTO shapes (id, p) VALUES (6, ROW('a', 2));
INSERT INTO shapes (id, p) VALUES (6, ROW(true, 2));
INSERT INTO shapes (id, p) VALUES (6, ROW(1, 2000));
INSERT INTO shapes (id, p) VALUES (6, 5);
INSERT INTO shapes (id, p) VALUES (6, '(1,2');
INSERT INTO shapes (id, p) VALUES (6, '1,2)');
INSERT INTO shapes (id, p) VALUES (6, '(1)');
INSERT INTO shapes (id, p) VALUES (6, '(1,2,3)');
INSERT INTO shapes (id, p) VALUES (6, '(1,2)x');
INSERT INTO shapes (id, p) VALUES (6, '(a,2)');
-- differs types rows: composite types have numbers of their own, also in binary values
SELECT * FROM shapes ORDER BY id;
SELECT id, p::text, l::text, ps::text FROM shapes ORDER BY id;
SELECT id, (p).x, (p).y, (l).name, ((l).a).x, (l).b::text, (l).tags[1], ps[1]::text, (ps[2]).x FROM shapes ORDER BY id;
SELECT id, (p).* FROM shapes ORDER BY id;
SELECT (l).*::text FROM shapes;
SELECT id, ((l).a).*, (shapes.l).name FROM shapes ORDER BY id;
SELECT (p).z FROM shapes;
SELECT (id).x FROM shapes;
SELECT (id).* FROM shapes;
SELECT p.x FROM shapes;
SELECT id FROM shapes WHERE (p).x = 5;
SELECT id FROM shapes WHERE p = ROW(1, 2.35)::point2;
SELECT id FROM shapes WHERE p = (1, 2.35);
SELECT id FROM shapes WHERE p > ROW(1, 2)::point2 ORDER BY id;
SELECT id, p IS NULL AS isnull, p IS NOT NULL AS isnotnull, l IS NULL AS lnull FROM shapes ORDER BY id;
SELECT id FROM shapes ORDER BY p, id;
SELECT id FROM shapes ORDER BY p DESC NULLS LAST, id;
SELECT p::text, count(*) FROM shapes GROUP BY p ORDER BY p;
SELECT DISTINCT (p).x FROM shapes ORDER BY 1;
SELECT id FROM shapes WHERE ROW(3, 4)::point2 = ANY (ps);
UPDATE shapes SET p.x = 10 WHERE id = 1;
UPDATE shapes SET p.x = id + 1, p.y = 7.777 WHERE id >= 3;
UPDATE shapes SET p.z = 10 WHERE id = 1;
UPDATE shapes SET n.z = 10 WHERE id = 1;
UPDATE shapes SET p.x = 'a' WHERE id = 1;
UPDATE shapes SET l = ROW((l).name || '!', p, (l).a, NULL) WHERE id <= 2;
SELECT id, p::text, l::text FROM shapes ORDER BY id;
ANALYZE shapes;
COPY (SELECT id, p, ps FROM shapes ORDER BY id) TO STDOUT;
COPY shapes (id, p) FROM STDIN;
20	(1,2)
21	\N
\.
COPY shapes (id, p) FROM STDIN;
22	(1,2
\.
SELECT id, (p).x FROM shapes WHERE id >= 20 ORDER BY id;
SELECT row_to_json(p), to_jsonb(l), to_json(ps), row_to_json(shapes) FROM shapes WHERE id = 2;
SELECT (json_populate_record(NULL::point2, '{"x": 3, "y": 4.5}')).x, (jsonb_populate_record(ROW(1, 2)::point2, '{"y": 4.5}')).*;
SELECT * FROM json_populate_record(NULL::point2, '{"x": 3, "y": 4.5, "z": 1}');
SELECT * FROM json_populate_record(ROW(8, 9)::point2, '{"x": null}') AS r;
SELECT * FROM jsonb_populate_recordset(NULL::point2, '[{"x": 3}, {"y": 4.5}, {}]');
SELECT id, (p).x, (l).name, n FROM json_populate_recordset(NULL::shapes, '[{"id": 1, "p": {"x": 5}, "l": {"name": "q", "a": "(1,2)", "tags": ["u"]}}, {"id": 2, "n": "m"}]');
SELECT (l).name, ((l).a).x, (l).tags FROM jsonb_populate_record(NULL::shapes, '{"l": {"name": "q", "a": "(1,2)", "tags": ["u", "v"]}}');
-- differs position: the type is known when the statement is bound
SELECT * FROM json_populate_record(1, '{}');
SELECT * FROM json_populate_record(NULL::point2, '[1]');
SELECT * FROM json_populate_recordset(NULL::point2, '{"a": 1}');
SELECT * FROM json_populate_record(NULL::point2, '{"x": "q"}');
SELECT r.x + 1 FROM shapes, LATERAL json_populate_record(NULL::point2, to_json(p)) r WHERE id = 1;
SELECT ROW(1, 'a') = ROW(1, 'a'), ROW(1, 2) < ROW(1, 3), (1, NULL) IS NULL, ROW(NULL, NULL) IS NULL;
SELECT (ROW(1, 2)::point2).y, (CAST(ROW(3, 4) AS point2)).x;
SELECT ROW(1, 2)::nosuch;
SELECT (ROW(1, 2)).f1;
SELECT pg_typeof(ROW(1, 2)::point2)::text, pg_typeof('{}'::point2[])::text, 'point2'::regtype::text;
SELECT coalesce(p, ROW(0, 0)::point2)::text, CASE WHEN id = 1 THEN p END::text FROM shapes ORDER BY id;
SELECT array_agg(p ORDER BY id)::text, max((p).x) FROM shapes WHERE id < 4;
SELECT t.q::text FROM (SELECT p AS q FROM shapes WHERE id = 1) t;
SELECT (t.q).x FROM (SELECT p AS q FROM shapes WHERE id = 1) t;
CREATE VIEW xs AS SELECT id, (p).x AS px, p FROM shapes;
SELECT id, px, (p).y FROM xs ORDER BY id;
CREATE TABLE defaults (id int, p point2 DEFAULT ROW(1, 2), q point2 DEFAULT '(3,4)', CHECK ((p).x > 0));
INSERT INTO defaults (id) VALUES (1);
INSERT INTO defaults VALUES (2, '(0,1)');
SELECT id, p::text, q::text FROM defaults;
-- differs types: composite types have numbers of their own
-- params 30 | (1,2)
INSERT INTO shapes (id, p) VALUES ($1, $2);
SELECT attname, format_type(atttypid, atttypmod), attnum FROM pg_attribute WHERE attrelid = (SELECT typrelid FROM pg_type WHERE typname = 'point2') AND attnum > 0 ORDER BY attnum;
SELECT typname, typtype, typcategory, typlen, typrelid <> 0 AS has FROM pg_type WHERE typname IN ('point2', '_point2', 'line2') ORDER BY 1;
SELECT relname, relkind, relnatts FROM pg_class WHERE relname IN ('point2', 'line2') ORDER BY 1;
-- differs detail: in another order, and views by their columns
DROP TYPE point2;
ALTER TYPE point2 RENAME TO point3;
SELECT pg_typeof(p)::text, pg_typeof((l).a)::text FROM shapes WHERE id = 1;
-- differs everything: attributes of a type cannot change
ALTER TYPE point3 ADD ATTRIBUTE z int;
DROP TABLE shapes CASCADE;
DROP TABLE defaults;
DROP TYPE line2;
DROP TYPE point3;
