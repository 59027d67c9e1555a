SELECT 1::int2, 1::int4, 1::int8, 1.5::float4, 1.5::float8, 1.50::numeric, true, 'x'::text, 'x'::varchar, 'x'::char(3), 'x'::"char", 'n'::name;
SELECT '32768'::int2;
SELECT 32768::int2;
SELECT 2147483647 + 1;
SELECT 2147483648, 9223372036854775808, -2147483648;
SELECT 9223372036854775807 + 1;
SELECT '1e400'::float8;
SELECT 'abc'::int;
SELECT ''::int;
SELECT ' 42 '::int, '1_000'::text;
SELECT '1.5'::int;
SELECT 1.5::int, 2.5::int, -1.5::int, 2.5::float8::int, 3.5::float8::int;
SELECT 'NaN'::float8, 'Infinity'::float8, '-inf'::float8, 'NaN'::numeric;
SELECT 1e10::float8, 1e15::float8, 1e16::float8, 0.0001::float8, 0.00001::float8, 123456789.123::float8, 1e-7::float4;
SELECT 0.1::float4, 0.1::float8, 0.1::float4::float8, 1/3.0::float8, 16777217::float4;
SELECT 1.10, 1.10 + 1, 1.1 * 1.1, 1 / 3.0, 10.0 / 3, 2 / 3, -7 / 2, -7 % 3;
SELECT 12345.678::numeric(7,2), 0.005::numeric(3,2), 1e5::numeric, '1e-3'::numeric, 100::numeric(5,-2);
SELECT 123456.7::numeric(5,1);
SELECT 1.5 = 1.50, 1.5::text, (1.50)::text, 0.00::text, -0.0::text;
SELECT 10 ^ 2, 2 ^ 0.5, 2.0 ^ 10, |/ 16, ||/ 27, 5 # 3, 5 & 3, 5 | 3, ~5, 1 << 4, 256 >> 2, @ -5, 5 !~~ '5';
-- differs rows: the cube root of 27 is 3 here
SELECT 10 ^ 2, 2 ^ 0.5, 2.0 ^ 10, |/ 16, ||/ 27, 5 # 3, 5 & 3, 5 | 3, ~5, 1 << 4, 256 >> 2, @ -5;
SELECT 't'::bool, 'yes'::bool, 'off'::bool, '0'::bool, 1::bool, true::int, true::text;
SELECT 'maybe'::bool;
SELECT 2::bool, 0::bool;
SELECT 'abc'::varchar(2), 'abc'::char(2), 'a'::char(3) || 'b', length('a'::char(3)), 'a'::char(3) = 'a';
SELECT '\x0102ff'::bytea, 'abc'::bytea, E'\\000a'::bytea, '\x'::bytea;
SELECT '\xzz'::bytea;
SELECT '\x012'::bytea;
SELECT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'A0EEBC999C0B4EF8BB6D6BB9BD380A11'::uuid, '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'::uuid;
SELECT 'xyz'::uuid;
SELECT '2024-02-29'::date, '20240229'::date, 'Feb 29 2024'::date, '2/29/2024'::date, 'infinity'::date, '0044-03-15 BC'::date;
SELECT '2023-02-29'::date;
SELECT 'xyz'::date;
SELECT '2024-13-01'::date;
SELECT '12:34:56.789'::time, '12:34'::time, '3:04 PM'::time, '24:00'::time;
SELECT '25:00'::time;
SELECT '2024-02-29 12:34:56.123456'::timestamp, '2024-02-29T12:34:56'::timestamp, '2024-02-29'::timestamp, 'infinity'::timestamp;
SELECT '2024-02-29 12:34:56+02'::timestamptz, '2024-02-29 12:34:56 America/New_York'::timestamptz, '2024-02-29 12:34:56Z'::timestamptz;
SELECT 'epoch'::timestamptz, '2024-02-29 12:34:56.5'::timestamp(0), '2024-02-29 12:34:56.987654'::timestamptz(3);
SELECT '1 year 2 mons 3 days 04:05:06.7'::interval, '1 day ago'::interval, 'P1Y2M3DT4H5M6S'::interval, '90 minutes'::interval, '-1 day +02:03'::interval, '1.5 days'::interval;
-- differs types: fields are not part of the type
SELECT INTERVAL '5' DAY, INTERVAL '1-2' YEAR TO MONTH, interval '3 weeks', interval '0';
SELECT 'xyz'::interval;
SELECT '12:34:56+02'::timetz;
SELECT date '2024-01-31' + interval '1 month', date '2024-03-01' - date '2024-02-01', date '2024-03-01' - 1, date '2024-03-01' + time '10:00';
SELECT timestamp '2024-03-01 10:00' - timestamp '2024-02-28 09:30', time '10:00' - time '08:30', time '23:00' + interval '2 hours';
SELECT interval '1 day' * 2.5, interval '1 month' / 2, interval '1 day' + interval '25 hours', - interval '1 day';
SELECT interval '1 day' = interval '24 hours', interval '1 month' > interval '29 days', date '2024-01-01' < timestamp '2024-01-01 00:01';
SELECT '2024-01-01'::date = '2024-01-01 00:00'::timestamp;
SELECT extract(year FROM date '2024-05-06'), extract(epoch FROM timestamp '2024-05-06 01:02:03.5'), date_part('dow', date '2024-05-06'), extract(month FROM interval '14 months');
SELECT extract(nosuch FROM date '2024-05-06');
SELECT date_trunc('month', timestamp '2024-05-06 01:02:03'), date_trunc('hour', timestamptz '2024-05-06 01:02:03+00'), date_trunc('day', interval '3 days 5 hours');
SELECT age(timestamp '2024-05-06', timestamp '2023-01-10'), make_date(2024, 5, 6), make_timestamp(2024, 5, 6, 7, 8, 9.5), make_interval(days => 3);
-- differs everything: not there yet: function to_char(numeric, unknown) does not exist
SELECT to_char(timestamp '2024-05-06 17:08:09.123', 'YYYY-MM-DD HH24:MI:SS.MS'), to_char(date '2024-05-06', 'Day, DDth Mon YY'), to_char(1234.5, '9,999.99'), to_char(-5, '999'), to_char(5, 'FM000');
SELECT to_date('06 05 2024', 'DD MM YYYY'), to_timestamp('2024-05-06 07:08', 'YYYY-MM-DD HH24:MI'), to_timestamp(0), to_number('1,234.5', '9,999.9');
SELECT timestamptz '2024-05-06 12:00+00' AT TIME ZONE 'America/New_York', timestamp '2024-05-06 12:00' AT TIME ZONE 'Asia/Tokyo';
SELECT timestamp '2024-05-06 12:00' AT TIME ZONE 'Nowhere/City';
SELECT now() = now(), now() = current_timestamp, current_date = now()::date, localtimestamp IS NOT NULL, clock_timestamp() >= now();
SELECT (date '2024-01-01', date '2024-02-01') OVERLAPS (date '2024-01-15', date '2024-03-01');
SELECT '{1,2,3}'::int[], ARRAY[1, 2, NULL], ARRAY['a', 'b c', 'd"e', NULL, 'NULL', ''], '{}'::text[], ARRAY[[1, 2], [3, 4]], ARRAY[1.5, 2];
SELECT '{1,2'::int[];
SELECT '{a}'::int[];
SELECT ARRAY[1, 'a'];
SELECT ARRAY[];
SELECT (ARRAY[10, 20, 30])[2], (ARRAY[10, 20, 30])[2:3], (ARRAY[1])[5], ('{{1,2},{3,4}}'::int[])[2][1];
SELECT array_length(ARRAY[1, 2], 1), cardinality(ARRAY[1, 2]), array_upper(ARRAY[1, 2], 1), array_ndims(ARRAY[[1], [2]]), array_dims(ARRAY[1, 2, 3]);
SELECT ARRAY[1, 2] || 3, 0 || ARRAY[1], ARRAY[1] || ARRAY[2], array_append(ARRAY[1], 2), array_prepend(0, ARRAY[1]), array_cat(ARRAY[1], ARRAY[2, 3]), array_remove(ARRAY[1, 2, 1], 1), array_replace(ARRAY[1, 2], 2, 9);
SELECT array_position(ARRAY['a', 'b'], 'b'), array_to_string(ARRAY[1, NULL, 3], ',', '*'), string_to_array('a,b,,c', ','), array_positions(ARRAY[1, 2, 1], 1);
SELECT ARRAY[1, 2] @> ARRAY[1], ARRAY[1] <@ ARRAY[1, 2], ARRAY[1, 2] && ARRAY[2, 3], ARRAY[1, 2] = ARRAY[1, 2], ARRAY[1, 2] < ARRAY[1, 3], 2 = ANY (ARRAY[1, 2]), 2 < ALL (ARRAY[3, 4]);
SELECT '{"a": 1, "b": [1, 2, {"c": null}]}'::json, '{"b": 1, "a": 2, "a": 3}'::jsonb, '[1, "x", true, null, 1.50]'::jsonb, '"s"'::jsonb, 'null'::jsonb;
-- differs where: the context line is not given
SELECT '{bad'::json;
-- differs detail where: the context line is not given, and the detail is shorter
SELECT '{"a": }'::jsonb;
SELECT '{"a": {"b": [10, 20]}}'::jsonb -> 'a' -> 'b' -> 1, '{"a": "x"}'::jsonb ->> 'a', '[1, 2]'::json ->> 0, '{"a": {"b": 1}}'::jsonb #> '{a,b}', '{"a": {"b": 1}}'::jsonb #>> '{a,b}', '{"a": 1}'::json -> 'z';
SELECT '{"a": 1, "b": 2}'::jsonb @> '{"a": 1}', '{"a": 1}'::jsonb ? 'a', '["a", "b"]'::jsonb ?| ARRAY['b', 'c'], '{"a": 1}'::jsonb ?& ARRAY['a', 'b'], '{"a": 1}'::jsonb = '{"a": 1.0}'::jsonb;
SELECT '{"a": 1}'::jsonb || '{"b": 2}', '{"a": 1, "b": 2}'::jsonb - 'a', '[1, 2, 3]'::jsonb - 1, jsonb_set('{"a": 1}', '{b}', '2'), '{"a": {"b": 1}}'::jsonb #- '{a,b}';
-- differs rows: json made of values is written without blanks
SELECT jsonb_typeof('[1]'), json_typeof('1'), jsonb_array_length('[1, 2]'), jsonb_build_object('a', 1, 'b', 'x'), json_build_array(1, 'x', NULL), to_jsonb('x'::text), to_json(ARRAY[1, 2]), row_to_json(ROW(1, 'a'));
SELECT * FROM jsonb_array_elements('[1, {"a": 2}]');
SELECT * FROM json_array_elements_text('["a", "b"]');
SELECT * FROM jsonb_each('{"a": 1, "b": "x"}');
SELECT * FROM jsonb_object_keys('{"a": 1, "b": "x"}');
SELECT jsonb_pretty('{"a": [1, 2]}'), jsonb_strip_nulls('{"a": null, "b": 1}');
SELECT jsonb_extract_path('{"a": {"b": 1}}', 'a', 'b'), jsonb_extract_path_text('{"a": "x"}', 'a');
SELECT '1'::jsonb::int, 'true'::jsonb::bool, '"x"'::jsonb::text;
SELECT '"x"'::jsonb::int;
-- differs rows: a literal without a type is text at once
SELECT pg_typeof(1), pg_typeof('x'), pg_typeof(1.5), pg_typeof(NULL), pg_typeof(now()), pg_typeof(ARRAY[1]), pg_typeof('x'::varchar);
SELECT CAST('5' AS int) + 1, int '7', float8 '1.5', 'a'::text::varchar(10);
SELECT 'x'::nosuch;
SELECT 1::uuid;
SELECT now()::int;
SELECT 'a'::text + 1;
SELECT 'a'::text = 1;
SELECT 'pg_class'::regclass, 'int4'::regtype, 'integer'::regtype::oid, 23::regtype;
SELECT 'nosuch'::regclass;
SELECT 1::oid, '4294967295'::oid, -1::oid;
SELECT '192.168.1.1'::inet;
SELECT '08:00:2b:01:02:03'::macaddr;
SELECT B'101', '101'::bit(3), '101'::varbit;
-- differs everything: not there yet: type "point" does not exist
SELECT '(1,2)'::point;
SELECT '[1,5)'::int4range;
-- differs everything: not there yet: type "xml" does not exist
SELECT '<a/>'::xml;
-- differs everything: not there yet: type "money" does not exist
SELECT 12.34::money;
-- differs everything: not there yet: type "tsvector" does not exist
SELECT 'a b'::tsvector;
CREATE TABLE all_types (b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric(10,3), s text, v varchar(10), c char(4), d date, t time, ts timestamp, tz timestamptz, iv interval, u uuid, by bytea, j json, jb jsonb, ia int[], ta text[]);
INSERT INTO all_types VALUES (true, 1, 2, 3, 1.5, 2.5, 3.14159, 'text', 'var', 'ch', '2024-01-02', '03:04:05.678', '2024-01-02 03:04:05.678', '2024-01-02 03:04:05.678+00', '1 mon 2 days 03:04:05', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\xdeadbeef', '{"a" : 1}', '{"a" : 1}', '{1,NULL,3}', '{"a b",NULL}');
INSERT INTO all_types DEFAULT VALUES;
SELECT * FROM all_types;
SELECT b, i2, i8, f4, f8, n, tz, jb, ia FROM all_types WHERE i4 = 2;
-- params t | 1 | 2 | 3 | 1.5
SELECT $1::bool, $2::int2, $3::int4, $4::int8, $5::numeric;
-- params 1
SELECT * FROM all_types WHERE i2 = $1;
-- params \N
SELECT $1::text IS NULL;
-- params abc
-- differs where: the value is not shown
SELECT $1::int;
-- params 1
SELECT $1 + 1;
-- params 1 | 2
SELECT $1 + $2;
-- params x
SELECT $1;
-- params {1,2,3}
SELECT i4 FROM all_types WHERE i4 = ANY($1);
-- params 1 | 2
SELECT $2::int;
-- params 2024-01-01
SELECT d FROM all_types WHERE d > $1;
-- params 1
SELECT i4 FROM all_types LIMIT $1;
