-- What PostgreSQL's own tests ask of everyday functions.
SELECT - CAST(NULL AS integer), - NULL::bigint, - CAST(NULL AS integer) + 1, 5 / - CAST(NULL AS integer);
SELECT -('-9223372036854775808'::int8);
SELECT -(-2147483648), -9223372036854775808;
SELECT 1 / 0 + NULL::int;
SELECT '10e-70'::float8::float4;
SELECT 10.0 ^ 20, 0.0 ^ 0.0, 3.789 ^ 21, (-1.0) ^ 2147483647, (-1.0) ^ 2147483646, 1.5 ^ -3, 2.0 ^ 0.5;
SELECT gcd(330.3::numeric, 462::numeric), lcm(330.3::numeric, 462::numeric), gcd(0::numeric, 'NaN');
SELECT to_char(100::numeric, 'f"ool"999'), to_char(100::numeric, 'f"\ool"999'), to_char(100::numeric, 'f\"oo999'), to_char(123, '"\"text\"" 999');
SELECT to_char(0, 'FM999.999'), to_char(0, 'FM9.00'), to_char(0.1, 'FM9.9'), to_char(-0.1, 'FM9.99');
-- Widths and places of format().
SELECT format('>>%-10s<<', 'Hello'), format('>>%10s<<', 'Hello'), format('>>%1$10s<<', 'Hello'), format('>>%2$*1$L<<', 10, 'Hello');
SELECT format('>>%*s<<', -10, 'Hello'), format('>>%2$*1$L<<', NULL, 'Hello'), format('>>%-s<<', 'Hello');
SELECT format('%0$s', 'Hello');
SELECT format('%1$', 1);
SELECT format('%x', 1);
-- Arrays in the place of arguments.
SELECT concat(VARIADIC ARRAY[1, 2, 3]), concat_ws(',', VARIADIC '{a,b}'::text[]), concat(VARIADIC NULL::int[]) IS NULL, concat(VARIADIC '{}'::int[]) = '';
SELECT format('%2$s, %1$s', VARIADIC ARRAY['first', 'second']), format('Hello', VARIADIC NULL::int[]);
SELECT format(string_agg('%s', ','), VARIADIC array_agg(i)) FROM generate_series(1, 5) g(i);
SELECT jsonb_extract_path('{"a": {"b": 1}}', VARIADIC p) FROM (VALUES (ARRAY['a', 'b']), (ARRAY['a'])) v(p);
SELECT concat_ws(',', VARIADIC 10);
-- Arguments by name.
SELECT make_interval(days => 10, hours => 5), make_interval(secs => 1.5), make_date(year => 2024, month => 2, day => 29);
SELECT jsonb_set('{"a": 1}', '{b}', '2', create_if_missing => false), jsonb_path_query_array('[1, 2, 3]', '$[*] ? (@ > $x)', vars => '{"x": 1}');
SELECT jsonb_path_exists('{"a": 1}', 'strict $.b', silent => true);
-- Regular expressions.
SELECT regexp_replace('A PostgreSQL function', 'A|e|i|o|u', 'X', 1), regexp_replace('A PostgreSQL function', 'a|e|i|o|u', 'X', 1, 0, 'i');
SELECT regexp_replace('A PostgreSQL function', 'a|e|i|o|u', 'X', 1, 3, 'i'), regexp_replace('A PostgreSQL function', 'a|e|i|o|u', 'X', 7, 0, 'i');
SELECT regexp_replace('A PostgreSQL function', 'a', 'X', -1);
SELECT regexp_replace('A PostgreSQL function', 'a', 'X', 1, -3);
SELECT regexp_count('123123123123123', '123'), regexp_count('123123123123', '123', 3), regexp_count('ABC abc', 'a', 1, 'i');
SELECT regexp_substr('abcdefghi', 'd.f'), regexp_substr('abcabc', 'b.', 1, 2), regexp_substr('1234567890', '(123)(4(56)(78))', 1, 1, 'i', 4);
SELECT regexp_instr('abcdefghi', 'd.f'), regexp_instr('abcdefghi', 'd.q'), regexp_instr('1234567890', '(123)(4(56)(78))', 1, 1, 1, 'i', 3);
SELECT substring('abcdefg' SIMILAR 'a#"(b_d)#"%' ESCAPE '#'), substring('abcdefg' FROM 'a#"%#"g' FOR '#'), substring('abcdefg' SIMILAR '#"(b_d)#"%' ESCAPE '#');
SELECT substring('abcdefg' SIMILAR 'a%g' ESCAPE '#'), substring('abcdefg' SIMILAR 'a*#"%#"g*' ESCAPE '#'), substring(NULL SIMILAR '%' ESCAPE '#');
-- differs where: SUBSTRING is no SQL function here
SELECT substring('abcdefg' SIMILAR 'a*#"%#"g*#"x' ESCAPE '#');
SELECT 'x_y' SIMILAR TO 'x[_[:alpha:]]y', 'x]y' SIMILAR TO 'x[]]y', 'xay' SIMILAR TO 'x[^]]y';
-- Bytes.
SELECT btrim('\x00010203000100'::bytea, '\x0001'), ltrim('\x000102'::bytea, '\x00'), rtrim('\x020100'::bytea, '\x00'), trim(LEADING '\x00'::bytea FROM '\x0001'::bytea);
SELECT overlay('\x00010203'::bytea PLACING '\xffff' FROM 2), overlay('\x00010203'::bytea PLACING '\xff' FROM 2 FOR 2);
-- Instants.
SELECT date_bin('15 minutes', timestamp '2020-02-11 15:44:17', timestamp '2001-01-01'), date_bin('1 day', timestamptz '1999-12-31 13:00+00', timestamptz '2001-01-01 00:00+00');
SELECT date_bin('5 months', timestamp '2020-02-01 01:01:01', timestamp '2001-01-01');
SELECT date_bin('0 days', timestamp '1970-01-01 01:00:00', timestamp '1970-01-01 00:00:00');
SELECT make_time(8, 20, 0.5), make_timestamptz(2024, 2, 29, 1, 2, 3.5, 'Europe/Berlin');
SELECT extract(julian FROM date '2024-02-29'), extract(julian FROM timestamp '2001-02-16 20:38:40'), date_part('julian', date '2000-01-01');
SELECT date '990108', date '19990108', date 'J2451187', timestamp '990108 10:20';
SHOW datestyle;
SET datestyle = 'ISO, DMY';
SELECT date '01/02/2003', timestamp '31.12.2024 10:00', date '1 2 2003', date 'Jan 8 1999', date '1999-01-08';
SHOW datestyle;
SELECT date '01/13/2003';
SET datestyle = ymd;
SELECT date '99-02-08', date '99 02 08', date '08/01/99';
SHOW datestyle;
RESET datestyle;
SELECT date '01/02/2003';
-- Lists.
SELECT * FROM string_to_table('a,b,*,d', ',', '*');
SELECT * FROM string_to_table('abc', NULL);
SELECT width_bucket(5, ARRAY[1, 3, 5, 10]), width_bucket(0, ARRAY[1, 3]), width_bucket(2.5::float8, '{1,2,3}'::float8[]);
-- Settings of the planner.
SET enable_hashagg = off;
SET enable_sort = off;
SET enable_memoize = off;
SHOW enable_hashagg;
SHOW join_collapse_limit;
