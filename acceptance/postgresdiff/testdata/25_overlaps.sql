SELECT (date '2001-02-16', date '2001-12-21') OVERLAPS (date '2001-10-30', date '2002-10-30'), (date '2001-02-16', interval '100 days') OVERLAPS (date '2001-10-30', date '2002-10-30');
SELECT (timestamp '2001-10-29', timestamp '2001-10-30') OVERLAPS (timestamp '2001-10-30', timestamp '2001-10-31'), (timestamp '2001-10-30', timestamp '2001-10-30') OVERLAPS (timestamp '2001-10-30', timestamp '2001-10-31');
SELECT (time '10:00', time '11:00') OVERLAPS (time '10:30', interval '5 min'), (time '10:00', interval '1 hour') OVERLAPS (time '11:00', time '12:00'), (time '12:00', time '10:00') OVERLAPS (time '11:00', time '11:30');
SELECT (timetz '10:00+00', timetz '11:00+00') OVERLAPS (timetz '12:30+02', timetz '13:00+02');
SELECT (timestamptz '2024-01-01', interval '1 day') OVERLAPS (timestamptz '2024-01-01 12:00', interval '1 day'), (timestamptz '2024-01-01', timestamptz '2024-01-02') OVERLAPS (timestamptz '2024-01-01 12:00', interval '1 day');
SELECT (NULL::timestamp, timestamp '2024-01-02') OVERLAPS (timestamp '2024-01-01', timestamp '2024-01-03'), (timestamp '2024-01-02', NULL::timestamp) OVERLAPS (timestamp '2024-01-02', NULL::timestamp), (NULL::timestamp, NULL::timestamp) OVERLAPS (timestamp '2024-01-01', timestamp '2024-01-03'), (timestamp '2024-01-05', NULL::timestamp) OVERLAPS (timestamp '2024-01-01', timestamp '2024-01-03'), (timestamp '2024-01-05', timestamp '2024-01-06') OVERLAPS (timestamp '2024-01-07', NULL::timestamp);
-- differs message: the function is named without its schema
SELECT (1, 2) OVERLAPS (3, 4);
CREATE TABLE bookings (id int PRIMARY KEY, a timestamp, b timestamp);
INSERT INTO bookings VALUES (1, '2024-01-01', '2024-01-03'), (2, '2024-01-02', '2024-01-04'), (3, '2024-01-04', '2024-01-05');
SELECT x.id, y.id FROM bookings x JOIN bookings y ON x.id < y.id AND (x.a, x.b) OVERLAPS (y.a, y.b) ORDER BY 1, 2;
SELECT pg_collation_for('a'::text), pg_collation_for('a'::name), pg_collation_for('{a}'::text[]);
SELECT pg_collation_for(1);
SELECT convert('abc'::bytea, 'UTF8', 'UTF8');
SELECT convert('abc'::bytea, 'nosuch', 'UTF8');
SELECT (NULL::time, interval '1 day') OVERLAPS (time '01:00', interval '1 hour'), (NULL::timestamp, interval '1 day') OVERLAPS (timestamp '2024-01-01', interval '1 day');
