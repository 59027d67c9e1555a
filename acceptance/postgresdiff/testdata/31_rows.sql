CREATE TABLE emp (id int PRIMARY KEY, name text, dept int, pay numeric(8,2));
CREATE TABLE dept (id int PRIMARY KEY, title text);
INSERT INTO dept VALUES (1, 'dev'), (2, 'ops'), (3, 'law');
INSERT INTO emp VALUES (1, 'ann', 1, 10), (2, 'bob', 1, 20.5), (3, 'c, d', 2, NULL), (4, NULL, NULL, 1);
-- differs types: row types have the numbers of their tables
SELECT emp FROM emp ORDER BY id;
SELECT emp::text, e FROM (SELECT id, emp::text AS e, emp FROM emp) emp ORDER BY id;
SELECT row_to_json(emp), to_jsonb(emp) FROM emp ORDER BY id;
SELECT (emp).name, (emp).pay, (e.emp).id FROM (SELECT emp FROM emp) e(emp) ORDER BY 3;
SELECT (e).* FROM emp e ORDER BY 1;
SELECT (e.e).*, (e.e).pay IS NULL AS nopay FROM (SELECT emp AS e FROM emp) e ORDER BY 1;
-- differs message: PostgreSQL says it as of a column
SELECT (emp).nope FROM emp;
SELECT id, emp IS NULL AS n, emp IS NOT NULL AS nn FROM emp ORDER BY id;
SELECT a.id, b.id FROM emp a JOIN emp b ON a = b ORDER BY 1;
SELECT a.id, b.id FROM emp a JOIN emp b ON a < b ORDER BY 1, 2;
SELECT e.id FROM emp e WHERE e = ROW(1, 'ann', 1, 10)::emp;
SELECT e.id FROM emp e WHERE e IN (SELECT x FROM emp x WHERE x.id < 3) ORDER BY 1;
SELECT e.id FROM emp e WHERE e IS DISTINCT FROM ROW(1, 'ann', 1, 10)::emp ORDER BY 1;
SELECT ROW(7, 'g', 2, 1)::emp::text, (ROW(7, 'g', 2, 1)::emp).name, '(8,"h i",,2.5)'::emp::text, ('(8,"h i",,2.5)'::emp).pay;
SELECT ROW(7, 'g')::emp;
SELECT '(8,h)'::emp;
-- differs rows: row types have the numbers of their tables
SELECT pg_typeof(emp), pg_typeof(array_agg(emp)) FROM emp WHERE id = 1 GROUP BY emp;
SELECT array_agg(e ORDER BY e.id)::text FROM emp e;
SELECT (array_agg(e ORDER BY e.id))[2]::text, ((array_agg(e ORDER BY e.id DESC))[1]).pay, cardinality(array_agg(e)) FROM emp e;
SELECT u.name, u.pay FROM (SELECT array_agg(e) AS es FROM emp e) s, unnest(s.es) u ORDER BY u.id;
SELECT * FROM unnest(ARRAY[ROW(9, 'i', 1, 1)::emp, NULL, ROW(8, 'j', 1, 1)::emp]);
SELECT json_agg(e ORDER BY e.id) IS NOT NULL AS j, jsonb_agg(e ORDER BY e.id) FROM emp e;
SELECT count(e), count(DISTINCT e), max(e.id) FROM emp e;
SELECT DISTINCT e.dept, (e.e).dept FROM (SELECT e, e.dept FROM emp e) e ORDER BY 1;
SELECT e::text, count(*) FROM emp e GROUP BY e ORDER BY e;
SELECT d.title, count(e), jsonb_agg(e.name ORDER BY e.id) AS names FROM dept d LEFT JOIN emp e ON e.dept = d.id GROUP BY d.id ORDER BY d.id;
SELECT d.id, e IS NULL AS none, e::text, to_jsonb(e) FROM dept d LEFT JOIN emp e ON e.dept = d.id ORDER BY d.id, e.id;
SELECT d.id, to_jsonb(d), e.id FROM dept d RIGHT JOIN emp e ON e.dept = d.id ORDER BY e.id;
SELECT to_jsonb(d), to_jsonb(e) FROM dept d FULL JOIN emp e ON e.dept = d.id AND e.id > 1 ORDER BY d.id, e.id;
SELECT d.id, to_jsonb(s) FROM dept d LEFT JOIN (SELECT dept, count(*) AS n, sum(pay) FROM emp GROUP BY dept) s ON s.dept = d.id ORDER BY 1;
SELECT d.id, to_jsonb(s), s FROM dept d LEFT JOIN LATERAL (SELECT name, pay FROM emp WHERE dept = d.id ORDER BY id LIMIT 1) s ON true ORDER BY 1;
SELECT d.title, (SELECT jsonb_agg(e ORDER BY e.id) FROM emp e WHERE e.dept = d.id) FROM dept d ORDER BY d.id;
SELECT d.title, COALESCE(jsonb_agg(e ORDER BY e.id) FILTER (WHERE e IS NOT NULL), '[]') FROM dept d LEFT JOIN emp e ON e.dept = d.id GROUP BY d.id ORDER BY d.id;
SELECT (q).n, (q).title FROM (SELECT title, length(title) AS n FROM dept) q ORDER BY 1, 2;
SELECT (x.q).n, (x.q).* FROM (SELECT q FROM (SELECT title, length(title) AS n FROM dept) q) x ORDER BY 2;
-- differs types: a field of a whole row does not say which column it comes from
WITH w AS (SELECT id, title FROM dept) SELECT w, to_jsonb(w), (w).id FROM w ORDER BY w;
CREATE TABLE copy (LIKE emp);
INSERT INTO copy SELECT (e).* FROM emp e;
INSERT INTO copy SELECT (u).* FROM (SELECT unnest(array_agg(e)) AS u FROM emp e WHERE id < 3) s;
SELECT count(*), sum(pay) FROM copy;
UPDATE emp SET pay = pay + 1 WHERE id = 1 RETURNING to_jsonb(emp), emp::text;
DELETE FROM copy WHERE id = 3 RETURNING to_jsonb(copy);
INSERT INTO dept VALUES (4, 'hr') RETURNING row_to_json(dept)->>'title' AS t;
CREATE VIEW devs AS SELECT id, name FROM emp WHERE dept = 1;
SELECT to_jsonb(devs), (devs).name FROM devs ORDER BY id;
SELECT ROW(1, 'x')::devs::text;
SELECT first_value(e) OVER (ORDER BY e.id)::text, lag(e) OVER (ORDER BY e.id)::text FROM emp e ORDER BY e.id;
SELECT CASE WHEN e.id > 2 THEN e END::text FROM emp e ORDER BY e.id;
SELECT coalesce(e, ROW(0, 'none', 0, 0)::emp)::text FROM dept d LEFT JOIN emp e ON e.dept = d.id ORDER BY 1;
SELECT max(x.e::text) FROM (SELECT e FROM emp e UNION ALL SELECT e FROM emp e) x;
SELECT x.e::text FROM (SELECT e FROM emp e UNION SELECT e FROM emp e) x ORDER BY x.e;
CREATE FUNCTION top() RETURNS emp LANGUAGE sql AS $$ SELECT e.* FROM emp e ORDER BY pay DESC NULLS LAST LIMIT 1 $$;
SELECT (top()).name, top()::text;
-- differs everything: a column cannot have the row type of a table
CREATE TABLE bad (e emp);
SELECT relname, typname, typtype, typcategory FROM pg_class c JOIN pg_type t ON t.oid = c.reltype WHERE relname IN ('emp', 'devs') ORDER BY 1;
SELECT t.typname, a.typname, a.typelem = t.oid AS elem FROM pg_type t JOIN pg_type a ON t.typarray = a.oid WHERE t.typname = 'emp';
-- differs types: row types have the numbers of their tables
-- params (5,"e f",1,3) | {"(6,g,,)"}
SELECT ($1::emp).name, ($2::emp[])[1]::text;
SELECT json_build_object('dept', d, 'n', 1)::jsonb FROM dept d ORDER BY d.id LIMIT 1;
SELECT concat(d, '!'), format('%s', d), d::text || '?' FROM dept d ORDER BY id LIMIT 1;
SELECT num_nulls(e), num_nonnulls(e, 1) FROM dept d LEFT JOIN emp e ON false ORDER BY d.id LIMIT 1;
