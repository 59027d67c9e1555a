-- What || means when one side is of no known type.
CREATE TABLE t26 (tags text[], n int[]);
INSERT INTO t26 VALUES ('{a,b}', '{1,2}');
SELECT tags || 'x' FROM t26;
SELECT tags || '{x,y}' FROM t26;
SELECT 'x' || tags FROM t26;
SELECT '{x}' || tags FROM t26;
SELECT tags || 'x'::text, 'x'::text || tags FROM t26;
SELECT n || 3, 3 || n, n || '{3}' FROM t26;
SELECT n || '3' FROM t26;
SELECT tags || NULL, NULL || tags FROM t26;
SELECT 1 || 'a', 'a' || 1, 'a' || 'b', 'a' || NULL, 1.5 || ' ' || true;
SELECT 1 || 2;
SELECT tags || n FROM t26;
SELECT '{"a": 1}'::jsonb || '{"b": 2}', '\x01'::bytea || '\x02', B'1' || B'0';
SELECT date '2024-01-01' || '!', '[' || tags::text || ']' FROM t26;
SELECT array_append(tags, 'x'), array_prepend('x', tags), array_cat(tags, '{z}') FROM t26;
