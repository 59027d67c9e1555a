SELECT length('héllo'), char_length('abc'), octet_length('héllo'), bit_length('a'), upper('aé'), lower('AÉ'), initcap('hello wORLD');
SELECT substring('hello' FROM 2 FOR 3), substring('hello', 2), substr('hello', -1, 3), left('hello', 2), left('hello', -2), right('hello', 2), right('hello', -2);
SELECT substring('hello' FROM 'l+'), substring('foobar' FROM 'o(.)b'), substring('hello', 2, -1);
SELECT trim('  a '), trim(both 'x' FROM 'xxaxx'), ltrim('  a'), rtrim('a  '), btrim('xyax', 'xy'), trim(leading 'a' FROM 'aab');
SELECT position('l' IN 'hello'), strpos('hello', 'z'), replace('aaa', 'a', 'bb'), translate('12345', '143', 'ax'), overlay('Txxxxas' PLACING 'hom' FROM 2 FOR 4);
SELECT concat('a', 1, NULL, true), concat_ws(',', 'a', NULL, 'b'), repeat('ab', 3), reverse('abc'), lpad('5', 3, '0'), rpad('a', 3), lpad('hello', 2);
SELECT split_part('a,b,c', ',', 2), split_part('a,b,c', ',', -1), ascii('A'), chr(65), starts_with('hello', 'he'), quote_ident('a b'), quote_literal('it''s'), quote_nullable(NULL);
SELECT split_part('a,b', ',', 0);
SELECT chr(0);
SELECT md5('abc'), encode('abc', 'hex'), encode('abc', 'base64'), decode('YWJj', 'base64'), encode(sha256('abc'), 'hex'), to_hex(255);
SELECT decode('zz', 'hex');
SELECT 'abc' LIKE 'a%', 'abc' LIKE '_b_', 'a%c' LIKE 'a\%c', 'ABC' ILIKE 'a%', 'abc' NOT LIKE 'x', 'a_c' LIKE 'a!_c' ESCAPE '!';
SELECT 'abc' LIKE 'a\';
SELECT 'abc' ~ '^a', 'ABC' ~* 'b', 'abc' !~ 'z', 'abc' SIMILAR TO '(a|b)%', regexp_replace('foobar', 'o+', 'X'), regexp_replace('aXbX', 'X', '-', 'g'), regexp_replace('abc', '(.)(.)', '\2\1');
SELECT regexp_matches('foobarbaz', 'ba.', 'g'), regexp_match('foobar', '(o+)(b)');
SELECT regexp_split_to_array('a1b2c', '[0-9]'), regexp_split_to_table('a b', ' '), regexp_count('aaa', 'a'), regexp_substr('abc123', '[0-9]+'), regexp_like('abc', 'B', 'i'), regexp_instr('abc', 'c');
-- differs message: another library for regular expressions, another wording
SELECT 'abc' ~ '(';
SELECT format('%s-%I-%L %%', 'a', 'B c', 'it''s'), format('%2$s %1$s', 'a', 'b'), format('%5s|%-5s|', 'x', 'y');
SELECT format('%s');
SELECT abs(-5), abs(-1.5), ceil(1.2), ceiling(-1.2), floor(-1.2), round(1.5), round(2.5), round(2.567, 2), round(-2.5::float8), trunc(1.99), trunc(1.256, 2), sign(-3), sign(2.5);
-- differs rows: cbrt is right in the last digit
SELECT sqrt(2), cbrt(27), exp(1), exp(1.0), ln(10), ln(2.0), log(100), log(2.0, 8.0), power(2, 10), power(2.0, 0.5), pi(), degrees(pi()), radians(180);
SELECT sqrt(-1);
SELECT ln(0);
SELECT power(0, -1);
SELECT mod(10, 3), mod(-10, 3), div(10, 3), gcd(12, 18), lcm(4, 6), factorial(5), width_bucket(5, 0, 10, 5), scale(1.50), min_scale(1.50), trim_scale(1.50);
-- differs everything: not there yet: function sind(integer) does not exist
SELECT sin(1), cos(1), tan(1), asin(1), acos(1), atan(1), atan2(1, 2), sinh(1), cot(1), sind(30);
SELECT random() BETWEEN 0 AND 1, gen_random_uuid() IS NOT NULL;
SELECT greatest('a', 'b'), least(1, 2.5), coalesce(NULL, NULL), nullif('a', 'b');
SELECT num_nulls(1, NULL), num_nonnulls(1, NULL);
SELECT justify_days('35 days'), justify_hours('27 hours'), justify_interval('1 mon -1 hour');
SELECT date_bin('15 minutes', timestamp '2024-01-01 10:23', timestamp '2024-01-01'), isfinite(date 'infinity'), extract(isodow FROM date '2024-05-05'), extract(week FROM date '2024-01-01'), extract(doy FROM date '2024-12-31'), extract(quarter FROM date '2024-05-05');
SELECT extract(hour FROM time '10:20:30'), extract(second FROM time '10:20:30.5'), extract(milliseconds FROM time '10:20:30.5'), date_part('epoch', interval '1 day 1 hour'), extract(century FROM date '2024-01-01'), extract(timezone FROM timestamptz '2024-01-01');
SELECT to_char(interval '1 day 02:03:04', 'DD HH24:MI:SS'), to_char(timestamp '2024-12-25 00:00', 'IYYY-IW D DDD Q J'), to_char(0.5, '0.99'), to_char(1234567, '9G999G999'), to_char(12, 'RN'), to_char(-1.5, 'S9.9'), to_char(1e3, '9.9EEEE');
-- differs rows: transactions have no 64-bit numbers
SELECT pg_backend_pid() > 0, pg_is_in_recovery(), version() LIKE 'PostgreSQL 15%', txid_current() > 0;
SELECT current_setting('server_version_num')::int >= 150000, current_setting('nosuch', true), set_config('application_name', 'x', false);
SELECT current_setting('nosuch');
SELECT has_table_privilege('pg_class', 'select'), pg_get_userbyid(10) IS NOT NULL, pg_table_is_visible('pg_class'::regclass);
SELECT col_description(1, 1), obj_description(1, 'pg_class'), format_type(23, NULL), format_type(1043, 14), format_type(1700, 655366);
SELECT pg_size_pretty(1024::bigint), pg_size_pretty(123456789::bigint), pg_sleep(0);
-- differs everything: not there yet: function hashtext(unknown) does not exist
SELECT hashtext('a') IS NOT NULL, pg_column_size(1), pg_client_encoding(), inet_server_port() IS NULL;
SELECT string_agg(x, '-') FROM (VALUES ('a'), ('b')) v (x);
SELECT array_agg(x), count(*) FROM (VALUES (1), (2)) v (x) WHERE x > 5;
SELECT max(x), min(x) FROM (VALUES (date '2024-01-01'), ('2023-01-01')) v (x);
SELECT sum(x), avg(x) FROM (VALUES (interval '1 day'), ('2 hours')) v (x);
SELECT avg(x), sum(x) FROM (VALUES (1.5), (2.25), (NULL)) v (x);
SELECT avg(x) FROM (VALUES (1), (2), (2)) v (x);
SELECT bit_xor(x) FROM (VALUES (1), (3)) v (x);
SELECT count(x), count(*) FROM (VALUES (NULL), (1)) v (x);
SELECT regr_slope(y, x), regr_count(y, x) FROM (VALUES (1, 2), (2, 4)) v (x, y);
SELECT lower('ABC'::varchar), length('x'::name), 'a'::name || 'b';
SELECT unistr('\0041'), normalize('a'), string_to_table('a,b', ',');
SELECT nosuch_function(1, 'a');
SELECT length(1);
SELECT abs('x');
SELECT round('x');
SELECT date_trunc('nosuch', now());
SELECT substr('a');
SELECT sum(1, 2);
SELECT generate_series(1, 3, 0);
SELECT * FROM generate_series(3, 1, -1);
SELECT * FROM generate_series(1.5, 3, 0.5);
SELECT row_number();
SELECT coalesce();
SELECT nullif(1);
SELECT greatest(1, 'x');
SELECT left('a', 'b');
SELECT repeat('x', -1), lpad('x', -1), substring('x', 10);
SELECT 'a' < 'b', 'a' < 'B', 'Z' < 'a', 'é' > 'z', '' < 'a', 'a' COLLATE "C" < 'b';
SELECT 'it''s', E'tab\there', U&'\0041', $$dollar$$, $q$a'b$q$, 'two'
' parts';
SELECT 1 AS "quoted ""name""", 2 AS Mixed, 3 AS "Mixed";
-- differs everything: such literals are allowed since PostgreSQL 16
SELECT 0x10, 1e3, 1., .5, 1_0;
